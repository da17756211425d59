"""E3, E4: ten thousand frames at once, and as many as the disk will take."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from benchmarks import mcp_clients
from benchmarks.figures import REPEATS, Figure, compare
from benchmarks.frame_injector import encode_websocket_frames, open_injector
from benchmarks.mcp_clients import MODERN, subscribe, wait_for_sessions
from benchmarks.programs import BARE, run_companion, run_program
from benchmarks.simulated_load import build_household_with_players, build_last_frame, build_mixed_frames, start_sessions
from plex_companion.cache.database import open_cache
from plex_companion.cache.load import load_state
from plex_companion.companion import read_clock
from plex_companion.demo import open_demo
from plex_companion.events import ReceivedEvent
from plex_companion.ingest.live import Live
from plex_companion.ingest.loop import ingest
from plex_companion.ingest.queue import QUEUE_LIMIT, EventQueues
from plex_companion.parsing.websocket_frames import parse_frame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from mcp import Client

    from benchmarks.frame_injector import FrameInjector
    from benchmarks.mcp_clients import NotificationTimes
    from benchmarks.programs import Program
    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.changes.kinds import Effect
    from plex_companion.demo import Demo
    from plex_companion.demo.sessions import DemoSession

FRAMES = 10_000
PEOPLE = 20
SETTLE = 0.5


@dataclass
class BareListener:
    """The bare listener, behind a frame injector of its own."""

    injector: FrameInjector
    program: Program

    async def time_receiving(self, sent: bytes) -> float:
        """Return the seconds to receive and decode all frames."""
        began = time.monotonic()
        await self.injector.send_frames(sent)
        return float(await self.program.wait_for_line(r"received \d+ (\S+)")) - began


@asynccontextmanager
async def open_bare_listener(folder: Path, demo: Demo) -> AsyncIterator[BareListener]:
    async with open_injector(demo.port) as injector:
        address = f"ws{injector.url.removeprefix('http')}/:/websockets/notifications"
        async with run_program(folder, *BARE, "listener", address) as program:
            await program.wait_for_line("listens (now)")
            yield BareListener(injector, program)


async def measure_burst(folder: Path) -> AsyncIterator[Figure]:
    """Measure E3: a burst until a subscribed client has read its end."""
    async with AsyncExitStack() as stack:
        demo = await stack.enter_async_context(open_demo(alive=False, household=build_household_with_players(PEOPLE)))
        updates = await stack.enter_async_context(open_bare_listener(folder, demo))
        injector = await stack.enter_async_context(open_injector(demo.port))
        program = await stack.enter_async_context(run_companion(folder, injector.url))
        playing = start_sessions(demo, PEOPLE)
        client, notifications = await stack.enter_async_context(subscribe(program.url, MODERN))
        await wait_for_sessions(client, PEOPLE)
        before, peaks, ours, floor = program.read_peak_mb(), [], [], []
        for number in range(REPEATS):
            sent = encode_websocket_frames(
                [
                    *build_mixed_frames(demo, playing, FRAMES - 1),
                    build_last_frame(playing[0], f"{_choose_state(number)}"),
                ]
            )
            began = time.monotonic()
            await injector.send_frames(sent)
            await _wait_until_known(client, notifications, playing[0], began)
            ours.append(time.monotonic() - began)
            peaks.append(program.read_peak_mb() - before)
            await anyio.sleep(SETTLE)
            floor.append(await updates.time_receiving(sent))
            await anyio.sleep(SETTLE)
    yield compare(
        "E3", f"burst of {FRAMES:,} frames until a subscribed client has read the end", ours, floor, unit="s", most=3
    )
    grown = f"{peaks[0]:.1f} MB after the first, {peaks[-1]:.1f} MB after {REPEATS}"
    yield Figure("E3", "peak memory grown by", grown, "", "", "≤ 20 MB", peaks[-1] <= 20)


def _choose_state(number: int) -> str:
    return "paused" if number % 2 == 0 else "playing"


async def _wait_until_known(
    client: Client, notifications: NotificationTimes, session: DemoSession, since: float
) -> None:
    """Wait for notifications and read after each, as a client does, until the end of the burst is read."""
    while True:
        since = await notifications.wait_after(since)
        found = (await mcp_clients.read_sessions(client))[session.key]
        if (found["state"], found["view_offset_ms"]) == (session.state, session.offset):
            return


async def measure_sustained(folder: Path) -> AsyncIterator[Figure]:
    """Measure E4: frames a second from memory to the disk."""
    async with (
        open_demo(alive=False, household=build_household_with_players(PEOPLE)) as demo,
        open_bare_listener(folder, demo) as updates,
    ):
        playing = start_sessions(demo, PEOPLE)
        ours, floor = [], []
        for number in range(REPEATS):
            texts = [
                *build_mixed_frames(demo, playing, FRAMES - 1),
                build_last_frame(playing[0], _choose_state(number)),
            ]
            took, live = await _ingest_all(folder / f"sustained-{number}.sqlite3", texts)
            assert live.counters.collapsed == 0
            session = live.state.sessions[playing[0].key]
            assert (session.state, session.view_offset_ms) == (playing[0].state, playing[0].offset)
            ours.append(FRAMES / took)
            floor.append(FRAMES / await updates.time_receiving(encode_websocket_frames(texts)))
    yield compare("E4", "frames in memory to committed in SQLite, synchronous=FULL", ours, floor, unit="/s", least=0.25)


async def _ingest_all(path: Path, texts: Sequence[str]) -> tuple[float, Live]:
    """Return the seconds from the first frame to the commit of the last, and the state then."""
    done = anyio.Event()
    async with open_cache(path) as cache, anyio.create_task_group() as tasks:
        live = Live(await load_state(cache, read_clock()))
        queues = EventQueues(live.states, QUEUE_LIMIT, live.counters)
        queue = queues.first

        def announce(_: Mapping[str, Sequence[Effect]], __: TouchedUris) -> None:
            if live.counters.events.total() + live.counters.unrecognized == len(texts):
                done.set()

        tasks.start_soon(ingest, queues, live, cache, announce)
        began = time.monotonic()
        for text in texts:
            moment = read_clock()
            await queue.put([ReceivedEvent(event, moment) for event in parse_frame(text.encode())])
            while len(queue) > QUEUE_LIMIT // 2:  # or the full queue would merge events that are to be written
                await live.wait_for_commit()
        await done.wait()
        took = time.monotonic() - began
        tasks.cancel_scope.cancel()
    return took, live
