"""`python -m benchmarks.chronicle_load [SECONDS]`: what a chronicle costs with 100 servers and 2,000 sessions. See docs/scaling.md.

One machine leads in this process and gets the frames from memory; two others replay in processes of their own. Measured are the
processor time of each, of PostgreSQL's processes, and the bytes between them, at the rate at which Plex sends, ten times that,
and as fast as it goes, each with the chronicle and without it.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import anyio
from support.chronicle_leader import read_tables
from support.postgres import run_postgres

from benchmarks.chronicle_machine import GROUP, LoadMachine, MachineUsage, open_machine, run_replay
from benchmarks.figures import describe_machine, subtract_fields
from benchmarks.links import LINKS, SESSIONS, name_links, put
from benchmarks.simulated_load import build_household_with_players, start_sessions
from plex_companion.companion import read_clock
from plex_companion.demo import frames, open_demo
from plex_companion.demo.playback import build_transcode_entry
from plex_companion.events import ReceivedEvent, Snapshot
from plex_companion.ingest.queue import QUEUE_LIMIT
from plex_companion.models import Moment, ServerIdentity
from plex_companion.parsing.websocket_frames import parse_frame

if TYPE_CHECKING:
    from collections.abc import Sequence

    from support.postgres import Postgres

    from benchmarks.chronicle_machine import ReplayProcess
    from plex_companion.demo import Demo
    from plex_companion.demo.sessions import DemoSession

SECONDS = 60
ROUND_SECONDS = 10
"""Each session reports once in a round, as Plex's clients do."""
RATES = {"at Plex's rate": 1, "at ten times that rate": 10, "as fast as it goes": 0}
REPLAYING = 2
IDLE_SECONDS = 10
HEADERS = 66
"""Bytes of the Ethernet, IPv4 and TCP headers of a segment."""
DAY_SECONDS = 86_400


@dataclass(frozen=True)
class LogSize:
    """The chronicle in PostgreSQL. `written` is the position in the write-ahead log. Bytes."""

    entries: int = 0
    bodies: int = 0
    total: int = 0
    written: int = 0
    cpu: float = 0.0
    """Seconds of PostgreSQL's processes."""

    def since(self, before: LogSize) -> LogSize:
        """Return what was added since then."""
        return subtract_fields(self, before)


class MeasuredPoint(NamedTuple):
    """What was used until a moment, by the leader first."""

    at: float
    commits: int
    usage: Sequence[MachineUsage]
    log: LogSize


@dataclass(frozen=True)
class LoadResult:
    """What so many frames have cost, in so many seconds."""

    frames: int
    commits: int
    seconds: float
    leader: MachineUsage
    replaying: Sequence[MachineUsage]
    log: LogSize

    def print(self, what: str) -> None:
        """Print the figures, per thousand frames and per second."""
        print(
            f"\n{what}: {self.frames:,} frames, {self.commits:,} commits in {self.seconds:.1f} s; {describe_machine()}"
        )
        for name, usage in (("leader", self.leader), *(("replaying", one) for one in self.replaying)):
            segments = usage.segments_sent + usage.segments_received
            wire = 8 * (usage.sent + usage.received + HEADERS * segments) / self.seconds / 1_000
            print(
                f"  {name}: {self._describe_cpu(usage.cpu)}; sent {usage.sent:,} B, received {usage.received:,} B, "
                f"{segments:,} segments: {wire:,.0f} kbit/s with headers"
            )
        if self.replaying:
            print(f"  PostgreSQL: {self._describe_cpu(self.log.cpu)}")
        if (log := self.log).entries:
            print(
                f"  {log.entries:,} entries ({log.entries / self.seconds:.0f}/s), {log.bodies / log.entries:,.0f} B each, "
                f"{log.bodies / self.frames:,.0f} B per frame; {log.total / log.entries:,.0f} B each on the disk"
            )

    def print_day(self) -> None:
        """Print how much 24 hours like this are in PostgreSQL."""
        a_day = DAY_SECONDS / self.seconds / 1e9
        print(
            f"  24 hours like this: {self.log.entries * a_day * 1e3:.1f} million entries, "
            f"{self.log.total * a_day:.1f} GB on the disk, {self.log.written * a_day:.1f} GB of write-ahead log"
        )

    def _describe_cpu(self, seconds: float) -> str:
        share = f"{seconds / self.seconds:.1%} of a core"
        return f"{1_000 * seconds / self.frames:.3f} s of CPU per 1,000 frames, {share}" if self.frames else share


async def build_rounds(count: int) -> list[str]:
    """Return the frames of one server for so many rounds: of each session a report, of every fourth its transcode, and a press."""
    async with open_demo(alive=False, household=build_household_with_players(SESSIONS)) as demo:
        sessions = start_sessions(demo, SESSIONS)
        return [text for number in range(count) for text in build_round(demo, sessions, number)]


def build_round(demo: Demo, sessions: Sequence[DemoSession], number: int) -> list[str]:
    texts = []
    for session in sessions:
        if session.state == "playing":
            session.offset += 1_000 * ROUND_SECONDS
        texts.append(str(frames.build_playing(session.build_entry()).payload))
        if session.transcode:
            texts.append(str(frames.build_transcode("update", build_transcode_entry(demo.state, session)).payload))
    pressed = sessions[number // 2 % len(sessions)]
    pressed.state = "paused" if pressed.state == "playing" else "playing"
    return [*texts, str(frames.build_playing(pressed.build_entry()).payload)]


class Feed:
    """Puts frames into the queues of the leader, each server's in turn, and waits until they are committed."""

    def __init__(self, machine: LoadMachine, interval: float) -> None:
        self.machine, self.interval = machine, interval
        self._sent = self._committed = self.commits = 0
        self._all_committed = anyio.Event()
        self._began = read_clock()

    def note_commit(self) -> None:
        """Count a commit, and look whether all frames are committed."""
        self.commits += 1
        self._committed = self.machine.live.counters.events.total()
        if self._committed >= self._sent:
            self._all_committed.set()

    async def connect(self) -> None:
        """Give every server its first snapshot, without sessions."""
        for number, name in enumerate(name_links(LINKS)):
            server = ServerIdentity(f"{number:040d}", f"Server {number}", "1.43.3")
            now = read_clock()
            await put(
                self.machine.queues, name, [ReceivedEvent(Snapshot(1, first=True, requested=now, server=server), now)]
            )

    async def send(self, texts: Sequence[str], speed: float = 0) -> None:
        """Send each text to each server, so many times as fast as Plex sends; 0 is as fast as it goes.

        The times in events are always those of Plex's rate.
        """
        began, first = time.monotonic(), self._sent
        for text in texts:
            for name in name_links(LINKS):
                if speed:
                    due = began + (self._sent - first) * self.interval / speed
                    await anyio.sleep(max(0.0, due - time.monotonic()))
                await self._put(name, text, round(1_000 * self.interval * self._sent))
                while len(self.machine.queues) > QUEUE_LIMIT // 2:
                    await self.machine.live.wait_for_commit()
        self._all_committed = anyio.Event()
        if self._committed < self._sent:
            await self._all_committed.wait()

    async def _put(self, name: str, text: str, after_ms: int) -> None:
        moment = Moment(self._began.at + after_ms, self._began.tick + after_ms)
        events = [ReceivedEvent(event, moment) for event in parse_frame(text.encode())]
        self._sent += len(events)
        await put(self.machine.queues, name, events)


def read_log_size(postgres: Postgres) -> LogSize:
    sql = (
        "SELECT count(*), coalesce(sum(octet_length(body)), 0)::bigint, pg_total_relation_size('{0}.chronicle'), "
        "pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint FROM {0}.chronicle"
    )
    ((entries, bodies, total, written),) = postgres.query(sql.format(GROUP))
    return LogSize(entries, bodies, total, written, read_postgres_cpu(postgres))


def read_postgres_cpu(postgres: Postgres) -> float:
    """Return the seconds of CPU of PostgreSQL's processes. The first one's include those of its children that have ended."""
    first, *children = postgres.list_processes()
    return _read_cpu(first, 4) + sum(_read_cpu(pid, 2) for pid in children)


def _read_cpu(pid: int, fields: int) -> float:
    """Read `utime`, `stime`, `cutime` and `cstime` of proc(5), in hundredths of a second, or the first of them."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:  # it has ended since, and its parent has its time
        return 0.0
    return sum(map(int, after_name[11 : 11 + fields])) / 100


@dataclass
class LoadTest:
    """A leader with or without a chronicle, and those that replay it."""

    feed: Feed
    replaying: Sequence[ReplayProcess] = ()
    postgres: Postgres | None = None

    async def measure(self, texts: Sequence[str], speed: float) -> LoadResult:
        """Measure what frames cost, until every machine has them."""
        start = await self._read_point()
        await self.feed.send(texts, speed)
        return await self._build_result(len(texts) * LINKS, start)

    async def measure_idle(self) -> LoadResult:
        """Measure what it costs while no frame comes."""
        start = await self._read_point()
        await anyio.sleep(IDLE_SECONDS)
        return await self._build_result(0, start)

    async def _build_result(self, count: int, start: MeasuredPoint) -> LoadResult:
        await self.wait_until_replayed()
        end = await self._read_point()
        used = [after.since(before) for after, before in zip(end.usage, start.usage, strict=True)]
        commits, seconds = end.commits - start.commits, end.at - start.at
        return LoadResult(count, commits, seconds, used[0], used[1:], end.log.since(start.log))

    async def wait_until_replayed(self) -> None:
        """Wait until every machine has the last entry of the log."""
        newest = self._read_log().entries
        for one in self.replaying:
            while (await one.read_usage()).number < newest:  # noqa: ASYNC110 - another process
                await anyio.sleep(0.2)

    async def _read_point(self) -> MeasuredPoint:
        usage = [self.feed.machine.read_usage(), *[await one.read_usage() for one in self.replaying]]
        return MeasuredPoint(time.monotonic(), self.feed.commits, usage, self._read_log())

    def _read_log(self) -> LogSize:
        return read_log_size(self.postgres) if self.postgres else LogSize()


async def run_load(folder: Path, rounds: int, postgres: Postgres | None) -> None:
    """Print what the frames of so many rounds cost, at each rate."""
    texts = await build_rounds(1 + len(RATES) * rounds)
    of_round = len(texts) // (1 + len(RATES) * rounds)
    dsn, which = (postgres.dsn, "with the chronicle") if postgres else (None, "without it")
    async with AsyncExitStack() as opened:
        machine = await opened.enter_async_context(open_machine(folder / f"leader {which}.sqlite3", dsn))
        tasks = await opened.enter_async_context(anyio.create_task_group())
        feed = Feed(machine, ROUND_SECONDS / of_round / LINKS)
        await machine.lead(tasks, feed.note_commit)
        replaying = [
            await opened.enter_async_context(run_replay(folder, f"replaying-{number}", postgres.dsn))
            for number in range(REPLAYING if postgres else 0)
            if postgres
        ]
        it = LoadTest(feed, replaying, postgres)
        await feed.connect()
        await feed.send(texts[:of_round])
        await it.wait_until_replayed()
        if postgres:
            (await it.measure_idle()).print("no frames, with the chronicle")
        for number, (rate, speed) in enumerate(RATES.items()):
            some = texts[of_round * (1 + number * rounds) : of_round * (1 + (number + 1) * rounds)]
            result = await it.measure(some, speed)
            result.print(f"{rate}, {which}")
            if speed == 1 and postgres:
                result.print_day()
        assert not machine.live.counters.collapsed
        assert_equal(
            [machine.cache.path, *(folder / f"replaying-{number}.sqlite3" for number in range(len(replaying)))]
        )
        tasks.cancel_scope.cancel()


def assert_equal(databases: Sequence[Path]) -> None:
    """Check that all machines have the same rows, and all sessions."""
    first, *others = map(read_tables, databases)
    assert len([row for row in first["plays"] if row]) >= LINKS * SESSIONS
    assert all(other == first for other in others)


def main(arguments: list[str]) -> None:
    rounds = max(1, int(arguments[0]) // ROUND_SECONDS if arguments else SECONDS // ROUND_SECONDS)
    print(f"{describe_machine()}; {LINKS} servers with {LINKS * SESSIONS:,} sessions")
    with tempfile.TemporaryDirectory() as folder, run_postgres() as postgres:
        anyio.run(partial(run_load, Path(folder), rounds, postgres))
        anyio.run(partial(run_load, Path(folder), rounds, None))


if __name__ == "__main__":
    main(sys.argv[1:])
