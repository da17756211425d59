"""Attributes of an XML element as values. One that is absent, empty or unreadable is `None`, never invented."""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from plex_companion.parsing.values import parse_bool, parse_float, parse_int, parse_text
from plex_companion.serialize import LAST_MS, format_iso
from plex_companion.text import clean, hide_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import tzinfo
    from xml.etree.ElementTree import Element

_zone: ContextVar[tzinfo | None] = ContextVar("zone", default=None)
SUMMARY = 500
"""Characters of a summary in a list."""
TITLE = 200
"""Characters of a title in a question or in a list of matches."""
_DIGITS = re.compile(r"-?[0-9]{1,18}")


def read_text(row: Element | None, name: str) -> str | None:
    """Return a text without control characters; the empty text is `None`."""
    return None if row is None else parse_text(row.get(name))


def read_link(row: Element, name: str) -> str | None:
    """Return the path or address of a picture, without the keys that it may carry."""
    found = read_text(row, name)
    return None if found is None else hide_keys(found)


def read_number(row: Element | None, name: str) -> int | None:
    """Return a whole number; some versions of Plex write `12.0` for 12."""
    return None if row is None else parse_int(row.get(name))


def read_float(row: Element, name: str) -> float | None:
    """Return a finite number."""
    return parse_float(row.get(name))


def read_flag(row: Element, name: str) -> bool | None:
    """Return a flag. Plex writes `1` and `0`, some versions `true` and `false`."""
    return parse_bool(row.get(name))


def read_tags(row: Element, tag: str) -> list[str]:
    """Return the names in the elements of a tag: genres, directors, roles."""
    return [clean(child.get("tag", "")) for child in row.iter(tag) if child.get("tag")]


def read_year(row: Element) -> int | None:
    """Return the year; rows of Plex's history lack it, but have the day of release."""
    return read_number(row, "year") or parse_int((read_text(row, "originallyAvailableAt") or "")[:4])


def read_utc(row: Element, name: str) -> str | None:
    """Return a time (Plex writes seconds since 1970) as ISO 8601 with `Z`."""
    seconds = read_number(row, name)
    return None if seconds is None else format_iso(seconds * 1000)


def read_local_time(row: Element, name: str, form: str = "%Y-%m-%d %H:%M:%S") -> str | None:
    """Return a time as local time in the predecessor's form; the zone is that of `use_zone`."""
    seconds = read_number(row, name)
    possible = seconds is not None and 0 <= seconds * 1000 <= LAST_MS
    return datetime.fromtimestamp(seconds or 0, UTC).astimezone(_zone.get()).strftime(form) if possible else None


@contextmanager
def use_zone(zone: tzinfo) -> Iterator[None]:
    """Set the time zone of `read_local_time` in this thread until the block ends."""
    before = _zone.set(zone)
    try:
        yield
    finally:
        _zone.reset(before)


def parse_identifier(identifier: str | None) -> int | str | None:
    """Return an id of digits as the number that the predecessor's callers expect, any other id as it is."""
    return int(identifier) if identifier is not None and _DIGITS.fullmatch(identifier) else identifier


def read_brief_title(row: Element, name: str) -> str | None:
    """Return a title, cut to `TITLE` characters."""
    return shorten(read_text(row, name), TITLE)


def shorten(value: str | None, most: int = SUMMARY) -> str | None:
    """Cut a text to at most `most` characters, of which the last is an ellipsis."""
    return value if value is None or len(value) <= most else value[: most - 1] + "…"


def read_kind(row: Element) -> str | None:
    """Return the kind of an item: movie, show, season, episode, artist, album, track, photo, clip, playlist, collection."""
    return read_text(row, "type")


def read_performer(row: Element) -> str | None:
    """Return the performer of a track that is not by its album's artist. On a film, `originalTitle` is another title."""
    return read_text(row, "originalTitle") if read_kind(row) == "track" else None


def describe_match(row: Element) -> dict[str, Any]:
    """Describe an item in a list of several that match."""
    found: dict[str, Any] = {
        "title": read_brief_title(row, "title"),
        "id": parse_identifier(row.get("ratingKey")),
        "rating_key": parse_identifier(row.get("ratingKey")),
        "type": read_kind(row),
        "year": read_number(row, "year"),
        "edition": read_brief_title(row, "editionTitle"),
        "performer": shorten(read_performer(row), TITLE),
        "library": read_brief_title(row, "librarySectionTitle"),
    }
    match read_kind(row):
        case "episode":
            found |= {
                "show": read_brief_title(row, "grandparentTitle"),
                "season": read_brief_title(row, "parentTitle"),
                "season_number": read_number(row, "parentIndex"),
                "episode": read_number(row, "index"),
            }
        case "season":
            found |= {"show": read_brief_title(row, "parentTitle"), "season_number": read_number(row, "index")}
        case "track":
            found |= {
                "artist": read_brief_title(row, "grandparentTitle"),
                "album": read_brief_title(row, "parentTitle"),
            }
        case "album":
            found |= {"artist": read_brief_title(row, "parentTitle")}
    return drop_nulls(found)


def drop_nulls(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values that are not `None`."""
    return {name: value for name, value in values.items() if value is not None}


def take_first(rows: Iterable[Element]) -> Element | None:
    """Return the first row, or `None`."""
    return next(iter(rows), None)
