"""`python -m benchmarks.event_streams`: a thousand streams of MCP Events, and what one occurrence costs them.

The floor is as many `subscriptions/listen` streams, in a program of their own, which are notified of the same pause.
Processor time is the companion's own, read from the kernel.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio

from benchmarks.figures import REPEATS, Figure, Spread, compare, describe_machine, print_table
from benchmarks.mcp_clients import SESSIONS
from benchmarks.notification_latency import press_button
from benchmarks.programs import run_companion
from benchmarks.raw_subscribers import (
    RawSubscriber,
    build_listen,
    build_stream_request,
    open_streams,
    wait_until_received,
)
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.programs import Program
    from plex_companion.demo import Demo
    from plex_companion.demo.sessions import DemoSession

STREAMS, FEW = 1_000, 10
MARK = b'"notifications/events/event"'
WARM, SETTLE_SECONDS = 2, 0.3
"""Presses before, and seconds after each: longer than the merge window of a thousand subscribers."""
MOST_LAST_MS = 500
FILES = 8_192


@dataclass
class StreamingProgram:
    """A companion with many streams, and the player whose button is pressed."""

    demo: Demo
    session: DemoSession
    program: Program
    streams: list[RawSubscriber]
    megabytes: float
    """The memory that the streams added."""

    async def pause(self) -> tuple[float, float]:
        """Pause; return the milliseconds until the last stream has it, and those of processor time. Then resume."""
        before = self.program.read_cpu_ms()
        last = max(await wait_until_received(self.streams, press_button(self.demo, self.session)))
        await anyio.sleep(SETTLE_SECONDS)
        used = self.program.read_cpu_ms() - before
        press_button(self.demo, self.session)
        await anyio.sleep(SETTLE_SECONDS)
        return last, used

    async def warm_up(self) -> None:
        """Pause a few times."""
        for _ in range(WARM):
            await self.pause()


@asynccontextmanager
async def open_program(folder: Path, count: int, *, events: bool) -> AsyncIterator[StreamingProgram]:
    """Run a companion with so many streams: of pauses as events, or of updates of the sessions."""
    async with AsyncExitStack() as stack:
        demo = await stack.enter_async_context(open_demo(alive=False))
        program = await stack.enter_async_context(run_companion(folder, demo.url))
        session, host = demo.start(), urlsplit(program.url).netloc
        request = build_stream_request(host, "events/stream", {"name": "play.paused", "arguments": {}})
        asked = (request, MARK) if events else (build_listen(host, SESSIONS),)
        before = program.read_peak_mb()
        streams = [RawSubscriber(*asked) for _ in range(count)]
        found = await stack.enter_async_context(open_streams(program.url, streams))
        opened = StreamingProgram(demo, session, program, found, program.read_peak_mb() - before)
        await opened.warm_up()
        yield opened


async def measure_streams(folder: Path) -> AsyncIterator[Figure]:
    """Measure how late the last stream gets an occurrence, and what that costs, beside listening."""
    megabytes = 0.0, 0.0
    for count in (FEW, STREAMS):
        async with (
            open_program(folder, count, events=True) as ours,
            open_program(folder, count, events=False) as listening,
        ):
            pairs = [(await ours.pause(), await listening.pause()) for _ in range(REPEATS)]
            megabytes = ours.megabytes, listening.megabytes
        lasts = [[pair[kind][0] for pair in pairs] for kind in (0, 1)]
        costs = [[pair[kind][1] for pair in pairs] for kind in (0, 1)]
        what = f"a pause to the last of {count:,} event streams"
        if count == STREAMS:
            slowest = max(lasts[0])
            shown, floor = (Spread.from_repeats(one).format("ms") for one in lasts)
            yield Figure("V1", what, shown, floor, target=f"≤ {MOST_LAST_MS} ms", met=slowest <= MOST_LAST_MS)
        else:
            yield compare("V1", what, *lasts, unit="ms")
        yield compare("V2", f"processor time of that, {count:,} streams", *costs, unit="ms")
    kilobytes = [1_000 * one / STREAMS for one in megabytes]
    yield Figure("V3", "memory per event stream", f"{kilobytes[0]:.0f} kB", f"{kilobytes[1]:.0f} kB")


async def main() -> None:
    """Measure and print."""
    before, figures = describe_machine(), []
    with tempfile.TemporaryDirectory() as folder:
        async for figure in measure_streams(Path(folder)):
            figures.append(figure)
            print(f"{figure.id}  {figure.what}: {figure.ours}  {figure.floor}", file=sys.stderr, flush=True)
    print_table(figures, before, "listening")


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, FILES)), hard))
    anyio.run(main)
