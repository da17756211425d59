"""Months of a time zone."""

from __future__ import annotations

from datetime import MAXYEAR, date
from typing import TYPE_CHECKING, NamedTuple

from plex_companion.serialize import LAST_MS
from plex_companion.times import find_day, parse_time

if TYPE_CHECKING:
    from datetime import tzinfo


class Month(NamedTuple):
    """A month by the clock of a zone: `2026-11`, from its first millisecond to that of the next."""

    name: str
    start: int
    end: int


def find_month(at: int, zone: tzinfo) -> Month:
    """Return the month that a time is in."""
    first = find_day(at, zone).replace(day=1)
    end = LAST_MS + 1 if (first.year, first.month) == (MAXYEAR, 12) else _find_start(_add_month(first), zone)
    return Month(f"{first:%Y-%m}", _find_start(first, zone), end)


def _add_month(first: date) -> date:
    return date(first.year + first.month // 12, first.month % 12 + 1, 1)


def _find_start(day: date, zone: tzinfo) -> int:
    return parse_time(day.isoformat(), 0, "day", zone=zone)
