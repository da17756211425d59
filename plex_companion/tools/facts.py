"""Attributes of Plex's XML as values: absent ones are `None`, never invented."""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from plex_companion.text import clean, without_keys
from plex_companion.wire import LAST_MS, iso

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


def text(row: Element, name: str) -> str | None:
    """A text without control characters; the empty text is nothing."""
    return clean(row.get(name, "")) or None


def link(row: Element, name: str) -> str | None:
    """Where a picture is: a path of Plex's, or an address elsewhere, without the keys that it may carry."""
    found = text(row, name)
    return None if found is None else without_keys(found)


def number(row: Element, name: str) -> int | None:
    """A whole number."""
    found = row.get(name, "")
    return int(found) if _WHOLE.fullmatch(found) else None


def real(row: Element, name: str) -> float | None:
    """A number with a fraction."""
    try:
        return float(row.get(name, ""))
    except ValueError:
        return None


def flag(row: Element, name: str) -> bool | None:
    """Plex writes 1 and 0, some versions true and false."""
    return {"1": True, "true": True, "0": False, "false": False}.get(row.get(name, ""))


def tags(row: Element, tag: str) -> list[str]:
    """What the children of a tag are called: genres, directors, roles."""
    return [clean(child.get("tag", "")) for child in row.iter(tag) if child.get("tag")]


def utc(row: Element, name: str) -> str | None:
    """A time of Plex (seconds since 1970) as ISO 8601 with `Z`."""
    seconds = number(row, name)
    return None if seconds is None else iso(seconds * 1000)


def local(row: Element, name: str, form: str = "%Y-%m-%d %H:%M:%S") -> str | None:
    """The same in the predecessor's form, in the time zone of the companion."""
    seconds = number(row, name)
    possible = seconds is not None and 0 <= seconds * 1000 <= LAST_MS
    return datetime.fromtimestamp(seconds or 0, UTC).astimezone(_zone.get()).strftime(form) if possible else None


@contextmanager
def zone_of_call(zone: tzinfo) -> Iterator[None]:
    """Tell `local` the time zone of the companion whose tool runs in this thread, as long as the block does."""
    before = _zone.set(zone)
    try:
        yield
    finally:
        _zone.reset(before)


def as_number(identifier: str | None) -> int | str | None:
    """Ids of digits as the numbers that the predecessor's callers expect."""
    return int(identifier) if identifier is not None and _WHOLE.fullmatch(identifier) else identifier


def brief(row: Element, name: str) -> str | None:
    """A title as it stands in a question or among others."""
    return shortened(text(row, name), TITLE)


def shortened(value: str | None, most: int = SUMMARY) -> str | None:
    """A text for a list."""
    return value if value is None or len(value) <= most else value[: most - 1] + "…"


def kind(row: Element) -> str | None:
    """What an item is: movie, show, season, episode, artist, album, track, photo, clip, playlist, collection."""
    return text(row, "type")


def performer(row: Element) -> str | None:
    """Who performs a track where that is not the artist of its album. Of a film `originalTitle` is another title."""
    return text(row, "originalTitle") if kind(row) == "track" else None


def match_of(row: Element) -> dict[str, Any]:
    """An item as one of several that fit."""
    found: dict[str, Any] = {
        "title": brief(row, "title"),
        "id": as_number(row.get("ratingKey")),
        "rating_key": as_number(row.get("ratingKey")),
        "type": kind(row),
        "year": number(row, "year"),
        "edition": brief(row, "editionTitle"),
        "performer": shortened(performer(row), TITLE),
        "library": brief(row, "librarySectionTitle"),
    }
    match kind(row):
        case "episode":
            found |= {
                "show": brief(row, "grandparentTitle"),
                "season": brief(row, "parentTitle"),
                "season_number": number(row, "parentIndex"),
                "episode": number(row, "index"),
            }
        case "season":
            found |= {"show": brief(row, "parentTitle"), "season_number": number(row, "index")}
        case "track":
            found |= {"artist": brief(row, "grandparentTitle"), "album": brief(row, "parentTitle")}
        case "album":
            found |= {"artist": brief(row, "parentTitle")}
    return without_nulls(found)


def without_nulls(values: dict[str, Any]) -> dict[str, Any]:
    """Only what is known."""
    return {name: value for name, value in values.items() if value is not None}


def first(rows: Iterable[Element]) -> Element | None:
    """The first row, if any."""
    return next(iter(rows), None)
