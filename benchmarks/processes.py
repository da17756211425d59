"""`python -m benchmarks.processes`: several processes on one database under load; the leader is killed repeatedly.

Every survivor's client must be notified of every press on a player's button; nothing committed may be lost, nothing
may be written twice, and every play must be there once. Prints how long no process listened, and the latencies.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc

from benchmarks.figures import describe_machine, percentile
from benchmarks.mcp_clients import LEGACY, MODERN, subscribe
from benchmarks.programs import COMPANION, run_program
from benchmarks.simulated_evening import PEOPLE, SimulatedEvening
from benchmarks.simulated_load import build_household_with_players
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from benchmarks.mcp_clients import NotificationTimes

PROCESSES, KILLS = 5, 10
FORWARD_SECONDS = 0.05
NOTIFY_SECONDS = 5.0
LOSS_SECONDS = 0.5
"""What was sent so shortly before a kill may not have been committed yet."""
SECONDS = 60


@dataclass
class Member:
    """A running companion, and the notifications of its client."""

    pid: int
    ear: NotificationTimes
    since: float
    until: float = float("inf")
    client: anyio.CancelScope = field(default_factory=anyio.CancelScope)


@dataclass
class Kill:
    """A leader that was killed and replaced. Times are those of the monotonic clock."""

    at: float
    committed: list[tuple[int, str]]
    """The marks in the journal on the disk, just afterwards."""
    recovered: float = float("inf")
    """When another process had recorded that it listens to Plex."""


@dataclass(kw_only=True)
class KillTest(SimulatedEvening):
    """The test: running processes, what was sent, and what happened."""

    folder: Path
    tasks: anyio.abc.TaskGroup
    members: list[Member] = field(default_factory=list)
    forwarded: int = 0
    kills: list[Kill] = field(default_factory=list)

    @property
    def running(self) -> list[Member]:
        """The members that were not killed."""
        return [member for member in self.members if member.until == float("inf")]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return rows of the database."""
        with closing(sqlite3.connect(self.folder / "shared.sqlite3", timeout=10)) as reader:
            return reader.execute(sql).fetchall()

    def has_mark(self, mark: str) -> bool:
        """Return whether the mark is among the newest rows of the journal."""
        newest = self.rows("SELECT summary FROM events WHERE type = 'progress' ORDER BY id DESC LIMIT 9")
        return (mark,) in newest

    def read_leader(self) -> tuple[int, str]:
        """Return the pid of the leader and the state of its connection."""
        found = self.rows("SELECT pid, state FROM listener, links")
        return (found[0][0], found[0][1]) if found else (0, "")

    # -- processes

    async def start_process(self) -> Member:
        """Start another process, and a client that is subscribed to the watched session."""
        member: Member = await self.tasks.start(self._run_process)
        self.members.append(member)
        return member

    async def _run_process(self, *, task_status: anyio.abc.TaskStatus[Member]) -> None:
        options = ("--transport", "http", "--port", "0", "--plex-url", self.demo.url, "--plex-token", "benchmark-token")
        arguments = (*COMPANION, *options, "--database", str(self.folder / "shared.sqlite3"), "--log-level", "warning")
        era = (MODERN, LEGACY)[len(self.members) % 2]
        async with run_program(self.folder, *arguments) as program:
            url = await program.wait_for_line(r"(http://\S+/mcp)")
            with anyio.CancelScope() as client:
                async with subscribe(url, era, f"plex://sessions/{self.watched_session.key}") as (_, updates):
                    task_status.started(Member(program.pid, updates, time.monotonic(), client=client))
                    await anyio.sleep_forever()

    async def kill(self) -> None:
        """Kill the leader without warning and wait until another process takes over."""
        pid, _ = self.read_leader()
        (killed,) = (member for member in self.running if member.pid == pid)
        killed.until = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        killed.client.cancel()
        await anyio.sleep(0.02)
        kill = Kill(killed.until, self.rows("SELECT id, payload FROM events WHERE type = 'progress'"))
        self.kills.append(kill)
        with anyio.fail_after(SECONDS):
            while self.read_leader()[0] == pid or self.read_leader()[1] != "live":  # noqa: ASYNC110 - another process
                await anyio.sleep(0.01)
        kill.recovered = time.monotonic()

    async def forward_events(self) -> None:
        """Forward events as a follower does, until `over`."""
        with closing(sqlite3.connect(self.folder / "shared.sqlite3", timeout=10, isolation_level=None)) as writer:
            while not self.over:
                tool = f"tool {self.forwarded}"
                event = {
                    "at": int(time.time() * 1000),
                    "body": json.dumps({"tool": tool, "outcome": "done", "raw": {}}),
                }
                writer.execute("INSERT INTO letters (at, kind, body) VALUES (:at, 'audit', :body)", event)
                self.forwarded += 1
                await anyio.sleep(FORWARD_SECONDS)


async def run_kill_test(folder: Path, processes: int, kills: int, pause: float = 2.0) -> KillTest:
    """Run the processes under load and kill so many leaders."""
    household = build_household_with_players(PEOPLE)
    async with open_demo(alive=False, household=household) as demo, anyio.create_task_group() as tasks:
        it = KillTest(demo=demo, folder=folder, watched_session=demo.start(), tasks=tasks)
        for _ in range(processes):
            tasks.start_soon(it.start_process)
        with anyio.fail_after(SECONDS):
            while len(it.running) < processes or it.read_leader()[1] != "live":  # noqa: ASYNC110 - other processes
                await anyio.sleep(0.05)
        async with anyio.create_task_group() as load:
            load.start_soon(it.simulate_evening)
            load.start_soon(it.press_buttons)
            load.start_soon(it.forward_events)
            await anyio.sleep(pause)
            for left in reversed(range(kills)):
                await it.kill()
                if left:
                    await it.start_process()
                await anyio.sleep(pause)
            it.over = True
        await _wait_until_written(it)
        tasks.cancel_scope.cancel()
    return it


async def _wait_until_written(it: KillTest) -> None:
    """Wait until the leader has written the end of the evening."""
    last = f"mark {max(it.marks)}"
    open_still, unread = "SELECT session_key FROM plays WHERE ended_at IS NULL", "SELECT 1 FROM letters"
    with anyio.fail_after(SECONDS):
        while not it.has_mark(last) or it.rows(open_still) != [(it.watched_session.key,)] or it.rows(unread):  # noqa: ASYNC110 - another process
            await anyio.sleep(0.05)


def list_problems(it: KillTest) -> list[str]:
    """Return everything that is wrong in the database or was missed by a client."""
    found: list[str] = []
    ids = [id_ for (id_,) in it.rows("SELECT id FROM events ORDER BY id")]
    if ids != list(range(1, len(ids) + 1)):
        found.append("the ids of the journal have holes")
    rows = it.rows("SELECT id, payload FROM events WHERE type = 'progress' ORDER BY id")
    numbers = [int(json.loads(payload)["message"].split()[1]) for _, payload in rows]
    if numbers != sorted(set(numbers)):
        found.append("a mark is there twice, or out of order")
    found += [f"a committed row was lost: {row}" for kill in it.kills for row in set(kill.committed) - set(rows)]
    found += [
        f"mark {n} is missing, sent while a process listened"
        for n in list_lost_marks(it)
        if not _is_in_gap(it, it.marks[n])
    ]
    answered = [subject for (subject,) in it.rows("SELECT subject FROM events WHERE type = 'audit' ORDER BY id")]
    if answered != [f"tool {number}" for number in range(it.forwarded)]:
        found.append("a forwarded event was lost, or is there twice, or out of order")
    plays = Counter(
        key
        for (key,) in it.rows("SELECT session_key FROM plays WHERE ended_at IS NOT NULL AND session_key IS NOT NULL")
    )
    plays.pop(it.watched_session.key, None)
    if plays != Counter(it.played):
        odd = {**(plays - Counter(it.played)), **(Counter(it.played) - plays)}
        found.append(f"plays that are there twice, or not at all: {odd}")
    found += [f"process {pid} missed a press" for pid in list_uninformed_processes(it)]
    return found


def list_lost_marks(it: KillTest) -> list[int]:
    """Return the marks that are not in the journal."""
    written = {json.loads(text)["message"] for (text,) in it.rows("SELECT payload FROM events WHERE type = 'progress'")}
    return [number for number in it.marks if f"mark {number}" not in written]


def _is_in_gap(it: KillTest, at: float) -> bool:
    return any(kill.at - LOSS_SECONDS <= at <= kill.recovered for kill in it.kills)


def list_uninformed_processes(it: KillTest) -> list[int]:
    """Return the processes whose client missed a press."""
    return [
        member.pid
        for member in it.members
        for at in it.presses[:-1]
        if member.since < at and at + NOTIFY_SECONDS < member.until and _find_delay(member, at) > NOTIFY_SECONDS
    ]


def _find_delay(member: Member, at: float) -> float:
    """Return the seconds from a press until the client was notified."""
    return next((time - at for time in member.ear.times if time > at), float("inf"))


def list_latencies(it: KillTest) -> list[float]:
    """Return the milliseconds from a press to each client of each process, except around kills."""
    quiet = [at for at in it.presses[:-1] if not any(kill.at - 0.3 <= at <= kill.recovered + 0.5 for kill in it.kills)]
    return [
        _find_delay(member, at) * 1000
        for member in it.members
        for at in quiet
        if member.since + 0.5 < at and at + 1 < member.until
    ]


def print_report(it: KillTest) -> None:
    """Print the figures."""
    gaps, late, unheard = [kill.recovered - kill.at for kill in it.kills], list_latencies(it), list_lost_marks(it)
    before = [kill.at - it.marks[n] for n in unheard for kill in it.kills if 0 <= kill.at - it.marks[n] < LOSS_SECONDS]
    rows = len(it.rows("SELECT 1 FROM events"))
    print(f"{describe_machine()}; {len(it.members)} processes, {len(it.kills)} of them killed while they wrote")
    print(f"kill -9 to the next one live: median {statistics.median(gaps):.2f} s, at most {max(gaps):.2f} s")
    p50, p99 = percentile(late, 50), percentile(late, 99)
    print(f"press to a client of any process: p50 {p50:.0f} ms, p99 {p99:.0f} ms ({len(late)} notifications)")
    print(
        f"{len(it.marks)} marks, {len(unheard)} of them sent while no process listened or not yet committed at a kill"
    )
    print(f"not yet committed: {len(before)}, the oldest {max(before, default=0) * 1000:.0f} ms before the kill")
    print(f"{len(it.played)} plays, {it.forwarded} forwarded events, {rows} rows of the journal")


def main(arguments: list[str]) -> None:
    processes, kills = (int(one) for one in arguments or (PROCESSES, KILLS))
    with tempfile.TemporaryDirectory() as folder:
        it = anyio.run(partial(run_kill_test, Path(folder), processes, kills))
        print_report(it)
        problems = list_problems(it)
    sys.exit("\n".join(problems) or 0)


if __name__ == "__main__":
    main(sys.argv[1:])
