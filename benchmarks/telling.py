"""E1, E2: from a press on a player's button to the notification at a subscribed client."""

from __future__ import annotations

import sqlite3
import statistics
import time
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from benchmarks import listening
from benchmarks.figures import REPEATS, Figure, Spread, against, percentile
from benchmarks.hose import as_websocket, open_hose
from benchmarks.listening import ERAS, MODERN, subscribed, until_listed
from benchmarks.programs import bare_server, companion
from benchmarks.workload import crowded, gather, progress
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from mcp import Client

    from benchmarks.hose import Hose
    from benchmarks.listening import Ear
    from plex_companion.demo import Demo
    from plex_companion.demo.sessions import DemoSession

PRESSES = 20
QUIET = 0.07
"""Seconds between presses: more than the merge window, so that none waits for it."""
MERGE_MS, SLACK_MS = 50, 15
LOADS = {100: 12, 1000: 12, 5000: 12}
"""Frames per second, and presses in each of the repeats."""


def press(demo: Demo, session: DemoSession) -> float:
    """Pause, or go on."""
    at = time.monotonic()
    if session.state == "playing":
        demo.pause(session)
    else:
        demo.resume(session)
    return at


@dataclass
class Road:
    """A demo server, what listens to it, and a client that is told."""

    demo: Demo
    session: DemoSession
    ear: Ear

    async def press(self) -> float:
        """Milliseconds until the client is told."""
        at = press(self.demo, self.session)
        return (await self.ear.after(at) - at) * 1000


async def idle(folder: Path) -> AsyncIterator[Figure]:
    """E1."""
    for shown, era in ERAS.items():
        async with companion_road(folder, era) as ours, bare_road(folder, era) as bare, AsyncExitStack() as stack:
            rows = stack.enter_context(open_rows(folder))
            for road in (ours, bare) * 5:
                await road.press()
                await anyio.sleep(QUIET)
            mine: list[list[float]] = []
            floor: list[list[float]] = []
            disk: list[list[float]] = []
            for _ in range(REPEATS):
                thirds = [(await _quietly(ours), await _quietly(bare), commit(rows)) for _ in range(PRESSES)]
                for repeats, took in zip((mine, floor, disk), zip(*thirds, strict=True), strict=True):
                    repeats.append(list(took))
        yield from_repeats(f"press to notification, idle, p50, {shown}", mine, floor)
        yield worst(f"the same, p99 of {REPEATS * PRESSES}", mine, floor)
        yield Figure(
            "E1", "one bare commit on this disk, synchronous=FULL", Spread.of(map(statistics.median, disk)).text("ms")
        )


@contextmanager
def open_rows(folder: Path) -> Iterator[sqlite3.Connection]:
    """A bare table on the disk that the companion writes to."""
    with closing(sqlite3.connect(folder / "rows.sqlite3", isolation_level=None)) as rows:
        rows.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS rows (at)")
        yield rows


def commit(rows: sqlite3.Connection) -> float:
    """Milliseconds for what the companion does before it tells anybody, and the floor does not."""
    at = time.monotonic()
    rows.execute("INSERT INTO rows VALUES (?)", (at,))
    return (time.monotonic() - at) * 1000


async def _quietly(road: Road) -> float:
    took = await road.press()
    await anyio.sleep(QUIET / 2)
    return took


def from_repeats(what: str, mine: list[list[float]], floor: list[list[float]]) -> Figure:
    ours, bare = ([percentile(one, 50) for one in repeats] for repeats in (mine, floor))
    return against("E1", what, ours, bare, unit="ms", most=1.5)


def worst(what: str, mine: list[list[float]], floor: list[list[float]]) -> Figure:
    ours, bare = ([took for one in repeats for took in one] for repeats in (mine, floor))
    high = percentile(ours, 99)
    return Figure("E1", what, f"{high:.3g} ms", f"{percentile(bare, 99):.3g} ms", "", "≤ 5 ms", high <= 5)


@asynccontextmanager
async def companion_road(folder: Path, era: str) -> AsyncIterator[Road]:
    async with open_demo(alive=False) as demo, companion(folder, demo.url) as program:
        session = demo.start()
        async with subscribed(program.url, era) as (client, ear):
            await until_listed(client, 1)
            yield Road(demo, session, ear)


@asynccontextmanager
async def bare_road(folder: Path, era: str) -> AsyncIterator[Road]:
    async with open_demo(alive=False) as demo:
        address = f"ws{demo.url.removeprefix('http')}/:/websockets/notifications"
        async with bare_server(folder, "relay", address) as program, subscribed(program.url, era) as (_, ear):
            yield Road(demo, demo.start(), ear)


@dataclass
class Busy:
    """A companion under load. The first session is the one whose buttons are pressed."""

    demo: Demo
    hose: Hose
    client: Client
    ear: Ear
    playing: list[DemoSession]
    sent: int = 0
    uncovered: int = 0
    over: bool = False

    async def load(self, rate: int) -> None:
        """The other sessions make progress until it is over."""
        moving, began = progress(self.demo, self.playing[1:]), time.monotonic()
        while not self.over:
            due = int((time.monotonic() - began) * rate)
            await self.hose.pour(as_websocket(_some(moving, due - self.sent)))
            self.sent = due
            await anyio.sleep(0.002)

    async def press(self) -> float:
        """Milliseconds until the client was told and found, when it then read, what had changed."""
        at = told = press(self.demo, self.playing[0])
        try:
            with anyio.fail_after(5):
                while True:
                    told = await self.ear.after(told)
                    found = await listening.sessions(self.client)
                    if found[self.playing[0].key]["state"] == self.playing[0].state:
                        return (told - at) * 1000
        except TimeoutError:
            self.uncovered += 1
            return 5000.0

    async def is_right_at_last(self) -> bool:
        """Whether the companion ends up knowing exactly where everybody is."""
        with anyio.move_on_after(5):
            while True:
                found = await listening.sessions(self.client)
                if all(_agrees(found.get(one.key), one) for one in self.playing):
                    return True
                await anyio.sleep(0.05)
        return False


def _agrees(found: dict[str, object] | None, session: DemoSession) -> bool:
    return found is not None and (found["state"], found["view_offset_ms"]) == (session.state, session.offset)


def _some(texts: Iterator[str], count: int) -> list[str]:
    return [next(texts) for _ in range(count)]


async def busy(folder: Path) -> AsyncIterator[Figure]:
    """E2."""
    for rate, presses in LOADS.items():
        async with AsyncExitStack() as stack:
            demo = await stack.enter_async_context(open_demo(alive=False, household=crowded(20)))
            hose = await stack.enter_async_context(open_hose(demo.port))
            program = await stack.enter_async_context(companion(folder, hose.url))
            playing = gather(demo, 20)
            client, ear = await stack.enter_async_context(subscribed(program.url, MODERN))
            await until_listed(client, 20)
            it = Busy(demo, hose, client, ear, playing)
            async for figure in _loaded(it, rate, presses):
                yield figure


async def _loaded(it: Busy, rate: int, presses: int) -> AsyncIterator[Figure]:
    repeats: list[list[float]] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(it.load, rate)
        began = time.monotonic()
        while len(repeats) < REPEATS:
            repeats += [[await _paced(it, number) for number in range(presses)]]
        reached = it.sent / (time.monotonic() - began)
        it.over = True  # cancelled, it might have counted what it never sent
    right = await it.is_right_at_last()
    covered = "all covered" if it.uncovered == 0 else f"{it.uncovered} NOT COVERED"
    what = f"the same at {reached:,.0f} frames/s, p50; {covered}, the end is {'right' if right else 'WRONG'}"
    yield Figure("E2", what, Spread.of(percentile(one, 50) for one in repeats).text("ms"))
    most = percentile([took for one in repeats for took in one], 99)
    met = most <= MERGE_MS + SLACK_MS and right and it.uncovered == 0
    target = f"≤ {SLACK_MS} + {MERGE_MS} ms"
    yield Figure("E2", f"p99 of {REPEATS * presses}", f"{most:.3g} ms", "", "", target, met)


async def _paced(it: Busy, number: int) -> float:
    took = await it.press()
    await anyio.sleep(0.06 + number % 7 * 0.005)
    return took
