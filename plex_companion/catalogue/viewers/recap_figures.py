"""The arithmetic of a recap: days, streaks and pauses out of plays. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Figures = dict[str, Any]

SUMS = ("plays", "watched_ms", "estimated_ms")


@dataclass(frozen=True, slots=True)
class DayPlay:
    """A play as a recap sees it."""

    day: str
    watched_ms: int | None
    paused_ms: int
    is_estimated: bool
    movie: tuple[str | None, str] | None
    """The rating key and the title, if it is a movie."""


def sum_plays(plays: Iterable[DayPlay]) -> Figures:
    """Return how many plays there are, their watch time, and how much of it is estimated."""
    some = list(plays)
    return {
        "plays": len(some),
        "watched_ms": sum(play.watched_ms or 0 for play in some),
        "estimated_ms": sum(play.watched_ms or 0 for play in some if play.is_estimated),
    }


def sum_parts(plays: Iterable[DayPlay], digits: int) -> list[Figures]:
    """Return the sums of each day or month with plays, oldest first. `digits` is the length of a part's name."""
    parts: dict[str, list[DayPlay]] = {}
    for play in plays:
        parts.setdefault(play.day[:digits], []).append(play)
    return [{"name": name, **sum_plays(parts[name])} for name in sorted(parts)]


def find_longest_streak(days: Iterable[str]) -> Figures | None:
    """Return the longest run of days in a row with plays; of several, the first."""
    best: tuple[int, date] | None = None
    length, before = 0, None
    for day in sorted(map(date.fromisoformat, set(days))):
        length = length + 1 if before is not None and day - before == timedelta(days=1) else 1
        before = day
        if best is None or length > best[0]:
            best = length, day
    if best is None:
        return None
    length, last = best
    return {"days": length, "since": (last - timedelta(days=length - 1)).isoformat(), "until": last.isoformat()}


def find_busiest_day(days: Sequence[Figures]) -> Figures | None:
    """Return the day with the most watch time; of several, the first."""
    return max(days, key=lambda day: (day["watched_ms"], day["plays"]), default=None)


def find_most_paused(plays: Iterable[DayPlay]) -> Figures | None:
    """Return the movie that was paused for longest, all plays together; `None` if none was."""
    paused: dict[tuple[str | None, str], int] = {}
    for play in plays:
        if play.movie is not None and play.paused_ms > 0:
            paused[play.movie] = paused.get(play.movie, 0) + play.paused_ms
    if not paused:
        return None
    rating_key, title = max(paused, key=lambda movie: (paused[movie], movie[1]))
    return {"rating_key": rating_key, "title": title, "paused_ms": paused[rating_key, title]}
