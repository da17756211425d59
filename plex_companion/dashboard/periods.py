"""The period and the time zone that a page was asked for. What cannot be understood becomes a sentence, not an error."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from plex_companion.catalogue.months import find_month
from plex_companion.dashboard.addresses import build_query_url
from plex_companion.errors import Invalid
from plex_companion.text import clean
from plex_companion.times import LONGEST_SHOWN, Window, find_day, parse_period, parse_time, parse_window
from plex_companion.zones import find_zone, name_zone

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo

    from starlette.datastructures import QueryParams

    from plex_companion.history.source import HistorySource

PERIODS = (
    ("today", "Today"),
    ("yesterday", "Yesterday"),
    ("7d", "Last 7 days"),
    ("30d", "Last 30 days"),
    ("90d", "Last 90 days"),
    ("1y", "Last year"),
    ("all", "All time"),
)
"""The periods that pages offer. Addresses may name any other."""
FIELDS = {"since": "From", "until": "Until"}
"""What pages call the fields of a time."""


class PeriodLink(NamedTuple):
    """A period to choose with one click."""

    label: str
    url: str | None
    """`None` of the chosen one."""


@dataclass(frozen=True, slots=True)
class ChosenPeriod:
    """A period as a page was asked for it."""

    text: str
    zone: tzinfo
    window: Window | None
    """`None` if the period or the zone cannot be understood; `problem` says why."""
    problem: str = ""
    since: str = ""
    until: str = ""

    @property
    def label(self) -> str:
        """The period in words."""
        if self.since or self.until:
            return " ".join(
                part for part in (self.since and f"From {self.since}", self.until and f"until {self.until}") if part
            )
        return dict(PERIODS).get(self.text, f"Last {self.text}")


def choose_period(source: HistorySource, asked: QueryParams, default: str) -> ChosenPeriod:
    """Read `period`, or `since` and `until`, and `zone`."""
    text, since, until = (asked.get(name, "").strip()[:60] for name in ("period", "since", "until"))
    zone = source.zone
    try:
        zone = _choose_zone(source, asked.get("zone", "").strip()[:60])
        if since or until:
            window = parse_window(since or None, until or None, source.now_ms, zone)
        else:
            window = parse_period(text or default, source.now_ms, zone)
    except Invalid as error:
        problem = describe_problem(error, {"since": since, "until": until}, source.now_ms)
        return ChosenPeriod(text or default, zone, None, problem, since, until)
    return ChosenPeriod(text or default, zone, window, "", since, until)


def describe_problem(error: Invalid, given: Mapping[str, str | None], now_ms: int) -> str:
    """Return a sentence about a filter that cannot be used. Of times, it names the fields as the page does."""
    name = error.facts.get("argument")
    if name not in FIELDS:
        return error.message
    written = clean((given.get(name) or "")[:LONGEST_SHOWN])
    try:
        parse_time(written, now_ms, name)
    except Invalid:
        return f"“{FIELDS[name]}” can't be read: “{written}” is no day and no span of time. {_FORMS}"
    if name == "since":
        return f"“From” is in the future: “{written}”. {_FORMS}"
    return f"“Until” ends before “From” begins: “{clean(given.get('since') or '')}” to “{written}”."


_FORMS = "Write a day as 2026-01-31, today or yesterday, or a span up to now as 7d, 2w or 1y."


def list_period_links(path: str, given: Mapping[str, str | None], now_ms: int, zone: tzinfo) -> list[PeriodLink]:
    """Return the periods as addresses of a list with its filters; the one that is shown has no address."""
    spans = [(label, None if text == "all" else text, text if text == "yesterday" else None) for text, label in PERIODS]
    links = []
    for label, since, until in [*spans, *_list_months(now_ms, zone)]:
        chosen = (given.get("since") or None, given.get("until") or None) == (since, until)
        url = None if chosen else build_query_url(path, {**given, "since": since, "until": until})
        links.append(PeriodLink(label, url))
    return links


def _list_months(now_ms: int, zone: tzinfo) -> list[tuple[str, str, str | None]]:
    """Return this month up to now and the one before, each with its name, its first day and its last."""
    this = find_month(now_ms, zone)
    last = find_month(this.start - 1, zone)
    last_day = find_day(last.end - 1, zone)
    return [
        (_name_month(this.name), f"{this.name}-01", None),
        (_name_month(last.name), f"{last.name}-01", last_day.isoformat()),
    ]


def _name_month(name: str) -> str:
    year, number = name.split("-")
    return f"{calendar.month_name[int(number)]} {year}"


def _choose_zone(source: HistorySource, name: str) -> tzinfo:
    """Return the zone of this name.

    Raises:
        Invalid: there is none.
    """
    if not name or name == name_zone(source.zone):
        return source.zone
    try:
        return find_zone(name)
    except ValueError as error:
        sentence = str(error)
        raise Invalid(f"{sentence[:1].upper()}{sentence[1:]}.", argument="zone") from error
