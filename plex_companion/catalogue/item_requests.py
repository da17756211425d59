"""Requests for items: pages of a library, rows with little more than keys, and items by their keys. Run in the gateway."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plex_companion.errors import NotFound
from plex_companion.models import MediaType
from plex_companion.parsing.values import parse_int
from plex_companion.plex.query import build_path, check_list
from plex_companion.plex.xml import views
from plex_companion.plex.xml.answer import Damage, collect_damage
from plex_companion.plex.xml.attributes import read_text
from plex_companion.plex.xml.catalogue_rows import KeyRow, parse_catalogue_item, parse_key_row

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from xml.etree.ElementTree import Element

    from plex_companion.models import CatalogueItem
    from plex_companion.plex.client import PlexServer

KINDS = {
    "movie": (MediaType.MOVIE,),
    "show": (MediaType.SHOW, MediaType.SEASON, MediaType.EPISODE),
    "artist": (MediaType.ARTIST, MediaType.ALBUM, MediaType.TRACK),
    "photo": (MediaType.PHOTOALBUM,),
}
"""The kinds of items that the catalogue keeps of each type of library."""
# Element and attribute names as in plex-api-spec and in recorded answers. `skipRefresh`: reading must not start an analysis.
_UNREAD = "Writer,Producer,Similar,Style,Mood,Format,Rating,Image,UltraBlurColors,Chapter,Marker,Field,Extras,Related"
_READ = "Media,Genre,Country,Guid,Collection,Director,Role,Label"
_UNREAD_FIELDS = "tagline,thumb,art,theme,parentThumb,grandparentThumb,grandparentArt,grandparentTheme"
_KEYS_ONLY = {"excludeElements": f"{_READ},{_UNREAD}", "excludeFields": f"{_UNREAD_FIELDS},summary"}


@dataclass(frozen=True, slots=True)
class ListingPage:
    """A page of a library."""

    items: tuple[CatalogueItem, ...]
    size: int
    """All rows of the page, also those that are not kept or could not be read."""
    total: int | None
    """Rows of the whole list, if Plex says so."""
    problem: str | None
    """The parts of the page that could not be read."""


@dataclass(frozen=True, slots=True)
class KeyPage:
    """A page of a library with little more than the keys."""

    rows: tuple[KeyRow, ...]
    size: int
    total: int | None
    problem: str | None


@dataclass(slots=True)
class FoundItems:
    """The items that Plex has under the requested keys."""

    items: list[CatalogueItem] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    """The keys it has, also of items that are not kept."""
    certain: bool = True
    """Whether the answer was read to its end, so that what is missing in it is gone."""


def read_listing_page(
    plex: PlexServer, section_id: str, kind: MediaType, start: int, size: int, *, sort: str, private: bool
) -> ListingPage:
    """Read a page of the items of one kind in a library.

    Raises:
        ToolError: Plex did not answer as expected; `NotFound` if there is no such library.
    """
    params = {
        "includeGuids": 1,
        "excludeElements": _UNREAD,
        "excludeFields": f"{_UNREAD_FIELDS},file" if private else _UNREAD_FIELDS,
    }
    rows, damage, total = _read_rows(plex, section_id, kind, start, size, {"sort": sort, **params})
    parsed = [parse_catalogue_item(row, section_id=section_id, private=private, detailed=False) for row in rows]
    items = tuple(item for item in parsed if item is not None)
    return ListingPage(items, len(rows) + _count_skipped(damage), total, _describe(damage))


def read_key_page(
    plex: PlexServer, section_id: str, kind: MediaType, start: int, size: int, *, sort: str | None = None
) -> KeyPage:
    """Read a page of keys, times and view counts.

    Raises:
        ToolError: Plex did not answer as expected; `NotFound` if there is no such library.
    """
    order = {"sort": sort} if sort else {}
    rows, damage, total = _read_rows(plex, section_id, kind, start, size, {**order, **_KEYS_ONLY})
    parsed = tuple(row for row in map(parse_key_row, rows) if row is not None)
    return KeyPage(parsed, len(rows) + _count_skipped(damage), total, _describe(damage))


def count_photos(plex: PlexServer, section_id: str) -> int | None:
    """Count the photos of a library without reading them.

    Raises:
        ToolError: Plex did not answer as expected.
    """
    return _read_rows(plex, section_id, MediaType.PHOTO, 0, 0, {})[2]


def read_items(plex: PlexServer, keys: Sequence[str], *, private: bool) -> FoundItems:
    """Read items with all their details. One that Plex no longer has is missing in the answer.

    Raises:
        ToolError: Plex did not answer as expected.
    """
    return _read_by_keys(plex, keys, private=private, params={"includeGuids": 1})


def read_existing(plex: PlexServer, keys: Sequence[str]) -> FoundItems:
    """Read which items Plex still has, with as few of their details as possible.

    Raises:
        ToolError: Plex did not answer as expected.
    """
    return _read_by_keys(plex, keys, private=True, params=_KEYS_ONLY)


def _read_by_keys(plex: PlexServer, keys: Sequence[str], *, private: bool, params: Mapping[str, object]) -> FoundItems:
    asked = [key for key in keys if key.isdecimal()]  # anything else would be another path
    if not asked:
        return FoundItems()
    path = f"/library/metadata/{','.join(asked)}"
    with collect_damage() as damage:
        try:
            container = check_list(plex.query(build_path(path, {**params, "skipRefresh": 1})), path)
        except NotFound:  # none of them is there
            return FoundItems()
    stated = parse_int(container.get("size"))
    certain = not any(damage) and (stated is None or stated == len(container))
    parsed = [parse_catalogue_item(row, section_id=None, private=private, detailed=True) for row in container]
    found = {key for row in container if (key := read_text(row, "ratingKey"))}
    return FoundItems([item for item in parsed if item is not None], found, certain)


def _read_rows(
    plex: PlexServer, section_id: str, kind: MediaType, start: int, size: int, params: Mapping[str, object]
) -> tuple[list[Element], list[Damage], int | None]:
    path = f"/library/sections/{section_id}/all"
    paging = {"X-Plex-Container-Start": start, "X-Plex-Container-Size": size}
    with collect_damage() as damage:
        container = check_list(plex.query(build_path(path, {"type": kind.value, **params, **paging})), path)
    rows = list(container)
    if size and len(rows) > size:  # a server that does not page
        return rows[start : start + size], list(damage), views.parse_full_total(container) or len(rows)
    return rows, list(damage), views.parse_full_total(container)


def _count_skipped(damage: list[Damage]) -> int:
    return sum(len(one.skipped) for one in damage)


def _describe(damage: list[Damage]) -> str | None:
    harmful = [one for one in damage if one.skipped or one.cut or one.beyond]
    return " ".join(one.describe() for one in harmful) or None
