"""`python -m benchmarks.processes`: several processes on one database under load, whose writer is killed again and again.

Every survivor's client must be told of every press on a player's button; nothing that was committed may be lost, nothing
may be written twice, and every play must be there once. Prints how long nobody listened, and how late who was told.
"""

from __future__ import annotations

import json
import os
import random
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

from benchmarks.figures import machine, percentile
from benchmarks.listening import LEGACY, MODERN, subscribed
from benchmarks.programs import COMPANION, running
from benchmarks.workload import crowded
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from benchmarks.listening import Ear
    from plex_companion.demo import Demo
    from plex_companion.demo.sessions import DemoSession

PROCESSES, KILLS = 5, 10
PEOPLE = 24
MARKS_PER_SECOND = 100
PLAY_SECONDS = (4.0, 8.0)
"""Longer than nobody listens, so that no play begins and ends unheard."""
PRESS_SECONDS = 0.25
LETTER_SECONDS = 0.05
TOLD_SECONDS = 5.0
LOSS_SECONDS = 0.5
"""What was sent so shortly before a kill may not have been committed yet."""
SECONDS = 60


@dataclass
class Play:
    """Something that was played. Session keys are given out once."""

    session: DemoSession
    ends: float
    reported: float = 0.0


@dataclass
class Member:
    """A running companion, and what its client was told."""

    pid: int
    ear: Ear
    since: float
    until: float = float("inf")
    client: anyio.CancelScope = field(default_factory=anyio.CancelScope)


@dataclass
class Kill:
    """A writer was killed, and another one went on. Times are those of the monotonic clock."""

    at: float
    committed: list[tuple[int, str]]
    """The journal's marks on the disk, just afterwards."""
    again: float = float("inf")
    """When another process had told that it hears Plex."""


@dataclass
class Fire:
    """The whole: who runs, what was sent, what was done."""

    demo: Demo
    folder: Path
    probe: DemoSession
    tasks: anyio.abc.TaskGroup
    members: list[Member] = field(default_factory=list)
    marks: dict[int, float] = field(default_factory=dict)
    playing: list[Play] = field(default_factory=list)
    played: list[str] = field(default_factory=list)
    presses: list[float] = field(default_factory=list)
    letters: int = 0
    kills: list[Kill] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(21))  # noqa: S311 - the same evening each time
    over: bool = False

    @property
    def alive(self) -> list[Member]:
        """Those not killed yet."""
        return [member for member in self.members if member.until == float("inf")]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What is on the disk."""
        with closing(sqlite3.connect(self.folder / "shared.sqlite3", timeout=10)) as reader:
            return reader.execute(sql).fetchall()

    def told_of(self, mark: str) -> bool:
        """Whether the journal's newest rows have it."""
        newest = self.rows("SELECT summary FROM events WHERE type = 'progress' ORDER BY id DESC LIMIT 9")
        return (mark,) in newest

    def listener(self) -> tuple[int, str]:
        """Who listens, as the board says, and how it is connected."""
        found = self.rows("SELECT pid, state FROM listener")
        return (found[0][0], found[0][1]) if found else (0, "")

    # -- processes

    async def begin(self) -> Member:
        """Start another process, and a client that is told about the session whose buttons are pressed."""
        member: Member = await self.tasks.start(self._live)
        self.members.append(member)
        return member

    async def _live(self, *, task_status: anyio.abc.TaskStatus[Member]) -> None:
        options = ("--transport", "http", "--port", "0", "--plex-url", self.demo.url, "--plex-token", "benchmark-token")
        arguments = (*COMPANION, *options, "--database", str(self.folder / "shared.sqlite3"), "--log-level", "warning")
        era = (MODERN, LEGACY)[len(self.members) % 2]
        async with running(self.folder, *arguments) as program:
            url = await program.until(r"(http://\S+/mcp)")
            with anyio.CancelScope() as client:
                async with subscribed(url, era, f"plex://sessions/{self.probe.key}") as (_, ear):
                    task_status.started(Member(program.pid, ear, time.monotonic(), client=client))
                    await anyio.sleep_forever()

    async def kill(self) -> None:
        """Kill whoever listens, as nothing can be prepared for, and see another one go on."""
        pid, _ = self.listener()
        (victim,) = (member for member in self.alive if member.pid == pid)
        victim.until = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        victim.client.cancel()
        await anyio.sleep(0.02)
        kill = Kill(victim.until, self.rows("SELECT id, payload FROM events WHERE type = 'progress'"))
        self.kills.append(kill)
        with anyio.fail_after(SECONDS):
            while self.listener()[0] == pid or self.listener()[1] != "live":  # noqa: ASYNC110 - another process
                await anyio.sleep(0.01)
        kill.again = time.monotonic()

    async def writes(self) -> None:
        """Leave letters as any process may that does not listen, until it is over."""
        with closing(sqlite3.connect(self.folder / "shared.sqlite3", timeout=10, isolation_level=None)) as writer:
            while not self.over:
                tool = f"tool {self.letters}"
                letter = {
                    "at": int(time.time() * 1000),
                    "body": json.dumps({"tool": tool, "outcome": "done", "raw": {}}),
                }
                writer.execute("INSERT INTO letters (at, kind, body) VALUES (:at, 'audit', :body)", letter)
                self.letters += 1
                await anyio.sleep(LETTER_SECONDS)

    # -- what people do

    async def evening(self) -> None:
        """Marks, plays that begin, go on and end, until it is over."""
        began, sent = time.monotonic(), 0
        while not self.over:
            now = time.monotonic()
            for number in range(sent, int((now - began) * MARKS_PER_SECOND)):
                self._mark(number)
                sent = number + 1
            for play in list(self.playing):
                self._go_on(play, now)
            self._begin_some(now)
            await anyio.sleep(0.005)
        for play in self.playing:
            self.demo.stop(play.session)
            self.played.append(play.session.key)

    def _mark(self, number: int) -> None:
        said = {"type": "progress", "size": 1, "ProgressNotification": [{"message": f"mark {number}"}]}
        self.demo.send_raw(json.dumps({"NotificationContainer": said}))
        self.marks[number] = time.monotonic()

    def _go_on(self, play: Play, now: float) -> None:
        if now >= play.ends:
            self.demo.stop(play.session)
            self.playing.remove(play)
            self.played.append(play.session.key)
        elif now - play.reported >= 1:
            self.demo.move(play.session, 1)
            play.reported = now

    def _begin_some(self, now: float) -> None:
        taken = {play.session.player.client_identifier for play in self.playing}
        for number in range(1, PEOPLE):
            free = self.demo.get_player(number).client_identifier not in taken
            if free and self.chance.random() < 0.02:
                movie = self.demo.get_movie(self.chance.randrange(20))
                session = self.demo.start(movie, player=number, user=number % len(self.demo.state.users))
                self.playing.append(Play(session, now + self.chance.uniform(*PLAY_SECONDS), now))

    async def presses_on(self) -> None:
        """Pause and go on, for ever."""
        while not self.over:
            self.presses.append(time.monotonic())
            if self.probe.state == "playing":
                self.demo.pause(self.probe)
            else:
                self.demo.resume(self.probe)
            await anyio.sleep(PRESS_SECONDS * self.chance.uniform(0.8, 1.2))


async def fire(folder: Path, processes: int, kills: int, pause: float = 2.0) -> Fire:
    """Let it happen."""
    household = crowded(PEOPLE)
    async with open_demo(alive=False, household=household) as demo, anyio.create_task_group() as tasks:
        it = Fire(demo, folder, demo.start(), tasks)
        for _ in range(processes):
            tasks.start_soon(it.begin)
        with anyio.fail_after(SECONDS):
            while len(it.alive) < processes or it.listener()[1] != "live":  # noqa: ASYNC110 - other processes
                await anyio.sleep(0.05)
        async with anyio.create_task_group() as evening:
            evening.start_soon(it.evening)
            evening.start_soon(it.presses_on)
            evening.start_soon(it.writes)
            await anyio.sleep(pause)
            for left in reversed(range(kills)):
                await it.kill()
                if left:
                    await it.begin()
                await anyio.sleep(pause)
            it.over = True
        await _written(it)
        tasks.cancel_scope.cancel()
    return it


async def _written(it: Fire) -> None:
    """Wait until the writer has caught up with the end of the evening."""
    last = f"mark {max(it.marks)}"
    open_still = "SELECT session_key FROM plays WHERE ended_at IS NULL"
    with anyio.fail_after(SECONDS):
        while not it.told_of(last) or it.rows(open_still) != [(it.probe.key,)] or it.rows("SELECT 1 FROM letters"):  # noqa: ASYNC110 - another process
            await anyio.sleep(0.05)


def wrong(it: Fire) -> list[str]:
    """What is not as it must be."""
    found: list[str] = []
    ids = [id_ for (id_,) in it.rows("SELECT id FROM events ORDER BY id")]
    if ids != list(range(1, len(ids) + 1)):
        found.append("the ids of the journal have holes")
    told = it.rows("SELECT id, payload FROM events WHERE type = 'progress' ORDER BY id")
    numbers = [int(json.loads(payload)["message"].split()[1]) for _, payload in told]
    if numbers != sorted(set(numbers)):
        found.append("a mark is there twice, or out of order")
    found += [f"a committed row was lost: {row}" for kill in it.kills for row in set(kill.committed) - set(told)]
    found += [f"mark {n} is missing, sent while somebody listened" for n in lost(it) if not _in_a_gap(it, it.marks[n])]
    answered = [subject for (subject,) in it.rows("SELECT subject FROM events WHERE type = 'audit' ORDER BY id")]
    if answered != [f"tool {number}" for number in range(it.letters)]:
        found.append("a letter was not written down, or twice, or out of order")
    plays = Counter(
        key
        for (key,) in it.rows("SELECT session_key FROM plays WHERE ended_at IS NOT NULL AND session_key IS NOT NULL")
    )
    plays.pop(it.probe.key, None)
    if plays != Counter(it.played):
        odd = {**(plays - Counter(it.played)), **(Counter(it.played) - plays)}
        found.append(f"plays that are there twice, or not at all: {odd}")
    found += [f"process {pid} was not told of a press" for pid in untold(it)]
    return found


def lost(it: Fire) -> list[int]:
    """Marks that no journal row tells of."""
    told = {payload for (payload,) in it.rows("SELECT payload FROM events WHERE type = 'progress'")}
    return [number for number in it.marks if f'{{"message":"mark {number}"}}' not in told]


def _in_a_gap(it: Fire, at: float) -> bool:
    return any(kill.at - LOSS_SECONDS <= at <= kill.again for kill in it.kills)


def untold(it: Fire) -> list[int]:
    """Processes whose client was not told of some press."""
    return [
        member.pid
        for member in it.members
        for at in it.presses[:-1]
        if member.since < at and at + TOLD_SECONDS < member.until and _told(member, at) > TOLD_SECONDS
    ]


def _told(member: Member, at: float) -> float:
    """Seconds from a press until the client was told."""
    return next((told - at for told in member.ear.told if told > at), float("inf"))


def latencies(it: Fire) -> list[float]:
    """Milliseconds from a press to each client of each process, while nothing was the matter."""
    quiet = [at for at in it.presses[:-1] if not any(kill.at - 0.3 <= at <= kill.again + 0.5 for kill in it.kills)]
    return [
        _told(member, at) * 1000
        for member in it.members
        for at in quiet
        if member.since + 0.5 < at and at + 1 < member.until
    ]


def show(it: Fire) -> None:
    """Figures."""
    gaps, late, unheard = [kill.again - kill.at for kill in it.kills], latencies(it), lost(it)
    before = [kill.at - it.marks[n] for n in unheard for kill in it.kills if 0 <= kill.at - it.marks[n] < LOSS_SECONDS]
    rows = len(it.rows("SELECT 1 FROM events"))
    print(f"{machine()}; {len(it.members)} processes, {len(it.kills)} of them killed while they wrote")
    print(f"kill -9 to the next one live: median {statistics.median(gaps):.2f} s, at most {max(gaps):.2f} s")
    p50, p99 = percentile(late, 50), percentile(late, 99)
    print(f"press to a client of any process: p50 {p50:.0f} ms, p99 {p99:.0f} ms ({len(late)} notifications)")
    print(f"{len(it.marks)} marks, {len(unheard)} of them sent while nobody listened or not yet committed at a kill")
    print(f"not yet committed: {len(before)}, the oldest {max(before, default=0) * 1000:.0f} ms before the kill")
    print(f"{len(it.played)} plays, {it.letters} letters, {rows} rows of the journal")


def main(arguments: list[str]) -> None:
    processes, kills = (int(one) for one in arguments or (PROCESSES, KILLS))
    with tempfile.TemporaryDirectory() as folder:
        it = anyio.run(partial(fire, Path(folder), processes, kills))
        show(it)
        problems = wrong(it)
    sys.exit("\n".join(problems) or 0)


if __name__ == "__main__":
    main(sys.argv[1:])
