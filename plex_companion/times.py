"""Times as callers write them, and the units of time: one parser for every tool, resource and command.

The functions are pure: `now` and the zone are arguments. Results are milliseconds since 1970 in UTC. A bare date is a
whole day of the zone: as a beginning its first millisecond, as an end its last. A time without a zone is in that zone too.
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING

from plex_companion.errors import Invalid

if TYPE_CHECKING:
    from datetime import tzinfo

SECOND_MS, MINUTE_MS, HOUR_MS, DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
DAY_SECONDS = 86_400
UNITS_MS = {"s": SECOND_MS, "m": MINUTE_MS, "h": HOUR_MS, "d": DAY_MS, "w": 7 * DAY_MS}
MONTHS = {"month": 1, "year": 12}
_UNITS = {
    "s": ("s", "sec", "secs", "second", "seconds"),
    "m": ("m", "min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
    "d": ("d", "day", "days"),
    "w": ("w", "wk", "wks", "week", "weeks"),
    "month": ("mo", "mon", "mos", "month", "months"),
    "year": ("y", "yr", "yrs", "year", "years"),
}
_UNIT_OF = {written: unit for unit, forms in _UNITS.items() for written in forms}
_SPAN = re.compile(r"(?:(?:the )?(?:last|past) )?(\d{1,9}|an?)[ _]?([a-z]+)(?: ago)?")
_CAPITAL = re.compile(r"([0-9]{1,9}) ?M")
"""Some write months so, others minutes: never guessed."""
_LAST = re.compile(r"(?:the )?past ([a-z]+)")
WORDS = ("now", "today", "yesterday", "all")
SPANS = "a span before now (90s, 15m, 24h, 7d, 2w, 1month, 1y)"
FORMS = (
    f"now, today, yesterday, all, {SPANS}, a date (2026-11-22), or ISO 8601 "
    "(2026-11-22T17:00, 2026-11-22T17:00Z, 2026-11-22T17:00+01:00)"
)
PERIODS = f"{SPANS}, today, yesterday, or all"
LONGEST_SHOWN = 60
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SCHEDULE = re.compile(r"(?P<day>[a-z]{3,9})(?:\s+|\s*@\s*)(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)", re.ASCII)
_WEEK = timedelta(days=7)
_DATES = (
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%Y%m%d",
    "%d %b %Y",
    "%d %B %Y",
    "%B %d, %Y",
    "%b %d, %Y",
    "%Y-%m",
)
_EPOCH_DIGITS = {10: 1_000, 13: 1}
"""The number of digits in seconds and in milliseconds since 1970, and the length of one such unit in milliseconds."""


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of time from `since` to `until`, both included, in milliseconds since 1970."""

    since: int
    until: int


def parse_time(text: str, now: int, argument: str, *, end: bool = False, zone: tzinfo = UTC) -> int:
    """Parse a time. For a day, return its beginning, or with `end` its end.

    Raises:
        Invalid: the text has none of the valid forms; the message lists them and suggests the nearest one.
    """
    given = " ".join(text.split())
    word = given.lower()
    if word == "now":
        return now
    if word == "all":
        return now if end else 0
    if word in {"today", "yesterday"}:
        return _find_edge(_find_today(now, zone) - timedelta(days=word == "yesterday"), zone, end=end)
    since = _subtract(given, now, zone)
    if since is not None:
        return since
    at = _parse_iso(given, zone, end=end)
    if at is None:
        raise _build_error(text, argument, FORMS)
    return at


def parse_window(since: str | None, until: str | None, now: int, zone: tzinfo = UTC) -> Window:
    """Parse two times into a window. Without `since` it starts at the beginning, without `until` it ends now.

    Raises:
        Invalid: one of them cannot be read, or `until` lies before `since`.
    """
    start = 0 if since is None else parse_time(since, now, "since", zone=zone)
    end = now if until is None else parse_time(until, now, "until", end=True, zone=zone)
    if end >= start:
        return Window(start, end)
    if until is None:
        message = f"since ({_format(start)}) is in the future: it is {_format(now)} now."
        raise Invalid(message, argument="since", allowed=FORMS)
    message = f"until ({_format(end)}) is before since ({_format(start)}). Valid: {FORMS}."
    raise Invalid(message, argument="until", allowed=FORMS)


def parse_period(text: str, now: int, zone: tzinfo = UTC) -> Window:
    """Parse a span up to now, `today` so far, all of `yesterday`, or `all`.

    Raises:
        Invalid: the text is none of these.
    """
    given = " ".join(text.split())
    word = given.lower()
    if word == "all":
        return Window(0, now)
    if word in {"today", "yesterday"}:
        day = _find_today(now, zone) - timedelta(days=word == "yesterday")
        return Window(_find_edge(day, zone, end=False), min(now, _find_edge(day, zone, end=True)))
    since = _subtract(given, now, zone)
    if since is None:
        raise _build_error(text, "period", PERIODS)
    return Window(since, now)


def find_day(at: int, zone: tzinfo) -> date:
    """Return the day of a time in a zone."""
    return _parse_datetime(at).astimezone(zone).date()


def list_offsets(zone: tzinfo, since: int, until: int) -> list[tuple[int, int, int]]:
    """Return the parts of a window with a constant offset from UTC: beginning, end, and milliseconds ahead of UTC."""
    found: list[tuple[int, int, int]] = []
    start, offset = since, _find_offset(zone, since)
    for day in range(since // DAY_MS, until // DAY_MS + 1):
        at = min(until, (day + 1) * DAY_MS)
        if _find_offset(zone, at) != offset:
            change = _find_change(zone, max(since, day * DAY_MS), at)
            found.append((start, change - 1, offset))
            start, offset = change, _find_offset(zone, change)
    return [*found, (start, until, offset)]


def _find_change(zone: tzinfo, before: int, after: int) -> int:
    """Return the first millisecond of the offset that holds at `after`, by bisection."""
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (before, middle) if _find_offset(zone, middle) == _find_offset(zone, after) else (middle, after)
    return after


@lru_cache(maxsize=20_000)
def _find_offset(zone: tzinfo, at: int) -> int:
    found = _parse_datetime(at).astimezone(zone).utcoffset()
    return 0 if found is None else found // timedelta(milliseconds=1)


def _parse_datetime(at: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)


def _find_today(now: int, zone: tzinfo) -> date:
    return find_day(now, zone)


def _find_edge(day: date, zone: tzinfo, *, end: bool) -> int:
    """Return the first millisecond of a day, or with `end` its last."""
    if end:
        after = day + timedelta(days=1) if day < date.max else None
        return (
            _find_edge(after, zone, end=False) - 1
            if after
            else _to_ms(datetime(9999, 12, 31, 23, 59, 59, 999_000, UTC))
        )
    return max(0, _to_ms(_localize(datetime(day.year, day.month, day.day), zone)))  # noqa: DTZ001 - the zone comes with it


def _localize(at: datetime, zone: tzinfo) -> datetime:
    """Convert a local time to UTC. At the ends of the calendar, where that overflows, take it as UTC."""
    try:
        return at.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError:
        return at.replace(tzinfo=UTC)


def _subtract(given: str, now: int, zone: tzinfo) -> int | None:
    """Return the beginning of a span that ends now, or `None` if the text is no span: `7d`, `2 weeks`, `last 3 months`, `1 year ago`, `past week`."""
    found, bare = _SPAN.fullmatch(given.lower()), _LAST.fullmatch(given.lower())
    if _CAPITAL.fullmatch(given):
        return None
    if found is not None and found[1].isascii():
        number, unit = 1 if found[1].startswith("a") else int(found[1]), _UNIT_OF.get(found[2])
    elif bare is not None:
        number, unit = 1, _UNIT_OF.get(bare[1])
    else:
        return None
    if unit is None:
        return None
    return (
        _subtract_months(number * MONTHS[unit], now, zone) if unit in MONTHS else max(0, now - number * UNITS_MS[unit])
    )


def _subtract_months(months: int, now: int, zone: tzinfo) -> int:
    """Return the same time of day some months ago; in a shorter month, on its last day."""
    at = _parse_datetime(now).astimezone(zone)
    year, month = divmod(at.year * 12 + at.month - 1 - months, 12)
    if year < 1970:  # noqa: PLR2004 - before Unix
        return 0
    day = min(at.day, calendar.monthrange(year, month + 1)[1])
    return max(
        0, _to_ms(at.replace(tzinfo=None, year=year, month=month + 1, day=day).replace(tzinfo=zone).astimezone(UTC))
    )


def _parse_iso(text: str, zone: tzinfo, *, end: bool) -> int | None:
    if text.isdecimal():  # ambiguous: seconds since 1970, or an id
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return _parse_instant(text, zone)
    return _find_edge(day, zone, end=end)


def _parse_instant(text: str, zone: tzinfo) -> int | None:
    if "T" not in text.upper() and " " not in text:  # the standard library takes any character between date and time
        return None
    try:
        found = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return max(0, _to_ms(found if found.tzinfo else _localize(found, zone)))


def _to_ms(at: datetime) -> int:
    since_1970 = at - datetime(1970, 1, 1, tzinfo=UTC)
    return (since_1970.days * DAY_SECONDS + since_1970.seconds) * 1_000 + since_1970.microseconds // 1_000


def _format(at: int) -> str:
    return f"{datetime.fromtimestamp(at / 1_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _build_error(text: str, argument: str, forms: str) -> Invalid:
    shown = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
    near = _find_nearest(" ".join(text[:LONGEST_SHOWN].split()), argument)
    hint = f" Did you mean {near}?" if near else ""
    return Invalid(f"{argument} {shown!r} is not a time.{hint} Valid: {forms}.", argument=argument, allowed=forms)


def _find_nearest(text: str, argument: str) -> str | None:
    """Return the valid form nearest to a text."""
    word, capital = text.lower(), _CAPITAL.fullmatch(text)
    if capital is not None:
        return f"{capital[1]}month"
    if text.isascii() and text.isdecimal():
        return _parse_number(text, argument)
    day = None if argument == "period" else _parse_date(text)
    if day is not None:
        return day
    bare = _UNIT_OF.get(word.removeprefix("this ").removeprefix("last ").removeprefix("one "))
    if bare is not None:
        return f"1{bare if bare != 'year' else 'y'}"
    number = re.match(r"-?(\d{1,4})(?:[.,]\d+)?[ -]?([a-z]+)", word)
    if number is not None and number[1].isascii():
        unit = next(iter(get_close_matches(number[2], _UNIT_OF, 1, 0.7)), None)
        return f"{number[1]}{'y' if unit and _UNIT_OF[unit] == 'year' else _UNIT_OF[unit] if unit else 'd'}"
    return next(iter(get_close_matches(word, WORDS[argument == "period" :], 1, 0.7)), None)


def _parse_number(text: str, argument: str) -> str | None:
    """Return the form that a bare number may stand for: a year, a day, seconds since 1970, or a number of days."""
    if argument != "period" and len(text) == 4 and text.startswith(("19", "20")):  # noqa: PLR2004 - the digits of a year
        return f"{text}-01-01"
    if argument != "period" and len(text) in _EPOCH_DIGITS:
        return _format(int(text) * _EPOCH_DIGITS[len(text)])
    if argument != "period" and len(text) == 8:  # noqa: PLR2004 - the digits of a day
        return _parse_date(text)
    return f"{int(text)}d" if len(text) <= 4 else None  # noqa: PLR2004 - at most 9,999 days


def _parse_date(text: str) -> str | None:
    for form in _DATES:
        try:
            return f"{datetime.strptime(text, form).date().isoformat()}"  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
    return None


@dataclass(frozen=True, slots=True)
class WeeklySchedule:
    """A weekday, 0 for Monday, and a time of day, by the clock of a zone."""

    weekday: int
    time: time

    def find_last(self, now_ms: int, zone: tzinfo) -> int:
        """Return the latest such moment that is not after now, in milliseconds since 1970."""
        today = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone).date()
        day = today - timedelta(days=(today.weekday() - self.weekday) % 7)
        at = self._localize(day, zone)
        return at if at <= now_ms else self._localize(day - _WEEK, zone)

    def find_next(self, now_ms: int, zone: tzinfo) -> int:
        """Return the next such moment, in milliseconds since 1970."""
        last = datetime.fromtimestamp(self.find_last(now_ms, zone) / 1000, UTC).astimezone(zone).date()
        return self._localize(last + _WEEK, zone)

    def _localize(self, day: date, zone: tzinfo) -> int:
        """Return the moment on a day. Where the clock skips the time, it is the moment after as many minutes."""
        return int(datetime.combine(day, self.time, zone).timestamp() * 1000)


def parse_schedule(text: str) -> WeeklySchedule:
    """Parse a weekday and a time of day, such as `mon@09:00`.

    Raises:
        ValueError: it is not of this form.
    """
    found = _SCHEDULE.fullmatch(text.strip().lower())
    named = [number for number, day in enumerate(_DAYS) if found and found["day"] in {day, day[:3]}]
    if found is None or not named:
        message = "must be a weekday and a time of day, such as mon@09:00"
        raise ValueError(message)
    return WeeklySchedule(named[0], time(int(found["hour"]), int(found["minute"])))
