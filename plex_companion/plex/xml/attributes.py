"""Attributes of Plex's XML as values: absent ones are `None`, never invented."""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from plex_companion.serialize import LAST_MS, format_iso
from plex_companion.text import clean, hide_keys

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import tzinfo
    from xml.etree.ElementTree import Element

_zone: ContextVar[tzinfo | None] = ContextVar("zone", default=None)
SUMMARY = 500
"""Characters of a summary in a list."""
_WHOLE = re.compile(r"-?[0-9]{1,18}")
TITLE = 200
"""Characters of a title in a question or in a list of matches."""


def read_text(row: Element, name: str) -> str | None:
    """A text without control characters; the empty text is nothing."""
    return clean(row.get(name, "")) or None


def read_link(row: Element, name: str) -> str | None:
    """Where a picture is: a path of Plex's, or an address elsewhere, without the keys that it may carry."""
    found = read_text(row, name)
    return None if found is None else hide_keys(found)


def read_number(row: Element, name: str) -> int | None:
    """A whole number."""
    found = row.get(name, "")
    return int(found) if _WHOLE.fullmatch(found) else None


def read_float(row: Element, name: str) -> float | None:
    """A number with a fraction."""
    try:
        return float(row.get(name, ""))
    except ValueError:
        return None


def read_flag(row: Element, name: str) -> bool | None:
    """Plex writes 1 and 0, some versions true and false."""
    return {"1": True, "true": True, "0": False, "false": False}.get(row.get(name, ""))


def read_tags(row: Element, tag: str) -> list[str]:
    """What the children of a tag are called: genres, directors, roles."""
    return [clean(child.get("tag", "")) for child in row.iter(tag) if child.get("tag")]


def read_utc(row: Element, name: str) -> str | None:
    """A time of Plex (seconds since 1970) as ISO 8601 with `Z`."""
    seconds = read_number(row, name)
    return None if seconds is None else format_iso(seconds * 1000)


def read_local_time(row: Element, name: str, form: str = "%Y-%m-%d %H:%M:%S") -> str | None:
    """The same in the predecessor's form, in the time zone of the companion."""
    seconds = read_number(row, name)
    possible = seconds is not None and 0 <= seconds * 1000 <= LAST_MS
    return datetime.fromtimestamp(seconds or 0, UTC).astimezone(_zone.get()).strftime(form) if possible else None


@contextmanager
def find_zone(zone: tzinfo) -> Iterator[None]:
    """Tell `local` the time zone of the companion whose tool runs in this thread, as long as the block does."""
    before = _zone.set(zone)
    try:
        yield
    finally:
        _zone.reset(before)


def parse_identifier(identifier: str | None) -> int | str | None:
    """Ids of digits as the numbers that the predecessor's callers expect."""
    return int(identifier) if identifier is not None and _WHOLE.fullmatch(identifier) else identifier


def read_brief_title(row: Element, name: str) -> str | None:
    """A title as it stands in a question or among others."""
    return shorten(read_text(row, name), TITLE)


def shorten(value: str | None, most: int = SUMMARY) -> str | None:
    """A text for a list."""
    return value if value is None or len(value) <= most else value[: most - 1] + "…"


def read_kind(row: Element) -> str | None:
    """What an item is: movie, show, season, episode, artist, album, track, photo, clip, playlist, collection."""
    return read_text(row, "type")


def performer(row: Element) -> str | None:
    """Who performs a track where that is not the artist of its album. Of a film `originalTitle` is another title."""
    return read_text(row, "originalTitle") if read_kind(row) == "track" else None


def describe_match(row: Element) -> dict[str, Any]:
    """An item as one of several that fit."""
    found: dict[str, Any] = {
        "title": read_brief_title(row, "title"),
        "id": parse_identifier(row.get("ratingKey")),
        "rating_key": parse_identifier(row.get("ratingKey")),
        "type": read_kind(row),
        "year": read_number(row, "year"),
        "edition": read_brief_title(row, "editionTitle"),
        "performer": shorten(performer(row), TITLE),
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
    """Only what is known."""
    return {name: value for name, value in values.items() if value is not None}


def take_first(rows: Iterable[Element]) -> Element | None:
    """The first row, if any."""
    return next(iter(rows), None)
