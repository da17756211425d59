"""Two machines share a chronicle: one listens to Plex, the other shows the same and takes over."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest
from support.cutting_proxy import cutting_proxy
from support.deadlines import HANG_SECONDS
from support.several_machines import QUICK, Household, Machine, household_of_machines, shared_rows
from support.several_processes import rows

from plex_companion.companion import read_clock
from plex_companion.events import Audit, ReceivedEvent
from plex_companion.models import Moment
from plex_companion.tools.acknowledge import acknowledge_alert

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.postgres import Postgres

    from plex_companion.demo import Demo

pytestmark = pytest.mark.slow

ENTRY = b"plex-companion entry"
"""How the body of every entry begins."""
SHORT = replace(QUICK, idle=6.0, statement=3.0, connect=3.0)
"""For tests in which a machine is cut off for longer than its lock lasts."""


@pytest.fixture
async def household(demo: Demo, tmp_path: Path, postgres: Postgres, group: str) -> AsyncIterator[Household]:
    async with household_of_machines(demo, tmp_path, postgres, group) as machines:
        yield machines


async def begin_two(household: Household) -> tuple[Machine, Machine]:
    """One machine that leads and is heard by Plex, and one that replays."""
    first = await household.begin("first")
    await first.live()
    second = await household.begin("second")
    await second.live()
    return first, second


def shows(one: Machine, key: str, state: str = "playing") -> bool:
    """Whether a machine shows this session in this state, as Plex lists it."""
    session = one.sessions.get(key)
    return session is not None and session.listed and session.state == state


async def until_equal(first: Path, second: Path) -> None:
    """Wait until two machines have the same rows; where they do not get there, show the difference."""
    with anyio.move_on_after(HANG_SECONDS / 3):
        while shared_rows(first) != shared_rows(second):  # noqa: ASYNC110 - two files have no event
            await anyio.sleep(0.05)
    assert shared_rows(first) == shared_rows(second)


def is_written(folder: Path, key: str) -> bool:
    """Whether the database has the play of this session."""
    return [(key,)] == rows(folder, f"SELECT session_key FROM plays WHERE session_key = '{key}'")  # noqa: S608 - our own key


async def until_written(folder: Path, key: str) -> None:
    with anyio.fail_after(HANG_SECONDS):
        while not is_written(folder, key):  # noqa: ASYNC110 - a file has no event
            await anyio.sleep(0.02)


def ids_of_events(folder: Path) -> list[int]:
    return [number for (number,) in rows(folder, "SELECT id FROM events ORDER BY id")]


async def test_one_leads_and_the_other_replays_and_does_not_connect_to_plex(household: Household, demo: Demo) -> None:
    first, second = await begin_two(household)
    assert (first.role, second.role) == ("lead", "replay")
    assert (first.listens, second.listens) == (True, False)
    await anyio.wait_all_tasks_blocked()
    assert demo.subscribers.sockets == 1


async def test_a_press_is_shown_and_told_on_both_machines(household: Household, demo: Demo) -> None:
    both = await begin_two(household)
    session = demo.start()
    for one in both:
        await one.until(partial(shows, one, session.key))
    demo.pause(session)
    for one in both:
        await one.until(partial(shows, one, session.key, "paused"))
        assert not one.sessions[session.key].stale
        await one.until_soon(partial({"plex://sessions", f"plex://sessions/{session.key}"}.issubset, one.announced))
    for one in both:
        one.announced.clear()
    demo.stop(session)
    for one in both:
        await one.until(lambda one=one: not one.sessions)  # type: ignore[misc]  # bound at once
        await one.until_soon(partial(one.announced.count, "plex://history"))
    await until_equal(household.folder / "first", household.folder / "second")


async def test_a_cursor_of_one_machine_holds_on_the_other(household: Household) -> None:
    await begin_two(household)
    sql = "SELECT value FROM about WHERE name = 'database'"
    assert rows(household.folder / "first", sql) == rows(household.folder / "second", sql)


async def test_when_the_leader_ends_the_other_machine_goes_on(household: Household, demo: Demo) -> None:
    _, second = await begin_two(household)
    session = demo.start()
    await second.until(partial(shows, second, session.key))
    await household.end("first")
    await second.until(lambda: second.listens and second.companion.is_live)
    assert second.role == "lead"
    demo.pause(session)
    await second.until(partial(shows, second, session.key, "paused"))
    first = await household.begin("first")
    await first.until(partial(shows, first, session.key, "paused"))
    assert first.role == "replay"
    await until_equal(household.folder / "first", household.folder / "second")
    ids = ids_of_events(household.folder / "second")
    assert ids == list(range(1, len(ids) + 1))
    assert rows(household.folder / "second", "SELECT count(*) FROM plays WHERE session_key IS NOT NULL") == [(1,)]


async def test_an_entry_whose_answer_is_lost_is_on_every_machine_once(
    household: Household, demo: Demo, postgres: Postgres
) -> None:
    async with cutting_proxy(postgres.port) as proxy:
        first = await household.begin("first", port=proxy.port)
        await first.live()
        for number, moment in enumerate(("answer", "request", "late")):
            proxy.arm(moment, ENTRY)  # type: ignore[arg-type]  # the three there are
            session = demo.start(demo.get_movie(number), player=number, user=number)
            await first.until(partial(shows, first, session.key))
            await until_written(household.folder / "first", session.key)
            assert proxy.cuts == number + 1
        await proxy.deliver()
        second = await household.begin("second")
        await second.until(lambda: len(second.sessions) == 3)
        await until_equal(household.folder / "first", household.folder / "second")
        ids = ids_of_events(household.folder / "second")
        assert ids == list(range(1, len(ids) + 1))
        await household.end_all()


async def test_a_leader_cut_off_from_postgresql_is_replaced_and_replays_when_it_is_back(
    household: Household, demo: Demo, postgres: Postgres
) -> None:
    async with cutting_proxy(postgres.port) as proxy:
        first = await household.begin("first", port=proxy.port, timeouts=SHORT)
        await first.live()
        second = await household.begin("second")
        await second.live()
        proxy.cut_all()
        await second.until(lambda: second.listens and second.companion.is_live)
        session = demo.start()
        await second.until(partial(shows, second, session.key))
        await first.until_soon(lambda: not first.listens)
        await first.until_soon(lambda: first.companion.state.connection.detail == "another machine may be listening")
        assert first.companion.state.connection.state == "down"
        await first.until_soon(lambda: demo.subscribers.sockets == 1)
        proxy.refuses = False
        await first.until_soon(lambda: shows(first, session.key) and not first.sessions[session.key].stale)
        assert first.role == "replay"
        await first.until_soon(lambda: first.companion.is_live)
        await until_equal(household.folder / "first", household.folder / "second")
        await household.end_all()


async def test_a_postgresql_that_is_killed_and_started_again_keeps_its_leader_and_misses_nothing(
    household: Household, demo: Demo, postgres: Postgres
) -> None:
    patient = replace(QUICK, returning=5.0)
    first = await household.begin("first", timeouts=patient)
    await first.live()
    second = await household.begin("second", timeouts=patient)
    await second.live()
    postgres.stop("immediate")
    session = demo.start()
    await first.until(partial(shows, first, session.key))
    assert first.companion.live.storage == "degraded"
    await second.until_soon(lambda: second.companion.live.storage == "degraded")
    assert not second.sessions
    postgres.start()
    await second.until(partial(shows, second, session.key))
    assert first.listens
    await first.until_soon(lambda: first.companion.live.storage == "ok")
    demo.pause(session)
    await second.until(partial(shows, second, session.key, "paused"))
    await until_equal(household.folder / "first", household.folder / "second")


async def test_while_postgresql_takes_nothing_the_leader_goes_on_and_the_others_catch_up_later(
    household: Household, demo: Demo, postgres: Postgres
) -> None:
    first, second = await begin_two(household)
    group = household.group
    postgres.query(
        f"""CREATE FUNCTION {group}.fail() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER full_disk BEFORE INSERT ON {group}.chronicle EXECUTE FUNCTION {group}.fail()"""
    )
    session = demo.start()
    await first.until(partial(shows, first, session.key))
    demo.pause(session)
    await first.until(partial(shows, first, session.key, "paused"))
    assert first.companion.live.storage == "degraded"
    assert first.listens
    assert not second.sessions
    postgres.query(f"DROP TRIGGER full_disk ON {group}.chronicle")
    await second.until(partial(shows, second, session.key, "paused"))
    await first.until_soon(lambda: first.companion.live.storage == "ok")
    await until_equal(household.folder / "first", household.folder / "second")
    marks = rows(household.folder / "second", "SELECT kind FROM play_marks ORDER BY id")
    assert ("paused",) in marks or ("pause",) in marks


async def audit(one: Machine, tool: str) -> None:
    await one.companion.event_queue.put([ReceivedEvent(Audit(tool, "done", {"tool": tool}), one.companion.clock())])


async def test_what_a_tool_did_on_the_machine_that_replays_is_journaled_once_on_both(household: Household) -> None:
    _, second = await begin_two(household)
    for number in range(3):
        await audit(second, f"tool_{number}")
    sql = "SELECT payload FROM events WHERE type = 'audit' ORDER BY id"
    for folder in (household.folder / "first", household.folder / "second"):
        await second.until_soon(lambda folder=folder: len(rows(folder, sql)) == 3)  # type: ignore[misc]  # bound at once
        assert [json.loads(payload)["tool"] for (payload,) in rows(folder, sql)] == ["tool_0", "tool_1", "tool_2"]
    assert rows(household.folder / "second", "SELECT 1 FROM letters") == []
    await until_equal(household.folder / "first", household.folder / "second")


async def test_an_alert_is_acknowledged_on_the_machine_that_replays(household: Household, demo: Demo) -> None:
    first, second = await begin_two(household)
    await demo.shut_down()
    await second.until(lambda: second.companion.state.alerts)
    (alert,) = second.companion.state.alerts.values()
    with anyio.fail_after(HANG_SECONDS):
        known = await acknowledge_alert(second.companion, str(alert.id))
    assert known.acknowledged_at is not None
    await first.until(
        lambda: [one.acknowledged_at for one in first.companion.state.alerts.values()] == [known.acknowledged_at]
    )


async def test_a_second_process_of_the_machine_that_replays_follows_it_and_takes_its_place(
    household: Household, demo: Demo
) -> None:
    _, second = await begin_two(household)
    follower = await household.begin("second beside", folder="second")
    assert follower.role == "follow"
    session = demo.start()
    await follower.until(partial(shows, follower, session.key))
    await audit(follower, "a_tool")
    sql = "SELECT 1 FROM events WHERE type = 'audit'"
    await second.until_soon(lambda: rows(household.folder / "first", sql) and rows(household.folder / "second", sql))
    await household.end("second")
    await follower.until_soon(lambda: follower.role == "replay")
    demo.pause(session)
    await follower.until(partial(shows, follower, session.key, "paused"))
    await household.end("first")
    await follower.until(lambda: follower.listens and follower.companion.is_live)
    assert follower.role == "lead"


async def test_while_postgresql_is_away_at_the_start_a_machine_serves_its_own_file_and_says_so(
    household: Household, demo: Demo, postgres: Postgres
) -> None:
    first = await household.begin("first")
    await first.live()
    session = demo.start()
    await first.until(partial(shows, first, session.key))
    await household.end("first")
    postgres.stop()
    first = await household.begin("first")
    status = first.companion.chronicle
    assert status is not None
    assert (first.listens, session.key in first.sessions) == (False, True)
    await first.until_soon(lambda: first.companion.live.storage == "degraded")
    assert status.problem == "PostgreSQL refuses connections"
    postgres.start()
    await first.until(lambda: first.listens and first.companion.is_live)
    assert status.problem is None


async def test_a_machine_that_sees_nothing_new_says_so_after_three_minutes(
    household: Household, demo: Demo, postgres: Postgres
) -> None:
    ahead = 0

    def later() -> Moment:
        now = read_clock()
        return Moment(now.at + ahead, now.tick + ahead)

    first = await household.begin("first")
    await first.live()
    second = await household.begin("second", now=later)
    await second.live()
    postgres.stop("immediate")
    await second.until_soon(lambda: second.companion.live.storage == "degraded")
    assert second.companion.is_live
    ahead = 190_000
    await second.until(lambda: second.companion.state.connection.state == "down")
    assert second.companion.state.connection.detail == "the process that listens does not respond"
    ahead = 0
    postgres.start()
    demo.start()
    await second.until(lambda: second.companion.is_live and second.sessions)


async def test_a_machine_that_was_away_catches_up(household: Household, demo: Demo) -> None:
    first, second = await begin_two(household)
    await household.end("second")
    session = demo.start()
    await first.until(partial(shows, first, session.key))
    demo.stop(session)
    await first.until(lambda: not first.sessions)
    second = await household.begin("second")
    await second.until_soon(lambda: second.number == first.number)
    await until_equal(household.folder / "first", household.folder / "second")


async def test_a_machine_starts_from_a_backup_of_another_one(
    household: Household, demo: Demo, postgres: Postgres
) -> None:
    first = await household.begin("first")
    await first.live()
    session = demo.start()
    await until_written(household.folder / "first", session.key)
    await anyio.Path(household.folder / "second").mkdir()
    with (
        closing(sqlite3.connect(household.folder / "first" / "cache.sqlite3")) as source,
        closing(sqlite3.connect(household.folder / "second" / "cache.sqlite3")) as copy,
    ):
        source.backup(copy)
    (number,) = rows(household.folder / "second", "SELECT number FROM chronicle_position")[0]
    postgres.query(f"DELETE FROM {household.group}.chronicle WHERE number <= %s", number - 1)  # noqa: S608 - our own name
    demo.pause(session)
    second = await household.begin("second")
    await second.until(partial(shows, second, session.key, "paused"))
    await until_equal(household.folder / "first", household.folder / "second")
