"""`python -m benchmarks.chronicle [KILLS [MACHINES]]`: machines with one chronicle; the one that leads is killed repeatedly.

Each machine is a process with a database of its own; all share a PostgreSQL that is started for this. Whoever leads is
killed (`kill -9`) before an append reaches PostgreSQL, between the append and its own commit, or shortly after.
Everything that was committed anywhere must be there in the end, everything once, the tables of all databases must be
equal, and the clients of every machine must be notified of every press. Prints how long nobody could commit.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio
import anyio.abc
from anyio import to_thread
from support.chronicle_leader import read_tables
from support.postgres import run_postgres

from benchmarks.figures import describe_machine, percentile
from benchmarks.killing_proxy import POINTS, KillingProxy, KillOrder, run_killing_proxy
from benchmarks.mcp_clients import LEGACY, MODERN, subscribe
from benchmarks.programs import COMPANION, run_program
from benchmarks.simulated_evening import PEOPLE, SimulatedEvening
from benchmarks.simulated_load import build_household_with_players
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.killing_proxy import Point
    from benchmarks.mcp_clients import NotificationTimes

MACHINES, KILLS = 3, 200
MARKS_PER_SECOND = 30
FORWARD_SECONDS = 0.2
NOTIFY_SECONDS = 5.0
LOSS_SECONDS = 1.0
"""What was sent so shortly before a kill may not have been committed yet."""
PAUSE_SECONDS = 0.7
"""Between two kills at least, with all machines running."""
SECONDS = 120
FORWARD = "INSERT INTO letters (at, kind, body) VALUES (?, 'audit', ?)"


@dataclass
class Life:
    """One process of a machine, and the notifications of its client."""

    updates: NotificationTimes
    since: float
    until: float = float("inf")


@dataclass
class Machine:
    """A folder with a database, and the process that runs there."""

    folder: Path
    proxy: KillingProxy
    lives: list[Life] = field(default_factory=list)
    client: anyio.CancelScope = field(default_factory=anyio.CancelScope)

    @property
    def database(self) -> Path:
        """Its database."""
        return self.folder / "own.sqlite3"

    def end_life(self) -> None:
        """Record that its process was killed, and end its client."""
        if self.is_running:
            self.lives[-1].until = time.monotonic()
        self.client.cancel()

    @property
    def is_running(self) -> bool:
        """Whether its process runs, and its client is subscribed."""
        return bool(self.lives) and self.lives[-1].until == float("inf")

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return rows of its database."""
        with closing(sqlite3.connect(self.database, timeout=10)) as reader:
            return reader.execute(sql).fetchall()

    def forward(self, body: str) -> bool:
        """Forward an event to the leader, as another process beside that of the machine does; return whether it was written.

        A leader that hangs in the middle of an append keeps the lock of its database.
        """
        with (
            closing(sqlite3.connect(self.database, timeout=1, isolation_level=None)) as writer,
            suppress(sqlite3.OperationalError),
        ):
            writer.execute(FORWARD, (int(time.time() * 1000), body))
            return True
        return False

    def list_marks(self) -> list[tuple[int, str]]:
        """Return the marks in its journal."""
        return self.rows("SELECT id, payload FROM events WHERE type = 'progress' ORDER BY id")


@dataclass
class LeaderKill:
    """A leader that was killed and replaced. Times are those of the monotonic clock."""

    point: Point
    at: float
    committed: set[tuple[int, str]]
    """The marks in any database just afterwards."""
    replaced: float
    """When an append of another machine was answered."""
    live: float
    """When a third machine knew that Plex was listened to again."""


@dataclass(kw_only=True)
class ChronicleTest(SimulatedEvening):
    """The test: machines, what was sent, and what happened."""

    tasks: anyio.abc.TaskGroup
    machines: list[Machine] = field(default_factory=list)
    kills: list[LeaderKill] = field(default_factory=list)
    forwarded: list[str] = field(default_factory=list)
    order: KillOrder | None = None
    problems: list[str] = field(default_factory=list)
    """What was wrong in the end."""

    def take_order(self) -> KillOrder | None:
        """Return the next kill, once."""
        order, self.order = self.order, None
        return order

    async def run_machine(self, machine: Machine) -> None:
        """Run the process of a machine, and another one whenever it was killed."""
        options = ("--transport", "http", "--port", "0", "--plex-url", self.demo.url, "--plex-token", "benchmark-token")
        arguments = (*COMPANION, *options, "--database", str(machine.database), "--log-level", "warning")
        while True:
            era = (MODERN, LEGACY)[len(machine.lives) % 2]
            async with run_program(machine.folder, *arguments) as program:
                machine.proxy.pid = program.pid
                url = await program.wait_for_line(r"(http://\S+/mcp)")
                await self._stay_subscribed(machine, url, era)

    async def _stay_subscribed(self, machine: Machine, url: str, era: str) -> None:
        """Have a client subscribed until the process is killed."""
        with anyio.CancelScope() as machine.client:
            try:
                async with subscribe(url, era, f"plex://sessions/{self.watched_session.key}") as (_, updates):
                    machine.lives.append(Life(updates, time.monotonic()))
                    await anyio.sleep_forever()
            except* Exception:  # of a process that was killed, the client may notice it first
                if machine.is_running:
                    raise

    async def wait_until_running(self) -> None:
        """Wait until every machine runs and knows that Plex is listened to."""
        live = "SELECT 1 FROM links WHERE state = 'live'"
        with anyio.fail_after(SECONDS):
            while not all(machine.is_running and machine.rows(live) for machine in self.machines):  # noqa: ASYNC110 - other processes
                await anyio.sleep(0.02)

    async def kill(self, point: Point, how: signal.Signals = signal.SIGKILL) -> int:
        """Kill the leader at a point of its next append, wait until another machine leads, and return the process."""
        self.order = order = KillOrder(point, self.chance.uniform(0.0, 0.01), how)
        with anyio.fail_after(SECONDS):
            await order.done.wait()
        killed_at = int(time.time() * 1000)
        (killed,) = (machine for machine in self.machines if machine.proxy.pid == order.killed)
        committed = {mark for machine in self.machines for mark in machine.list_marks()}
        others = [machine for machine in self.machines if machine is not killed]
        with anyio.fail_after(SECONDS):
            while not (after := [at for one in others for at in one.proxy.answered[-50:] if at > order.at]):  # noqa: ASYNC110 - the same
                await anyio.sleep(0.005)
            while not others[0].rows(f"SELECT 1 FROM links WHERE state = 'live' AND since_at > {killed_at}"):  # noqa: ASYNC110, S608 - the same
                await anyio.sleep(0.005)
        self.kills.append(LeaderKill(point, order.at, committed, min(after), time.monotonic()))
        return order.killed

    async def forward_events(self) -> None:
        """Forward events to the leader from each machine in turn, as a process beside the one there does, until `over`."""
        while not self.over:
            for machine in self.machines:
                tool = f"tool {len(self.forwarded)}"
                body = json.dumps({"tool": tool, "outcome": "done", "raw": {}})
                if await to_thread.run_sync(machine.forward, body):  # an append that goes on needs our loop
                    self.forwarded.append(tool)
                await anyio.sleep(FORWARD_SECONDS)

    def is_written(self) -> bool:
        """Return whether every machine has the end of the evening, and all the same rows."""
        last, open_plays = f"mark {max(self.marks)}", [(self.watched_session.key,)]
        sql = "SELECT session_key FROM plays WHERE ended_at IS NULL"
        for machine in self.machines:
            newest = machine.rows("SELECT summary FROM events WHERE type = 'progress' ORDER BY id DESC LIMIT 9")
            if (last,) not in newest or machine.rows(sql) != open_plays or machine.rows("SELECT 1 FROM letters"):
                return False
        audits = self.machines[0].rows("SELECT count(*) FROM events WHERE type = 'audit'")[0][0]
        return audits >= len(self.forwarded) and not list_differences(self)


@asynccontextmanager
async def run_machines(folder: Path, machines: int, dsn: str, port: int) -> AsyncIterator[ChronicleTest]:
    """Run the machines; under load while the block runs. Then wait until all have the same, and list what is wrong."""
    household, group = build_household_with_players(PEOPLE), f"g{uuid4().hex[:12]}"  # others may use this PostgreSQL
    async with AsyncExitStack() as opened:
        demo = await opened.enter_async_context(open_demo(alive=False, household=household))
        tasks = await opened.enter_async_context(anyio.create_task_group())
        it = ChronicleTest(demo=demo, watched_session=demo.start(), tasks=tasks, marks_per_second=MARKS_PER_SECOND)
        for number in range(machines):
            proxy = await opened.enter_async_context(run_killing_proxy(port, it.take_order))
            it.machines.append(create_machine(folder / f"machine-{number}", proxy, dsn, port, group))
            tasks.start_soon(it.run_machine, it.machines[-1])
        await it.wait_until_running()
        async with anyio.create_task_group() as load:
            for activity in (it.simulate_evening, it.press_buttons, it.forward_events):
                load.start_soon(activity)
            yield it
            it.over = True
        with anyio.move_on_after(SECONDS):
            while not it.is_written():  # noqa: ASYNC110 - other processes
                await anyio.sleep(0.1)
        it.problems = list_problems(it)
        tasks.cancel_scope.cancel()


async def run_chronicle_test(folder: Path, machines: int, kills: int, dsn: str, port: int) -> ChronicleTest:
    """Run the machines under load and kill so many leaders."""
    async with run_machines(folder, machines, dsn, port) as it:
        for number in range(kills):
            await it.wait_until_running()
            await anyio.sleep(PAUSE_SECONDS * it.chance.uniform(0.5, 1.5))
            await it.kill(POINTS[number % len(POINTS)])
        await it.wait_until_running()
    return it


def create_machine(folder: Path, proxy: KillingProxy, dsn: str, port: int, group: str) -> Machine:
    """Create the folder of a machine that reaches PostgreSQL through a proxy."""
    folder.mkdir()
    address = dsn.replace(f":{port}/", f":{proxy.port}/")
    (folder / ".env").write_text(f"PLEX_COMPANION_CHRONICLE={address}\nPLEX_COMPANION_CHRONICLE_GROUP={group}\n")
    machine = Machine(folder, proxy)
    proxy.on_kill = machine.end_life
    return machine


def list_differences(it: ChronicleTest) -> list[str]:
    """Return the tables that differ between the machines."""
    first, *others = (read_tables(machine.database) for machine in it.machines)
    return [table for table in first if any(other[table] != first[table] for other in others)]


def describe_difference(it: ChronicleTest, table: str) -> list[list[object]]:
    """Return the rows of a table that a machine has and another has not, a few of each."""
    each = [read_tables(machine.database)[table] for machine in it.machines]
    return [[row for row in rows if any(row not in other for other in each)][:3] for rows in each]


def list_problems(it: ChronicleTest) -> list[str]:
    """Return everything that is wrong in a database or was missed by a client."""
    found = [
        f"the table {table} differs between machines: {describe_difference(it, table)}"
        for table in list_differences(it)
    ]
    one = it.machines[0]
    for table in ("events", "occurrences"):
        ids = [id_ for (id_,) in one.rows(f"SELECT id FROM {table} ORDER BY id")]  # noqa: S608 - our own tables
        if ids != list(range(1, len(ids) + 1)):
            found.append(f"the ids of {table} have holes")
    marks = one.list_marks()
    numbers = [int(json.loads(payload)["message"].split()[1]) for _, payload in marks]
    if numbers != sorted(set(numbers)):
        found.append("a mark is there twice, or out of order")
    found += [f"a committed row was lost: {row}" for kill in it.kills for row in kill.committed - set(marks)]
    lost = [
        number
        for number in sorted(it.marks.keys() - set(numbers))
        if not any(kill.at - LOSS_SECONDS <= it.marks[number] <= kill.live for kill in it.kills)
    ]
    found += [f"marks are missing that were sent while a machine listened: {lost}"] if lost else []
    answered = Counter(subject for (subject,) in one.rows("SELECT subject FROM events WHERE type = 'audit'"))
    if answered != Counter(it.forwarded):
        odd = {**(answered - Counter(it.forwarded)), **(Counter(it.forwarded) - answered)}
        found.append(f"forwarded events that are there twice, or not at all: {odd}")
    sql = "SELECT session_key FROM plays WHERE ended_at IS NOT NULL AND session_key IS NOT NULL"
    plays = Counter(key for (key,) in one.rows(sql) if key != it.watched_session.key)
    if plays != Counter(it.played):
        odd = {**(plays - Counter(it.played)), **(Counter(it.played) - plays)}
        found.append(f"plays that are there twice, or not at all: {odd}")
    return found + [f"{machine.folder.name} missed a press" for machine in it.machines if misses_press(it, machine)]


def misses_press(it: ChronicleTest, machine: Machine) -> bool:
    """Return whether a client of a machine that ran was not notified of a press."""
    return any(
        find_delay(life, at) > NOTIFY_SECONDS
        for life in machine.lives
        for at in it.presses[:-1]
        if life.since < at and at + NOTIFY_SECONDS < life.until
    )


def find_delay(life: Life, at: float) -> float:
    """Return the seconds from a press until the client was notified."""
    return next((time - at for time in life.updates.times if time > at), float("inf"))


def list_latencies(it: ChronicleTest) -> list[float]:
    """Return the milliseconds from a press to the client of each machine, except around kills."""
    quiet = [at for at in it.presses[:-1] if not any(kill.at - 0.3 <= at <= kill.live + 1 for kill in it.kills)]
    return [
        find_delay(life, at) * 1000
        for machine in it.machines
        for life in machine.lives
        for at in quiet
        if life.since + 0.5 < at and at + 1 < life.until
    ]


def print_report(it: ChronicleTest) -> None:
    """Print the figures."""
    gaps, late = [kill.replaced - kill.at for kill in it.kills], list_latencies(it)
    points = ", ".join(f"{count} {point}" for point, count in Counter(kill.point for kill in it.kills).items())
    print(f"{describe_machine()}; {len(it.machines)} machines, the leader killed {len(it.kills)} times: {points}")
    print(
        f"kill -9 to the first commit of another machine: median {statistics.median(gaps):.2f} s, "
        f"{percentile(gaps, 90):.2f} s in nine of ten, at most {max(gaps):.2f} s"
    )
    deaf = [kill.live - kill.at for kill in it.kills]
    print(f"until Plex was listened to again: median {statistics.median(deaf):.2f} s, at most {max(deaf):.2f} s")
    p50, p99 = percentile(late, 50), percentile(late, 99)
    print(f"press to a client of any machine: p50 {p50:.0f} ms, p99 {p99:.0f} ms ({len(late)} notifications)")
    number = it.machines[0].rows("SELECT number FROM chronicle_position")[0][0]
    rows = it.machines[0].rows("SELECT count(*) FROM events")[0][0]
    print(
        f"{number} entries, {rows} rows of the journal, {len(it.played)} plays, {len(it.forwarded)} forwarded events, "
        f"{len(it.marks)} marks"
    )


def main(arguments: list[str]) -> None:
    """Run the test and report; fail if anything is wrong."""
    kills, machines = [*map(int, arguments), *(KILLS, MACHINES)[len(arguments) :]]
    with tempfile.TemporaryDirectory() as folder, run_postgres() as postgres:
        it = anyio.run(partial(run_chronicle_test, Path(folder), machines, kills, postgres.dsn, postgres.port))
        print_report(it)
    sys.exit("\n".join(it.problems) or 0)


if __name__ == "__main__":
    main(sys.argv[1:])
