"""F1, F2: what one press costs with more and more subscribers, or more and more sessions, and how late the last one is told.

Processor time is the companion's own, read from the kernel. The floor is the relay on the bare SDK with as many subscribers.
"""

from __future__ import annotations

import resource
import statistics
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from benchmarks.figures import REPEATS, Figure, Spread, compare, percentile
from benchmarks.frame_injector import encode_websocket_frames, open_injector
from benchmarks.mcp_clients import ERAS, LEGACY, MODERN, SESSIONS
from benchmarks.notification_latency import press_button
from benchmarks.programs import run_bare_relay, run_companion
from benchmarks.raw_subscribers import SECONDS, open_subscribers, wait_until_received
from benchmarks.simulated_load import build_household_with_players, generate_progress, start_sessions
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from benchmarks.programs import Program
    from benchmarks.raw_subscribers import RawSubscriber
    from plex_companion.demo import Demo
    from plex_companion.demo.sessions import DemoSession

SUBSCRIBERS = (1, 10, 100, 1000)
PLAYING = (10, 100, 1000)
WARM, PRESSES, FRAMES = 3, 3, 2_000
SETTLE_SECONDS = 0.15
"""After the last notification of a press: longer than the merge window of a thousand subscribers."""
IDLE_MS = 3.0
"""Processor time in so long that means it is idle."""
PRESSES_PER_MINUTE = 60
MOST_CPU_MS, MOST_LAST_MS, MOST_MB = 0.15, 250, 250
FILES = 8_192


@dataclass
class SubscribedProgram:
    """A program with many subscribers that listens to a demo server."""

    demo: Demo
    session: DemoSession
    program: Program
    subscribers: Sequence[RawSubscriber]

    async def press(self) -> float:
        """Press and return the milliseconds until the last subscriber was notified."""
        return max(await wait_until_received(self.subscribers, press_button(self.demo, self.session)))

    async def measure_cpu(self) -> float:
        """Return the milliseconds of processor time of one press."""
        before = self.program.read_cpu_ms()
        for _ in range(PRESSES):
            await self.press()
            await anyio.sleep(SETTLE_SECONDS)
        return (self.program.read_cpu_ms() - before) / PRESSES

    async def wait_until_idle(self) -> None:
        """Wait until it uses hardly any processor time."""
        used, before = IDLE_MS, 0.0
        with anyio.fail_after(SECONDS):
            while used >= IDLE_MS:
                before = self.program.read_cpu_ms()
                await anyio.sleep(SETTLE_SECONDS)
                used = self.program.read_cpu_ms() - before

    async def measure_p99(self, readers: Sequence[RawSubscriber]) -> float:
        """Return the p99 of the milliseconds until each of these subscribers was notified, of a few presses."""
        found: list[float] = []
        for _ in range(PRESSES):
            found += await wait_until_received(readers, press_button(self.demo, self.session))
            await anyio.sleep(SETTLE_SECONDS)
        return percentile(found, 99)

    async def warm_up(self) -> None:
        """Press a few times."""
        for _ in range(WARM):
            await self.press()
            await anyio.sleep(SETTLE_SECONDS)


@asynccontextmanager
async def open_program(folder: Path, counts: dict[str, int], *, bare: bool = False) -> AsyncIterator[SubscribedProgram]:
    """Run the companion, or the bare relay, with so many subscribers of each era."""
    _raise_file_limit()
    async with AsyncExitStack() as stack:
        demo = await stack.enter_async_context(open_demo(alive=False))
        program = await stack.enter_async_context((run_bare_relay if bare else run_companion)(folder, demo.url))
        session, found = demo.start(), []
        for era, count in counts.items():
            found += await stack.enter_async_context(open_subscribers(program.url, era, count, SESSIONS))
        opened = SubscribedProgram(demo, session, program, found)
        await opened.warm_up()
        yield opened


async def measure_fan_out(folder: Path) -> AsyncIterator[Figure]:
    """Measure F1: the cost of a press by subscribers and by sessions, and a minute with a thousand subscribers."""
    for shown, era in ERAS.items():
        costs: list[Sequence[float]] = []
        for count in SUBSCRIBERS:
            async with (
                open_program(folder, {era: count}) as ours,
                open_program(folder, {era: count}, bare=True) as bare,
            ):
                pairs = [(await ours.measure_cpu(), await bare.measure_cpu()) for _ in range(REPEATS)]
            mine, floor = zip(*pairs, strict=True)
            costs.append(mine)
            yield _compare_cost(f"processor time per notification, {count:,} subscribers, {shown}", mine, floor, count)
        yield _describe_slope(f"the same for each further subscriber, {shown}", SUBSCRIBERS, costs)
    async for figure in _measure_minute(folder):
        yield figure
    async for figure in _measure_sessions(folder):
        yield figure


def _compare_cost(what: str, ours: Sequence[float], floor: Sequence[float], count: int) -> Figure:
    mine, bare = ([cost / count for cost in costs] for costs in (ours, floor))
    figure = compare("F1", what, mine, bare, unit="ms")
    if count != 100:  # where the target is
        return figure
    met = Spread.from_repeats(mine).median <= MOST_CPU_MS
    return Figure("F1", what, figure.ours, figure.floor, figure.ratio, f"≤ {MOST_CPU_MS:g} ms", met)


def _describe_slope(what: str, counts: Sequence[int], costs: Sequence[Sequence[float]]) -> Figure:
    """Describe how much one more costs: the slope of a straight line through the costs of each repeat."""
    slopes = [statistics.linear_regression(counts, repeat).slope for repeat in zip(*costs, strict=True)]
    return Figure("F1", what, Spread.from_repeats(1000 * slope for slope in slopes).format("µs"))


async def _measure_minute(folder: Path) -> AsyncIterator[Figure]:
    """Measure a press a second with a thousand subscribers, half of each era."""
    async with open_program(folder, {LEGACY: 500, MODERN: 500}) as crowd:
        lasts: list[float] = []
        waits: list[float] = []
        for _ in range(PRESSES_PER_MINUTE):
            next_at = time.monotonic() + 1
            waited = crowd.program.read_wait_ms()
            lasts.append(await crowd.press())
            waits.append(crowd.program.read_wait_ms() - waited)
            await anyio.sleep(max(0.0, next_at - time.monotonic()))
        memory = crowd.program.read_peak_mb()
    what = f"the last of 1,000 of both eras notified, {PRESSES_PER_MINUTE} presses, one a second: p50; the slowest"
    slowest = max(lasts)
    shown = f"{percentile(lasts, 50):.0f} ms; {slowest:.0f} ms"
    yield Figure("F1", what, shown, target=f"≤ {MOST_LAST_MS} ms", met=slowest <= MOST_LAST_MS)
    shown = f"{percentile(waits, 50):.0f} ms; {max(waits):.0f} ms"
    yield Figure("F1", "of which the companion waited for a processor that others had", shown)
    yield Figure("F1", "the most memory held then", f"{memory:.0f} MB", target=f"≤ {MOST_MB} MB", met=memory <= MOST_MB)


async def _measure_sessions(folder: Path) -> AsyncIterator[Figure]:
    """Measure what an event of progress, and a press, cost with more and more sessions and one subscriber."""
    events: list[Sequence[float]] = []
    presses: list[Sequence[float]] = []
    for count in PLAYING:
        async with AsyncExitStack() as stack:
            household = build_household_with_players(count)
            demo = await stack.enter_async_context(open_demo(alive=False, household=household))
            injector = await stack.enter_async_context(open_injector(demo.port))
            program = await stack.enter_async_context(run_companion(folder, injector.url))
            playing = start_sessions(demo, count)
            found = await stack.enter_async_context(open_subscribers(program.url, MODERN, 1))
            it = SubscribedProgram(demo, playing[0], program, found)
            moving = generate_progress(demo, playing[1:])
            await it.warm_up()
            pairs = []
            for _ in range(REPEATS):
                payload = encode_websocket_frames([next(moving) for _ in range(FRAMES)])
                before = program.read_cpu_ms()
                await injector.send_frames(payload)
                await it.wait_until_idle()
                pairs.append(((program.read_cpu_ms() - before) / FRAMES, await it.measure_cpu()))
        costs = [[*repeats] for repeats in zip(*pairs, strict=True)]
        for kept, what, cost in zip((events, presses), ("event of progress", "press"), costs, strict=True):
            kept.append(cost)
            figure = Spread.from_repeats(cost).format("ms")
            yield Figure("F1", f"processor time of one {what}, {count:,} sessions, one subscriber", figure)
    yield _describe_slope("the same of an event for each further session", PLAYING, events)
    yield _describe_slope("the same of a press for each further session", PLAYING, presses)


async def measure_unread(folder: Path) -> AsyncIterator[Figure]:
    """Measure F2: a tenth of a thousand subscribers stops reading, in turns with all of them reading."""
    async with open_program(folder, {LEGACY: 500, MODERN: 500}) as crowd:
        unread = crowd.subscribers[::10]
        readers = [one for number, one in enumerate(crowd.subscribers) if number % 10]
        ours: list[float] = []
        floor: list[float] = []
        for _ in range(REPEATS):
            floor.append(await crowd.measure_p99(readers))
            for one in unread:
                one.transport.pause_reading()
            ours.append(await crowd.measure_p99(readers))
            for one in unread:
                one.transport.resume_reading()
            await anyio.sleep(1.0)
    yield compare("F2", "press to 900 readers while 100 others do not read, p99", ours, floor, unit="ms", most=1.2)


def _raise_file_limit() -> None:
    """Allow thousands of sockets, here and in the programs that are started."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, FILES)), hard))
