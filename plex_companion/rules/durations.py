"""Durations and times of day as rules write them: `10m`, `1h30m`, `23:00-07:00`."""

from __future__ import annotations

import re

from plex_companion.errors import Invalid
from plex_companion.models import QuietHours
from plex_companion.times import DAY_MS, UNITS_MS

LONGEST_SHOWN = 40
LONGEST_MS = 365 * DAY_MS
_DURATION = re.compile(r"(?:[0-9]{1,9}[smhdw])+", re.ASCII)
_PART = re.compile(r"([0-9]+)([smhdw])", re.ASCII)
_QUIET = re.compile(r"([0-9]{1,2}):([0-9]{2})\s*[-\N{EN DASH}]\s*([0-9]{1,2}):([0-9]{2})", re.ASCII)
_HOURS, _MINUTES = 24, 60


def parse_duration(text: str, argument: str) -> int:
    """Parse a duration such as 90s, 10m, 1h30m or 7d into milliseconds.

    Raises:
        Invalid: it is written differently, is nothing, or is longer than a year.
    """
    given = "".join(text.split()).lower()
    if _DURATION.fullmatch(given) is None:
        message = f"{argument} {_shorten(text)} is not a duration: write it as 90s, 10m, 1h30m or 7d."
        raise Invalid(message, argument=argument)
    found = sum(int(number) * UNITS_MS[unit] for number, unit in _PART.findall(given))
    if not 0 < found <= LONGEST_MS:
        message = f"{argument} {_shorten(text)} is out of range: it must be at least 1s and at most 365d."
        raise Invalid(message, argument=argument)
    return found


def format_span(ms: int) -> str:
    """Format milliseconds as a rule writes them, in the longest unit that leaves no rest: `90m`, `1h`, `7d`."""
    unit = next(unit for unit in ("d", "h", "m", "s") if ms % UNITS_MS[unit] == 0 or unit == "s")
    return f"{ms // UNITS_MS[unit]}{unit}"


def parse_quiet(text: str, argument: str) -> QuietHours:
    """Parse quiet hours such as 23:00-07:00. The start is included, the end is not.

    Raises:
        Invalid: it is written differently, there is no such time, or both times are equal.
    """
    found = _QUIET.fullmatch(text.strip())
    if found is None:
        message = f"{argument} {_shorten(text)} is not a time of day: write it as 23:00-07:00."
        raise Invalid(message, argument=argument)
    start, end = _count_minutes(found[1], found[2], argument), _count_minutes(found[3], found[4], argument)
    if start == end:
        message = (
            f"{argument} {_shorten(text)} begins and ends at the same time. To keep a rule quiet all day, disable it."
        )
        raise Invalid(message, argument=argument)
    return QuietHours(start, end)


def format_quiet(quiet: QuietHours) -> str:
    """Format quiet hours as `23:00-07:00`."""
    return f"{format_minute(quiet.start_minute)}-{format_minute(quiet.end_minute)}"


def format_minute(minute: int) -> str:
    """Format minutes since midnight as `23:00`."""
    return f"{minute // _MINUTES:02d}:{minute % _MINUTES:02d}"


def _count_minutes(hours: str, minutes: str, argument: str) -> int:
    if (hours, minutes) == ("24", "00"):
        return 0
    if int(hours) >= _HOURS or int(minutes) >= _MINUTES:
        message = f"{argument}: there is no time {hours}:{minutes}. A day goes from 00:00 to 23:59."
        raise Invalid(message, argument=argument)
    return int(hours) * _MINUTES + int(minutes)


def _shorten(text: str) -> str:
    return repr(text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…")
