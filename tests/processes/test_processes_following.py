"""Two companions on one database: one listens, the other follows, and goes on when the first one ends."""

from __future__ import annotations

import json
import logging
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import anyio
import pytest
from pydantic import SecretStr
from support.application import settings_for
from support.deadlines import HANG_SECONDS
from support.several_processes import Member, ending, member, rows, two

from plex_companion import serialize
from plex_companion.cache.database import open_cache
from plex_companion.cache.migrate import list_migrations, migrate
from plex_companion.cache.queries.read import read_events_after
from plex_companion.changes.activities import SCAN
from plex_companion.commands.reports.archive import open_archive
from plex_companion.companion import read_clock
from plex_companion.demo import open_demo
from plex_companion.errors import PlexUnauthorized
from plex_companion.events import Audit, ReceivedEvent
from plex_companion.models import Moment, ToolTask
from plex_companion.resources.server import read_server
from plex_companion.resources.task_uris import build_task_uri
from plex_companion.tools.acknowledge import acknowledge_alert
from plex_companion.tools.declare import FollowedWork
from plex_companion.tools.follow_up.task_store import TaskStore

if TYPE_CHECKING:
    from pathlib import Path

    from plex_companion.demo import Demo

pytestmark = pytest.mark.slow


def shown(one: Member) -> dict[str, object]:
    """What resources show of the state, but for what depends on when it is asked."""
    found = {**serialize.build_envelope(one.companion.state, 0), **serialize.serialize_sessions(one.companion.states)}
    found["connection"] = {**found["connection"], "stale_seconds": None, "last_event_at": None}
    return found


async def audit(one: Member, tool: str) -> None:
    await one.companion.event_queue.put([ReceivedEvent(Audit(tool, "done", {"tool": tool}), one.companion.clock())])


async def test_one_listens_and_the_other_does_not_connect_to_plex(demo: Demo, tmp_path: Path) -> None:
    async with two(demo, tmp_path) as (first, second):
        assert (first.listens, second.listens) == (True, False)
        assert second.companion.is_live
        await anyio.wait_all_tasks_blocked()
        assert demo.subscribers.sockets == 1


async def test_what_happens_is_shown_and_told_in_both(demo: Demo, tmp_path: Path) -> None:
    async with two(demo, tmp_path) as (first, second):
        session = demo.start()
        await first.until(lambda: first.sessions and first.sessions[session.key].listed)
        with anyio.fail_after(HANG_SECONDS):
            await second.until(lambda: second.sessions and second.sessions[session.key].listed)
        assert shown(second) == shown(first)
        assert not second.sessions[session.key].stale
        demo.pause(session)
        await first.until(lambda: first.sessions[session.key].state == "paused")
        with anyio.fail_after(HANG_SECONDS):
            await second.until(lambda: second.sessions[session.key].state == "paused")
        demo.stop(session)
        await first.until(lambda: not first.sessions)
        with anyio.fail_after(HANG_SECONDS):
            await second.until(lambda: not second.sessions)
        await second.until(lambda: set(first.announced) - set(second.announced) <= {"plex://libraries"})
        assert {"plex://sessions", f"plex://sessions/{session.key}", "plex://events", "plex://history"} <= set(
            second.announced
        )


async def test_who_waits_in_a_process_that_follows_is_woken_and_can_read_what_happened(
    demo: Demo, tmp_path: Path
) -> None:
    async with two(demo, tmp_path) as (_, second):
        before = second.companion.state.next_event - 1
        changed = second.companion.live.prepare_wait()
        demo.start()
        with anyio.fail_after(HANG_SECONDS):
            await changed.wait()
            while not (await read_events_after(second.companion.cache, before, ["playing"], 10)).rows:
                await second.companion.live.wait_for_commit()


async def test_what_the_other_counts_and_how_it_is_connected_is_shown(demo: Demo, tmp_path: Path) -> None:
    async with two(demo, tmp_path) as (first, second):
        demo.start()
        await second.until(lambda: second.companion.read_counters()["events"].get("playing"))
        body = await read_server(second.companion)
        assert body["process"]["role"] == "reader"
        assert body["process"]["listener_pid"] == body["process"]["pid"], "both are this process"
        assert body["counters"]["snapshots"] >= 1
        assert (await read_server(first.companion))["process"]["role"] == "listener"
        await demo.shut_down()
        await second.until(lambda: second.companion.state.connection.state == "down")
        # The reason changes with the next attempt to connect, at once.
        await second.until(lambda: second.companion.state.connection == first.companion.state.connection)
        assert all(session.stale for session in second.sessions.values())


async def test_what_a_tool_did_in_the_other_process_is_journaled_once_and_at_its_time(
    demo: Demo, tmp_path: Path
) -> None:
    async with two(demo, tmp_path) as (first, second):
        moment = second.companion.clock()
        await second.companion.event_queue.put(
            [
                ReceivedEvent(Audit("playlist_delete", "done", {"n": n}), Moment(moment.at - n, moment.tick))
                for n in range(3)
            ]
        )
        with anyio.fail_after(HANG_SECONDS):
            while not rows(tmp_path, "SELECT 1 FROM events WHERE type = 'audit'") or rows(
                tmp_path, "SELECT 1 FROM letters"
            ):
                await first.companion.live.wait_for_commit()
        recorded = rows(tmp_path, "SELECT at, payload FROM events WHERE type = 'audit' ORDER BY id")
        assert [(moment.at - at, json.loads(payload)) for at, payload in recorded] == [(n, {"n": n}) for n in range(3)]


async def test_an_alert_is_acknowledged_in_a_process_that_follows(demo: Demo, tmp_path: Path) -> None:
    async with two(demo, tmp_path) as (first, second):
        await demo.shut_down()
        await second.until(lambda: second.companion.state.alerts)
        (alert,) = second.companion.state.alerts.values()
        with anyio.fail_after(HANG_SECONDS):
            known = await acknowledge_alert(second.companion, str(alert.id))
        assert known.acknowledged_at is not None
        assert [one.acknowledged_at for one in first.companion.state.alerts.values()] == [known.acknowledged_at]
        await second.until(lambda: "plex://alerts" in second.announced)
    assert rows(tmp_path, "SELECT acknowledged_at FROM alerts") == [(known.acknowledged_at,)]
    assert rows(tmp_path, "SELECT 1 FROM letters") == []


async def finish_task(one: Member, store: TaskStore, identifier: str) -> ToolTask:
    """The task once it has ended."""
    while True:
        committed = one.companion.live.prepare_wait()
        found = await store.read(identifier, "owner")
        if found is not None and found.status != "working":
            return found
        await committed.wait()


async def test_a_task_of_a_process_that_follows_ends_with_the_work_and_is_told(demo: Demo, tmp_path: Path) -> None:
    async with two(demo, tmp_path) as (_, second):
        store = TaskStore(second.companion)
        work = FollowedWork(SCAN, ("1",))
        with anyio.fail_after(HANG_SECONDS):
            task = await store.begin("library_scan", "owner", work, "{}", second.companion.now_ms)
            assert task is not None
            scan = demo.state.start_activity(SCAN, "Scanning Films", cancellable=True)
            demo.state.move_activity(scan, 50, librarySectionID="1")
            demo.state.end_activity(scan)
            found = await finish_task(second, store, task.id)
        assert (found.status, found.finished_at is None) == ("completed", False)
        await second.until(lambda: build_task_uri(task.id) in second.announced)


async def test_a_token_that_one_process_renewed_is_used_by_the_other(tmp_path: Path) -> None:
    async with open_demo(alive=False, require_token="old-owner-token") as demo, two(demo, tmp_path) as (first, second):
        demo.replace_token("new-owner-token")
        assert first.companion.gateway.token != demo.token
        await second.companion.gateway.adopt_token(SecretStr(demo.token), demo.state.machine_identifier)
        first.companion.gateway.forget()
        with suppress(PlexUnauthorized):  # unless something that it reads by itself was refused before
            await first.companion.gateway.call(lambda plex: plex.machineIdentifier)
        assert await first.companion.gateway.call(lambda plex: plex.machineIdentifier) == demo.state.machine_identifier


async def test_who_listens_and_tells_nothing_is_believed_for_three_minutes(demo: Demo, tmp_path: Path) -> None:
    ahead = 0

    def later() -> Moment:
        now = read_clock()
        return Moment(now.at + ahead, now.tick + ahead)

    async with member(demo, tmp_path) as first:
        await first.live()
        session = demo.start()
        await first.until(lambda: first.sessions and first.sessions[session.key].listed)
        async with member(demo, tmp_path, now=later) as second:
            ahead = 170_000
            await second.companion.live.wait_for_commit()
            demo.pause(session)
            await second.until(lambda: second.sessions[session.key].state == "paused")
            assert second.companion.is_live
            second.announced.clear()
            ahead = 190_000
            await second.until(lambda: second.companion.state.connection.state == "down")
            assert second.companion.state.connection.detail == "the process that listens does not respond"
            assert second.sessions[session.key].stale
            assert {"plex://sessions", "plex://server"} <= set(second.announced)
            ahead = 0
            demo.resume(session)
            await second.until(lambda: second.companion.is_live)
            assert not second.sessions[session.key].stale


async def test_a_process_starts_beside_one_that_keeps_the_database_locked(demo: Demo, tmp_path: Path) -> None:
    async with member(demo, tmp_path) as first:
        await first.live()
        with closing(sqlite3.connect(tmp_path / "cache.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with anyio.fail_after(HANG_SECONDS):
                async with member(demo, tmp_path) as second:
                    assert second.companion.is_live
                    assert not second.listens


async def test_a_process_waits_for_another_one_that_migrates_the_database(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite3"
    migrate(path, list_migrations()[:1])
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        opened = anyio.Event()

        async def start() -> None:
            async with open_cache(path) as cache:
                assert cache.schema == list_migrations()[-1].version
                opened.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start)
            with anyio.move_on_after(1):
                await opened.wait()
            assert not opened.is_set()
            other.execute("ROLLBACK")
            with anyio.fail_after(HANG_SECONDS):
                await opened.wait()


async def test_what_a_process_said_before_it_ended_is_written_down_by_whoever_listens_next(
    demo: Demo, tmp_path: Path
) -> None:
    async with two(demo, tmp_path) as (_, second):
        for n in range(20):
            await audit(second, f"tool_{n}")
    async with member(demo, tmp_path) as third:
        await third.until(lambda: not rows(tmp_path, "SELECT 1 FROM letters"))
    recorded = rows(tmp_path, "SELECT subject FROM events WHERE type = 'audit' ORDER BY id")
    assert [subject for (subject,) in recorded] == [f"tool_{n}" for n in range(20)]


async def test_a_letter_that_cannot_be_read_is_thrown_away_and_the_next_one_is_not(demo: Demo, tmp_path: Path) -> None:
    async with two(demo, tmp_path) as (first, second):
        for kind, body in (("invented", "{}"), ("audit", "[]"), ("audit", '{"tool":"x"}'), ("audit", "no json")):
            await second.companion.cache.writer.execute(
                "INSERT INTO letters (at, kind, body) VALUES (1, ?, ?)", (kind, body)
            )
        await audit(second, "well")
        await first.until(lambda: rows(tmp_path, "SELECT 1 FROM events WHERE subject = 'well'"))
        assert rows(tmp_path, "SELECT 1 FROM letters") == []
    assert rows(tmp_path, "SELECT subject FROM events WHERE type = 'audit'") == [("well",)]


async def test_when_the_first_ends_the_other_listens_and_goes_on(demo: Demo, tmp_path: Path) -> None:
    async with ending(demo, tmp_path) as (first, its):
        session = demo.start()
        gone = demo.start(demo.get_movie(1), player=1, user=1)
        await first.until(lambda: len(first.sessions) == 2 and all(one.listed for one in first.sessions.values()))
        async with member(demo, tmp_path) as second:
            play = second.sessions[session.key].play_id
            epoch = second.companion.state.connection.epoch
            states: list[str] = []
            demo.go_silent()
            demo.forget(gone)
            demo.speak_again()
            await its.end()
            with anyio.fail_after(HANG_SECONDS):
                while not second.listens or not second.companion.is_live:
                    await second.companion.live.wait_for_commit()
                    states.append(second.companion.state.connection.state)
            assert "connecting" in states, "in between it says that nobody listens"
            assert second.companion.state.connection.epoch == epoch + 1
            await second.until(lambda: list(second.sessions) == [session.key])
            assert second.sessions[session.key].play_id == play, "the same play"
            demo.pause(session)
            await second.until(lambda: second.sessions[session.key].state == "paused")
    ended = rows(tmp_path, "SELECT ended_by FROM plays WHERE session_key IS NOT NULL ORDER BY id")
    assert ended == [(None,), ("inferred",)]
    ids = [id_ for (id_,) in rows(tmp_path, "SELECT id FROM events ORDER BY id")]
    assert ids == list(range(1, len(ids) + 1))
    assert rows(tmp_path, "SELECT kind FROM alerts WHERE kind = 'listener_gap'") == []


async def test_what_the_first_committed_last_is_told_before_the_other_goes_on(demo: Demo, tmp_path: Path) -> None:
    async with ending(demo, tmp_path) as (first, its), member(demo, tmp_path) as second:
        session = demo.start()
        await first.until(lambda: session.key in first.sessions)
        await its.end()
        await second.until(lambda: second.listens)
        assert f"plex://sessions/{session.key}" in second.announced


async def test_once_it_has_ended_the_database_alone_no_longer_says_that_plex_is_heard(
    demo: Demo, tmp_path: Path
) -> None:
    settings = settings_for(demo, tmp_path)
    async with member(demo, tmp_path) as one:
        await one.live()
        await one.until(lambda: rows(tmp_path, "SELECT link FROM links WHERE state = 'live'"))
        async with open_archive(settings, demo=False) as archive:
            assert archive.state.connection.state == "live"
    async with open_archive(settings, demo=False) as archive:
        assert archive.state.connection.state == "offline"
    refreshed = rows(tmp_path, "SELECT refreshed_at FROM links WHERE state = 'live'")
    assert refreshed, "who listens next knows how long nobody did"


async def test_who_is_deposed_in_spite_of_its_lock_writes_nothing_more_and_follows(
    demo: Demo, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with member(demo, tmp_path, tick=0.05) as first:
        await first.live()
        (tmp_path / "cache.sqlite3.lock").unlink()  # as somebody tidies up
        async with member(demo, tmp_path) as second:
            with anyio.fail_after(HANG_SECONDS):
                while not (second.listens and second.companion.is_live):
                    await second.companion.live.wait_for_commit()
            session = demo.start()
            await second.until(lambda: session.key in second.sessions)
            await first.until(lambda: not first.listens and session.key in first.sessions)
            assert {record.message.split(",")[0] for record in caplog.records} == {"Another process listens to Plex"}
        with anyio.fail_after(HANG_SECONDS):
            while not first.listens:
                await first.companion.live.wait_for_commit()
    ids = [id_ for (id_,) in rows(tmp_path, "SELECT id FROM events ORDER BY id")]
    assert ids == list(range(1, len(ids) + 1))
    assert rows(tmp_path, "SELECT count(*) FROM plays WHERE session_key IS NOT NULL") == [(1,)]


async def test_announcements_taken_down_unseen_count_as_everything(demo: Demo, tmp_path: Path) -> None:
    async with two(demo, tmp_path) as (first, second):
        session = demo.start()
        await second.until(lambda: session.key in second.sessions)
        second.announced.clear()
        await first.companion.cache.writer.execute("DELETE FROM announcements")
        await first.companion.cache.writer.execute(
            "INSERT INTO announcements (id, at, urgent, lazy, listing) "
            "SELECT seq + 5, 0, '[]', '[]', 0 FROM sqlite_sequence WHERE name = 'announcements'"
        )
        everything = {"plex://libraries", f"plex://sessions/{session.key}"}
        await second.until(lambda: everything <= set(second.announced))


async def test_an_idle_listener_writes_nothing(demo: Demo, tmp_path: Path) -> None:
    async with member(demo, tmp_path, tick=0.02) as first, open_cache(tmp_path / "cache.sqlite3") as other:
        await first.until(lambda: first.companion.state.sections and first.companion.state.history.complete)
        before: object = None
        with anyio.fail_after(HANG_SECONDS):
            while before != (before := await other.read_data_version()):
                ticks = first.companion.live.now
                await first.until(lambda: first.companion.live.now > ticks + 500)  # noqa: B023 - awaited before the next round
