"""The part of this machine in a chronicle: it applies what another machine appends, or appends itself."""

from __future__ import annotations

import hashlib
import json
import logging
import platform
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from plex_companion.cache.connections import run_read
from plex_companion.cache.database import StorageError
from plex_companion.cache.forwarded_events import delete_stored, read_stored
from plex_companion.cache.leadership import LeadershipLost, RemoteId
from plex_companion.cache.replication.position import begin_log, join_log, read_standing
from plex_companion.cache.replication.replay import Replay
from plex_companion.chronicle.append import ChronicleAway, LeadershipUncertain
from plex_companion.chronicle.appender import Appender
from plex_companion.chronicle.entries import build_entry_log, decode_logged
from plex_companion.chronicle.log import FORMAT, About
from plex_companion.chronicle.membership import check_clock, check_membership, check_position
from plex_companion.errors import EntryNewer, EntryUnreadable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.cache.forwarded_events import StoredEvent
    from plex_companion.chronicle.connection import ChronicleConnection
    from plex_companion.chronicle.postgres_session import PostgresSession
    from plex_companion.ingest.live import Live
    from plex_companion.ingest.queue import EventQueues
    from plex_companion.models import Moment
    from plex_companion.processes.follower import Follower

logger = logging.getLogger(__name__)

MAYBE_REPLACED = "another machine may be listening"
REFUSED_SECONDS = 10.0
"""Between two attempts to read an entry that this version cannot read."""


def _accept_links(_: Mapping[str, str | None]) -> Awaitable[None]:
    return anyio.lowlevel.checkpoint()


@dataclass(slots=True)
class ChronicleMember:
    """Applies the entries of the chronicle to the database of this machine until it leads, and then appends.

    Only the process that holds the lock of this machine's database does.
    """

    connection: ChronicleConnection
    cache: Cache
    live: Live
    follower: Follower
    queues: EventQueues
    now: Callable[[], Moment]
    pid: int
    hours: float
    """How long entries are kept."""
    require_own_links: Callable[[Mapping[str, str | None]], Awaitable[None]] = _accept_links
    """Raises unless the servers of a chronicle are ours."""
    saw_leader: bool = False
    """Whether another machine was seen to lead until now."""
    _is_member: bool = False
    """Whether there is a chronicle, and this machine belongs to it."""
    _appender: Appender | None = None
    _received: set[int] = field(default_factory=set)
    """The ids of forwarded events that are being handled."""
    _written_links: dict[str, str | None] | None = None
    _pruned_at: float = float("-inf")

    def __post_init__(self) -> None:
        """Have every new session checked."""
        self.connection.check = self.check

    async def try_open(self) -> None:
        """Connect for the first time. If PostgreSQL is away, the database of this machine is served as it is.

        Raises:
            SettingsError, StartError: this machine cannot belong to the chronicle.
        """
        with suppress(ChronicleAway):  # the connection has logged it, and is opened again later
            await self.connection.open()

    async def check(self, session: PostgresSession) -> None:
        """Check that this machine belongs to the chronicle; a new database becomes part of it.

        Raises:
            SettingsError, StartError: it does not. Nothing was written.
        """
        log = self.connection.log
        self._is_member = False
        check_clock(self.now().at, await log.read_clock(session))
        if (about := await log.read_about(session)) is None:
            return  # it is founded by the first machine that holds the lock
        standing = await run_read(self.cache.reader, read_standing)
        check_membership(standing, about, await log.read_bounds(session))
        check_position(standing.position, await log.read_after(session, standing.position.number - 1, 1))
        if standing.is_new:
            await self.require_own_links(about.links)
            await self.cache.transact(partial(join_log, identity=about.identity))
        self._is_member = True

    async def replay(self) -> None:
        """Apply entries until this machine leads: until it holds the lock and has applied every entry.

        Raises:
            LeadershipLost: another process of this machine replays or leads.
            SettingsError, StartError: this machine does not belong to the chronicle, or not any more.
        """
        self.connection.status.role, self.saw_leader = "replay", False
        replay = Replay(self.pid)
        await self._show()
        while self._appender is None:
            await anyio.sleep(await self._try_step(replay))
            self.follower.publish_if_silent()

    async def _try_step(self, replay: Replay) -> float:
        """Take one step. Return how many seconds to wait before the next one."""
        try:
            await self._step(await self.connection.open(), replay)
        except (EntryNewer, EntryUnreadable) as error:  # the other machines go on without this one
            await self._give_up(error.message)
            return REFUSED_SECONDS
        except ChronicleAway as error:
            self.connection.report(str(error))
            self.live.storage, self.saw_leader = "degraded", False
        except StorageError as error:
            await self._give_up(f"the database of this machine cannot be used ({error})")
        else:
            return 0
        return self.connection.timeouts.retry

    async def _give_up(self, problem: str) -> None:
        await self.connection.close()  # and with it the lock, which another machine can use
        self.connection.report(problem)
        self.live.storage = "degraded"

    async def _step(self, session: PostgresSession, replay: Replay) -> None:
        """Apply what is new, then lead if no other machine does; otherwise wait for more."""
        may_lead = anyio.current_time() >= self._find_first_chance()
        leads = may_lead and await self.connection.log.try_lock(session)
        if not self._is_member:
            await self._begin_chronicle(session) if leads else await self.check(session)
        if self._is_member:
            await self._apply(session, replay)
            await self._pass_on(session)
        if leads:
            self._lead(session)
            return
        self.saw_leader, self.live.storage = may_lead, "ok"
        if self.follower.doubt:
            self.follower.doubt = None
            await self._show()
        await session.wait_for_notice(self.connection.timeouts.poll)

    async def _show(self) -> None:
        """Show what the database of this machine says."""
        self.follower.forget()
        with suppress(StorageError):  # the next step reports it
            await self.follower.refresh()

    def _find_first_chance(self) -> float:
        """Return from when on this machine may lead: the leader of before gets its chance first after PostgreSQL was away."""
        connection = self.connection
        return connection.opened_at + (connection.timeouts.returning if connection.opened > 1 else 0)

    async def _begin_chronicle(self, session: PostgresSession) -> None:
        """Begin the chronicle with the database of this machine, unless there is one by now."""
        await self.check(session)
        if not self._is_member:
            position = await self.cache.transact(begin_log)
            standing = await run_read(self.cache.reader, read_standing)
            await self.connection.log.create(
                session, About(FORMAT, standing.identity, position.number, self._list_links())
            )
            self._is_member = True

    async def _apply(self, session: PostgresSession, replay: Replay) -> None:
        """Apply all entries that this machine does not have, and show what they say."""
        position = await self.cache.read_position()
        while rows := await self.connection.log.read_after(session, position.number):
            entries = [decode_logged(row.number, row.body, self.cache.schema) for row in rows]
            position = await replay.apply(self.cache, entries)
            self.connection.status.note(position.number, rows[-1].number, self.now().at)
            await self.follower.refresh()
        self.connection.status.note(position.number, position.number, self.now().at)

    async def _pass_on(self, session: PostgresSession) -> None:
        """Pass on to the leader what the processes of this machine forward."""
        if stored := await read_stored(self.cache):
            await self.connection.log.forward(session, {self._name(one): one for one in stored})
            await delete_stored(self.cache, stored)

    def _name(self, stored: StoredEvent) -> str:
        """Return a name that is the same when an event is passed on again, and differs on every machine."""
        text = json.dumps([platform.node(), str(self.cache.path), *stored])
        return hashlib.sha256(text.encode()).hexdigest()

    def _lead(self, session: PostgresSession) -> None:
        status = self.connection.status
        self._appender = Appender(self.connection, session, status.number)
        self.cache.entry_log = build_entry_log(self._appender, self.cache.schema)
        status.role, self._received, self._written_links = "lead", set(), None

    async def hold(self) -> None:
        """Keep the lock, receive what other machines forward, and prune the chronicle, until another machine may lead."""
        if (appender := self._appender) is None:
            message = "this machine does not lead"
            raise RuntimeError(message)
        self.follower.doubt = None
        try:
            await appender.hold(self._look, self._resume)
        except LeadershipUncertain:
            logger.warning("This process no longer listens to Plex: %s", MAYBE_REPLACED)
            self.follower.doubt = MAYBE_REPLACED
        except LeadershipLost:
            logger.warning("Another machine listens to Plex by now")

    async def _resume(self) -> None:
        with suppress(StorageError):  # whoever writes next reports it
            await self.cache.settle()

    async def _look(self, session: PostgresSession) -> None:
        log = self.connection.log
        await self._receive(await log.read_forwarded(session))
        if (links := self._list_links()) != self._written_links:
            await log.write_links(session, links)
            self._written_links = links
        if anyio.current_time() - self._pruned_at > self.connection.timeouts.prune:
            await log.prune(session, self.hours)
            self._pruned_at = anyio.current_time()
        if self._appender:
            self.connection.status.note(self._appender.last, self._appender.last, self.now().at)

    async def _receive(self, found: Sequence[StoredEvent]) -> None:
        """Put events of other machines into the queue, each once. The entry that handles them marks them as handled."""
        new = [stored for stored in found if stored.id not in self._received]
        self._received = {stored.id for stored in found}
        for stored in new:
            event = stored.decode(self.now())._replace(forwarded_id=RemoteId(stored.id))
            await self.queues.find(stored.link).put([event])

    def _list_links(self) -> dict[str, str | None]:
        return {
            link: state.server.machine_identifier if state.server else None for link, state in self.live.states.items()
        }

    async def step_down(self) -> None:
        """Stop leading or replaying: free the lock. What waits is dropped; if it is in the chronicle, it comes back."""
        if self.cache.entry_log is not None:
            self.cache.entry_log.forget()
        self.cache.entry_log = self._appender = None
        self.connection.status.role = "follow"
        await self.connection.close()
