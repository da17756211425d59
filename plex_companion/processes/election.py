"""Who listens: one of the processes on a database. The others follow, and one of them goes on when it ends."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.database import StorageError
from plex_companion.cache.forwarded_events import is_forwardable
from plex_companion.cache.leadership import LeadershipLost
from plex_companion.cache.load import base_of, load_state
from plex_companion.cache.open_files import UNKNOWN, find_replacement
from plex_companion.changes.kinds import ConnectionChanged
from plex_companion.errors import DatabaseUnusable, StartError
from plex_companion.events import ReceivedEvent, StorageReport
from plex_companion.ingest.leader import LeaderRecord, receive_forwarded
from plex_companion.ingest.loop import ingest
from plex_companion.models import Connection
from plex_companion.private_files import make_folder
from plex_companion.processes.follower import belongs_here
from plex_companion.resources.registry import find_touched_uris

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from plex_companion.cache.database import Cache
    from plex_companion.cache.leadership import Base, TouchedUris
    from plex_companion.cache.lock import LeaderLock
    from plex_companion.cache.open_files import Taken
    from plex_companion.changes.kinds import Effect
    from plex_companion.changes.state import State
    from plex_companion.ingest.live import Live
    from plex_companion.ingest.queue import EventQueue
    from plex_companion.ingest.retention import Retention
    from plex_companion.models import Moment
    from plex_companion.processes.follower import Follower

    LeaderTask = Callable[[], Coroutine[Any, Any, None]]

logger = logging.getLogger(__name__)

LOOK_SECONDS = 2.0
"""How often the process that listens looks whether its file and its lock still have their names."""
FINAL_WRITE_MS = 200
"""How long the last word of a process that ends waits for the database."""
LOST: dict[Taken, str] = {
    "nothing": "The database file was removed or renamed while it was in use; it is written anew",
    "ours": "A file beside the database was removed while it was in use; the database is written anew",
    "no folder": "The folder of the database is gone; what happens is kept in memory until it is there again",
    "cut": "The database file was overwritten while it was in use and is left alone; move it away to have it written anew",
    "another": "Another file has the name of the database and is left alone; move it away to have the database written anew",
}
"""What a person is told when the file has lost its name."""


@dataclass(slots=True)
class Election:
    """What this process is to the others on its database, for as long as it runs."""

    live: Live
    cache: Cache
    lock: LeaderLock
    event_queue: EventQueue
    follower: Follower
    now: Callable[[], Moment]
    announce: Callable[[Sequence[Effect], TouchedUris], None]
    retention: Retention
    leader_record: LeaderRecord = field(default_factory=lambda: LeaderRecord(os.getpid(), find_touched_uris))
    own_address: int = 0
    """The mark of the address of our server, by which its database is known while it cannot be asked."""
    guard_owner: LeaderTask = anyio.sleep_forever
    """Ends the program when the database that is followed turns out to be another server's."""
    _base: Base | None = None
    _problem: str | None = None
    _recorded: int | None = None
    _listening: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def load(self) -> None:
        """Load the state, before anybody asks for it.

        Raises:
            DatabaseUnusable: it cannot be read.
        """
        self.live.listens = self.cache.in_memory or self.lock.try_acquire()
        try:
            if self.live.listens:
                self.live.state = await self._loaded()
                return
            await self.follower.refresh()
        except StorageError as error:
            message = f"The database {self.cache.path} cannot be read: {error}."
            raise DatabaseUnusable(message) from error
        logger.info("Another process listens to Plex; this one follows what it writes down")

    async def run(self, hear: LeaderTask, duties: Sequence[LeaderTask]) -> None:
        """Listen when it is for us to listen, follow when it is not, for ever.

        Args:
            hear: what puts into the inbox what Plex says; it is stopped first.
            duties: what else only the process that listens does.
        """
        while True:
            if not self.live.listens:
                await self._follow()
            await self._lead(hear, duties)
            self._demote()

    async def _follow(self) -> None:
        while not self.live.listens:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.follower.forward)
                tasks.start_soon(self.guard_owner)
                hung = await self.follower.follow(self.lock)
                tasks.cancel_scope.cancel()
            await self._take_over("hangs" if hung else "has ended")

    async def _loaded(self) -> State:
        term = await self.cache.term()
        state = await load_state(self.cache, self.now())
        self._base = base_of(term, state)
        return state

    async def _take_over(self, what: str) -> None:
        """The lock is ours: nobody listens. What the other one committed last is told, then that we begin."""
        before, now = self.live.state.connection, self.now()
        try:
            await self.follower.refresh()
            state = await self._loaded()
        except StorageError as error:
            logger.warning("The cache cannot be read (%s): trying again", error)
            self.lock.release()
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
        state.connection = Connection("connecting", now.at, state.connection.epoch, f"the process that listened {what}")
        logger.info("The process that listened to Plex %s; this one goes on", what)
        self.live.publish(state)
        self.live.listens = True
        changed = ConnectionChanged(state.connection)
        self.announce([changed], find_touched_uris([changed]))

    async def _lead(self, hear: LeaderTask, duties: Sequence[LeaderTask]) -> None:
        """Until another process has begun to listen, which no lock should have let it."""
        self.live.now = self.now().at
        beginning = find_touched_uris([ConnectionChanged(self.live.state.connection)])
        self.leader_record = LeaderRecord(os.getpid(), find_touched_uris, base=self._base, unannounced=beginning)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, hear)
            tasks.start_soon(self._keep, tasks.cancel_scope)
            tasks.start_soon(receive_forwarded, self.cache, self.event_queue.put, self.now)
            for duty in duties:
                tasks.start_soon(duty)
            await ingest(self.event_queue, self.live, self.cache, self.announce, self.retention, self.leader_record)
            tasks.cancel_scope.cancel()

    async def _listen(self, hear: LeaderTask) -> None:
        self._listening = anyio.CancelScope()
        with self._listening:
            await hear()

    async def _keep(self, leading: anyio.CancelScope) -> None:
        """See that the file and the lock keep their names, until another process or another file has taken over."""
        while await self._keep_file() and await self._keep_lock():
            if self.cache.in_memory:
                await self.live.wait_for_commit()
            else:
                await anyio.sleep(LOOK_SECONDS)
        leading.cancel()

    async def _keep_file(self) -> bool:
        """Write the database anew where it has lost its name. Returns whether it is still for this process to write."""
        if self.cache.in_memory:
            return self.live.state.server is None or await self._begin_file()
        if self.cache.is_in_place():
            await self._report(None)
            await self._record_address()
            return True
        taken = find_replacement(self.cache.path, self.cache.files)
        if taken == "another" and belongs_here(self.cache, self.live.state.server):
            return False
        if self._problem is None or taken not in {"nothing", "ours"}:
            await self._report(LOST[taken])
        if taken in {"nothing", "ours"}:
            await self._write_anew()
        return True

    async def _begin_file(self) -> bool:
        """A server has answered: what is in memory becomes the file, unless another process was faster."""
        try:
            make_folder(self.cache.path.resolve().parent)
        except OSError as error:
            await self._cannot_write(error)
            return True
        if not self.lock.try_acquire() or self.cache.path.exists():
            return False
        await self._write_anew()
        return True

    async def _write_anew(self) -> None:
        try:
            with anyio.CancelScope(shield=True):
                await self.cache.write_anew()
        except (OSError, StorageError, StartError) as error:
            await self._cannot_write(error)
            return
        await self._report(None)

    async def _cannot_write(self, error: Exception) -> None:
        """Say so, once, in place of what was said of the file before."""
        self.cache.stuck = self.cache.in_memory
        reason = getattr(error, "strerror", None) or str(error)
        await self._report(f"The database file cannot be written ({reason}); what happens is kept in memory")

    async def _report(self, problem: str | None) -> None:
        """Tell what is wrong with the file, and that it is no more; each once."""
        if problem != self._problem:
            self._problem = problem
            words = problem or "The database file is in its place again"
            logger.warning("%s", words)
            await self.event_queue.put(
                [ReceivedEvent(StorageReport("file", ok=problem is None, words=words), self.now())]
            )

    async def _record_address(self) -> None:
        """Have the database remember where its server was heard."""
        if self.live.state.connection.state == "live" and self._recorded != self.cache.generation:
            with suppress(StorageError):
                if (await self.cache.owner()).address != self.own_address:
                    await self.cache.record_address(self.own_address)
                self._recorded = self.cache.generation

    async def _keep_lock(self) -> bool:
        """Show that this process does not hang. Returns whether no other one has begun to listen instead."""
        if self.cache.in_memory or self.lock.is_in_place():
            self.lock.beat()
            return True
        with suppress(StorageError):
            if self.leader_record.term is not None and await self.cache.term() != self.leader_record.term:
                return False
        self.lock.release()
        self.lock.try_acquire()
        return True

    def _demote(self) -> None:
        if self.cache.is_in_place() and not self.cache.in_memory:
            logger.warning("Another process listens to Plex, though this one held the lock; this one follows now")
        else:
            logger.warning("Another file of this server has the name of the database; this process follows it now")
        self.lock.release()
        self.live.listens, self.live.unwritten = False, []
        self.event_queue.filter(lambda heard: heard.forwarded_id is None and is_forwardable(heard.event))

    async def stop(self) -> None:
        """Hear nothing more and let what was heard be written, or sent; then leave word until when Plex was heard, so
        that who listens next knows how long nobody did.
        """
        self._listening.cancel()
        while len(self.event_queue):
            await self.live.wait_for_commit()
        if self.live.listens:
            await self._keep_file()
            while len(self.event_queue):
                await self.live.wait_for_commit()
        if not self.live.listens or self.live.storage != "ok":
            return
        state, at = self.live.state, self.now().at
        if state.connection.state == "live":
            state = replace(state, refreshed_at=at)
        word = self.leader_record.build_final_commit(state, self.live.counters.as_dict(), at)
        with anyio.CancelScope(shield=True), suppress(StorageError, LeadershipLost):
            await self.cache.set_lock_timeout(FINAL_WRITE_MS)
            await self.cache.write([], UNKNOWN, at, word)
