"""How long rows are kept, and the step that deletes older ones between two batches."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.cache.database import StorageError
from plex_companion.cache.prune import prune
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    from plex_companion.cache.database import Cache
    from plex_companion.ingest.live import Live

PRUNE_EVERY_MS = 60_000
ANNOUNCED_MS = 60_000
"""How long announcements stay for other processes to read."""

OCCURRENCES_MS = 31 * DAY_MS
"""How long occurrences are kept at least: rules are tried on the last thirty days."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long rows are kept. Plays are kept forever."""

    events_ms: int = 7 * DAY_MS
    events_rows: int = 200_000
    alerts_ms: int = 90 * DAY_MS


DEFAULT_RETENTION = Retention()


@dataclass(slots=True)
class Pruner:
    """Deletes old rows in small steps: once a minute, and after every batch as long as there is more to delete."""

    cache: Cache
    live: Live
    retention: Retention
    finished_at: int = 0
    """When everything old was last deleted."""

    async def prune_if_due(self) -> None:
        """Delete one step of old rows, if a step is due."""
        if 0 <= self.live.now - self.finished_at < PRUNE_EVERY_MS:
            return
        if not await self._prune():
            self.finished_at = self.live.now

    async def _prune(self) -> bool:
        """Delete one step; return whether more is left."""
        now = self.live.now
        with suppress(StorageError):  # the next commit reports what is wrong
            return await prune(
                self.cache,
                events_before=now - self.retention.events_ms,
                events_kept=self.retention.events_rows,
                alerts_before=now - self.retention.alerts_ms,
                announced_before=now - ANNOUNCED_MS,
                occurrences_before=now - max(self.retention.events_ms, OCCURRENCES_MS),
            )
        return False
