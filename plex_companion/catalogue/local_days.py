"""Days and months of a time zone, found quickly for many times."""

from __future__ import annotations

from bisect import bisect_right
from datetime import date
from functools import lru_cache
from typing import TYPE_CHECKING

from plex_companion.serialize import EPOCH_DAY, LAST_MS
from plex_companion.times import DAY_MS, list_offsets

if TYPE_CHECKING:
    from datetime import tzinfo


class LocalDays:
    """Finds the days of times by the clock of a zone, whose offsets between `since` and `until` are looked up once."""

    def __init__(self, zone: tzinfo, since: int, until: int) -> None:
        parts = list_offsets(zone, max(0, since), max(0, since, until))
        self._starts = [start for start, _, _ in parts]
        self._offsets = [offset for _, _, offset in parts]

    def find_day(self, at: int) -> str | None:
        """Return the day of a time as `2026-11-22`; `None` for a time that cannot be Plex's."""
        if not 0 <= at <= LAST_MS - DAY_MS:
            return None
        offset = self._offsets[max(0, bisect_right(self._starts, at) - 1)]
        return _format_day((at + offset) // DAY_MS)


@lru_cache(maxsize=20_000)
def _format_day(day: int) -> str:
    return date.fromordinal(EPOCH_DAY + day).isoformat()
