"""Everything about the plays of a period at once, as a page shows it; each part as `count_plays` counts it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plex_companion.cache.queries.counts import WatchTotals
from plex_companion.cache.queries.plays import read_history_status
from plex_companion.cache.queries.streams import MostStreams, find_most_streams
from plex_companion.history.play_counts import count_plays
from plex_companion.history.source import list_servers

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from plex_companion.cache.queries.counts import By
    from plex_companion.history.source import HistorySource
    from plex_companion.times import Window

    Entry = dict[str, Any]

TIMES: tuple[By, ...] = ("day", "month", "weekday", "hour")
RANKINGS: tuple[By, ...] = ("user", "library", "platform", "decision", "resolution")


@dataclass(frozen=True, slots=True)
class PeriodStatistics:
    """The plays of a period, counted in several ways. Entries have a `name`, and `plays`, `timed`, `watched_ms`,
    `estimated_ms`.
    """

    total: WatchTotals
    times: dict[By, Sequence[Entry]]
    """By day (the last 366), month, weekday and hour of day."""
    total_days: int
    rankings: dict[By, dict[str, Any]]
    """The answers of `count_plays` for users, libraries, platforms, deliveries and resolutions."""
    most: MostStreams
    history: dict[str, Any]
    """How much of Plex's own history is imported."""


async def summarize_plays(source: HistorySource, within: Window, zone: tzinfo, most: int) -> PeriodStatistics:
    """Count the plays of a window by everything there is, at most so many users, libraries and so on."""
    known = await read_history_status(source.cache, list_servers(source))
    times = {by: await count_plays(source, by, within, 0, zone=zone, known=known) for by in TIMES}
    days = times["day"]
    return PeriodStatistics(
        total=WatchTotals(*(days[name] for name in WatchTotals._fields)),
        times={by: answer["entries"] for by, answer in times.items()},
        total_days=days["total_entries"],
        rankings={by: await count_plays(source, by, within, most, zone=zone, known=known) for by in RANKINGS},
        most=await find_most_streams(source.cache, within, source.only_server),
        history=days["history"],
    )
