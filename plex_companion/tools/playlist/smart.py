"""Smart playlists: their definition, written and read in Plex's query syntax."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

from plex_companion.errors import Invalid, NotSupported, PlexError
from plex_companion.models import TYPE_NAMES, TYPE_NUMBERS
from plex_companion.parsing.values import parse_int
from plex_companion.plex.query import get_page
from plex_companion.plex.steps import check_confirmed
from plex_companion.plex.xml.attributes import parse_identifier, read_flag, read_kind, read_text
from plex_companion.tools.item_list import build_uri
from plex_companion.tools.playlist.create import add_items
from plex_companion.tools.playlist.find import MEDIUMS, build_path, find_playlist, read_key, reload
from plex_companion.tools.playlist.smart_fields import FilterParser, build_sort, get_fields

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from plex_companion.models import Section
    from plex_companion.plex.client import PlexServer

DEFAULTS = {"movie": "movie", "show": "episode", "artist": "track", "photo": "photo"}
"""The default item type by type of library. Shows and artists add their episodes and tracks."""
PREVIEW = 20
_SECTION = re.compile(r"/library/sections/(\w+)/all")
_NO_FILTERS = frozenset({"type", "sort", "limit", "includeGuids"})


@dataclass(frozen=True, slots=True)
class SmartDefinition:
    """Which items of a library a smart playlist holds, and in which order. `pairs` are the filters in query syntax."""

    section_id: str
    libtype: str | None
    pairs: tuple[tuple[str, str], ...] = ()
    sort: str | None = None
    limit: int | None = None

    @property
    def path(self) -> str:
        """The query as a path of the server."""
        head = {"type": TYPE_NUMBERS.get(self.libtype or ""), "sort": self.sort, "limit": self.limit}
        given = [(name, str(value)) for name, value in head.items() if value is not None]
        return f"/library/sections/{self.section_id}/all?{urlencode([*given, *self.pairs])}"

    def as_dict(self) -> dict[str, Any]:
        """Return the definition as tools show it. Callers can pass the values back."""
        filters = _parse_filters(deque(self.pairs))
        return {"libtype": self.libtype, "filters": filters, "sort": self.sort, "limit": self.limit}


def parse_definition(row: Element) -> SmartDefinition | None:
    """Parse a smart playlist's `content`: a path of the library, escaped once more in most versions of Plex."""
    content = row.get("content", "")
    place = content if "/library/sections/" in content else unquote(content)
    parts = urlsplit(place[max(0, place.find("/library/sections/")) :])
    section = _SECTION.fullmatch(parts.path)
    if section is None:
        return None
    # `title==X` is the field `title=` with the value X, in either escaping.
    found = [
        (f"{name}=", value[1:]) if value.startswith("=") else (name, value)
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    plain = dict(found)
    return SmartDefinition(
        section_id=section[1],
        libtype=TYPE_NAMES.get(parse_int(plain.get("type")) or 0),
        pairs=tuple(pair for pair in found if pair[0] not in _NO_FILTERS),
        sort=plain.get("sort") or None,
        limit=parse_int(plain.get("limit")),
    )


def _parse_filters(pairs: deque[tuple[str, str]]) -> dict[str, Any]:
    """Parse the filters up to the end of their group, which Plex writes as `push`, `pop`, `and` and `or`."""
    groups: list[dict[str, Any]] = []
    joiner, current = "and", dict[str, Any]()
    while pairs:
        name, value = pairs.popleft()
        if name == "pop":
            break
        if name == "push":
            groups.append(_parse_filters(pairs))
        elif name in {"and", "or"}:
            joiner = name
            groups += [current] if current else []
            current = {}
        else:
            _put_filter(current, name, value)
    groups += [current] if current else []
    return groups[0] if len(groups) == 1 else {joiner: groups} if groups else {}


def _put_filter(filters: dict[str, Any], name: str, value: str) -> None:
    """Add a filter. Several values become a list; a field used twice must match both, which is written `field&`."""
    values = value.split(",")
    if name in filters or f"{name}&" in filters:
        before = filters.pop(name, None) or filters.pop(f"{name}&")
        filters[f"{name}&"] = [*(before if isinstance(before, list) else [before]), *values]
    else:
        filters[name] = values if len(values) > 1 else value


def find_smart(view: PlexServer, title: str | None, playlist_id: str | None) -> Element:
    """Find a smart playlist, with its `content`.

    Raises:
        NotSupported: it is an ordinary playlist.
    """
    row = find_playlist(view, title, playlist_id, writes=True).row
    if not read_flag(row, "smart"):
        message = f"'{read_text(row, 'title')}' is not a smart playlist: it has a fixed list of items and no filters."
        raise NotSupported(message, reason="not smart")
    return load_content(view, row)


def load_content(view: PlexServer, row: Element) -> Element:
    """Return the smart playlist with its `content`, which the details have if the list leaves it out."""
    return row if row.get("content") else reload(view, row)


def require_definition(row: Element) -> SmartDefinition:
    """Return the definition of a smart playlist that is about to change.

    Raises:
        PlexError: its syntax is unknown.
    """
    found = parse_definition(row)
    if found is None:
        raise PlexError(
            f"The filters of '{read_text(row, 'title')}' have a syntax that the companion does not understand."
        )
    return found


def check_definition(
    view: PlexServer, base: SmartDefinition, filters: Mapping[str, Any] | None, sort: str | None, libtype: str | None
) -> SmartDefinition:
    """Return the definition with other filters, sort or type, validated. `None` keeps a value, an empty one clears it.

    One request for the library's fields and one per field with named tags; none if there is nothing to check.

    Raises:
        Invalid: the library does not support it.
    """
    if not (filters or sort or libtype):
        cleared = replace(base, pairs=base.pairs if filters is None else ())
        return replace(cleared, sort=base.sort if sort is None else None)
    fields = get_fields(view, base.section_id)
    chosen = fields.get_kind(libtype or base.libtype or next(iter(fields.kinds), "")).name
    pairs = base.pairs if filters is None else tuple(FilterParser(view, fields, chosen).parse(filters))
    order = base.sort if sort is None else build_sort(fields, chosen, sort) if sort.strip() else None
    return replace(base, libtype=chosen, pairs=pairs, sort=order)


def check_limit(limit: int | None, least: int) -> None:
    """Refuse an invalid number of items.

    Raises:
        Invalid: it is below `least`.
    """
    if limit is not None and limit < least:
        raise Invalid(f"limit must be at least {least}; got {limit}.", argument="limit")


def choose_medium_for(libtype: str | None) -> str:
    """Return the type of playlist that can hold this item type."""
    return next((medium for medium, kinds in MEDIUMS.items() if libtype in kinds), "video")


def build_definition(view: PlexServer, library: Section, filters: Mapping[str, Any] | None, sort: str | None,
                   libtype: str | None, limit: int | None) -> SmartDefinition:  # fmt: skip
    """Return a definition for a library."""
    base = SmartDefinition(library.section_id, DEFAULTS.get(library.type), limit=limit)
    return check_definition(view, base, filters, sort, libtype)


def set_definition(view: PlexServer, row: Element, definition: SmartDefinition) -> None:
    """Give a smart playlist another definition and verify it.

    Raises:
        NotConfirmed: Plex shows another definition.
    """
    now = add_items(view, row, build_uri(view, definition.path))
    found = parse_definition(now) if now.get("content") else None
    if found is not None:
        message = f"Plex accepted the filters of '{read_text(row, 'title')}' but shows others. Check it with playlist_get_contents."
        check_confirmed(
            requested=definition.as_dict(), found=found.as_dict(), message=message, playlist_id=read_key(row)
        )


def describe_smart(view: PlexServer, row: Element, definition: SmartDefinition, **more: Any) -> dict[str, Any]:
    """Describe a smart playlist, with the first items it holds now. One request."""
    preview = get_page(view, f"{build_path(row)}/items", 0, PREVIEW)
    return {
        "status": "success",
        "title": read_text(row, "title"),
        "playlist_id": read_key(row),
        "smart": True,
        "definition": definition.as_dict(),
        "item_count": preview.total,
        "items": [_describe_preview(one) for one in preview.rows],
        "preview_limit": PREVIEW,
        **more,
    }


def _describe_preview(row: Element) -> dict[str, Any]:
    key = parse_identifier(row.get("ratingKey"))
    show = read_text(row, "grandparentTitle")
    return {"title": read_text(row, "title"), "media_id": key, "type": read_kind(row), "show": show, "rating_key": key}
