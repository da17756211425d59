"""The heart of a process that does not listen: show what another one committed, then tell whoever asked."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.database import StorageError
from plex_companion.cache.forwarded_events import is_forwardable, write_forwarded
from plex_companion.cache.load import load_committed
from plex_companion.cache.open_files import DatabaseMoved, find_replacement, owner_of
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
"""How often a process looks whether another one has committed something, or has ended."""


HUNG_SECONDS = 12.0
"""A process that listens and has not touched its lock for so long hangs, or was stopped: it touches it every two."""
WAITED_SECONDS = 3.0
"""How long a file that is gone is left to the process that listens."""
_MOST_A_LOOK = 5 * POLL_SECONDS
"""What counts of the time between two looks: this process may have been stopped itself."""


class HangWatch:
    """Tells whether the holder of the lock still touches it, by our own clock."""

    def __init__(self, lease: LeaderLock) -> None:
        self._lease = lease
        self._beat = lease.last_beat()
        self._looked, self._silent = anyio.current_time(), 0.0

    def hangs(self) -> bool:
        """Look; return whether it has not been touched for too long."""
        beat, now = self._lease.last_beat(), anyio.current_time()
        self._silent += min(now - self._looked, _MOST_A_LOOK)
        self._looked = now
        if beat is None or beat != self._beat:
            self._beat, self._silent = beat, 0.0
        return self._silent >= HUNG_SECONDS


def belongs_here(cache: Cache, server: ServerIdentity | None) -> bool:
    """Return whether the file that has the name of ours now is one of the same server and version."""
    found = owner_of(cache.path, alone=True)
    if found is None:
        return False
    schema, owner = found
    return schema == cache.schema and (server is None or owner.server in {None, server.machine_identifier})


@dataclass(slots=True)
class Follower:
    """Keeps the live state as the process that listens has it."""

    live: Live
    cache: Cache
    inbox: EventQueue
    announce: Callable[[TouchedUris], None]
    list_all_uris: Callable[[], TouchedUris]
    """Every URI there is now, for when announcements were taken down unseen."""
    now: Callable[[], Moment]
    silent_ms: int
    """When the process that listens has told nothing for so long, its word is doubted: it may hang."""
    last_id: int = 0
    """The announcement seen last."""
    _missing: float = 0.0
    """For how long the file has had no name, in seconds."""

    async def follow(self, lease: LeaderLock) -> bool:
        """Follow until it is for this process to go on. A storage that refuses is asked again.

        Returns:
            Whether the process that listened hangs; otherwise it has ended.
        """
        version: tuple[int, int] | None = None
        watch = HangWatch(lease)
        while True:
            if await self._finds_its_file():
                if lease.try_acquire():
                    return False
                if watch.hangs() and lease.seize():
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

    async def _finds_its_file(self) -> bool:
        """Return whether the file is there, after a look at what has its name: the process that listens may have written it
        anew. Where nobody has for a while, it is for this one to do so.
        """
        if self.cache.is_in_file():
            if self._missing:
                self._missing, self.live.storage = 0.0, "ok"
            return True
        self._note_failure(DatabaseMoved(f"{self.cache.path.name} was removed or replaced"))
        self._missing += POLL_SECONDS
        if find_replacement(self.cache.path, self.cache.files) == "nothing":
            return self._missing > WAITED_SECONDS
        if belongs_here(self.cache, self.live.state.server):
            with suppress(StartError, StorageError):
                await self.cache.reopen()
                await self.refresh()
                self.announce(self.list_all_uris())
        return False

    async def refresh(self) -> None:
        """Show what is committed now, and announce what of it is new.

        Raises:
            StorageError: it cannot be read.
        """
        touched = await self._load()
        self.announce(touched)

    async def _load(self) -> TouchedUris:
        found = await load_committed(self.cache, self.now(), self.last_id)
        live, news = self.live, found.announcements
        shown = live.state.connection.state
        self.last_id = news.last_id
        live.leader = found.leader
        live.committed_at = news.committed_at or live.committed_at
        live.publish(self._apply_staleness(found.state))
        believed = live.state.connection.state == shown  # what is doubted, or no more, is another state of everything
        return news.touched if news.complete and believed else self.list_all_uris()

    def _mark_stale_if_silent(self) -> None:
        """Look again at what is shown, now that time has passed."""
        judged = self._apply_staleness(self.live.state)
        if judged is not self.live.state:
            self.live.publish(judged)
            self.announce(self.list_all_uris())

    def _apply_staleness(self, state: State) -> State:
        """The same, unless it claims to be live and nobody has confirmed it for too long."""
        link, at = state.connection, self.now().at
        confirmed = max(link.since_at, state.refreshed_at or 0)
        if link.state != "live" or at - confirmed <= self.silent_ms:
            return state
        doubted = state.copy()
        doubted.connection = Connection("down", confirmed, link.epoch, "the process that listens is silent")
        doubted.sessions = {key: replace(session, stale=True) for key, session in state.sessions.items()}
        return doubted

    async def forward(self) -> None:
        """Send what this process has to say to the one that writes, for ever."""
        while True:
            letters = [heard for heard in await self.inbox.drain(BATCH_SIZE) if is_forwardable(heard.event)]
            try:
                while letters:
                    if await self._try_forward(letters):
                        letters = []
                    else:
                        await anyio.sleep(POLL_SECONDS)
            finally:
                self.inbox.put_back(letters)

    async def _try_forward(self, letters: Sequence[ReceivedEvent]) -> bool:
        try:
            with anyio.CancelScope(shield=True):  # sent or not, but nobody in doubt
                await write_forwarded(self.cache, letters)
        except StorageError as error:
            self._note_failure(error)
            return False
        return True

    def _note_failure(self, error: StorageError) -> None:
        if self.live.storage == "ok":
            logger.warning("The cache cannot be used (%s): trying again", error)
        self.live.storage = "degraded"
