"""A process that does not lead: it publishes what the leader committed, then notifies its subscribers."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.database import StorageError
from plex_companion.cache.forwarded_events import is_forwardable, write_forwarded
from plex_companion.cache.load import load_committed
from plex_companion.cache.open_files import DatabaseMoved, find_owner, find_replacement
from plex_companion.errors import StartError
from plex_companion.ingest.queue import BATCH_SIZE
from plex_companion.models import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.cache.lock import LeaderLock
    from plex_companion.changes.state import State
    from plex_companion.events import ReceivedEvent
    from plex_companion.ingest.live import Live
    from plex_companion.ingest.queue import EventQueue
    from plex_companion.models import Moment, ServerIdentity

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
"""How often a follower checks whether the leader has committed something, or has ended."""


HUNG_SECONDS = 12.0
"""A leader that has not touched its lock for so long hangs, or was stopped. It touches the lock every two seconds."""
FILE_GRACE_SECONDS = 3.0
"""How long the leader may take to rewrite a file that is gone."""
_MAX_COUNTED_SECONDS = 10 * POLL_SECONDS
"""Counts at most of the time between two checks: this process may have been stopped itself, or the machine be busy."""


class HangWatch:
    """Detects a holder of the lock that no longer touches it, by our own clock."""

    def __init__(self, lock: LeaderLock) -> None:
        self._lock = lock
        self._last_beat = lock.last_beat()
        self._checked_at, self._silent_seconds = anyio.current_time(), 0.0

    def is_hung(self) -> bool:
        """Check the lock; return whether it has not been touched for too long."""
        beat, now = self._lock.last_beat(), anyio.current_time()
        self._silent_seconds += min(now - self._checked_at, _MAX_COUNTED_SECONDS)
        self._checked_at = now
        if beat is None or beat != self._last_beat:
            self._last_beat, self._silent_seconds = beat, 0.0
        return self._silent_seconds >= HUNG_SECONDS


def is_file_of_server(cache: Cache, server: ServerIdentity | None) -> bool:
    """Return whether the file that has our database's name now has the same server and schema."""
    found = find_owner(cache.path, alone=True)
    if found is None:
        return False
    schema, owner = found
    return schema == cache.schema and (server is None or owner.server in {None, server.machine_identifier})


@dataclass(slots=True)
class Follower:
    """Keeps the live state of this process as the leader commits it."""

    live: Live
    cache: Cache
    event_queue: EventQueue
    announce: Callable[[TouchedUris], None]
    list_all_uris: Callable[[], TouchedUris]
    """Lists every URI there is now, for when announcements were pruned before they were read."""
    now: Callable[[], Moment]
    silent_ms: int
    """When the leader has confirmed nothing for so long, it may hang, and its state is shown as stale."""
    last_id: int = 0
    """The id of the last announcement read."""
    _missing: float = 0.0
    """For how many seconds the file has had no name."""

    async def follow(self, lock: LeaderLock) -> bool:
        """Follow the leader until this process must lead. A storage error is retried.

        Returns:
            Whether the leader hangs; otherwise it has ended.
        """
        version: tuple[int, int] | None = None
        watch = HangWatch(lock)
        while True:
            if await self._check_file():
                if lock.try_acquire():
                    return False
                if watch.is_hung() and lock.seize():
                    return True
            try:
                latest = await self.cache.read_data_version()
                if latest != version:
                    await self.refresh()
                    version = latest
                    self.live.storage = "ok" if self.cache.is_in_file() else "degraded"
            except StorageError as error:
                self._note_failure(error)
            self._mark_stale_if_silent()
            await anyio.sleep(POLL_SECONDS)

    async def _check_file(self) -> bool:
        """Return whether the file is in place, after reopening one that the leader has rewritten.

        If no process has rewritten it for a while, this one must lead to do so.
        """
        if self.cache.is_in_file():
            if self._missing:
                self._missing, self.live.storage = 0.0, "ok"
            return True
        self._note_failure(DatabaseMoved(f"{self.cache.path.name} was removed or replaced"))
        self._missing += POLL_SECONDS
        if find_replacement(self.cache.path, self.cache.files) == "nothing":
            return self._missing > FILE_GRACE_SECONDS
        if is_file_of_server(self.cache, self.live.state.server):
            with suppress(StartError, StorageError):
                await self.cache.reopen()
                await self.refresh()
                self.announce(self.list_all_uris())
        return False

    async def refresh(self) -> None:
        """Publish the committed state and announce what is new in it.

        Raises:
            StorageError: it cannot be read.
        """
        touched = await self._load()
        self.announce(touched)

    async def _load(self) -> TouchedUris:
        found = await load_committed(self.cache, self.now(), self.last_id)
        live, announcements = self.live, found.announcements
        shown = live.state.connection.state
        self.last_id = announcements.last_id
        live.leader = found.leader
        live.committed_at = announcements.committed_at or live.committed_at
        live.publish(self._apply_staleness(found.state))
        same_state = live.state.connection.state == shown  # stale or no longer stale: every resource changes
        return announcements.touched if announcements.complete and same_state else self.list_all_uris()

    def _mark_stale_if_silent(self) -> None:
        """Mark the published state as stale once the leader has been silent for too long."""
        state = self._apply_staleness(self.live.state)
        if state is not self.live.state:
            self.live.publish(state)
            self.announce(self.list_all_uris())

    def _apply_staleness(self, state: State) -> State:
        """Return the state, marked as stale if it claims to be live but nothing has confirmed it for too long."""
        connection, at = state.connection, self.now().at
        confirmed = max(connection.since_at, state.refreshed_at or 0)
        if connection.state != "live" or at - confirmed <= self.silent_ms:
            return state
        stale = state.copy()
        stale.connection = Connection("down", confirmed, connection.epoch, "the process that listens does not respond")
        stale.sessions = {key: replace(session, stale=True) for key, session in state.sessions.items()}
        return stale

    async def forward(self) -> None:
        """Forward this process's own events to the leader, forever."""
        while True:
            events = [
                received for received in await self.event_queue.drain(BATCH_SIZE) if is_forwardable(received.event)
            ]
            try:
                while events:
                    if await self._try_forward(events):
                        events = []
                    else:
                        await anyio.sleep(POLL_SECONDS)
            finally:
                self.event_queue.put_back(events)

    async def _try_forward(self, events: Sequence[ReceivedEvent]) -> bool:
        try:
            with anyio.CancelScope(shield=True):  # either all are written, or none
                await write_forwarded(self.cache, events)
        except StorageError as error:
            self._note_failure(error)
            return False
        return True

    def _note_failure(self, error: StorageError) -> None:
        if self.live.storage == "ok":
            logger.warning("The cache cannot be used (%s): trying again", error)
        self.live.storage = "degraded"
