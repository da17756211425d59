"""The desk of the process that listens: keeps what the other processes on its database must be told by the next commit."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from plex_companion.cache.database import StorageError
from plex_companion.cache.forwarded_events import read_forwarded
from plex_companion.cache.leadership import NO_LEADER, Base, LeaderCommit, LeaderStatus, TouchedUris

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State
    from plex_companion.events import ReceivedEvent
    from plex_companion.models import Moment

POLL_SECONDS = 0.2
"""How often it is looked whether letters have come."""
FRESH_MS = 1_000
"""How often it is worth a row that nothing but times and counters moved on."""


@dataclass(slots=True)
class LeaderRecord:
    """What is pinned up, and what waits for it."""

    pid: int
    find_uris: Callable[[Sequence[Change]], TouchedUris]
    """Which URIs changes touch."""
    term: int | None = None
    """`None` until the first commit has begun one."""
    base: Base | None = None
    """What the state was loaded from."""
    unannounced: TouchedUris = field(default_factory=TouchedUris)
    received_ids: list[int] = field(default_factory=list)
    """Taken in, and not yet written down."""
    _last_status: LeaderStatus | None = None
    _last_status_at: int = 0

    def begin_batch(self, batch: Sequence[ReceivedEvent], changes: Sequence[Change]) -> TouchedUris:
        """Note what a batch means to the others; returns the URIs it touches."""
        touched = self.find_uris(changes)
        self.unannounced.add(touched)
        self.received_ids += [heard.forwarded_id for heard in batch if heard.forwarded_id is not None]
        return touched

    def build_commit(self, state: State, counters: dict[str, Any], at: int) -> LeaderCommit:
        """What the next transaction pins up; false when there is nothing that cannot wait."""
        row = LeaderStatus(
            pid=self.pid,
            server=state.server.machine_identifier if state.server else None,
            connection=state.connection,
            sessions_read=state.sessions_read,
            last_event_at=state.last_event_at,
            refreshed_at=state.refreshed_at,
            counters=counters,
        )
        pinned = self._last_status
        rested = not 0 <= at - self._last_status_at < FRESH_MS
        due = pinned is None or row.essential != pinned.essential or (rested and row != pinned)
        return LeaderCommit(at, self.term, self.unannounced, row if due else None, tuple(self.received_ids), self.base)

    def build_final_commit(self, state: State, counters: dict[str, Any], at: int) -> LeaderCommit:
        """The same, whether it could wait or not, and that nobody listens from then on."""
        self._last_status, self.pid = None, NO_LEADER
        return self.build_commit(state, counters, at)

    def mark_committed(self, bulletin: LeaderCommit, term: int | None) -> None:
        """It is committed, in this term."""
        self.term = term
        self.unannounced, self.received_ids = TouchedUris(), []
        if bulletin.status is not None:
            self._last_status, self._last_status_at = bulletin.status, bulletin.at


async def receive_forwarded(
    cache: Cache, put: Callable[[Sequence[ReceivedEvent]], Awaitable[None]], now: Callable[[], Moment]
) -> None:
    """Take in the letters of other processes, for ever. The commit that writes them down deletes them."""
    last: int = 0
    version: tuple[int, int] | None = None
    while True:
        with suppress(StorageError):  # the next commit says what is wrong
            latest = await cache.read_data_version()
            if latest != version:
                letters = await read_forwarded(cache, last, now())
                version, last = latest, max((letter.forwarded_id or 0 for letter in letters), default=last)
                await put(letters)
        await anyio.sleep(POLL_SECONDS)
