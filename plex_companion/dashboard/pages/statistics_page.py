"""`/stats`: the plays of a period by day, month, weekday and hour, and by what they were played with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from starlette.routing import Route

from plex_companion.dashboard.addresses import build_query_url, page_url
from plex_companion.dashboard.formats import MONTHS
from plex_companion.dashboard.periods import PERIODS, choose_period
from plex_companion.history.statistics import summarize_plays
from plex_companion.text import format_count
from plex_companion.wording import format_length
from plex_companion.zones import name_zone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from plex_companion.cache.queries.counts import By
    from plex_companion.companion import Companion
    from plex_companion.dashboard.layout import PageLayout
    from plex_companion.history.statistics import PeriodStatistics

    Entry = dict[str, Any]

DEFAULT = "30d"
"""As of `history_stats`."""
SHOWN = 10
MEASURES = (("plays", "Plays"), ("hours", "Hours watched"))
TITLES: dict[By, str] = {
    "user": "People",
    "platform": "Platforms",
    "decision": "Delivery",
    "resolution": "Resolution",
    "library": "Libraries",
}
_RESOLUTIONS = {"4k": "4K", "sd": "SD"}


@dataclass(frozen=True, slots=True)
class StatisticsChart:
    """A chart: its rows are entries with a `name` for the table and a `mark` for the axis."""

    title: str
    column: str
    """What the rows are."""
    rows: Sequence[Entry]
    words: str = ""


@dataclass(frozen=True, slots=True)
class RankingPanel:
    """A ranking: users, platforms and so on, the most played first."""

    title: str
    rows: Sequence[Entry]
    total: int
    unknown: int
    """Plays of which it is not known."""


def build_statistics_routes(companion: Companion, layout: PageLayout) -> list[Route]:
    """Return the route of the statistics."""

    async def show(request: Request) -> Response:
        asked = request.query_params
        chosen = choose_period(companion, asked, DEFAULT)
        found = None
        if chosen.window is not None:
            found = await summarize_plays(companion, chosen.window, chosen.zone, SHOWN)
        measure = "hours" if asked.get("measure") == "hours" else "plays"
        return await layout.respond(
            request,
            "stats.html",
            title="Statistics",
            chosen=chosen,
            found=found,
            measure=measure,
            measures=MEASURES,
            periods=PERIODS,
            zone=name_zone(chosen.zone),
            charts=build_statistics_charts(found, measure) if found else (),
            panels=build_ranking_panels(found, chosen.text) if found else (),
        )

    return [Route("/stats", layout.guard_page(show), methods=["GET"])]


def build_statistics_charts(found: PeriodStatistics, measure: str = "plays") -> list[StatisticsChart]:
    """Build the charts of a period: by month where it has more than two, and the days that `count_plays` lists."""
    times = found.times
    days = [_mark(day, _format_day(day["key"])) for day in times["day"]]
    cut = f"The last {len(days)} of {found.total_days:,} days. " if found.total_days > len(days) else ""
    months = [_mark(month, _format_month(month["key"])) for month in times["month"]]
    weekdays = [{**day, "mark": day["name"][:3]} for day in times["weekday"]]
    hours = [{**hour, "mark": hour["name"]} for hour in times["hour"]]
    by_day = StatisticsChart("Per day", "Day", days, cut + _describe_most(days, measure, "on"))
    by_month = StatisticsChart("Per month", "Month", months, _describe_most(months, measure, "in"))
    return [
        by_day,
        *([by_month] if len(months) > 2 else []),  # noqa: PLR2004 - 30 days may touch two
        StatisticsChart("Per weekday", "Weekday", weekdays, _describe_most(weekdays, measure, "on")),
        StatisticsChart("Per hour of day", "Hour", hours, _describe_most(hours, measure, "from")),
    ]


def _describe_most(rows: Sequence[Entry], measure: str, preposition: str) -> str:
    """Return a sentence about the row with the most, such as `Most on Friday: 29 plays`."""
    field = "watched_ms" if measure == "hours" else "plays"
    best = max(rows, key=lambda row: row[field], default=None)
    if best is None or not best[field]:
        return ""
    amount = f"{format_length(best[field])} watched" if measure == "hours" else format_count(best[field], "play")
    return f"Most {preposition} {best.get('words', best['name'])}: {amount}."


def _mark(row: Entry, words: str) -> Entry:
    return {**row, "mark": words, "words": words}


def _format_day(key: str) -> str:
    day = date.fromisoformat(key)
    return f"{day.day} {MONTHS[day.month - 1]}"


def _format_month(key: str) -> str:
    return f"{MONTHS[int(key[-2:]) - 1]} {key[:-3]}"


def build_ranking_panels(found: PeriodStatistics, period: str) -> list[RankingPanel]:
    """Build the rankings, with the addresses of what has a page."""
    return [_build_panel(by, found.rankings[by], period) for by in TITLES]


def _build_panel(by: By, answer: Entry, period: str) -> RankingPanel:
    top = max((entry["plays"] for entry in answer["entries"]), default=0)
    rows = [
        {**entry, "url": _find_address(by, entry, period), "words": _format_name(by, entry), "top": top}
        for entry in answer["entries"]
    ]
    listed = sum(entry["plays"] for entry in rows)
    unknown = answer["plays"] - listed if answer["total_entries"] == len(rows) else 0
    return RankingPanel(TITLES[by], rows, answer["total_entries"], unknown)


def _format_name(by: By, entry: Entry) -> str:
    name = str(entry.get("label") or entry["name"] or f"id {entry.get('id')}")
    match by:
        case "resolution":
            return _RESOLUTIONS.get(name, f"{name}p" if name.isdecimal() else name)
        case "decision":
            return name.capitalize()
        case _:
            return name


def _find_address(by: By, entry: Entry, period: str) -> str | None:
    if entry.get("id") is None and by in {"user", "library"}:
        return None
    match by:
        case "user":
            return page_url("users", None, entry["id"])
        case "library":
            return page_url("libraries", entry.get("server"), entry["id"])
        case "decision":
            return build_query_url("/history", {"decision": entry["key"], "since": period})
        case _:
            return None
