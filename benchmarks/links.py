"""`python -m benchmarks.links`: what a hundred servers in one companion cost beside one. See docs/benchmarks.md."""

from __future__ import annotations

import tempfile
import time
from contextlib import asynccontextmanager
from pathlib import Path
from sqlite3 import connect
from typing import TYPE_CHECKING

import anyio

from benchmarks.figures import REPEATS, Figure, compare, describe_machine, print_table
from benchmarks.link_failures import measure_failures
from benchmarks.simulated_load import build_household_with_players, build_mixed_frames, start_sessions
from plex_companion.cache.database import open_cache
from plex_companion.cache.leadership import TouchedUris
from plex_companion.cache.load import load_states
from plex_companion.companion import read_clock
from plex_companion.demo import open_demo
from plex_companion.events import ReceivedEvent, Snapshot
from plex_companion.ingest.leader import LeaderRecord
from plex_companion.ingest.live import Live
from plex_companion.ingest.loop import ingest
from plex_companion.ingest.queue import QUEUE_LIMIT, EventQueues
from plex_companion.models import ServerIdentity
from plex_companion.parsing.websocket_frames import parse_frame
from plex_companion.processes.follower import Follower
from plex_companion.resources.registry import find_touched_of_links
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.changes.kinds import Effect

LINKS = 100
FRAMES = 10_000
SESSIONS = 20
"""Of each server: two thousand in all."""
REFRESHES = 20
"""Refreshes of one repeat."""


def name_links(count: int) -> list[str]:
    return [f"link-{number:03d}" for number in range(count)]


async def measure(folder: Path) -> AsyncIterator[Figure]:
    """Measure how fast frames are written, and what it costs another process to see that one server moved."""
    few, all_sessions = await build_frames(SESSIONS), await build_frames(SESSIONS * LINKS)
    many, one, same = [], [], []
    for number in range(REPEATS):
        one.append(FRAMES / await ingest_all(folder / f"one-{number}.sqlite3", 1, few))
        many.append(FRAMES / await ingest_all(folder / f"many-{number}.sqlite3", LINKS, few))
        same.append(FRAMES / await ingest_all(folder / f"same-{number}.sqlite3", 1, all_sessions, SESSIONS * LINKS))
    what = f"frames in memory to committed, {LINKS} servers with {SESSIONS * LINKS:,} sessions, beside one with as many"
    yield compare("L1", what, many, same, unit="/s of CPU", least=0.6)
    yield compare("L1", f"the same, beside one server with {SESSIONS} sessions", many, one, unit="/s of CPU")
    async with (
        open_follower(folder / "many-0.sqlite3", LINKS) as all_,
        open_follower(folder / "one-0.sqlite3", 1) as first,
    ):
        many, one = [], []
        for _ in range(REPEATS):
            one.append(await time_refreshes(first))
            many.append(await time_refreshes(all_))
    what = f"a follower reads that one of {LINKS} servers moved, beside the only one"
    yield compare("L2", what, many, one, unit="ms of CPU", most=1.5)


async def build_frames(sessions: int) -> list[str]:
    """Return frames of a server with so many sessions, and before them two of each session."""
    async with open_demo(alive=False, household=build_household_with_players(sessions)) as demo:
        return build_mixed_frames(demo, start_sessions(demo, sessions), FRAMES + 2 * sessions)


async def ingest_all(path: Path, count: int, texts: Sequence[str], sessions: int = SESSIONS) -> float:
    """Return the seconds of CPU from the first frame to the commit of the last. Each server has its share of the frames.

    Every server has all sessions from the beginning.
    """
    names, done = name_links(count), anyio.Event()
    async with open_cache(path) as cache, anyio.create_task_group() as tasks:
        states = await load_states(cache, names, read_clock())
        live = Live(states[names[0]], links=names)
        queues = EventQueues(names, QUEUE_LIMIT, live.counters)
        expected = 0

        def announce(_: Mapping[str, Sequence[Effect]], __: TouchedUris) -> None:
            if live.counters.events.total() + live.counters.unrecognized >= expected:
                done.set()

        leader = LeaderRecord(1, find_touched_of_links)
        tasks.start_soon(lambda: ingest(queues, live, cache, announce, leader_record=leader))
        expected, first, texts = count * sessions * 2, texts[: sessions * 2], texts[sessions * 2 :]
        for number, name in enumerate(names):
            server = ServerIdentity(f"{number:040d}", f"Server {number}", "1.43.3")
            await put(
                queues,
                name,
                [ReceivedEvent(Snapshot(1, first=True, requested=read_clock(), server=server), read_clock())],
            )
            for text in first:
                await put(queues, name, receive(text))
                while len(queues) > QUEUE_LIMIT // 2:
                    await live.wait_for_commit()
        await done.wait()
        done, expected = anyio.Event(), expected + len(texts)
        began = time.process_time()
        for number, text in enumerate(texts):
            await put(queues, names[number % count], receive(text))
            while number % 100 == 0 and len(queues) > QUEUE_LIMIT // 2:
                await live.wait_for_commit()
        await done.wait()
        took = time.process_time() - began
        tasks.cancel_scope.cancel()
    return took


def receive(text: str) -> list[ReceivedEvent]:
    moment = read_clock()
    return [ReceivedEvent(event, moment) for event in parse_frame(text.encode())]


async def put(queues: EventQueues, name: str, events: Sequence[ReceivedEvent]) -> None:
    await queues.by_link[name].put(events)


@asynccontextmanager
async def open_follower(path: Path, count: int) -> AsyncIterator[Follower]:
    """Follow a database that nobody writes but us; yield the follower after its first reading."""
    names = name_links(count)
    async with open_cache(path) as cache:
        states = await load_states(cache, names, read_clock())
        live = Live(states[names[0]], links=names)
        queues = EventQueues(names, QUEUE_LIMIT, live.counters)
        follower = Follower(live, cache, queues, lambda _: None, TouchedUris, read_clock, DAY_MS)
        await follower.refresh()
        yield follower


async def time_refreshes(follower: Follower) -> float:
    """Return the milliseconds of CPU of one refresh after one server moved."""
    took = 0.0
    for _ in range(REFRESHES):
        move_one(follower.cache)
        began = time.process_time()
        await follower.refresh()
        took += time.process_time() - began
    return 1_000 * took / REFRESHES


def move_one(cache: Cache) -> None:
    """Let the first server have changed, as the leader says after a commit."""
    with connect(cache.path) as database:
        database.execute("UPDATE links SET moved = moved + 1 WHERE link = ?", (name_links(1)[0],))


async def main() -> None:
    before = describe_machine()
    with tempfile.TemporaryDirectory() as folder:
        figures = [figure async for figure in measure(Path(folder))]
        figures += [figure async for figure in measure_failures(Path(folder))]
    print_table(figures, before, "one server")


if __name__ == "__main__":
    anyio.run(main)
