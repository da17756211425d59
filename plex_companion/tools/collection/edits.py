"""Edits of a collection: checked before any request, sent in few requests, and verified afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from plex_companion.errors import Invalid
from plex_companion.models import MediaType
from plex_companion.plex.pictures import check_one_source, load_picture
from plex_companion.plex.query import fits_request_line, send
from plex_companion.plex.steps import check_confirmed, run_steps
from plex_companion.plex.titles import fold_exactly
from plex_companion.plex.xml.attributes import read_number, read_tags, read_text
from plex_companion.tools.arguments import choose

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.steps import Step
    from plex_companion.settings import Settings

    Labels = tuple[list[str] | None, list[str] | None, list[str] | None]
    Source = tuple[str | None, str | None]

NAMES = {"title": "title", "titleSort": "sort_title", "summary": "summary", "contentRating": "content_rating"}
"""Plex's fields, and their names in results."""
SETTINGS = {
    "collectionMode": {"default": -1, "hide": 0, "hideItems": 1, "showItems": 2},
    "collectionSort": {"release": 0, "alpha": 1, "custom": 2},
    "collectionFilterBasedOnUser": {"admin": 0, "user": 1},
}
"""The advanced settings of a collection, with python-plexapi's words for their values. The numbers are accepted too."""
ABSENT = {"collectionMode": -1, "collectionSort": 0, "collectionFilterBasedOnUser": 0}
"""The meaning of a missing attribute, as python-plexapi reads it."""


@dataclass(frozen=True, slots=True)
class CollectionEdits:
    """The requested state of a collection. `replace` is `None` if the labels are not replaced; pictures are bytes."""

    texts: dict[str, str]
    replace: list[str] | None
    add: list[str]
    remove: list[str]
    pictures: dict[str, bytes] = field(default_factory=dict)
    settings: dict[str, int] = field(default_factory=dict)

    def apply(self, plex: PlexServer, row: Element, again: Callable[[], Element]) -> list[str]:
        """Send what differs from `row`, reload the row with `again`, and return the names of what changed.

        Raises:
            Partial: Plex accepted only some of the edits.
            NotConfirmed: Plex accepted the edits but does not show them.
        """
        texts = {name: value for name, value in self.texts.items() if (read_text(row, name) or "") != value}
        labels = self.compute_labels(read_tags(row, "Label"))
        settings = {name: value for name, value in self.settings.items() if _read_setting(row, name) != value}
        steps = _build_steps(plex, row, texts, labels, settings) + [
            (name, partial(_upload_picture, plex, row, kind, body)) for kind, body, name in self._list_pictures()
        ]
        if not steps:
            return []
        run_steps(plex, steps)
        _check_edits(again(), texts, labels, settings)
        named = [NAMES[name] for name in texts] + (["labels"] if labels is not None else [])
        return named + [name for _, _, name in self._list_pictures()] + list(settings)

    def compute_labels(self, old: Sequence[str]) -> list[str] | None:
        """Return the labels after the edit; `None` if nothing changes."""
        base = list(old) if self.replace is None else self.replace
        gone = {fold_exactly(label) for label in self.remove}
        requested = {fold_exactly(label): label for label in (*base, *self.add) if fold_exactly(label) not in gone}
        return None if requested.keys() == {fold_exactly(label) for label in old} else list(requested.values())

    def _list_pictures(self) -> list[tuple[str, bytes, str]]:
        names = {"posters": "poster", "arts": "background"}
        return [(kind, body, names[kind]) for kind, body in self.pictures.items()]


def build_edits(
    settings: Settings,
    texts: tuple[str | None, ...],
    labels: Labels,
    poster: Source,
    background: Source,
    asked: Mapping[str, Any] | None,
) -> CollectionEdits:
    """Check a caller's edits and load the pictures. `texts` are in the order of `NAMES`. Makes no request to Plex.

    Raises:
        Invalid: a blank title, labels both replaced and added, or an unknown setting or value.
        ToolError: a picture cannot be used.
    """
    requested = {name: value.strip() for name, value in zip(NAMES, texts, strict=True) if value is not None}
    if requested.get("title") == "":
        raise Invalid("new_title must not be blank.", argument="new_title")
    replace, add, remove = _check_labels(labels)
    chosen = _parse_settings(asked or {})
    sources = {"posters": (poster, "poster"), "arts": (background, "background")}
    given = {kind: one for kind, one in sources.items() if any(part is not None for part in one[0])}
    for (path, url), name in given.values():
        check_one_source(path, url, (f"{name}_path", f"{name}_url"))
    pictures = {
        kind: load_picture(settings, filepath=path, url=url, names=(f"{name}_path", f"{name}_url")).body
        for kind, ((path, url), name) in given.items()
    }
    return CollectionEdits(requested, replace, add, remove, pictures, chosen)


def _check_labels(labels: Labels) -> tuple[list[str] | None, list[str], list[str]]:
    replace, add, remove = labels
    if replace is not None and (add or remove):
        message = "new_labels replaces all labels: give it alone, or add_labels and remove_labels."
        raise Invalid(message, argument="new_labels")
    for name, some in (("new_labels", replace), ("add_labels", add), ("remove_labels", remove)):
        if any(not label.strip() for label in some or ()):
            raise Invalid(f"{name} contains a blank label.", argument=name)
    both = {fold_exactly(label) for label in add or ()} & {fold_exactly(label) for label in remove or ()}
    if both:
        message = f"'{min(both)}' is both in add_labels and in remove_labels."
        raise Invalid(message, argument="add_labels")
    return replace, add or [], remove or []


def _parse_settings(asked: Mapping[str, Any]) -> dict[str, int]:
    for name in asked:
        if name not in SETTINGS:
            message = f"new_advanced_settings has no '{name}'. Settings: {', '.join(SETTINGS)}."
            raise Invalid(message, argument="new_advanced_settings", allowed=list(SETTINGS))
    return {name: _parse_value(name, value) for name, value in asked.items()}


def _parse_value(name: str, value: Any) -> int:
    words = SETTINGS[name]
    by_number = {str(number): number for number in words.values()}
    found = words.get(choose(str(value), words), by_number.get(str(value)))
    if found is None or isinstance(value, bool):
        known = [f"{word} ({number})" for word, number in words.items()]
        message = f"{name} cannot be '{value}'. Values: {', '.join(known)}."
        raise Invalid(message, argument="new_advanced_settings", allowed=known)
    return found


def _build_steps(
    plex: PlexServer,
    row: Element,
    texts: Mapping[str, str],
    labels: list[str] | None,
    settings: Mapping[str, int],
) -> list[Step]:
    """Return the requests: texts and labels together, or one each where the URL gets too long, and the settings."""
    key = row.get("ratingKey", "")
    path = f"/library/sections/{row.get('librarySectionID')}/all"
    parts = [(NAMES[name], _build_text_fields({name: value})) for name, value in texts.items()]
    if labels is not None:
        parts.append(("labels", _build_label_fields(read_tags(row, "Label"), labels)))
    combined = {name: value for _, fields in parts for name, value in fields.items()}
    if parts and fits_request_line(path, combined):
        parts = [(", ".join(name for name, _ in parts), combined)]
    steps: list[Step] = [
        (name, partial(send, plex, "PUT", path, type=MediaType.COLLECTION, id=key, **fields))
        for name, fields in parts
        if fields
    ]
    if settings:
        path = f"/library/collections/{key}/prefs"
        steps.append((", ".join(settings), partial(send, plex, "PUT", path, **dict[str, Any](settings))))
    return steps


def _build_text_fields(texts: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {f"{name}.value": value for name, value in texts.items()}
    return values | {f"{name}.locked": 1 for name in texts}


def _build_label_fields(old: Sequence[str], new: list[str] | None) -> dict[str, Any]:
    """Return the new list of labels, and by name those to remove: it is unverified that Plex removes labels missing
    from the list.
    """
    if new is None:
        return {}
    kept = {fold_exactly(label) for label in new}
    gone = [label for label in old if fold_exactly(label) not in kept]
    fields: dict[str, Any] = {f"label[{place}].tag.tag": label for place, label in enumerate(new)}
    if gone:
        # Escaped twice on the wire, as in python-plexapi, because a comma separates the labels.
        fields["label[].tag.tag-"] = ",".join(quote(label) for label in gone)
    return fields | {"label.locked": 1}


def _upload_picture(plex: PlexServer, row: Element, kind: str, body: bytes) -> None:
    send(plex, "POST", f"/library/metadata/{row.get('ratingKey')}/{kind}", body=body)


def _read_setting(row: Element, name: str) -> int:
    value = read_number(row, name)
    return ABSENT[name] if value is None else value


def _check_edits(row: Element, texts: Mapping[str, str], labels: list[str] | None, settings: Mapping[str, int]) -> None:
    """Verify the edits. Plex capitalises labels, so their case does not count."""
    requested: dict[str, object] = {**texts, **settings}
    found: dict[str, object] = {name: read_text(row, name) or "" for name in texts}
    found |= {name: _read_setting(row, name) for name in settings}
    if labels is not None:
        requested["labels"] = sorted(fold_exactly(label) for label in labels)
        found["labels"] = sorted(fold_exactly(label) for label in read_tags(row, "Label"))
    message = f"Plex accepted the edit of '{read_text(row, 'title')}' but does not show all of it. Check it again."
    check_confirmed(requested=requested, found=found, message=message)
