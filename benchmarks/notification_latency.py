"""E1, E2: from a press on a player's button to the notification at a subscribed client."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from benchmarks import mcp_clients
from benchmarks.figures import REPEATS, Figure, Spread, compare, percentile
from benchmarks.frame_injector import encode_websocket_frames, open_injector
from benchmarks.mcp_clients import ERAS, MODERN, subscribe, wait_for_sessions
from benchmarks.programs import run_bare_relay, run_companion
from benchmarks.simulated_load import build_household_with_players, generate_progress, start_sessions
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from mcp import Client

    from benchmarks.frame_injector import FrameInjector
    from benchmarks.mcp_clients import NotificationTimes
    from plex_companion.demo import Demo
    from plex_companion.demo.sessions import DemoSession

PRESSES = 20
PRESS_INTERVAL = 0.07
"""Seconds between presses: more than the merge window, so that none waits for it."""
PROGRESS_INTERVAL = 1.1
"""Seconds until progress is notified at once: more than a second after the notification before it."""
PRESSES_AFTER_PROGRESS = 3
MERGE_MS, SLACK_MS = 50, 15
LOADS = {100: 12, 1000: 12, 5000: 12}
"""Frames per second, and presses in each of the repeats."""


def press_button(demo: Demo, session: DemoSession) -> float:
    """Press pause or play and return the time."""
    at = time.monotonic()
    if session.state == "playing":
        demo.pause(session)
    else:
        demo.resume(session)
    return at


@dataclass
class DeliveryPath:
    """A demo server, a program that listens to it, and a subscribed client."""

    demo: Demo
    session: DemoSession
    ear: NotificationTimes

    async def press_button(self) -> float:
        """Press and return the milliseconds until the client is notified."""
        at = press_button(self.demo, self.session)
        return (await self.ear.wait_after(at) - at) * 1000

    async def press_after_progress(self) -> float:
        """Press once progress was notified, which is before its merge window has passed."""
        await anyio.sleep(PROGRESS_INTERVAL)
        at = time.monotonic()
        self.demo.move(self.session, 1)
        await self.ear.wait_after(at)
        return await self.press_button()

    async def press_alone(self) -> float:
        """Press after as long a time, without progress."""
        await anyio.sleep(PROGRESS_INTERVAL)
        return await self.press_button()


async def measure_idle_latency(folder: Path) -> AsyncIterator[Figure]:
    """Measure E1: latency with nothing else going on."""
    for shown, era in ERAS.items():
        async with open_companion_path(folder, era) as ours, open_bare_path(folder, era) as bare:
            for path in (ours, bare) * 5:
                await _press_and_wait(path)
            mine: list[list[float]] = []
            floor: list[list[float]] = []
            for _ in range(REPEATS):
                pairs = [(await _press_and_wait(ours), await _press_and_wait(bare)) for _ in range(PRESSES)]
                for repeats, took in zip((mine, floor), zip(*pairs, strict=True), strict=True):
                    repeats.append(list(took))
        yield compare_medians(f"press to notification, idle, p50, {shown}", mine, floor)
        yield compare_p99(f"the same, p99 of {REPEATS * PRESSES}", mine, floor)
    yield await _measure_after_progress(folder)


async def _measure_after_progress(folder: Path) -> Figure:
    """Compare presses right after a notification of progress with presses alone."""
    async with open_companion_path(folder, MODERN) as path:
        after: list[float] = []
        alone: list[float] = []
        for _ in range(REPEATS):
            pairs = [
                (await path.press_after_progress(), await path.press_alone()) for _ in range(PRESSES_AFTER_PROGRESS)
            ]
            for repeats, took in zip((after, alone), zip(*pairs, strict=True), strict=True):
                repeats.append(percentile(took, 50))
    return compare(
        "E1", "press within 50 ms after progress, p50 / without, 2026-07-28", after, alone, unit="ms", most=1.1
    )


async def _press_and_wait(path: DeliveryPath) -> float:
    took = await path.press_button()
    await anyio.sleep(PRESS_INTERVAL / 2)
    return took


def compare_medians(what: str, mine: list[list[float]], floor: list[list[float]]) -> Figure:
    ours, bare = ([percentile(one, 50) for one in repeats] for repeats in (mine, floor))
    return compare("E1", what, ours, bare, unit="ms", most=1.3)


def compare_p99(what: str, mine: list[list[float]], floor: list[list[float]]) -> Figure:
    ours, bare = ([took for one in repeats for took in one] for repeats in (mine, floor))
    high = percentile(ours, 99)
    return Figure("E1", what, f"{high:.3g} ms", f"{percentile(bare, 99):.3g} ms", "", "≤ 5 ms", high <= 5)


@asynccontextmanager
async def open_companion_path(folder: Path, era: str) -> AsyncIterator[DeliveryPath]:
    async with open_demo(alive=False) as demo, run_companion(folder, demo.url) as program:
        session = demo.start()
        async with subscribe(program.url, era) as (client, updates):
            await wait_for_sessions(client, 1)
            yield DeliveryPath(demo, session, updates)


@asynccontextmanager
async def open_bare_path(folder: Path, era: str) -> AsyncIterator[DeliveryPath]:
    async with (
        open_demo(alive=False) as demo,
        run_bare_relay(folder, demo.url) as program,
        subscribe(program.url, era) as (_, updates),
    ):
        yield DeliveryPath(demo, demo.start(), updates)


@dataclass
class BusyCompanion:
    """A companion under load. The first session is the one whose buttons are pressed."""

    demo: Demo
    injector: FrameInjector
    client: Client
    ear: NotificationTimes
    playing: list[DemoSession]
    sent: int = 0
    missed: int = 0
    over: bool = False

    async def load(self, rate: int) -> None:
        """Send progress of the other sessions until `over`."""
        moving, began = generate_progress(self.demo, self.playing[1:]), time.monotonic()
        while not self.over:
            due = int((time.monotonic() - began) * rate)
            await self.injector.send_frames(encode_websocket_frames(_take(moving, due - self.sent)))
            self.sent = due
            await anyio.sleep(0.002)

    async def press_button(self) -> float:
        """Press and return the milliseconds until the notification after which the client read the change."""
        at = notified = press_button(self.demo, self.playing[0])
        try:
            with anyio.fail_after(5):
                while True:
                    notified = await self.ear.wait_after(notified)
                    found = await mcp_clients.read_sessions(self.client)
                    if found[self.playing[0].key]["state"] == self.playing[0].state:
                        return (notified - at) * 1000
        except TimeoutError:
            self.missed += 1
            return 5000.0

    async def ends_up_right(self) -> bool:
        """Return whether the companion ends up with the state and position of every session."""
        with anyio.move_on_after(5):
            while True:
                found = await mcp_clients.read_sessions(self.client)
                if all(_agrees(found.get(one.key), one) for one in self.playing):
                    return True
                await anyio.sleep(0.05)
        return False


def _agrees(found: dict[str, object] | None, session: DemoSession) -> bool:
    return found is not None and (found["state"], found["view_offset_ms"]) == (session.state, session.offset)


def _take(texts: Iterator[str], count: int) -> list[str]:
    return [next(texts) for _ in range(count)]


async def measure_busy_latency(folder: Path) -> AsyncIterator[Figure]:
    """Measure E2: latency under load."""
    for rate, presses in LOADS.items():
        async with AsyncExitStack() as stack:
            demo = await stack.enter_async_context(open_demo(alive=False, household=build_household_with_players(20)))
            injector = await stack.enter_async_context(open_injector(demo.port))
            program = await stack.enter_async_context(run_companion(folder, injector.url))
            playing = start_sessions(demo, 20)
            client, updates = await stack.enter_async_context(subscribe(program.url, MODERN))
            await wait_for_sessions(client, 20)
            it = BusyCompanion(demo, injector, client, updates, playing)
            async for figure in _measure_under_load(it, rate, presses):
                yield figure


async def _measure_under_load(it: BusyCompanion, rate: int, presses: int) -> AsyncIterator[Figure]:
    repeats: list[list[float]] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(it.load, rate)
        began = time.monotonic()
        while len(repeats) < REPEATS:
            repeats += [[await _press_at_intervals(it, number) for number in range(presses)]]
        reached = it.sent / (time.monotonic() - began)
        it.over = True  # cancelled, it might have counted what it never sent
    right = await it.ends_up_right()
    covered = "all covered" if it.missed == 0 else f"{it.missed} NOT COVERED"
    what = f"the same at {reached:,.0f} frames/s, p50; {covered}, the end is {'right' if right else 'WRONG'}"
    yield Figure("E2", what, Spread.from_repeats(percentile(one, 50) for one in repeats).format("ms"))
    most = percentile([took for one in repeats for took in one], 99)
    met = most <= MERGE_MS + SLACK_MS and right and it.missed == 0
    target = f"≤ {SLACK_MS} + {MERGE_MS} ms"
    yield Figure("E2", f"p99 of {REPEATS * presses}", f"{most:.3g} ms", "", "", target, met)


async def _press_at_intervals(it: BusyCompanion, number: int) -> float:
    took = await it.press_button()
    await anyio.sleep(0.06 + number % 7 * 0.005)
    return took
