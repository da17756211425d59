"""Every entry is appended once, whatever becomes of the connection, and by nobody who does not lead."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn
from uuid import uuid4

import anyio
import pytest
from support.cutting_proxy import CuttingProxy, cutting_proxy
from support.deadlines import HANG_SECONDS

from plex_companion.cache.forwarded_events import StoredEvent
from plex_companion.cache.leadership import LeadershipLost
from plex_companion.cache.replication.entry import EncodedEntry
from plex_companion.chronicle.append import ChronicleAway, LeadershipUncertain
from plex_companion.chronicle.appender import Appender
from plex_companion.chronicle.connection import ChronicleConnection
from plex_companion.chronicle.log import FORMAT, About, ChronicleLog
from plex_companion.chronicle.postgres_session import NumberTaken, PostgresSession, SessionLost
from plex_companion.chronicle.timeouts import DEFAULT_CHRONICLE_TIMEOUTS, ChronicleTimeouts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.postgres import Postgres

BODY = b"an entry with a body that no other request holds"
PATIENT = replace(DEFAULT_CHRONICLE_TIMEOUTS, statement=HANG_SECONDS, connect=HANG_SECONDS, poll=0.02, retry=0.02)


class Leader:
    """A connection that holds the lock, and what appends through it."""

    def __init__(self, connection: ChronicleConnection, appender: Appender) -> None:
        self.connection, self.appender, self.log = connection, appender, connection.log
        self.resumed = anyio.Event()
        self._entries: dict[bytes, EncodedEntry] = {}

    async def append(self, body: bytes, *handled: int) -> int:
        """Append an entry with this body; when it is tried again, it is the same one."""
        return await self.appender(self._entries.setdefault(body, EncodedEntry(uuid4().hex, body, handled)))

    async def hold(self) -> NoReturn:
        await self.appender.hold(self._look, self._resume)

    async def _look(self, session: PostgresSession) -> None:
        await self.log.read_clock(session)

    async def _resume(self) -> None:
        self.resumed.set()

    async def read(self) -> list[tuple[int, bytes]]:
        """The log, as another machine reads it."""
        return [(row.number, row.body) for row in await self.log.read_after(await self.connection.open(), 0)]


@asynccontextmanager
async def connected(
    postgres: Postgres, group: str, port: int | None = None, timeouts: ChronicleTimeouts = PATIENT
) -> AsyncIterator[ChronicleConnection]:
    dsn = postgres.dsn_of("postgres", port=port)
    connection = ChronicleConnection(dsn, ChronicleLog(group), timeouts)
    try:
        yield connection
    finally:
        await connection.close()


async def lead(connection: ChronicleConnection) -> Leader:
    """Acquire the lock; begin the chronicle if there is none."""
    log, session = connection.log, await connection.open()
    assert await log.try_lock(session)
    if await log.read_about(session) is None:
        await log.create(session, About(FORMAT, "an-identity", 0))
    return Leader(connection, Appender(connection, session, (await log.read_bounds(session)).last))


@asynccontextmanager
async def leader_behind_proxy(postgres: Postgres, group: str) -> AsyncIterator[tuple[Leader, CuttingProxy]]:
    async with cutting_proxy(postgres.port) as proxy, connected(postgres, group, proxy.port) as connection:
        yield await lead(connection), proxy


async def until_lock_is_free(connection: ChronicleConnection, session: PostgresSession) -> None:
    """Wait until PostgreSQL has given the lock to this session."""
    with anyio.fail_after(HANG_SECONDS):
        while not await connection.log.try_lock(session):  # noqa: ASYNC110 - PostgreSQL tells nobody
            await anyio.sleep(0.01)


async def return_(leader: Leader) -> None:
    """Let the leader find the way back."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(leader.hold)
        with anyio.fail_after(HANG_SECONDS):
            await leader.resumed.wait()
        tasks.cancel_scope.cancel()


async def test_entries_have_numbers_without_gaps(postgres: Postgres, group: str) -> None:
    async with connected(postgres, group) as connection:
        leader = await lead(connection)
        assert [await leader.append(b"%d" % number) for number in range(1, 8)] == list(range(1, 8))
        assert await leader.read() == [(number, b"%d" % number) for number in range(1, 8)]


async def test_an_entry_that_the_database_could_not_commit_is_appended_once_though_it_is_tried_again(
    postgres: Postgres, group: str
) -> None:
    async with connected(postgres, group) as connection:
        leader = await lead(connection)
        assert [await leader.append(body) for body in (b"one", b"one", b"two", b"two", b"two")] == [1, 1, 2, 2, 2]
        assert await leader.read() == [(1, b"one"), (2, b"two")]


async def test_an_entry_whose_answer_is_lost_is_recognized_and_not_appended_twice(
    postgres: Postgres, group: str
) -> None:
    async with leader_behind_proxy(postgres, group) as (leader, proxy):
        assert await leader.append(b"first") == 1
        proxy.arm("answer", BODY)
        with pytest.raises(SessionLost):
            await leader.append(BODY)
        await return_(leader)
        assert await leader.append(BODY) == 2
        assert await leader.append(b"last") == 3
        assert proxy.cuts == 1
        assert await leader.read() == [(1, b"first"), (2, BODY), (3, b"last")]


async def test_an_entry_that_did_not_arrive_is_appended_once(postgres: Postgres, group: str) -> None:
    async with leader_behind_proxy(postgres, group) as (leader, proxy):
        assert await leader.append(b"first") == 1
        proxy.arm("request", BODY)
        with pytest.raises(SessionLost):
            await leader.append(BODY)
        await return_(leader)
        assert await leader.append(BODY) == 2
        assert await leader.read() == [(1, b"first"), (2, BODY)]


async def test_an_entry_that_arrives_after_its_leader_has_come_back_is_not_appended_twice(
    postgres: Postgres, group: str
) -> None:
    """PostgreSQL does not know yet that the connection is lost, and would carry out what is still under way."""
    async with leader_behind_proxy(postgres, group) as (leader, proxy):
        proxy.arm("late", BODY)
        with pytest.raises(SessionLost):
            await leader.append(BODY)
        assert proxy.held is not None
        await return_(leader)
        with anyio.fail_after(HANG_SECONDS):
            await proxy.deliver()
        assert await leader.read() == []
        assert await leader.append(BODY) == 1
        assert await leader.read() == [(1, BODY)]


async def test_nothing_else_is_appended_while_an_entry_waits(postgres: Postgres, group: str) -> None:
    async with leader_behind_proxy(postgres, group) as (leader, proxy):
        proxy.arm("answer", BODY)
        with pytest.raises(SessionLost):
            await leader.append(BODY)
        with pytest.raises(RuntimeError, match="another entry is lost"):
            await leader.append(b"another")
        with pytest.raises(ChronicleAway):  # not connected yet
            await leader.append(BODY)


async def test_while_postgresql_is_away_an_entry_is_refused_at_once_and_does_not_wait(
    postgres: Postgres, group: str
) -> None:
    async with leader_behind_proxy(postgres, group) as (leader, proxy):
        proxy.cut_all()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(leader.hold)
            with anyio.fail_after(HANG_SECONDS):
                while leader.appender.session or leader.connection.status.problem is None:  # noqa: ASYNC110 - a connection has no event
                    await anyio.sleep(0.01)
            with pytest.raises(ChronicleAway) as raised:
                await leader.append(BODY)
            assert not isinstance(raised.value, SessionLost)
            proxy.refuses = False
            with anyio.fail_after(HANG_SECONDS):
                await leader.resumed.wait()
            assert await leader.append(b"another one") == 1
            tasks.cancel_scope.cancel()


async def test_an_entry_that_postgresql_refuses_leaves_nothing_and_does_not_end_the_leadership(
    postgres: Postgres, group: str
) -> None:
    async with connected(postgres, group) as connection:
        leader = await lead(connection)
        postgres.query(
            f"""CREATE FUNCTION {group}.fail() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
            CREATE TRIGGER full_disk BEFORE INSERT ON {group}.chronicle EXECUTE FUNCTION {group}.fail()"""
        )
        with pytest.raises(ChronicleAway, match="could not extend file") as raised:
            await leader.append(BODY)
        assert not isinstance(raised.value, SessionLost)
        postgres.query(f"DROP TRIGGER full_disk ON {group}.chronicle")
        assert await leader.append(b"another") == 1


async def test_only_one_session_holds_the_lock_and_it_is_free_when_that_ends(postgres: Postgres, group: str) -> None:
    async with connected(postgres, group) as first, connected(postgres, group) as second:
        await lead(first)
        waiting = await second.open()
        assert not await second.log.try_lock(waiting)
        await first.close()
        await until_lock_is_free(second, waiting)


async def test_two_groups_in_one_database_have_two_locks_and_two_logs(postgres: Postgres, group: str) -> None:
    async with connected(postgres, group) as first, connected(postgres, f"{group}_2") as second:
        one, other = await lead(first), await lead(second)
        assert await one.append(b"of the first") == 1
        assert await other.append(b"of the second") == 1
        assert await one.read() == [(1, b"of the first")]


async def test_a_leader_whose_number_is_taken_has_lost_the_leadership(postgres: Postgres, group: str) -> None:
    async with connected(postgres, group) as first, connected(postgres, group) as second:
        leader = await lead(first)
        assert await leader.append(b"first") == 1
        postgres.query(f"INSERT INTO {group}.chronicle (number, name, body) VALUES (2, gen_random_uuid(), 'x')")  # noqa: S608 - our own name
        with pytest.raises(LeadershipLost):
            await leader.append(BODY)
        with pytest.raises(NumberTaken):
            await second.log.append(
                await second.open(), 2, (await leader.log.read_after(await first.open(), 0))[0].name, b""
            )


async def test_a_leader_that_comes_back_and_finds_another_one_has_lost_the_leadership(
    postgres: Postgres, group: str
) -> None:
    async with leader_behind_proxy(postgres, group) as (leader, proxy), connected(postgres, group) as other:
        assert await leader.append(b"first") == 1
        proxy.cut_all()
        waiting = await other.open()
        await until_lock_is_free(other, waiting)
        proxy.refuses = False
        with pytest.raises(LeadershipLost), anyio.fail_after(HANG_SECONDS):
            await leader.hold()


async def test_a_leader_that_comes_back_after_another_one_has_led_has_lost_the_leadership(
    postgres: Postgres, group: str
) -> None:
    async with leader_behind_proxy(postgres, group) as (leader, proxy):
        proxy.arm("request", BODY)
        with pytest.raises(SessionLost):
            await leader.append(BODY)
        async with connected(postgres, group) as other:
            waiting = await other.open()
            await until_lock_is_free(other, waiting)
            assert await Leader(other, Appender(other, waiting, 0)).append(b"of the other") == 1
        with pytest.raises(LeadershipLost), anyio.fail_after(HANG_SECONDS):
            await leader.hold()


async def test_a_leader_that_cannot_reach_postgresql_for_long_says_that_another_may_lead(
    postgres: Postgres, group: str
) -> None:
    short = replace(PATIENT, idle=2.0)
    async with cutting_proxy(postgres.port) as proxy, connected(postgres, group, proxy.port, short) as connection:
        leader = await lead(connection)
        proxy.cut_all()
        with pytest.raises(LeadershipUncertain), anyio.fail_after(HANG_SECONDS):
            await leader.hold()
        assert anyio.current_time() - leader.appender.answered_at > short.idle


async def test_a_session_that_says_nothing_is_ended_and_its_lock_freed(postgres: Postgres, group: str) -> None:
    short = replace(PATIENT, idle=2.0)  # more than passes between two statements of the one that begins to lead
    async with connected(postgres, group, None, short) as silent, connected(postgres, group) as other:
        leader = await lead(silent)
        waiting = await other.open()
        await until_lock_is_free(other, waiting)
        with pytest.raises(SessionLost):
            await leader.append(BODY)


async def test_a_postgresql_that_hangs_costs_one_statement_and_the_entry_waits(postgres: Postgres, group: str) -> None:
    async with connected(postgres, group) as connection:
        leader, session = await lead(connection), await connection.open()
        connection.timeouts = session._timeouts = replace(PATIENT, statement=0.5, connect=0.5)
        with postgres.suspended():
            with pytest.raises(SessionLost), anyio.fail_after(HANG_SECONDS):
                await leader.append(BODY)
            with pytest.raises(ChronicleAway, match="does not answer"):
                await connection.open()
        connection.timeouts = PATIENT  # a PostgreSQL that has just woken may take its time
        await return_(leader)
        assert await leader.append(BODY) == 1
        assert await leader.read() == [(1, BODY)]


@pytest.mark.slow
async def test_a_postgresql_that_is_killed_and_started_again_finds_the_same_leader(
    group: str, postgres: Postgres
) -> None:
    async with connected(postgres, group) as connection:
        leader = await lead(connection)
        for number in range(1, 4):
            assert await leader.append(b"%d" % number) == number
        postgres.stop("immediate")
        with pytest.raises(ChronicleAway):
            await leader.append(BODY)
        postgres.start()
        await return_(leader)
        assert await leader.append(BODY) == 4
        assert [body for _, body in await leader.read()] == [b"1", b"2", b"3", BODY]


async def test_forwarded_events_are_handled_in_the_transaction_of_their_entry(postgres: Postgres, group: str) -> None:
    async with leader_behind_proxy(postgres, group) as (leader, proxy), connected(postgres, group) as other:
        session = await other.open()
        rows = {f"name {number}": StoredEvent(0, 1_000 + number, "audit", "{}", "link") for number in range(3)}
        await other.log.forward(session, rows)
        await other.log.forward(session, rows)  # its answer was lost
        found = await leader.log.read_forwarded(await leader.connection.open())
        assert [row._replace(id=0) for row in found] == list(rows.values())
        proxy.arm("request", BODY)
        with pytest.raises(SessionLost):
            await leader.append(BODY, *(row.id for row in found[:2]))
        assert await other.log.read_forwarded(session) == found
        await return_(leader)
        assert await leader.append(BODY, *(row.id for row in found[:2])) == 1
        assert await other.log.read_forwarded(session) == found[2:]
        await other.log.forward(session, rows)
        assert await other.log.read_forwarded(session) == found[2:], "what was handled is not forwarded again"


async def test_old_entries_are_pruned_but_never_the_newest(postgres: Postgres, group: str) -> None:
    async with connected(postgres, group) as connection:
        leader = await lead(connection)
        for number in range(1, 5):
            await leader.append(b"%d" % number)
        session = await connection.open()
        await leader.log.prune(session, 24)
        assert await leader.log.read_bounds(session) == (1, 4)
        postgres.query(f"UPDATE {group}.chronicle SET at = now() - interval '25 hours' WHERE number < 3")  # noqa: S608 - our own name
        await leader.log.prune(session, 24)
        assert await leader.log.read_bounds(session) == (3, 4)
        postgres.query(f"UPDATE {group}.chronicle SET at = now() - interval '25 hours'")  # noqa: S608 - the same
        await leader.log.prune(session, 24)
        assert await leader.log.read_bounds(session) == (4, 4)
        assert await leader.append(b"5") == 5


async def test_a_new_entry_wakes_who_waits(postgres: Postgres, group: str) -> None:
    async with connected(postgres, group) as connection, connected(postgres, group) as other:
        leader, session = await lead(connection), await other.open()
        woken = anyio.Event()

        async def wait() -> None:
            assert await session.wait_for_notice(HANG_SECONDS)
            woken.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            await leader.append(b"first")
            with anyio.fail_after(HANG_SECONDS):
                await woken.wait()
