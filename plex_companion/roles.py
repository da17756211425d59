"""Who listens: one of the processes on a database. The others follow, and one of them goes on when it ends."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache import UNKNOWN, StorageError
from plex_companion.cache.board import Deposed
from plex_companion.cache.letters import is_mail
from plex_companion.cache.load import load_state
from plex_companion.changes.kinds import ConnectionChanged
from plex_companion.desk import Desk, collect
from plex_companion.errors import DatabaseUnusable
from plex_companion.ingest import ingest
from plex_companion.models import Connection
from plex_companion.resources import touched

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from plex_companion.cache import Cache
    from plex_companion.cache.board import Touched
    from plex_companion.cache.lease import Lease
    from plex_companion.changes.kinds import Change
    from plex_companion.follow import Follower
    from plex_companion.ingest import Inbox, Live, Retention
    from plex_companion.models import Moment

    Duty = Callable[[], Coroutine[Any, Any, None]]

logger = logging.getLogger(__name__)

HURRY_MS = 200
"""How long the last word of a process that ends waits for the database."""


@dataclass(slots=True)
class Roles:
    """What this process is to the others on its database, for as long as it runs."""

    live: Live
    cache: Cache
    lease: Lease
    inbox: Inbox
    follower: Follower
    now: Callable[[], Moment]
    announce: Callable[[Sequence[Change], Touched], None]
    retention: Retention
    desk: Desk = field(default_factory=lambda: Desk(os.getpid(), touched))
    _hearing: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def begin(self) -> None:
        """Load the state, before anybody asks for it.

        Raises:
            DatabaseUnusable: it cannot be read.
        """
        self.live.listens = self.lease.take()
        try:
            if self.live.listens:
                self.live.state = await load_state(self.cache, self.now())
                return
            await self.follower.see()
        except StorageError as error:
            message = f"The database {self.cache.path} cannot be read: {error}."
            raise DatabaseUnusable(message) from error
        logger.info("Another process listens to Plex; this one follows what it writes down")

    async def run(self, hear: Duty, duties: Sequence[Duty]) -> None:
        """Listen when it is for us to listen, follow when it is not, for ever.

        Args:
            hear: what puts into the inbox what Plex says; it is stopped first.
            duties: what else only the process that listens does.
        """
        while True:
            if not self.live.listens:
                await self._follow()
            await self._lead(hear, duties)
            self._step_back()

    async def _follow(self) -> None:
        while not self.live.listens:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.follower.post)
                await self.follower.follow(self.lease)
                tasks.cancel_scope.cancel()
            await self._go_on()

    async def _go_on(self) -> None:
        """The lock is ours: nobody listens. What the other one committed last is told, then that we begin."""
        before, now = self.live.state.connection, self.now()
        try:
            await self.follower.see()
            state = await load_state(self.cache, now)
        except StorageError as error:
            logger.warning("The cache cannot be read (%s): trying again", error)
            self.lease.give_back()
            await anyio.sleep(1)
            return
        was = self.live.state
        state.refreshed_at, state.last_event_at, state.sessions_read = (
            was.refreshed_at,
            was.last_event_at,
            was.sessions_read,
        )
        if before.state == "live":
            state.down_since = now.at  # it was there a moment ago, or the lock had been free
        state.connection = Connection(
            "connecting", now.at, state.connection.epoch, "the process that listened has ended"
        )
        logger.info("The process that listened to Plex has ended; this one goes on")
        self.live.show(state)
        self.live.listens = True
        changed = ConnectionChanged(state.connection)
        self.announce([changed], touched([changed]))

    async def _lead(self, hear: Duty, duties: Sequence[Duty]) -> None:
        """Until another process has begun to listen, which no lock should have let it."""
        self.live.now = self.now().at
        self.desk = Desk(os.getpid(), touched, untold=touched([ConnectionChanged(self.live.state.connection)]))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._hear, hear)
            tasks.start_soon(collect, self.cache, self.inbox.put, self.now)
            for duty in duties:
                tasks.start_soon(duty)
            await ingest(self.inbox, self.live, self.cache, self.announce, self.retention, self.desk)
            tasks.cancel_scope.cancel()

    async def _hear(self, hear: Duty) -> None:
        self._hearing = anyio.CancelScope()
        with self._hearing:
            await hear()

    def _step_back(self) -> None:
        logger.warning("Another process listens to Plex, though this one held the lock; this one follows now")
        self.lease.give_back()
        self.live.listens, self.live.unwritten = False, []
        self.inbox.keep(lambda heard: heard.letter is None and is_mail(heard.event))

    async def end(self) -> None:
        """Hear nothing more and let what was heard be written, or sent; then leave word until when Plex was heard, so
        that who listens next knows how long nobody did.
        """
        self._hearing.cancel()
        while len(self.inbox):
            await self.live.changed()
        if not self.live.listens or self.live.storage != "ok":
            return
        state, at = self.live.state, self.now().at
        if state.connection.state == "live":
            state = replace(state, refreshed_at=at)
        word = self.desk.last_word(state, self.live.counters.told(), at)
        with anyio.CancelScope(shield=True), suppress(StorageError, Deposed):
            await self.cache.wait_for_lock(HURRY_MS)
            await self.cache.write([], UNKNOWN, at, word)
