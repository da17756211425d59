"""Editing an item's metadata: compute the changes, send them together, verify them."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from plex_companion.errors import Conflict, Invalid, NotConfirmed, NotSupported, Partial
from plex_companion.models import TYPE_NUMBERS
from plex_companion.names.folding import compose
from plex_companion.plex.lookup import find_by_id
from plex_companion.plex.query import fits_request_line, get, send
from plex_companion.plex.steps import run_steps
from plex_companion.plex.titles import fold_exactly
from plex_companion.plex.xml.attributes import drop_nulls, parse_identifier, read_float, read_kind, read_tags, read_text
from plex_companion.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from xml.etree.ElementTree import Element

    from plex_companion.plex.client import PlexServer
LIBRARY = "com.plexapp.plugins.library"
EDITABLE = ("movie", "show", "season", "episode", "artist", "album", "track")
_EVERY = {"new_title", "new_rating", "new_tags"}
_GENRE = {"new_genre", "remove_genre"}
SUPPORTED: dict[str, set[str]] = {
    "movie": _EVERY | _GENRE | {"new_summary", "new_studio", "new_release_date", "new_director"},
    "show": _EVERY | _GENRE | {"new_summary", "new_studio", "new_release_date"},
    "season": _EVERY | {"new_summary"},
    "episode": _EVERY | {"new_summary", "new_release_date", "new_director"},
    "artist": _EVERY | _GENRE | {"new_summary"},
    "album": _EVERY | _GENRE | {"new_summary", "new_studio", "new_release_date"},
    "track": _EVERY | _GENRE,
}
"""The fields that python-plexapi 4.18.3 can edit, by kind."""
TEXTS = {
    "new_title": ("title", "title", "title changed to '{}'"),
    "new_summary": ("summary", "summary", "summary updated"),
    "new_studio": ("studio", "studio", "studio changed to '{}'"),
    "new_release_date": ("originallyAvailableAt", "release_date", "updated release date to '{}'"),
}
"""Plex's name of a field, our name in `before`, and the sentence for `changes`."""
MERGED = ("artist", "album")
"""Renaming one of these to the title of another merges the two (PLEX spec, `/library/sections/{id}/all`)."""
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_BEST = 10.0


@dataclass(frozen=True, slots=True)
class MediaEdit:
    """One change: the old value, the request fields, and how to verify it."""

    name: str
    old: Any
    changes: tuple[str, ...]
    params: Mapping[str, object]
    is_done: Callable[[Element], bool]


def check_arguments(**arguments: Any) -> dict[str, Any]:
    """Return the arguments that were given, checked without a request.

    Raises:
        Invalid: an argument cannot be used.
    """
    wanted = drop_nulls(arguments)
    _check_values(wanted)
    return wanted


def _check_values(wanted: Mapping[str, Any]) -> None:
    for name in ("new_title", "new_genre", "remove_genre", "new_director"):
        if name in wanted and not wanted[name].strip():
            raise Invalid(f"{name} must not be empty.", argument=name)
    if not all(tag.strip() for tag in wanted.get("new_tags", ())):
        raise Invalid("new_tags must not contain an empty tag.", argument="new_tags")
    rating = wanted.get("new_rating", 0.0)
    if not 0 <= rating <= _BEST:
        raise Invalid(f"new_rating must be 0 to 10; got {rating:g}.", argument="new_rating")
    released = wanted.get("new_release_date", "")
    if released and not _is_date(released):
        message = f"new_release_date must be a date such as 2001-12-31, or empty to clear it; got '{released}'."
        raise Invalid(message, argument="new_release_date")


def _is_date(value: str) -> bool:
    with suppress(ValueError):
        return bool(_DATE.fullmatch(value) and date.fromisoformat(value))
    return False


def check_kind(row: Element, wanted: Mapping[str, Any]) -> None:
    """Check that this kind of item has all these fields, before anything changes.

    Raises:
        NotSupported: a field is missing.
    """
    lacking = [name for name in wanted if name not in SUPPORTED[read_kind(row) or ""]]
    if lacking:
        message = f"Plex cannot change {', '.join(lacking)} of a {read_kind(row)} ('{read_text(row, 'title')}'). Nothing changed."
        raise NotSupported(message, reason="item type", arguments=lacking)


def build_edits(row: Element, wanted: Mapping[str, Any]) -> list[MediaEdit]:
    """Return the edits that change something."""
    found = [_build_text_edit(row, name, wanted[name]) for name in TEXTS if name in wanted]
    removed = [wanted["remove_genre"]] if "remove_genre" in wanted else []
    added = [wanted["new_genre"]] if "new_genre" in wanted else []
    found.append(_build_tag_edit(row, "genre", "Genre", added, removed))
    directors = [wanted["new_director"]] if "new_director" in wanted else []
    found.append(_build_tag_edit(row, "director", "Director", directors, []))
    found.append(_build_tag_edit(row, "label", "Label", wanted.get("new_tags", []), []))
    return [edit for edit in found if edit is not None]


def _build_text_edit(row: Element, argument: str, value: str) -> MediaEdit | None:
    field, name, sentence = TEXTS[argument]
    old, new = read_text(row, field) or "", value.strip()
    if _is_same(old, new):
        return None
    change = sentence.format(new) if new else f"{name.replace('_', ' ')} cleared"
    params = {f"{field}.value": new, f"{field}.locked": 1}
    return MediaEdit(name, old, (change,), params, lambda now: _is_same(read_text(now, field) or "", new))


def _is_same(one: str, other: str) -> bool:
    return compose(" ".join(clean(one).split())) == compose(" ".join(clean(other).split()))


def _build_tag_edit(
    row: Element, field: str, tag: str, added: Sequence[str], removed: Sequence[str]
) -> MediaEdit | None:
    """Return the edit of a list of tags. Plex replaces the list, so all that stay are sent too, and removed ones are
    named.
    """
    old = read_tags(row, tag)
    going = [name for name in old if _contains(name, removed) and not _contains(name, added)]
    coming = [name.strip() for name in dict.fromkeys(added) if not _contains(name, old)]
    if not going and not coming:
        return None
    staying = [name for name in dict.fromkeys(old) if name not in going] + coming
    params: dict[str, object] = {f"{field}[{n}].tag.tag": name for n, name in enumerate(staying)}
    if going:
        params[f"{field}[].tag.tag-"] = ",".join(quote(name) for name in going)  # as python-plexapi sends them
    word = "tag" if field == "label" else field
    changes = (*(f"added {word} '{name}'" for name in coming), *(f"removed {word} '{name}'" for name in going))
    return MediaEdit(
        f"{field}s", old, changes, {**params, f"{field}.locked": 1}, lambda now: _is_set(read_tags(now, tag), staying)
    )


def _contains(name: str, names: Sequence[str]) -> bool:
    return fold_exactly(name) in map(fold_exactly, names)


def _is_set(found: Sequence[str], wanted: Sequence[str]) -> bool:
    return set(map(fold_exactly, found)) == set(map(fold_exactly, wanted))


def build_rating_edit(row: Element, rating: float | None) -> MediaEdit | None:
    """Return the edit of the owner's own rating, which has a request of its own."""
    old = read_float(row, "userRating")
    if rating is None or old == rating:
        return None
    return MediaEdit(
        "rating", old, (f"rating changed to {rating:g}",), {}, lambda now: read_float(now, "userRating") == rating
    )


def check_title_is_free(plex: PlexServer, row: Element, wanted: Mapping[str, Any]) -> None:
    """Check that a new title will not merge this artist or album with another. One request, for those two kinds.

    Raises:
        Conflict: the library already has one with that title.
    """
    title, this = wanted.get("new_title", "").strip(), read_kind(row)
    if not title or this not in MERGED or _is_same(read_text(row, "title") or "", title):
        return
    listed = get(plex, f"/library/sections/{row.get('librarySectionID')}/all", type=TYPE_NUMBERS[this], title=title)
    for other in listed:
        same = fold_exactly(other.get("title", "")) == fold_exactly(title)
        if same and other.get("ratingKey") != row.get("ratingKey"):
            message = f"The library has an {this} '{title}' already, and Plex would merge the two. Nothing changed."
            raise Conflict(message, rating_key=parse_identifier(other.get("ratingKey")))


def apply_edits(
    plex: PlexServer, row: Element, edits: Sequence[MediaEdit], rating: MediaEdit | None, value: float | None
) -> Element:
    """Apply the edits, verify them, and return the new row. At most three requests, or one per field if the URL gets
    too long.

    Raises:
        Partial: only some of the edits took effect.
        NotConfirmed: none took effect, although Plex accepted them.
    """
    key = row.get("ratingKey")
    place = f"/library/sections/{row.get('librarySectionID')}/all"
    number = TYPE_NUMBERS[read_kind(row) or ""]
    steps: list[tuple[str, Callable[[], object]]] = [
        (name, partial(send, plex, "PUT", place, type=number, id=key, **fields))
        for name, fields in _split_fields(place, edits)
    ]
    if rating:
        steps.append(("rating", lambda: send(plex, "PUT", "/:/rate", key=key, identifier=LIBRARY, rating=f"{value:g}")))
    run_steps(plex, steps)
    now = find_by_id(plex, key or "")
    _check_done(now, [*edits, *([rating] if rating else [])])
    return now


def _split_fields(place: str, edits: Sequence[MediaEdit]) -> list[tuple[str, dict[str, Any]]]:
    """Return all fields in one request or, if that is too long, one request per field."""
    fields: dict[str, Any] = {name: value for one in edits for name, value in one.params.items()}
    if len(edits) > 1 and not fits_request_line(place, fields):
        return [(one.name, dict(one.params)) for one in edits]
    return [("fields", fields)] if fields else []


def _check_done(now: Element, edits: Sequence[MediaEdit]) -> None:
    missing = [edit.name for edit in edits if not edit.is_done(now)]
    if not missing:
        return
    applied = [edit.name for edit in edits if edit.name not in missing]
    if applied:
        message = (
            f"Plex applied only part of the edit: {', '.join(missing)} of '{read_text(now, 'title')}' did not change."
        )
        raise Partial(message, applied=applied, failed=missing)
    message = (
        f"Plex accepted the edit of '{read_text(now, 'title')}', but {', '.join(missing)} did not change. Try again."
    )
    raise NotConfirmed(message, requested=missing, found={edit.name: edit.old for edit in edits})
