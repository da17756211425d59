"""L3: how fast a press is announced while another server in the same companion fails."""

from __future__ import annotations

import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream
from pydantic import SecretStr

from benchmarks.figures import REPEATS, Figure, Spread, percentile
from plex_companion.app import open_companion
from plex_companion.demo import build_household, open_demo
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.demo import Demo

PRESSES = 40
PAUSE_SECONDS = 0.03
QUIET = "does nothing"
FLOOD = "sends 5,000 frames a second"
FAILURES = (QUIET, "hangs", "answers after 20 s", "is killed", "refuses the token", FLOOD)
MOST = 1.2


async def measure_failures(folder: Path) -> AsyncIterator[Figure]:
    """Measure the time from a press on one server to its announcement, while the other fails in each way."""
    found: dict[str, list[float]] = {failure: [] for failure in FAILURES}
    for number in range(REPEATS):
        for failure in FAILURES:
            found[failure] += await press_beside(folder / f"{number}-{FAILURES.index(failure)}.sqlite3", failure)
    floor = percentile(found[QUIET], 99)
    for failure, seconds in found.items():
        ratio, spread = percentile(seconds, 99) / floor, Spread.from_repeats([1_000 * one for one in seconds])
        shown = f"p99 {1_000 * percentile(seconds, 99):.3g} ms; {spread.format('ms')}"
        met = None if failure == QUIET else ratio <= MOST
        yield Figure(
            "L3", f"press on one server → announced; another {failure}", shown, "", f"{ratio:.2f}", f"≤ {MOST}", met
        )


async def press_beside(path: Path, failure: str) -> list[float]:
    """Return the seconds from each press to its announcement."""
    arrived = anyio.Event()

    def announce(touched: TouchedUris) -> None:
        nonlocal arrived
        if uri in touched.immediate:
            arrived.set()
            arrived = anyio.Event()

    async with AsyncExitStack() as opened:
        near = await opened.enter_async_context(open_server("n"))
        far = None if failure == FLOOD else await opened.enter_async_context(open_server("f"))
        url = far.url if far else await opened.enter_async_context(open_flood())
        uri = f"plex://servers/{'n' * 40}/sessions"
        given = {"plex_url": f"{near.url},{url}", "database": path, "catalogue": False}
        settings = Settings.load(given).model_copy(update={"plex_token": SecretStr(near.token)})
        companion = await opened.enter_async_context(open_companion(settings, announce))
        session = near.start()
        if far:
            far.start()
        while not all(state.sessions for state in companion.live.states.values()):
            await companion.live.wait_for_commit()
        async with anyio.create_task_group() as tasks:
            if far:
                tasks.start_soon(disturb, far, failure)
            await anyio.sleep(0.5)
            seconds = []
            for number in range(PRESSES):
                waiting, began = arrived, time.perf_counter()
                (near.pause if number % 2 == 0 else near.resume)(session)
                await waiting.wait()
                seconds.append(time.perf_counter() - began)
                await anyio.sleep(PAUSE_SECONDS + 0.05)  # beyond the merge window
            tasks.cancel_scope.cancel()
    return seconds


def open_server(letter: str) -> AbstractAsyncContextManager[Demo]:
    household = replace(build_household(now=time.time()), name=letter, machine_identifier=letter * 40, history=[])
    return open_demo(alive=False, household=household)


@asynccontextmanager
async def open_flood() -> AsyncIterator[str]:
    """Run a server that floods in a process of its own, and yield its address."""
    command = [sys.executable, "-m", "benchmarks.flooding_server"]
    async with await anyio.open_process(command, stderr=None) as process:
        assert process.stdout
        yield (await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 1_000)).decode().strip()
        process.terminate()


async def disturb(demo: Demo, failure: str) -> None:
    match failure:
        case "hangs":
            demo.go_silent(everything=True)
        case "answers after 20 s":
            demo.slow_down(20)
        case "is killed":
            await demo.shut_down()
        case "refuses the token":
            demo.revoke_token()
            demo.reset_connections()
