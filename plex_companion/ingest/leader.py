"""What the leader still has to tell the other processes on its database with the next commit."""

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
"""How often the leader checks for forwarded events."""
STATUS_INTERVAL_MS = 1_000
"""How often the leader's status is written when only times and counters changed."""


@dataclass(slots=True)
class LeaderRecord:
    """The leader's last written status, and what the next commit must add."""

    pid: int
    find_uris: Callable[[Sequence[Change]], TouchedUris]
    """Finds the URIs that changes touch."""
    term: int | None = None
    """`None` until the first commit has begun a term."""
    base: Base | None = None
    """What the state was loaded from."""
    unannounced: TouchedUris = field(default_factory=TouchedUris)
    received_ids: list[int] = field(default_factory=list)
    """Forwarded events that were received and are not yet written."""
    _last_status: LeaderStatus | None = None
    _last_status_at: int = 0

    def begin_batch(self, batch: Sequence[ReceivedEvent], changes: Sequence[Change]) -> TouchedUris:
        """Record what a batch means to the other processes; return the URIs it touches."""
        touched = self.find_uris(changes)
        self.unannounced.add(touched)
        self.received_ids += [event.forwarded_id for event in batch if event.forwarded_id is not None]
        return touched

    def build_commit(self, state: State, counters: dict[str, Any], at: int) -> LeaderCommit:
        """Build what the next transaction adds; it is false when everything in it can wait."""
        row = LeaderStatus(
            pid=self.pid,
            server=state.server.machine_identifier if state.server else None,
            connection=state.connection,
            sessions_read=state.sessions_read,
            last_event_at=state.last_event_at,
            refreshed_at=state.refreshed_at,
            counters=counters,
        )
        last = self._last_status
        is_old = not 0 <= at - self._last_status_at < STATUS_INTERVAL_MS
        due = last is None or row.essential != last.essential or (is_old and row != last)
        return LeaderCommit(at, self.term, self.unannounced, row if due else None, tuple(self.received_ids), self.base)

    def build_final_commit(self, state: State, counters: dict[str, Any], at: int) -> LeaderCommit:
        """Build what the last transaction adds: the status, whether it could wait or not, without a leader."""
        self._last_status, self.pid = None, NO_LEADER
        return self.build_commit(state, counters, at)

    def mark_committed(self, commit: LeaderCommit, term: int | None) -> None:
        """Record that this was committed, in this term."""
        self.term = term
        self.unannounced, self.received_ids = TouchedUris(), []
        if commit.status is not None:
            self._last_status, self._last_status_at = commit.status, commit.at


async def receive_forwarded(
    cache: Cache, put: Callable[[Sequence[ReceivedEvent]], Awaitable[None]], now: Callable[[], Moment]
) -> None:
    """Receive events that other processes forward, forever. The commit that writes their changes deletes them."""
    last: int = 0
    version: tuple[int, int] | None = None
    while True:
        with suppress(StorageError):  # the next commit reports what is wrong
            latest = await cache.read_data_version()
            if latest != version:
                events = await read_forwarded(cache, last, now())
                version, last = latest, max((event.forwarded_id or 0 for event in events), default=last)
                await put(events)
        await anyio.sleep(POLL_SECONDS)
