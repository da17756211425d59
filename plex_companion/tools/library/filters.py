"""The filters of a library's listing, and names of genres, people and so on as the values Plex filters by."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from plex_companion.errors import Invalid
from plex_companion.models import TYPE_NUMBERS
from plex_companion.plex.query import get
from plex_companion.plex.titles import match_title
from plex_companion.plex.xml.attributes import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from xml.etree.ElementTree import Element

    from plex_companion.models import Section
    from plex_companion.plex.client import PlexServer

KINDS = ("movie", "show", "episode", "artist", "album", "track")
"""The kinds that can be listed."""
HELD = {"movie": ("movie",), "show": ("show", "episode"), "artist": ("artist", "album", "track")}
"""The kinds in a library, by its type. The first is the default."""
_ALL = {
    "genre": "genre", "year": "year", "content_rating": "contentRating", "director": "director", "actor": "actor",
    "writer": "writer", "resolution": "resolution", "network": "network", "studio": "studio",
}  # fmt: skip
_OF_SHOW = ("genre", "content_rating", "director", "actor", "writer", "network", "studio")
FIELDS: dict[str | None, dict[str, str]] = {
    "movie": {name: field for name, field in _ALL.items() if name != "network"},
    "show": {name: field for name, field in _ALL.items() if name != "resolution"},
    "episode": {name: f"show.{field}" if name in _OF_SHOW else field for name, field in _ALL.items()},
    "artist": {"genre": "genre"},
    "album": {"genre": "genre", "year": "year", "studio": "studio"},
    "track": {"genre": "genre", "year": "album.year", "studio": "album.studio"},
}
"""The argument and the field it filters, by kind."""
TAGS = {"genre": 1, "director": 4, "writer": 5, "actor": 6, "network": 319}
"""plexapi's numbers of tag types, which `/library/tags` lists for all libraries."""
RESOLUTIONS = ("sd", "480", "576", "720", "1080", "2k", "4k", "8k")
_SORT = re.compile(r"(?:\w+\.)?\w+(?::(?:asc|desc))?(?:,(?:\w+\.)?\w+(?::(?:asc|desc))?)*")


def choose_kind(library: Section | None, media_type: str | None) -> str | None:
    """Return the kind to list; `None` for a photo library.

    Raises:
        Invalid: the kind is unknown, or the library does not hold it.
    """
    if media_type is None:
        return HELD.get(library.type, (None,))[0] if library else None
    wanted = media_type.strip().casefold()
    held = HELD.get(library.type, ()) if library else KINDS
    if wanted not in held:
        where = f"Library '{library.title}' lists" if library else "media_type must be one of"
        message = f"{where} {', '.join(held) or 'no types of media'}; got media_type '{media_type}'."
        raise Invalid(message, argument="media_type", allowed=list(held))
    return wanted


def check_filters(sort: str | None, filters: Mapping[str, Any]) -> None:
    """Refuse filters that no library supports. Makes no request.

    Raises:
        Invalid: the sort, the year or the resolution is not valid.
    """
    if sort is not None and not _SORT.fullmatch(sort):
        message = (
            f"sort must be a field with :asc or :desc, such as titleSort:asc, addedAt:desc or year:desc; got '{sort}'."
        )
        raise Invalid(message, argument="sort")
    year, resolution = filters.get("year"), filters.get("resolution")
    if year is not None and not re.fullmatch(r"\d{4}(,\d{4})*", str(year).replace(" ", "")):
        raise Invalid(f"year must have four digits (several separated by commas); got '{year}'.", argument="year")
    if resolution is not None and _parse_resolution(resolution) not in RESOLUTIONS:
        message = f"resolution must be one of {', '.join(RESOLUTIONS)}; got '{resolution}'."
        raise Invalid(message, argument="resolution", allowed=list(RESOLUTIONS))


def resolve_filters(
    plex: PlexServer, library: Section | None, kind: str | None, filters: Mapping[str, Any]
) -> dict[str, str]:
    """Return the filters as Plex takes them. One request per filter that is a name.

    Raises:
        Invalid: the kind has no such filter, or nothing in the library has that value; the error lists the valid ones.
    """
    fields, given = FIELDS.get(kind, {}), {name: value for name, value in filters.items() if value is not None}
    wrong = next((name for name in given if name not in fields), None)
    if wrong is not None:
        message = f"{kind or 'photo'} cannot be filtered by {wrong}. Its filters: {', '.join(fields) or 'none'}."
        raise Invalid(message, argument=wrong, allowed=list(fields))
    return {fields[name]: _resolve_value(plex, library, kind, name, str(value)) for name, value in given.items()}


def _resolve_value(plex: PlexServer, library: Section | None, kind: str | None, name: str, value: str) -> str:
    if name == "year":
        return value.replace(" ", "")
    if name == "resolution":
        return _parse_resolution(value)
    if library is None and name not in TAGS:
        return value.strip()  # ratings and studios are filtered by name, and Plex has no list of them across libraries
    choices = _list_choices(plex, library, kind, name)
    matches = match_title(choices, value, lambda choice: choice)
    keys = [key for key, _ in matches.exact or matches.alike]
    if not keys:
        allowed = [title for _, title in choices][:50]
        where = f"in library '{library.title}'" if library else "in any library"
        message = f"No {name} '{value}' {where}. There are: {', '.join(allowed) or 'none'}."
        raise Invalid(message, argument=name, allowed=allowed)
    return ",".join(keys)  # two people may share a name


def _list_choices(plex: PlexServer, library: Section | None, kind: str | None, name: str) -> list[tuple[str, str]]:
    """Return the values a filter can have, as (value, name)."""
    if library is None:
        rows = get(plex, "/library/tags", type=TAGS[name])
        return [_parse_choice(row, "id", "tag") for row in rows]
    prefix, _, field = FIELDS[kind][name].rpartition(".")
    path = f"/library/sections/{library.section_id}/{field}"
    return [_parse_choice(row, "key", "title") for row in get(plex, path, type=TYPE_NUMBERS[prefix or kind or ""])]


def _parse_choice(row: Element, key: str, title: str) -> tuple[str, str]:
    return row.get(key, ""), read_text(row, title) or ""


def _parse_resolution(value: str) -> str:
    return value.strip().casefold().removesuffix("p")
