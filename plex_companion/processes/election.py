"""Decides which process on a database leads: it listens to Plex and writes. The others follow, and one takes over when
it ends.

Where several machines share a chronicle, one process of each holds the lock of its database, and one of those the lock of
the chronicle, which leads. The others replay: they apply what it appends to the databases of their machines.
"""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.connections import run_read
from plex_companion.cache.database import StorageError
from plex_companion.cache.forwarded_events import is_forwardable
from plex_companion.cache.leadership import LeadershipLost
from plex_companion.cache.link_rows import plan_link_update, read_links
from plex_companion.cache.load import build_load_point, load_states
from plex_companion.cache.open_files import find_replacement
from plex_companion.cache.replication.transaction import Transaction
from plex_companion.changes.kinds import ConnectionChanged
from plex_companion.errors import DatabaseUnusable, StartError
from plex_companion.events import ReceivedEvent, StorageReport
from plex_companion.ingest.leader import LeaderRecord, receive_forwarded
from plex_companion.ingest.loop import ingest
from plex_companion.models import Connection
from plex_companion.private_files import make_folder
from plex_companion.processes.follower import is_file_of_servers
from plex_companion.resources.registry import find_touched_of_links

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping, Sequence
    from typing import Any

    from plex_companion.cache.database import Cache
    from plex_companion.cache.leadership import LoadPoint, TouchedUris
    from plex_companion.cache.lock import LeaderLock
    from plex_companion.cache.open_files import Replacement
    from plex_companion.changes.kinds import Effect
    from plex_companion.changes.state import State
    from plex_companion.ingest.live import Live
    from plex_companion.ingest.queue import EventQueues
    from plex_companion.ingest.retention import Retention
    from plex_companion.models import Moment
    from plex_companion.processes.chronicle_member import ChronicleMember
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
"""The alert text when the file has lost its name."""


@dataclass(slots=True)
class Election:
    """Decides, as long as this process runs, whether it leads or follows the others on its database."""

    live: Live
    cache: Cache
    lock: LeaderLock
    event_queues: EventQueues
    follower: Follower
    now: Callable[[], Moment]
    announce: Callable[[Mapping[str, Sequence[Effect]], TouchedUris], None]
    retention: Retention
    leader_record: LeaderRecord = field(default_factory=lambda: LeaderRecord(os.getpid(), find_touched_of_links))
    own_addresses: tuple[int, ...] = (0,)
    """The digests of our servers' addresses, by which the database is recognized while they do not answer."""
    guard_owner: LeaderTask = anyio.sleep_forever
    """Ends the program when the database it follows turns out to be another server's."""
    member: ChronicleMember | None = None
    """The part of this machine in a chronicle, if there is one."""
    file_tasks: Sequence[LeaderTask] = ()
    """What a machine that replays does for its database; the leader does it among its duties."""
    _load_point: LoadPoint | None = None
    _problem: str | None = None
    _recorded_generation: int | None = None
    _listening: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    async def load(self) -> None:
        """Load the state, before it is first read.

        Raises:
            DatabaseUnusable: it cannot be read.
        """
        holds = self.cache.in_memory or self.lock.try_acquire()
        self.live.listens = holds and self.member is None
        try:
            if self.live.listens:
                self.live.publish(await self._load_states())
                return
            await self.follower.refresh()
        except StorageError as error:
            message = f"The database {self.cache.path} cannot be read: {error}."
            raise DatabaseUnusable(message) from error
        if holds and self.member:
            await self.member.try_open()
        elif not holds:
            logger.info("Another process listens to Plex; this one follows it")

    async def run(self, listen: LeaderTask, duties: Sequence[LeaderTask]) -> None:
        """Lead, replay or follow, in turn, forever.

        Args:
            listen: puts what Plex sends into the event queue; it is stopped first.
            duties: other tasks of the leader.
        """
        while True:
            while not self.live.listens:
                what = "has ended" if self.lock.is_held else await self._follow()
                if self.member is None:
                    await self._take_over(f"the process that listened {what}")
                elif await self._replay(self.member):
                    await self._take_over("the machine that listened has ended")
            await self._lead(listen, duties)
            await self._demote()

    async def _follow(self) -> str:
        """Follow until this process holds the lock; return what the one before did."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.follower.forward)
            tasks.start_soon(self.guard_owner)
            hung = await self.follower.follow(self.lock)
            tasks.cancel_scope.cancel()
        return "hangs" if hung else "has ended"

    async def _replay(self, member: ChronicleMember) -> bool:
        """Replay the chronicle until this machine leads; return false if another process replays on it by now."""
        leads = False
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.follower.forward)
            tasks.start_soon(self.guard_owner)
            tasks.start_soon(self._hold_leadership, tasks.cancel_scope)
            for task in self.file_tasks:
                tasks.start_soon(task)
            with suppress(LeadershipLost):
                await member.replay()
                leads = True
            tasks.cancel_scope.cancel()
        if not leads:
            await self._follow_again("Another process has taken over the database of this machine; this one follows it")
        return leads

    async def _load_states(self) -> dict[str, State]:
        links = tuple(self.live.states)
        term = await self.cache.read_term()
        update = plan_link_update(links, await run_read(self.cache.reader, read_links), self.follower.identities)
        if update:
            at = self.now().at
            await self.cache.commit(Transaction(at, lambda: [update.build_call(at)]))
        states = await load_states(self.cache, links, self.now())
        self._load_point = build_load_point(term, states[links[0]].ids)
        return states

    async def _take_over(self, detail: str) -> None:
        """Go on as the leader: publish what the last one committed, then announce that this process connects."""
        now, before = self.now(), {link: state.connection for link, state in self.live.states.items()}
        seamless = self.member is None or self.member.saw_leader
        try:
            await self.follower.refresh()
            states = await self._load_states()
        except (StorageError, LeadershipLost) as error:
            logger.warning("This process cannot lead yet (%s): trying again", str(error) or "another one does")
            await self._release()
            await anyio.sleep(1)
            return
        for link, state in states.items() if seamless else ():
            was = self.live.states[link]
            state.refreshed_at, state.last_event_at = was.refreshed_at, was.last_event_at
            state.sessions_read = was.sessions_read
            if before[link].state == "live":
                state.down_since = now.at  # another process held the lock, so Plex was connected until now
            state.connection = Connection("connecting", now.at, state.connection.epoch, detail)
        if seamless:
            logger.info("This process listens to Plex from now on: %s", detail)
        self.live.publish(states)
        self.live.listens = True
        changed = {link: [ConnectionChanged(state.connection)] for link, state in states.items()}
        self.announce(changed, find_touched_of_links(changed, states))

    async def _lead(self, listen: LeaderTask, duties: Sequence[LeaderTask]) -> None:
        """Lead until another process has begun to, which no lock should have allowed."""
        self.live.now = self.now().at
        states = self.live.states
        connections = {link: [ConnectionChanged(state.connection)] for link, state in states.items()}
        touched = find_touched_of_links(connections, states)
        self.leader_record = LeaderRecord(
            os.getpid(), find_touched_of_links, load_point=self._load_point, unannounced=touched
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen, listen)
            tasks.start_soon(self._hold_leadership, tasks.cancel_scope)
            tasks.start_soon(receive_forwarded, self.cache, self.event_queues, self.now)
            if self.member:
                tasks.start_soon(self._hold_chronicle, self.member, tasks.cancel_scope)
            for task in duties:
                tasks.start_soon(task)
            await ingest(self.event_queues, self.live, self.cache, self.announce, self.retention, self.leader_record)
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

    async def _hold_chronicle(self, member: ChronicleMember, leading: anyio.CancelScope) -> None:
        """Keep the lock of the chronicle; stop leading when another machine has it, or may have it."""
        await member.hold()
        leading.cancel()

    async def _check_file(self) -> bool:
        """Rewrite the database if it has lost its name; return whether this process still writes it."""
        if self.cache.in_memory:
            is_known = any(state.server for state in self.live.states.values())
            return not is_known or await self._create_file()
        if self.cache.is_in_place():
            await self._report(None)
            await self._record_address()
            return True
        replacement = find_replacement(self.cache.path, self.cache.files)
        if replacement == "another" and is_file_of_servers(self.cache, self.live):
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
            await self.event_queues.first.put(
                [ReceivedEvent(StorageReport("file", ok=problem is None, words=words), self.now())]
            )

    async def _record_address(self) -> None:
        """Record in the database at which address its server was reached."""
        is_live = any(state.connection.state == "live" for state in self.live.states.values())
        if is_live and self._recorded_generation != self.cache.generation:
            with suppress(StorageError):
                if (await self.cache.read_owner()).address not in self.own_addresses:
                    await self.cache.record_address(self.own_addresses[0])
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

    async def _demote(self) -> None:
        """Give up leading: replay if another machine leads, otherwise follow the process that does."""
        self.live.listens, self.live.unwritten = False, {}
        self.event_queues.filter(lambda received: received.forwarded_id is None and is_forwardable(received.event))
        if self.member and self.cache.is_in_place() and self.lock.is_in_place():
            await self.member.step_down()
        elif self.cache.is_in_place() and not self.cache.in_memory:
            await self._follow_again(
                "Another process listens to Plex, though this one held the lock; this one follows now"
            )
        else:
            await self._follow_again(
                "Another file of this server has the name of the database; this process follows it now"
            )

    async def _follow_again(self, reason: str) -> None:
        logger.warning("%s", reason)
        await self._release()

    async def _release(self) -> None:
        """Free every lock that this process holds."""
        if self.member:
            await self.member.step_down()
        self.lock.release()

    async def stop(self) -> None:
        """Stop listening, let every event be written or forwarded, then record until when Plex was connected.

        The next leader derives from that time how long no process listened.
        """
        self._listening.cancel()
        while len(self.event_queues):
            await self.live.wait_for_commit()
        if self.live.listens:
            await self._check_file()
            while len(self.event_queues):
                await self.live.wait_for_commit()
        if not self.live.listens or self.live.storage != "ok":
            return
        at = self.now().at
        states = {
            link: replace(state, refreshed_at=at) if state.connection.state == "live" else state
            for link, state in self.live.states.items()
        }
        commit = self.leader_record.build_final_commit(states, self.live.counters.as_dict, at)
        with anyio.CancelScope(shield=True), suppress(StorageError, LeadershipLost):
            await self.cache.set_lock_timeout(FINAL_WRITE_MS)
            await self.cache.write_batches([], at, commit)
