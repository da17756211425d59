"""Ingest: events are written in few transactions, then published, then announced; and it goes on when the disk does not."""

from __future__ import annotations

import logging
import resource
import subprocess
import sys
import tracemalloc
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from sqlite3 import connect
from typing import TYPE_CHECKING, cast

import anyio
import pytest
from support.deadlines import HANG_SECONDS
from support.frames import DEN, START, Story, frame, listed, report

from plex_companion.cache.database import Cache, open_cache
from plex_companion.cache.load import load_state
from plex_companion.changes.alerts.rules import Thresholds
from plex_companion.changes.kinds import AlertOpened, Effect, Journaled, RefreshRequest, SessionEnded, SessionStarted
from plex_companion.events import Connecting, Disconnected, Malformed, ReceivedEvent, Snapshot, Tick, Unknown
from plex_companion.ingest.live import MOST_TYPES, Counters, Live
from plex_companion.ingest.loop import ingest
from plex_companion.ingest.queue import PAUSE_AFTER, EventQueue, EventQueues
from plex_companion.ingest.retention import Retention
from plex_companion.ingest.writer import BACKLOG
from plex_companion.models import ONLY_LINK, Moment
from plex_companion.parsing.websocket_frames import parse_frame
from plex_companion.resources.registry import find_touched_uris

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.events import Event


class Clock:
    """Both clocks, moved by hand."""

    def __init__(self) -> None:
        self.now = Moment(START, 1_000_000)

    def after(self, seconds: float) -> Moment:
        """Later."""
        passed = int(seconds * 1000)
        self.now = Moment(self.now.at + passed, self.now.tick + passed)
        return self.now


@dataclass
class RunningIngest:
    """Ingest on a real file, and what it announced."""

    path: Path
    live: Live
    event_queues: EventQueues
    cache: Cache
    clock: Clock = field(default_factory=Clock)
    announced: list[list[Effect]] = field(default_factory=list)
    rows_when_announced: list[int] = field(default_factory=list)

    @property
    def event_queue(self) -> EventQueue:
        """The queue of the only link."""
        return self.event_queues.first

    def announce(self, changes: Mapping[str, Sequence[Effect]], _: TouchedUris) -> None:
        """Note what was announced, and what a reader would find on the disk at that moment."""
        self.announced.append([change for some in changes.values() for change in some])
        with closing(connect(self.path)) as reader:
            self.rows_when_announced.append(reader.execute("SELECT count(*) FROM events").fetchone()[0])

    async def say(self, *events: Event | str, after: float = 0) -> None:
        """Put events, or the events of frames, into the event_queue."""
        moment = self.clock.after(after)
        understood = [one for event in events for one in (parse_frame(event) if isinstance(event, str) else [event])]
        await self.event_queue.put([ReceivedEvent(event, moment) for event in understood])

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a commit after which something is so."""
        with anyio.fail_after(HANG_SECONDS):
            while not condition():
                await self.live.wait_for_commit()

    @property
    def storage(self) -> str:
        """What `plex://server` says of it."""
        return self.live.storage

    def rows(self, sql: str = "SELECT id FROM events ORDER BY id") -> list[tuple[object, ...]]:
        """What is on the disk."""
        with closing(connect(self.path)) as reader:
            return reader.execute(sql).fetchall()


def playing(key: str = "1", state: str = "playing", at: int = 0, **more: object) -> str:
    return frame("playing", report(key, state, at, **more))


def first_snapshot(clock: Clock, epoch: int = 1) -> Snapshot:
    return Snapshot(epoch, first=True, requested=clock.now, server=DEN, sessions=(), activities=())


@asynccontextmanager
async def run_ingest(
    folder: Path, *, limit: int = 8_192, lock_ms: int = 50, running: bool = True
) -> AsyncIterator[RunningIngest]:
    path = folder / "cache.sqlite3"
    async with open_cache(path, lock_ms) as cache, anyio.create_task_group() as tasks:
        live = Live(await load_state(cache, Moment(START, 1_000_000)))
        it = RunningIngest(path, live, EventQueues(live.states, limit, live.counters), cache)
        if running:
            tasks.start_soon(ingest, it.event_queues, live, cache, it.announce)
        yield it
        tasks.cancel_scope.cancel()


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[RunningIngest]:
    async with run_ingest(tmp_path) as running:
        yield running


async def test_what_is_told_can_be_read_already(it: RunningIngest) -> None:
    await it.say(Connecting(), first_snapshot(it.clock))
    await it.say(playing())
    await it.until(lambda: "1" in it.live.state.sessions)
    await it.say(playing("1", "stopped"))
    await it.until(lambda: not it.live.state.sessions)
    for changes, rows in zip(it.announced, it.rows_when_announced, strict=True):
        newest = max((change.id for change in changes if isinstance(change, Journaled)), default=0)
        assert rows >= newest
    ended = it.rows("SELECT ended_by FROM plays")
    assert ended == [("stopped",)]


async def test_readers_see_the_state_before_they_are_told(tmp_path: Path) -> None:
    seen: list[bool] = []
    async with run_ingest(tmp_path, running=False) as it, anyio.create_task_group() as tasks:

        def announce(changes: Mapping[str, Sequence[Effect]], _: TouchedUris) -> None:
            listed = [change for some in changes.values() for change in some]
            started = [change.session_key for change in listed if isinstance(change, SessionStarted)]
            seen.extend(key in it.live.state.sessions for key in started)

        tasks.start_soon(ingest, it.event_queues, it.live, it.cache, announce)
        await it.say(playing("1"), playing("2", client="stove"))
        await it.until(lambda: len(it.live.state.sessions) == 2)
        tasks.cancel_scope.cancel()
    assert seen == [True, True]


async def test_nothing_is_visible_before_it_is_committed(tmp_path: Path) -> None:
    async with run_ingest(tmp_path, running=False) as it:
        state, changes, _ = it.live.apply([ReceivedEvent(event, it.clock.now) for event in parse_frame(playing())])
        assert (list(state.sessions), it.live.state.sessions) == (["1"], {})
        assert changes


async def test_a_burst_is_a_handful_of_transactions(tmp_path: Path) -> None:
    async with run_ingest(tmp_path, running=False) as it, anyio.create_task_group() as tasks:
        sql: list[str] = []
        await it.cache.writer.set_trace_callback(sql.append)
        for second in range(2_000):
            await it.say(playing("1", at=second), after=1)
        tasks.start_soon(ingest, it.event_queues, it.live, it.cache, it.announce)
        await it.until(lambda: it.live.state.next_event == 2_001)
        begun = [then.split()[0] for first, then in pairwise(sql) if first == "BEGIN IMMEDIATE"]
        assert len([first for first in begun if first != "DELETE"]) == 4, (
            "old rows are deleted in transactions of their own"
        )
        tasks.cancel_scope.cancel()


async def test_an_idle_system_commits_at_once(it: RunningIngest) -> None:
    for second in range(5):
        await it.say(playing("1", at=second), after=1)
        await it.until(lambda second=second: it.live.state.next_event == second + 2)  # type: ignore[misc]  # bound by default


async def test_what_was_written_before_the_server_said_its_name_is_its_own(it: RunningIngest) -> None:
    await it.say(Disconnected("refused"))
    await it.until(lambda: it.live.state.next_event == 2)
    assert it.rows("SELECT DISTINCT server FROM events") == [("unknown",)]
    await it.say(Connecting(), first_snapshot(it.clock))
    await it.until(lambda: it.live.state.server == DEN)
    assert it.rows("SELECT DISTINCT server FROM events UNION SELECT DISTINCT server FROM alerts") == [("den-0001",)]


async def test_malformed_and_unknown_frames_are_counted(it: RunningIngest) -> None:
    await it.say("no json", frame("invented", {"a": 1}), frame("invented", {"a": 2}), playing(), Tick())
    await it.until(lambda: it.live.state.next_event == 4)
    counters = it.live.counters
    assert (counters.malformed, counters.unrecognized, counters.snapshots) == (1, 2, 0)
    assert counters.events == {"invented": 2, "playing": 1}


def test_an_event_that_breaks_a_rule_is_counted_and_the_next_one_is_heard() -> None:
    broken = Thresholds(buffering_count=cast("int", "three"))  # the rule of buffering cannot count to that
    live = Live(Story().state, broken)
    frames = [frame("playing", report(state=state)) for state in ("buffering", "buffering")]
    frames.append(frame("status", {"title": "Scanning"}))
    received = [
        ReceivedEvent(event, Moment(START, at))
        for at, text in enumerate(frames, 60_000_000)
        for event in parse_frame(text)
    ]
    state, changes, _ = live.apply(received)
    assert live.counters.malformed == 2
    assert [change.type for change in changes if isinstance(change, Journaled)] == ["status"]
    assert state.next_event == live.state.next_event + 1


def test_types_that_never_end_do_not_fill_the_counters() -> None:
    counters = Counters()
    for number in range(1_000):
        counters.count(Unknown(f"kind {number}", raw="{}"))
    counters.count(Unknown("x" * 10_000, raw="{}"))
    counters.count(Unknown("kind 5", raw="{}"))
    assert len(counters.events) <= MOST_TYPES + 1
    assert (counters.events["kind 5"], counters.events.total()) == (2, 1_002)


# The event_queue


def received(*texts: str) -> list[ReceivedEvent]:
    return [ReceivedEvent(event, Moment(START + n, n)) for n, text in enumerate(texts) for event in parse_frame(text)]


def offsets(found: list[ReceivedEvent]) -> list[tuple[str, int]]:
    return [(getattr(one.event, "state", "?"), getattr(one.event, "view_offset_ms", 0) // 1000) for one in found]


async def squeezed(*texts: str) -> tuple[list[ReceivedEvent], int]:
    """What is left of these when they fill the event_queue, and one more comes."""
    counters = Counters()
    event_queue = EventQueue(len(texts), counters)
    await event_queue.put([*received(*texts), ReceivedEvent(Tick(), Moment(START, 0))])
    return (await event_queue.drain(1_000))[:-1], counters.collapsed


async def test_a_full_inbox_keeps_the_first_and_the_newest_of_mere_progress() -> None:
    with anyio.fail_after(HANG_SECONDS):
        left, collapsed = await squeezed(*(playing("1", at=second) for second in range(100)))
    assert offsets(left) == [("playing", 0), ("playing", 99)]
    assert collapsed == 98


async def test_a_full_inbox_loses_no_state_change() -> None:
    said = [
        *(playing("1", at=n) for n in range(4)),
        playing("1", "paused", at=4),
        playing("1", "paused", at=4),
        playing("1", "paused", at=4),
        playing("1", "playing", at=4),
        playing("1", "buffering", at=5),
        playing("1", "buffering", at=5),
        playing("1", "stopped", at=6),
        *(playing("1", at=n) for n in range(7, 11)),
        playing("1", at=0, item="7002"),
        playing("1", at=1, item="7002", transcodeSession="job1"),
    ]
    with anyio.fail_after(HANG_SECONDS):
        left, _ = await squeezed(*said)
    assert offsets(left) == [
        ("playing", 0),
        ("playing", 3),
        ("paused", 4),
        ("paused", 4),
        ("playing", 4),
        ("buffering", 5),
        ("buffering", 5),
        ("stopped", 6),
        ("playing", 7),
        ("playing", 10),
        ("playing", 0),
        ("playing", 1),
    ]


@pytest.mark.parametrize(
    "between",
    [
        [ReceivedEvent(Connecting(), Moment(START, 0))],
        [ReceivedEvent(Disconnected("x"), Moment(START, 0))],
        received(frame("playing", report(None, "stopped", item="", client="lamp"))),
    ],
    ids=["connecting", "disconnected", "a stop without a key"],
)
async def test_progress_does_not_collapse_across_what_may_end_the_session(between: list[ReceivedEvent]) -> None:
    counters = Counters()
    said = [
        *received(playing("1", at=1), playing("1", at=2), playing("1", at=3)),
        *between,
        *received(playing("1", at=4)),
    ]
    event_queue = EventQueue(len(said), counters)
    with anyio.fail_after(HANG_SECONDS):
        await event_queue.put([*said, ReceivedEvent(Tick(), Moment(START, 0))])
    assert counters.collapsed == 1
    assert len(await event_queue.drain(100)) == len(said)


async def test_jobs_and_activities_collapse_by_their_own_names_only() -> None:
    job = {"key": "/transcode/sessions/a", "speed": 1.0}
    scans = [
        frame("activity", {"event": "updated", "uuid": f"u{n % 2}", "Activity": {"progress": n}}) for n in range(20)
    ]
    jobs = [frame("transcodeSession.update", {**job, "progress": n}) for n in range(20)]
    with anyio.fail_after(HANG_SECONDS):
        left, collapsed = await squeezed(*scans, *jobs, frame("transcodeSession.end", job), jobs[0], jobs[1], jobs[2])
    assert len(left) == 2 * 2 + 2 + 1 + 2
    assert collapsed == 44 - len(left)


async def test_a_sender_waits_at_an_inbox_full_of_state_changes() -> None:
    event_queue = EventQueue(4, Counters())
    await event_queue.put(received(*(playing(str(n)) for n in range(4))))
    with anyio.move_on_after(0.05) as waiting:
        await event_queue.put(received(playing("9")))
    assert waiting.cancelled_caught
    assert len(event_queue) == 4


async def test_every_sender_that_waits_goes_on_when_there_is_room() -> None:
    event_queue = EventQueue(2, Counters())
    await event_queue.put(received(playing("1"), playing("2")))
    taken: list[ReceivedEvent] = []
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as senders:
            for key in ("3", "4", "5"):
                senders.start_soon(event_queue.put, received(playing(key)))
            await anyio.wait_all_tasks_blocked()
            while len(taken) < 5:
                taken += await event_queue.drain(1)
    assert sorted(getattr(one.event, "session_key", "") for one in taken) == ["1", "2", "3", "4", "5"]


async def test_a_sender_keeps_its_own_order() -> None:
    event_queue = EventQueue(3, Counters())
    taken: list[ReceivedEvent] = []
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(event_queue.put, received(*(playing(str(n)) for n in range(50))))
            while len(taken) < 50:
                taken += await event_queue.drain(2)
    assert [getattr(one.event, "session_key", "") for one in taken] == [str(n) for n in range(50)]


async def test_a_burst_lets_others_run() -> None:
    event_queue, turns = EventQueue(8_192, Counters()), 0
    async with anyio.create_task_group() as tasks:

        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await anyio.lowlevel.checkpoint()

        tasks.start_soon(count)
        for second in range(PAUSE_AFTER * 10):
            await event_queue.put(received(playing("1", at=second)))
        tasks.cancel_scope.cancel()
    assert turns >= 9


# When the storage refuses


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Another process holds the write lock meanwhile."""
    with closing(connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_while_the_storage_refuses_the_live_state_goes_on_and_later_nothing_is_missing(
    it: RunningIngest, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await it.say(Connecting(), first_snapshot(it.clock))
    await it.until(lambda: it.live.state.connection.state == "live")
    assert it.storage == "ok"
    async with locked(it.path):
        for second in range(3):
            await it.say(playing("1", at=second), after=1)
            await it.until(lambda second=second: it.live.state.next_event == second + 3)  # type: ignore[misc]  # bound by default
        await it.say(playing("1", "stopped", at=3), playing("2", client="stove"))
        await it.until(lambda: list(it.live.state.sessions) == ["2"])
        assert it.storage == "degraded"
        assert any(isinstance(change, SessionEnded) for changes in it.announced for change in changes), (
            "told all the same"
        )
        assert it.rows() == [(1,)]
    await it.say(Tick())
    await it.until(lambda: it.storage == "ok")
    assert it.rows() == [(n,) for n in range(1, 7)]
    assert it.rows("SELECT session_key, ended_by FROM plays ORDER BY id") == [("1", "stopped"), ("2", None)]
    assert [record.message.split(" (")[0] for record in caplog.records] == [
        "The cache cannot be written",
        "The cache can be written again",
    ], "said once each"


async def test_once_refused_a_write_no_longer_keeps_the_live_state_waiting(tmp_path: Path) -> None:
    async with run_ingest(tmp_path, lock_ms=400) as it:
        async with locked(it.path):
            await it.say(playing("1"))
            await it.until(lambda: it.storage == "degraded")
            (row,) = await it.cache.writer.execute_fetchall("PRAGMA busy_timeout")
            assert row[0] == 100
        await it.say(Tick())
        await it.until(lambda: it.storage == "ok")
        (row,) = await it.cache.writer.execute_fetchall("PRAGMA busy_timeout")
        assert row[0] == 400


async def test_readers_are_served_while_the_storage_is_locked(it: RunningIngest) -> None:
    async with locked(it.path):
        await it.say(playing("1"))
        await it.until(lambda: it.storage == "degraded")
        assert await it.cache.read_size_bytes() > 0


@pytest.mark.slow
async def test_a_long_refusal_loses_journal_rows_and_nothing_else(it: RunningIngest) -> None:
    await it.say(Connecting(), first_snapshot(it.clock))
    await it.until(lambda: it.live.state.server == DEN)
    async with locked(it.path):
        await it.say(playing("1"), playing("1", "stopped"), playing("2", client="stove"), after=1)
        for _ in range(BACKLOG // 500 + 5):
            await it.say(*(frame("progress", {"message": str(n)}) for n in range(500)), after=1)
        expected = 5 + 500 * (BACKLOG // 500 + 5)
        await it.until(lambda: it.live.state.next_event == expected)
        assert sum(map(len, it.live.unwritten.values())) <= BACKLOG
    await it.say(Tick())
    await it.until(lambda: it.storage == "ok")
    assert it.rows("SELECT session_key, ended_by FROM plays ORDER BY id") == [("1", "stopped"), ("2", None)]
    ids = [int(str(row[0])) for row in it.rows()]
    assert ids[-1] == expected - 1
    assert ids[1:] == list(range(ids[1], expected)), "the oldest went"


FULL_DISK = """
import pathlib, resource, sys
import anyio
sys.path.insert(0, sys.argv[2])
from support.frames import frame
from test_ingest import run_ingest, playing
from plex_companion.events import Tick

async def main():
    async with run_ingest(pathlib.Path(sys.argv[1])) as it:
        await it.say(playing("1"))
        await it.until(lambda: "1" in it.live.state.sessions)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        fat = "x" * 2_000
        for n in range(300):
            await it.say(frame("progress", {"message": fat}))
            if n % 50 == 49:
                await it.until(lambda: it.live.state.next_event == n + 3)
        await it.say(playing("2", client="stove"))
        await it.until(lambda: "2" in it.live.state.sessions)
        print(it.storage, len(it.announced) > 3)
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await it.say(Tick())
        await it.until(lambda: it.storage == "ok")
        rows = [row[0] for row in it.rows()]
        print(it.storage, rows == list(range(1, 303)), it.rows("PRAGMA integrity_check"))

anyio.run(main)
"""


def test_a_full_disk_degrades_the_storage_and_room_heals_it(tmp_path: Path) -> None:
    here = Path(__file__).parent
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", FULL_DISK, str(tmp_path), str(here)],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
        cwd=here.parent,
    )
    assert done.stdout.splitlines() == ["degraded True", "ok True [('ok',)]"], done.stderr


async def test_a_database_that_breaks_meanwhile_degrades_the_storage_once_and_the_live_state_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with run_ingest(tmp_path, running=False) as it, anyio.create_task_group() as tasks:
        announced: list[Effect] = []
        tasks.start_soon(
            ingest, it.event_queues, it.live, it.cache, lambda changes, _: announced.extend(*changes.values())
        )
        await it.say(Connecting(), first_snapshot(it.clock))
        await it.until(lambda: it.live.state.connection.state == "live")
        await it.cache.writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
        await it.cache.writer.execute("PRAGMA shrink_memory")
        with it.path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xa5" * (it.path.stat().st_size - 4096))
        for second in range(3):
            await it.say(playing("1", at=second), after=1)
            await it.until(lambda second=second: it.live.state.next_event == second + 3)  # type: ignore[misc]  # bound by default
        assert it.storage == "degraded"
        assert any(isinstance(change, SessionStarted) for change in announced), "told all the same"
        tasks.cancel_scope.cancel()
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(said) == 2
    assert "started again" in said[0]


# Much at once


async def test_ten_thousand_frames_end_in_the_right_state_with_every_uri_told_after_its_last_change(
    it: RunningIngest,
) -> None:
    await it.say(Connecting(), first_snapshot(it.clock))
    keys = [str(n) for n in range(1, 51)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with anyio.fail_after(HANG_SECONDS):
        for second in range(200):
            state = "stopped" if second == 199 else "paused" if second % 50 == 49 else "playing"
            shown = [
                playing(key, state if key < "3" or state != "stopped" else "playing", at=second, client=f"c{key}")
                for key in keys
            ]
            await it.say(*shown, after=1)
        expected = 2 + 200 * len(keys)
        await it.until(lambda: it.live.state.next_event + it.live.counters.collapsed == expected)
    left = sorted(it.live.state.sessions)
    assert left == sorted(key for key in keys if key >= "3")
    assert {session.view_offset_ms for session in it.live.state.sessions.values()} == {199_000}
    final: dict[str, int] = {}
    for number, changes in enumerate(it.announced):
        found = find_touched_uris([change for change in changes if not isinstance(change, RefreshRequest)])
        final |= dict.fromkeys(found.immediate | found.progress_only, number)
    for key in keys:
        newest = max(
            n for n, changes in enumerate(it.announced) if any(getattr(c, "session_key", None) == key for c in changes)
        )
        assert final[f"plex://sessions/{key}"] == newest
        assert final[f"plex://clients/c{key}/timeline"] == newest
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 100_000, f"{grown} kB"
    loaded = await load_state(it.cache, it.clock.now)
    assert sorted(loaded.sessions) == left


@pytest.mark.slow
async def test_memory_stays_flat_while_the_same_goes_on(tmp_path: Path) -> None:
    async with run_ingest(tmp_path, running=False) as it:
        live = it.live

        async def receive(times: int) -> None:
            for second in range(times):
                batch = [
                    ReceivedEvent(event, it.clock.after(1))
                    for key in "12345"
                    for event in parse_frame(playing(key, at=second))
                ]
                state, changes, _ = live.apply(batch)
                await it.cache.write(changes, "unknown", it.clock.now.at)
                live.publish({ONLY_LINK: state})

        await receive(100)
        tracemalloc.start()
        await receive(100)
        before, _ = tracemalloc.get_traced_memory()
        await receive(500)
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert after - before < 300_000


async def test_pruning_goes_on_step_by_step_between_batches(tmp_path: Path) -> None:
    retention = Retention(events_ms=10**12, events_rows=100)
    async with run_ingest(tmp_path, running=False) as it, anyio.create_task_group() as tasks:
        await it.say(*(frame("progress", {"message": str(n)}) for n in range(6_000)))
        tasks.start_soon(ingest, it.event_queues, it.live, it.cache, it.announce, retention)
        await it.until(lambda: it.live.state.next_event == 6_001)
        for _ in range(5):
            before = len(it.announced)
            await it.say(Tick(), after=60)
            await it.until(lambda before=before: len(it.announced) > before)  # type: ignore[misc]  # bound by default
        with anyio.fail_after(HANG_SECONDS):
            while len(it.rows()) > 100:
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()
    assert not any(isinstance(change, AlertOpened | Malformed) for changes in it.announced for change in changes)


async def test_a_new_process_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    async with run_ingest(tmp_path) as it:
        await it.say(Connecting(), first_snapshot(it.clock), playing("1", at=10))
        await it.until(lambda: "1" in it.live.state.sessions)
    async with run_ingest(tmp_path) as it:
        assert [session.stale for session in it.live.state.sessions.values()] == [True]
        moment = it.clock.after(20)
        row = listed("1", at=30)
        await it.say(Connecting(), Snapshot(2, first=True, requested=moment, server=DEN, sessions=(row,)))
        await it.until(lambda: it.live.state.connection.state == "live")
        assert [session.stale for session in it.live.state.sessions.values()] == [False]
    with closing(connect(tmp_path / "cache.sqlite3")) as reader:
        assert reader.execute("SELECT count(*), max(ended_at) FROM plays").fetchall() == [(1, None)]
