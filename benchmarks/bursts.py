"""E3, E4: ten thousand frames at once, and as many as the disk will take."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from benchmarks import listening
from benchmarks.figures import REPEATS, Figure, against
from benchmarks.hose import as_websocket, open_hose
from benchmarks.listening import MODERN, subscribed, until_listed
from benchmarks.programs import BARE, companion, running
from benchmarks.workload import crowded, gather, last, mixture
from plex_companion.cache.database import open_cache
from plex_companion.cache.load import load_state
from plex_companion.companion import read_clock
from plex_companion.demo import open_demo
from plex_companion.events import ReceivedEvent, parse_frame
from plex_companion.ingest.live import Live
from plex_companion.ingest.loop import ingest
from plex_companion.ingest.queue import QUEUE_LIMIT, EventQueue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from mcp import Client

    from benchmarks.hose import Hose
    from benchmarks.listening import Ear
    from benchmarks.programs import Program
    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.changes.kinds import Effect
    from plex_companion.demo import Demo
    from plex_companion.demo.sessions import DemoSession

FRAMES = 10_000
PEOPLE = 20
SETTLE = 0.5


@dataclass
class Listener:
    """The bare ear, at the end of a hose of its own."""

    hose: Hose
    program: Program

    async def hears(self, poured: bytes) -> float:
        """Seconds to receive and decode it all."""
        began = time.monotonic()
        await self.hose.pour(poured)
        return float(await self.program.until(r"heard \d+ (\S+)")) - began


@asynccontextmanager
async def bare_ear(folder: Path, demo: Demo) -> AsyncIterator[Listener]:
    async with open_hose(demo.port) as hose:
        address = f"ws{hose.url.removeprefix('http')}/:/websockets/notifications"
        async with running(folder, *BARE, "ear", address) as program:
            await program.until("listens (now)")
            yield Listener(hose, program)


async def burst(folder: Path) -> AsyncIterator[Figure]:
    """E3."""
    async with AsyncExitStack() as stack:
        demo = await stack.enter_async_context(open_demo(alive=False, household=crowded(PEOPLE)))
        ear = await stack.enter_async_context(bare_ear(folder, demo))
        hose = await stack.enter_async_context(open_hose(demo.port))
        program = await stack.enter_async_context(companion(folder, hose.url))
        playing = gather(demo, PEOPLE)
        client, told = await stack.enter_async_context(subscribed(program.url, MODERN))
        await until_listed(client, PEOPLE)
        before, peaks, ours, floor = program.peak_mb(), [], [], []
        for number in range(REPEATS):
            poured = as_websocket([*mixture(demo, playing, FRAMES - 1), last(playing[0], f"{_odd(number)}")])
            began = time.monotonic()
            await hose.pour(poured)
            await _until_known(client, told, playing[0], began)
            ours.append(time.monotonic() - began)
            peaks.append(program.peak_mb() - before)
            await anyio.sleep(SETTLE)
            floor.append(await ear.hears(poured))
            await anyio.sleep(SETTLE)
    yield against(
        "E3", f"burst of {FRAMES:,} frames until a client that is told has read the end", ours, floor, unit="s", most=2
    )
    grown = f"{peaks[0]:.1f} MB after the first, {peaks[-1]:.1f} MB after {REPEATS}"
    yield Figure("E3", "peak memory grown by", grown, "", "", "≤ 20 MB", peaks[-1] <= 20)


def _odd(number: int) -> str:
    return "paused" if number % 2 == 0 else "playing"


async def _until_known(client: Client, told: Ear, session: DemoSession, since: float) -> None:
    """As a client does it: told, read; until what it reads is how the burst ended."""
    while True:
        since = await told.after(since)
        found = (await listening.sessions(client))[session.key]
        if (found["state"], found["view_offset_ms"]) == (session.state, session.offset):
            return


async def sustained(folder: Path) -> AsyncIterator[Figure]:
    """E4."""
    async with open_demo(alive=False, household=crowded(PEOPLE)) as demo, bare_ear(folder, demo) as ear:
        playing = gather(demo, PEOPLE)
        ours, floor = [], []
        for number in range(REPEATS):
            texts = [*mixture(demo, playing, FRAMES - 1), last(playing[0], _odd(number))]
            took, live = await _ingested(folder / f"sustained-{number}.sqlite3", texts)
            assert live.counters.collapsed == 0
            session = live.state.sessions[playing[0].key]
            assert (session.state, session.view_offset_ms) == (playing[0].state, playing[0].offset)
            ours.append(FRAMES / took)
            floor.append(FRAMES / await ear.hears(as_websocket(texts)))
    yield against("E4", "frames in memory to committed in SQLite, synchronous=FULL", ours, floor, unit="/s", least=0.4)


async def _ingested(path: Path, texts: Sequence[str]) -> tuple[float, Live]:
    """Seconds from the first frame to the commit of the last, and what is known then."""
    done = anyio.Event()
    async with open_cache(path) as cache, anyio.create_task_group() as tasks:
        live = Live(await load_state(cache, read_clock()))
        inbox = EventQueue(QUEUE_LIMIT, live.counters)

        def announce(_: Sequence[Effect], __: TouchedUris) -> None:
            if live.counters.events.total() + live.counters.unrecognized == len(texts):
                done.set()

        tasks.start_soon(ingest, inbox, live, cache, announce)
        began = time.monotonic()
        for text in texts:
            moment = read_clock()
            await inbox.put([ReceivedEvent(event, moment) for event in parse_frame(text.encode())])
            while len(inbox) > QUEUE_LIMIT // 2:  # or the full inbox would merge what is to be written
                await live.wait_for_commit()
        await done.wait()
        took = time.monotonic() - began
        tasks.cancel_scope.cancel()
    return took, live
