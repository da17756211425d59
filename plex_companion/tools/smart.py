"""Smart playlists: what one holds by definition, written as Plex writes it, and read back."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from plex_companion.errors import Invalid, NotSupported, PlexError
from plex_companion.tools.ask import page
from plex_companion.tools.facts import as_number, flag, kind, text
from plex_companion.tools.named import TYPE_NUMBERS, uri_of
from plex_companion.tools.playlists import MEDIUMS, again, find_playlist, key_of, path_of, put_items
from plex_companion.tools.smart_fields import Checked, fields_of, sort_of
from plex_companion.tools.steps import confirmed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from plexapi.server import PlexServer

    from plex_companion.models import Section

DEFAULTS = {"movie": "movie", "show": "episode", "artist": "track", "photo": "photo"}
"""What a smart playlist of a library holds unless told; shows and artists yield their episodes and tracks."""
PREVIEW = 20
_KINDS = {str(number): name for name, number in TYPE_NUMBERS.items()}
_SECTION = re.compile(r"/library/sections/(\w+)/all")
_NO_FILTERS = frozenset({"type", "sort", "limit", "includeGuids"})


@dataclass(frozen=True, slots=True)
class Definition:
    """Which items of a library are in a smart playlist, and in which order. `pairs` are filters as the query has them."""

    section_id: str
    libtype: str | None
    pairs: tuple[tuple[str, str], ...] = ()
    sort: str | None = None
    limit: int | None = None

    @property
    def path(self) -> str:
        """The query."""
        head = {"type": TYPE_NUMBERS.get(self.libtype or ""), "sort": self.sort, "limit": self.limit}
        given = [(name, str(value)) for name, value in head.items() if value is not None]
        return f"/library/sections/{self.section_id}/all?{urlencode([*given, *self.pairs])}"

    def facts(self) -> dict[str, Any]:
        """As tools show it: what is shown can be given back."""
        filters = _filters(deque(self.pairs))
        return {"libtype": self.libtype, "filters": filters, "sort": self.sort, "limit": self.limit}


def definition_of(row: Element) -> Definition | None:
    """Out of a smart playlist's `content`: a path of the library, escaped once more in most versions of Plex."""
    content = row.get("content", "")
    place = content if "/library/sections/" in content else unquote(content)
    parts = urlsplit(place[max(0, place.find("/library/sections/")) :])
    section = _SECTION.fullmatch(parts.path)
    if section is None:
        return None
    # `title==X` is the field `title=` with the value X, however it was escaped.
    found = [
        (f"{name}=", value[1:]) if value.startswith("=") else (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    plain = dict(found)
    limit = plain.get("limit", "")
    return Definition(
        section_id=section[1],
        libtype=_KINDS.get(plain.get("type", "")),
        pairs=tuple(pair for pair in found if pair[0] not in _NO_FILTERS),
        sort=plain.get("sort") or None,
        limit=int(limit) if limit.isdecimal() else None,
    )


def _filters(pairs: deque[tuple[str, str]]) -> dict[str, Any]:
    """The filters up to the end of their group, which is what Plex's `push`, `pop`, `and` and `or` stand for."""
    groups: list[dict[str, Any]] = []
    joiner, current = "and", dict[str, Any]()
    while pairs:
        name, value = pairs.popleft()
        if name == "pop":
            break
        if name == "push":
            groups.append(_filters(pairs))
        elif name in {"and", "or"}:
            joiner = name
            groups += [current] if current else []
            current = {}
        else:
            _put(current, name, value)
    groups += [current] if current else []
    return groups[0] if len(groups) == 1 else {joiner: groups} if groups else {}


def _put(filters: dict[str, Any], name: str, value: str) -> None:
    """Several values are a list; a field named twice must fit both, which is written `field&`."""
    values = value.split(",")
    if name in filters or f"{name}&" in filters:
        before = filters.pop(name, None) or filters.pop(f"{name}&")
        filters[f"{name}&"] = [*(before if isinstance(before, list) else [before]), *values]
    else:
        filters[name] = values if len(values) > 1 else value


def find_smart(seen: PlexServer, title: str | None, playlist_id: str | None) -> Element:
    """The smart playlist that is meant, with its `content`.

    Raises:
        NotSupported: it is an ordinary one.
    """
    row = find_playlist(seen, title, playlist_id, writes=True).row
    if not flag(row, "smart"):
        message = f"'{text(row, 'title')}' is no smart playlist: it has items of its own, and no filters."
        raise NotSupported(message, reason="not smart")
    return with_content(seen, row)


def with_content(seen: PlexServer, row: Element) -> Element:
    """A smart playlist with its `content`: its details have it where the list leaves it out."""
    return row if row.get("content") else again(seen, row)


def known_definition(row: Element) -> Definition:
    """The definition of a smart playlist that is to be changed.

    Raises:
        PlexError: it is written in a way not known here.
    """
    found = definition_of(row)
    if found is None:
        raise PlexError(f"The filters of '{text(row, 'title')}' are written in a way that is not understood here.")
    return found


def checked(
    seen: PlexServer, base: Definition, filters: Mapping[str, Any] | None, sort: str | None, libtype: str | None
) -> Definition:
    """The definition with other filters, sort or type, seen to be possible; `None` keeps, an empty one clears.

    One request for the library's fields, and one for every field whose tags are named; none when nothing is to be checked.

    Raises:
        Invalid: the library cannot do it.
    """
    if not (filters or sort or libtype):
        cleared = replace(base, pairs=base.pairs if filters is None else ())
        return replace(cleared, sort=base.sort if sort is None else None)
    fields = fields_of(seen, base.section_id)
    chosen = fields.kind(libtype or base.libtype or next(iter(fields.kinds), "")).name
    pairs = base.pairs if filters is None else tuple(Checked(seen, fields, chosen).pairs(filters))
    order = base.sort if sort is None else sort_of(fields, chosen, sort) if sort.strip() else None
    return replace(base, libtype=chosen, pairs=pairs, sort=order)


def check_limit(limit: int | None, least: int) -> None:
    """Refuse what is no number of items.

    Raises:
        Invalid: below `least`.
    """
    if limit is not None and limit < least:
        raise Invalid(f"limit must be at least {least}; got {limit}.", argument="limit")


def medium_of_type(libtype: str | None) -> str:
    """The type of playlist that can hold these."""
    return next((medium for medium, kinds in MEDIUMS.items() if libtype in kinds), "video")


def new_definition(seen: PlexServer, library: Section, filters: Mapping[str, Any] | None, sort: str | None,
                   libtype: str | None, limit: int | None) -> Definition:  # fmt: skip
    """A definition for a library."""
    base = Definition(library.section_id, DEFAULTS.get(library.type), limit=limit)
    return checked(seen, base, filters, sort, libtype)


def redefine(seen: PlexServer, row: Element, definition: Definition) -> None:
    """Give a smart playlist another definition, and see that Plex has it.

    Raises:
        NotConfirmed: Plex holds another one.
    """
    now = put_items(seen, row, uri_of(seen, definition.path))
    found = definition_of(now) if now.get("content") else None
    if found is not None:
        message = f"Plex took the filters of '{text(row, 'title')}', and holds others. Look with playlist_get_contents."
        confirmed(requested=definition.facts(), found=found.facts(), message=message, playlist_id=key_of(row))


def told(seen: PlexServer, row: Element, definition: Definition, **more: Any) -> dict[str, Any]:
    """A smart playlist as its tools show it, with the first items it holds now. One request."""
    some = page(seen, f"{path_of(row)}/items", 0, PREVIEW)
    return {
        "status": "success",
        "title": text(row, "title"),
        "playlist_id": key_of(row),
        "smart": True,
        "definition": definition.facts(),
        "item_count": some.total,
        "items": [_previewed(one) for one in some.rows],
        "preview_limit": PREVIEW,
        **more,
    }


def _previewed(row: Element) -> dict[str, Any]:
    key = as_number(row.get("ratingKey"))
    show = text(row, "grandparentTitle")
    return {"title": text(row, "title"), "media_id": key, "type": kind(row), "show": show, "rating_key": key}
