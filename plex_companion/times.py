"""Times as callers write them: one parser for every tool, resource and command. Pure: `now` is an argument.

Milliseconds since 1970 in UTC come out. A bare date is a whole day: as a beginning its first millisecond, as an end its
last.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from plex_companion.errors import Invalid

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
UNITS_MS = {"s": 1_000, "m": 60_000, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}
_SPAN = re.compile(r"(\d{1,9})\s?([smhdw])")
SPANS = "a span before now (90s, 15m, 24h, 7d, 2w)"
FORMS = f"now, {SPANS}, a date (2026-11-22), or ISO 8601 (2026-11-22T17:00:00Z, 2026-11-22T17:00+01:00; without a zone: UTC)"
PERIODS = f"{SPANS}, today (since 00:00 UTC), or all"
LONGEST_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Window:
    """From `since` to `until`, both included."""

    since: int
    until: int


def moment(text: str, now: int, argument: str, *, end: bool = False) -> int:
    """The time a caller means; of a bare date its beginning, or with `end` its end.

    Raises:
        Invalid: it is none of the forms, which the message names.
    """
    given = text.strip()
    if given.lower() == "now":
        return now
    span = _span_ms(given)
    if span is not None:
        return max(0, now - span)
    at = _iso(given, end=end)
    if at is None:
        raise _unreadable(text, argument, FORMS)
    return at


def window(since: str | None, until: str | None, now: int) -> Window:
    """From one time to another; without `since` from the beginning, without `until` to now.

    Raises:
        Invalid: one of them cannot be read, or `until` lies before `since`.
    """
    start = 0 if since is None else moment(since, now, "since")
    end = now if until is None else moment(until, now, "until", end=True)
    if end >= start:
        return Window(start, end)
    if until is None:
        message = f"since ({_shown(start)}) is in the future: it is {_shown(now)} now."
        raise Invalid(message, argument="since", allowed=FORMS)
    message = f"until ({_shown(end)}) is before since ({_shown(start)}). Valid: {FORMS}."
    raise Invalid(message, argument="until", allowed=FORMS)


def period(text: str, now: int) -> Window:
    """A span up to now, `today`, or `all`.

    Raises:
        Invalid: it is none of them.
    """
    given = text.strip().lower()
    if given == "all":
        return Window(0, now)
    if given == "today":
        return Window(now - now % DAY_MS, now)
    span = _span_ms(given)
    if span is None:
        raise _unreadable(text, "period", PERIODS)
    return Window(max(0, now - span), now)


def _span_ms(text: str) -> int | None:
    found = _SPAN.fullmatch(text.lower())
    return int(found[1]) * UNITS_MS[found[2]] if found and found[1].isascii() else None


def _iso(text: str, *, end: bool) -> int | None:
    if text.isdecimal():  # perhaps seconds since 1970, perhaps an id: whoever means a date can write it so
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return _instant(text)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return max(0, _ms(start) + (DAY_MS - 1 if end else 0))


def _instant(text: str) -> int | None:
    if "T" not in text.upper() and " " not in text:  # the standard library takes any character between date and time
        return None
    try:
        found = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return max(0, _ms(found if found.tzinfo else found.replace(tzinfo=UTC)))


def _ms(at: datetime) -> int:
    since_1970 = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_1970.days * 86_400 + since_1970.seconds) * 1_000 + since_1970.microseconds // 1_000


def _shown(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _unreadable(text: str, argument: str, forms: str) -> Invalid:
    shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
    return Invalid(f"{argument} {shown!r} is no time. Valid: {forms}.", argument=argument, allowed=forms)
