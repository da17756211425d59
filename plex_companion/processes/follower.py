"""A process that does not lead: it publishes what the leader committed, then notifies its subscribers."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
from msgspec import structs

from plex_companion.cache.database import StorageError
from plex_companion.cache.forwarded_events import is_forwardable, write_forwarded
from plex_companion.cache.load import load_committed
from plex_companion.cache.open_files import DatabaseMoved, find_owner, find_replacement
from plex_companion.errors import StartError
from plex_companion.ingest.queue import BATCH_SIZE
from plex_companion.models import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.cache.leadership import LinkStatus, TouchedUris
    from plex_companion.cache.lock import LeaderLock
    from plex_companion.changes.state import State
    from plex_companion.events import ReceivedEvent
    from plex_companion.ingest.live import Live
    from plex_companion.ingest.queue import EventQueues
    from plex_companion.models import Moment

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
"""How often a follower checks whether the leader has committed something, or has ended."""


HUNG_SECONDS = 12.0
"""A leader that has not touched its lock for this long hangs, or was stopped. It touches the lock every two seconds."""
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


def is_file_of_servers(cache: Cache, live: Live) -> bool:
    """Return whether the file that has our database's name now has the schema and a server of ours."""
    if (found := find_owner(cache.path, alone=True)) is None:
        return False
    schema, owner = found
    ours = {state.server.machine_identifier for state in live.states.values() if state.server}
    return schema == cache.schema and (not ours or owner.server is None or owner.server in ours)


@dataclass(slots=True)
class Follower:
    """Keeps the live states of this process as the leader commits them."""

    live: Live
    cache: Cache
    event_queues: EventQueues
    announce: Callable[[TouchedUris], None]
    list_all_uris: Callable[[], TouchedUris]
    """Lists every URI there is now, for when announcements were pruned before they were read."""
    now: Callable[[], Moment]
    silent_ms: int
    """When the leader has confirmed nothing for longer than this, it may hang, and its state is shown as stale."""
    identities: dict[str, str] = field(default_factory=dict)
    """The machine identifiers of servers that were asked, by link."""
    doubt: str | None = None
    """Why nothing that is shown can be believed at present, whenever it was confirmed."""
    last_id: int = 0
    """The id of the last announcement read."""
    _known: dict[str, LinkStatus] = field(default_factory=dict)
    """The links as last read: only those that moved since are read again."""
    _missing: float = 0.0
    """For how many seconds the file has had no name."""

    def forget(self) -> None:
        """Read every link again next time: this process may have listened since."""
        self._known = {}

    async def follow(self, lock: LeaderLock) -> bool:
        """Follow the leader until this process must lead. A storage error is retried.

        Returns:
            Whether the leader hangs; otherwise it has ended.
        """
        version: tuple[int, int] | None = None
        self.forget()
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
            self.publish_if_silent()
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
        if is_file_of_servers(self.cache, self.live):
            with suppress(StartError, StorageError):
                await self.cache.reopen()
                self.forget()
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
        live = self.live
        found = await load_committed(
            self.cache, self.now(), self.last_id, tuple(live.states), self._known, self.identities
        )
        announcements = found.announcements
        shown = [state.connection.state for state in live.states.values()]
        self.last_id, self._known = announcements.last_id, found.links
        live.leader = found.leader
        live.committed_at = announcements.committed_at or live.committed_at
        current = {link: found.states.get(link) or self._confirm(link, row) for link, row in found.links.items()}
        live.publish(self._mark_stale_if_silent({**found.states, **current}), found.ids)
        # If a link is stale or no longer stale, every resource changes.
        same = [state.connection.state for state in live.states.values()] == shown
        return announcements.touched if announcements.complete and same else self.list_all_uris()

    def _confirm(self, link: str, row: LinkStatus) -> State:
        """Return the state that did not move, as fresh as the leader says by now."""
        state = self.live.states[link]
        if (state.connection, state.last_event_at, state.refreshed_at) == (
            row.connection,
            row.last_event_at,
            row.refreshed_at,
        ):
            return state  # with a hundred links, copies would cost more than what moved
        state = state.copy()
        state.connection, state.last_event_at, state.refreshed_at = row.connection, row.last_event_at, row.refreshed_at
        return state

    def publish_if_silent(self) -> None:
        """Publish present states again, marked as stale, once the leader has been silent for too long."""
        states = self._mark_stale_if_silent(self.live.states)
        if any(state is not self.live.states[link] for link, state in states.items()):
            self.live.publish(states)
            self.announce(self.list_all_uris())

    def _mark_stale_if_silent(self, states: Mapping[str, State]) -> dict[str, State]:
        """Return states, those as stale copies that claim to be live but that nothing has confirmed for too long."""
        at = self.now().at
        return {link: self._mark_if_silent(link, state, at) for link, state in states.items()}

    def _mark_if_silent(self, link: str, state: State, at: int) -> State:
        connection = state.connection
        confirmed = max(connection.since_at, state.refreshed_at or 0)
        if connection.state != "live" or not (self.doubt or at - confirmed > self.silent_ms):
            return state
        stale = state.copy()
        detail = self.doubt or "the process that listens does not respond"
        stale.connection = Connection("down", confirmed, connection.epoch, detail)
        stale.sessions = {key: structs.replace(session, stale=True) for key, session in state.sessions.items()}
        self._known.pop(link, None)  # what it says of its sessions is read again once it is confirmed
        return stale

    async def forward(self) -> None:
        """Forward this process's own events to the leader, forever."""
        while True:
            drained = await self.event_queues.drain(BATCH_SIZE)
            events = {link: [one for one in some if is_forwardable(one.event)] for link, some in drained.items()}
            try:
                while any(events.values()):
                    if await self._try_forward(events):
                        events = {}
                    else:
                        await anyio.sleep(POLL_SECONDS)
            finally:
                self.event_queues.put_back(events)

    async def _try_forward(self, events: Mapping[str, Sequence[ReceivedEvent]]) -> bool:
        named = {self._known[link].link if link in self._known else link: some for link, some in events.items()}
        try:
            with anyio.CancelScope(shield=True):  # either all are written, or none
                await write_forwarded(self.cache, named)
        except StorageError as error:
            self._note_failure(error)
            return False
        return True

    def _note_failure(self, error: StorageError) -> None:
        if self.live.storage == "ok":
            logger.warning("The cache cannot be used (%s): trying again", error)
        self.live.storage = "degraded"
