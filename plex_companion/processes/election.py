"""Decides which process on a database leads: it listens to Plex and writes. The others follow, and one takes over when
it ends.
"""

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
from plex_companion.cache.load import build_base, load_state
from plex_companion.cache.open_files import UNKNOWN, find_replacement
from plex_companion.changes.kinds import ConnectionChanged
from plex_companion.errors import DatabaseUnusable, StartError
from plex_companion.events import ReceivedEvent, StorageReport
from plex_companion.ingest.leader import LeaderRecord, receive_forwarded
from plex_companion.ingest.loop import ingest
from plex_companion.models import Connection
from plex_companion.private_files import make_folder
from plex_companion.processes.follower import is_file_of_server
from plex_companion.resources.registry import find_touched_uris

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from typing import Any

    from plex_companion.cache.database import Cache
    from plex_companion.cache.leadership import Base, TouchedUris
    from plex_companion.cache.lock import LeaderLock
    from plex_companion.cache.open_files import Replacement
    from plex_companion.changes.kinds import Effect
    from plex_companion.changes.state import State
    from plex_companion.ingest.live import Live
    from plex_companion.ingest.queue import EventQueue
    from plex_companion.ingest.retention import Retention
    from plex_companion.models import Moment
    from plex_companion.processes.follower import Follower

    LeaderTask = Callable[[], Coroutine[Any, Any, None]]

logger = logging.getLogger(__name__)

CHECK_SECONDS = 2.0
"""How often the leader checks whether its file and its lock still have their names."""
FINAL_WRITE_MS = 200
"""How long the last write of a process that ends waits for the database."""
FILE_PROBLEMS: dict[Replacement, str] = {
    "nothing": "The database file was removed or renamed while it was in use; it is being rewritten",
    "ours": "A file beside the database was removed while it was in use; the database is being rewritten",
    "no folder": "The folder of the database is gone; new data is kept in memory until it is back",
    "cut": "The database file was overwritten while it was in use and is left alone; move it away to have it rewritten",
    "another": "Another file has the name of the database and is left alone; move it away to have the database rewritten",
}
"""What people read when the file has lost its name."""


@dataclass(slots=True)
class Election:
    """The part this process plays among those on its database, for as long as it runs."""

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
    """The digest of our server's address, by which its database is recognized while the server does not answer."""
    guard_owner: LeaderTask = anyio.sleep_forever
    """Ends the program when the database it follows turns out to be another server's."""
    _base: Base | None = None
    _problem: str | None = None
    _recorded_generation: int | None = None
    _listening: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def load(self) -> None:
        """Load the state, before it is first read.

        Raises:
            DatabaseUnusable: it cannot be read.
        """
        self.live.listens = self.cache.in_memory or self.lock.try_acquire()
        try:
            if self.live.listens:
                self.live.state = await self._load_state()
                return
            await self.follower.refresh()
        except StorageError as error:
            message = f"The database {self.cache.path} cannot be read: {error}."
            raise DatabaseUnusable(message) from error
        logger.info("Another process listens to Plex; this one follows it")

    async def run(self, listen: LeaderTask, duties: Sequence[LeaderTask]) -> None:
        """Lead or follow, in turn, forever.

        Args:
            listen: puts what Plex sends into the event queue; it is stopped first.
            duties: other tasks of the leader.
        """
        while True:
            if not self.live.listens:
                await self._follow()
            await self._lead(listen, duties)
            self._demote()

    async def _follow(self) -> None:
        while not self.live.listens:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.follower.forward)
                tasks.start_soon(self.guard_owner)
                hung = await self.follower.follow(self.lock)
                tasks.cancel_scope.cancel()
            await self._take_over("hangs" if hung else "has ended")

    async def _load_state(self) -> State:
        term = await self.cache.read_term()
        state = await load_state(self.cache, self.now())
        self._base = build_base(term, state)
        return state

    async def _take_over(self, what: str) -> None:
        """Go on as the leader: publish what the last one committed, then announce that this process connects."""
        before, now = self.live.state.connection, self.now()
        try:
            await self.follower.refresh()
            state = await self._load_state()
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
            state.down_since = now.at  # another process held the lock, so Plex was connected until now
        state.connection = Connection("connecting", now.at, state.connection.epoch, f"the process that listened {what}")
        logger.info("The process that listened to Plex %s; this one takes over", what)
        self.live.publish(state)
        self.live.listens = True
        changed = ConnectionChanged(state.connection)
        self.announce([changed], find_touched_uris([changed]))

    async def _lead(self, listen: LeaderTask, duties: Sequence[LeaderTask]) -> None:
        """Lead until another process has begun to, which no lock should have allowed."""
        self.live.now = self.now().at
        touched = find_touched_uris([ConnectionChanged(self.live.state.connection)])
        self.leader_record = LeaderRecord(os.getpid(), find_touched_uris, base=self._base, unannounced=touched)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, listen)
            tasks.start_soon(self._hold_leadership, tasks.cancel_scope)
            tasks.start_soon(receive_forwarded, self.cache, self.event_queue.put, self.now)
            for duty in duties:
                tasks.start_soon(duty)
            await ingest(self.event_queue, self.live, self.cache, self.announce, self.retention, self.leader_record)
            tasks.cancel_scope.cancel()

    async def _listen(self, listen: LeaderTask) -> None:
        self._listening = anyio.CancelScope()
        with self._listening:
            await listen()

    async def _hold_leadership(self, leading: anyio.CancelScope) -> None:
        """Watch the names of the file and the lock.

        Stop leading when another process or another file has replaced them.
        """
        while await self._check_file() and await self._check_lock():
            if self.cache.in_memory:
                await self.live.wait_for_commit()
            else:
                await anyio.sleep(CHECK_SECONDS)
        leading.cancel()

    async def _check_file(self) -> bool:
        """Rewrite the database if it has lost its name; return whether this process still writes it."""
        if self.cache.in_memory:
            return self.live.state.server is None or await self._create_file()
        if self.cache.is_in_place():
            await self._report(None)
            await self._record_address()
            return True
        replacement = find_replacement(self.cache.path, self.cache.files)
        if replacement == "another" and is_file_of_server(self.cache, self.live.state.server):
            return False
        if self._problem is None or replacement not in {"nothing", "ours"}:
            await self._report(FILE_PROBLEMS[replacement])
        if replacement in {"nothing", "ours"}:
            await self._rewrite_file()
        return True

    async def _create_file(self) -> bool:
        """Make the database in memory a file, now that a server has answered.

        Return false if another process created it first.
        """
        try:
            make_folder(self.cache.path.resolve().parent)
        except OSError as error:
            await self._report_unwritable(error)
            return True
        if not self.lock.try_acquire() or self.cache.path.exists():
            return False
        await self._rewrite_file()
        return True

    async def _rewrite_file(self) -> None:
        try:
            with anyio.CancelScope(shield=True):
                await self.cache.rewrite_file()
        except (OSError, StorageError, StartError) as error:
            await self._report_unwritable(error)
            return
        await self._report(None)

    async def _report_unwritable(self, error: Exception) -> None:
        """Report once that the file cannot be written, in place of what was reported before."""
        self.cache.creation_failed = self.cache.in_memory
        reason = getattr(error, "strerror", None) or str(error)
        await self._report(f"The database file cannot be written ({reason}); new data is kept in memory")

    async def _report(self, problem: str | None) -> None:
        """Report what is wrong with the file, and that it is fine again; each once."""
        if problem != self._problem:
            self._problem = problem
            words = problem or "The database file is back"
            logger.warning("%s", words)
            await self.event_queue.put(
                [ReceivedEvent(StorageReport("file", ok=problem is None, words=words), self.now())]
            )

    async def _record_address(self) -> None:
        """Record in the database at which address its server was reached."""
        if self.live.state.connection.state == "live" and self._recorded_generation != self.cache.generation:
            with suppress(StorageError):
                if (await self.cache.read_owner()).address != self.own_address:
                    await self.cache.record_address(self.own_address)
                self._recorded_generation = self.cache.generation

    async def _check_lock(self) -> bool:
        """Touch the lock; return whether this process still leads. If the lock lost its name, acquire it under the name again.

        If another process holds that one, it leads already or is about to. While the folder is gone, nobody can.
        """
        if self.cache.in_memory or self.lock.is_in_place():
            self.lock.beat()
            return True
        with suppress(StorageError):
            if self.leader_record.term is not None and await self.cache.read_term() != self.leader_record.term:
                return False
        self.lock.release()
        return self.lock.try_acquire() or not self.lock.path.parent.is_dir()

    def _demote(self) -> None:
        if self.cache.is_in_place() and not self.cache.in_memory:
            logger.warning("Another process listens to Plex, though this one held the lock; this one follows now")
        else:
            logger.warning("Another file of this server has the name of the database; this process follows it now")
        self.lock.release()
        self.live.listens, self.live.unwritten = False, []
        self.event_queue.filter(lambda received: received.forwarded_id is None and is_forwardable(received.event))

    async def stop(self) -> None:
        """Stop listening, let every event be written or forwarded, then record until when Plex was connected.

        The next leader derives from that time how long no process listened.
        """
        self._listening.cancel()
        while len(self.event_queue):
            await self.live.wait_for_commit()
        if self.live.listens:
            await self._check_file()
            while len(self.event_queue):
                await self.live.wait_for_commit()
        if not self.live.listens or self.live.storage != "ok":
            return
        state, at = self.live.state, self.now().at
        if state.connection.state == "live":
            state = replace(state, refreshed_at=at)
        commit = self.leader_record.build_final_commit(state, self.live.counters.as_dict(), at)
        with anyio.CancelScope(shield=True), suppress(StorageError, LeadershipLost):
            await self.cache.set_lock_timeout(FINAL_WRITE_MS)
            await self.cache.write([], UNKNOWN, at, commit)
