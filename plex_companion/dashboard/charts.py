"""The geometry of the charts: the position of each bar and each cell of the heat map. Pure; templates draw them as SVG."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from plex_companion.text import format_count
from plex_companion.times import HOUR_MS, MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, tzinfo

    from plex_companion.cache.queries.chart_queries import Ranking

QUARTER_MS = 15 * MINUTE_MS
DAYS = 30
WEEKS = 12
HEIGHT = 100
"""The height of the tallest bar."""
PITCH = 20
"""The distance from one bar to the next."""
LEVELS = 4
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True, slots=True)
class Bar:
    """A day. `label` is its tooltip; `mark` is the text below some of the bars."""

    x: int
    height: int
    plays: int
    label: str
    mark: str


@dataclass(frozen=True, slots=True)
class DayChart:
    """Plays per day, oldest first."""

    bars: tuple[Bar, ...]
    total: int
    top: int
    words: str

    @property
    def width(self) -> int:
        """The width of the chart."""
        return len(self.bars) * PITCH


@dataclass(frozen=True, slots=True)
class Cell:
    """An hour of a weekday. `level` is from 0 to `LEVELS`."""

    weekday: int
    hour: int
    plays: int
    level: int
    label: str


@dataclass(frozen=True, slots=True)
class HeatMap:
    """Plays by weekday and hour."""

    cells: tuple[Cell, ...]
    words: str

    def list_rows(self) -> list[tuple[str, Sequence[Cell]]]:
        """Return each weekday with the cells of its 24 hours."""
        return [(name, self.cells[24 * n : 24 * n + 24]) for n, name in enumerate(WEEKDAYS)]


@dataclass(frozen=True, slots=True)
class RankingRow:
    """One row of a ranking. `percent` is the length of its bar, relative to the longest."""

    entry: Ranking
    percent: int
    watched: str

    @property
    def plays(self) -> str:
        """The number of plays with its noun."""
        return format_count(self.entry.plays, "play")


def convert_quarter(quarter: int, zone: tzinfo | None) -> datetime:
    """Convert a number of quarter hours since 1970 to local time. A zone of `None` is this machine's."""
    return datetime.fromtimestamp(quarter * QUARTER_MS / 1000, UTC).astimezone(zone)


def build_day_chart(
    by_quarter: Mapping[int, int], now: datetime, zone: tzinfo | None = None, *, total: int | None = None
) -> DayChart:
    """Build the chart of the last `DAYS` days, today included, in a zone; `None` is this machine's.

    `total` is the number of plays in the last `DAYS` times 24 hours, as `stats` reports it; by default the sum of the bars.
    """
    sums: dict[date, int] = {}
    for quarter, plays in by_quarter.items():
        day = convert_quarter(quarter, zone).date()
        sums[day] = sums.get(day, 0) + plays
    today = now.astimezone(zone).date()
    shown = [today - timedelta(days=back) for back in reversed(range(DAYS))]
    counts = [sums.get(day, 0) for day in shown]
    top = max(counts)
    bars = tuple(_build_bar(n, day, plays, top) for n, (day, plays) in enumerate(zip(shown, counts, strict=True)))
    total = sum(counts) if total is None else total
    best = max(bars, key=lambda bar: bar.plays)
    words = (
        f"{format_count(total, 'play')} in {DAYS} days; most on {best.label}."
        if total and top
        else f"No plays in the last {DAYS} days."
    )
    return DayChart(bars, total, top, words)


def _build_bar(position: int, day: date, plays: int, top: int) -> Bar:
    height = max(2, round(HEIGHT * plays / top)) if plays else 0
    mark = f"{day.day} {day:%b}" if day.weekday() == 0 else ""
    return Bar(position * PITCH, height, plays, f"{day:%a} {day.day} {day:%b}: {format_count(plays, 'play')}", mark)


def build_heat_map(by_quarter: Mapping[int, int], zone: tzinfo | None = None) -> HeatMap:
    """Build the heat map of plays by weekday and hour in a zone; `None` is this machine's."""
    sums = [0] * (7 * 24)
    for quarter, plays in by_quarter.items():
        at = convert_quarter(quarter, zone)
        sums[at.weekday() * 24 + at.hour] += plays
    top = max(sums)
    cells = tuple(_build_cell(n, plays, top) for n, plays in enumerate(sums))
    if not top:
        return HeatMap(cells, "No plays yet.")
    best = cells[sums.index(top)]
    return HeatMap(cells, f"Busiest: {WEEKDAYS[best.weekday]} at {best.hour}:00 ({format_count(top, 'play')}).")


def _build_cell(position: int, plays: int, top: int) -> Cell:
    weekday, hour = divmod(position, 24)
    level = -(-LEVELS * plays // top) if plays else 0
    return Cell(weekday, hour, plays, level, f"{WEEKDAYS[weekday]} {hour}:00: {format_count(plays, 'play')}")


def build_ranking(most: Sequence[Ranking]) -> list[RankingRow]:
    """Build the rows of a ranking, each with the length of its bar."""
    top = max((one.plays for one in most), default=0)
    return [RankingRow(one, round(100 * one.plays / top), _format_watch_time(one)) for one in most]


def _format_watch_time(one: Ranking) -> str:
    """Format watch time as `45 min`, as `about 45 min` if some of it is estimated, and as `3 h (2 timed)` where only two
    plays have a known time; empty if none has.
    """
    ms = one.watched_ms
    duration = f"{ms // HOUR_MS} h" if ms >= HOUR_MS else f"{ms // MINUTE_MS} min" if ms >= MINUTE_MS else ""
    duration = f"about {duration}" if duration and one.estimated_ms else duration
    return f"{duration} ({one.timed} timed)" if duration and one.timed < one.plays else duration
