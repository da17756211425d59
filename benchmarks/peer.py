"""`python -m benchmarks.peer PROGRAM [ID …]`: plex-companion beside plex-mcp-server 1.5.0, which it replaces.

PROGRAM is the other one's command in an environment of its own, as `make bench-peer` makes it. See docs/benchmarks.md.
"""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import requests

from benchmarks.cold_start import start_once
from benchmarks.figures import REPEATS, Figure, compare, describe_machine, percentile, print_table
from benchmarks.mcp_sessions import open_session
from benchmarks.programs import BARE, COMPANION, run_companion, run_program

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence

    from benchmarks.mcp_sessions import McpSession
    from benchmarks.programs import Program

PROGRAMS = ("-m", "benchmarks.tools_programs")
TOKEN = "benchmark-token"  # noqa: S105 - the demo server takes any
FIFTY = 50
ONE_BY_ONE = 10
PLEX_DELAY = 0.02
STREAMS = {4: 1 / 8, 20: 1 / 14, 100: None}
SESSIONS: tuple[str, dict[str, Any]] = ("sessions_get_active", {})
CONTENTS: tuple[str, dict[str, Any]] = ("library_get_contents", {"library_name": "Films", "limit": 50})


@dataclass(frozen=True, slots=True)
class Pair:
    """The two programs, listening to the same demo server, and a session with each."""

    ours: McpSession
    theirs: McpSession
    urls: tuple[str, str]


@asynccontextmanager
async def run_pair(folder: Path, peer: Path, plex_url: str) -> AsyncIterator[Pair]:
    """Run both over HTTP on one demo server."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    options = ("--transport", "streamable-http", "--host", "127.0.0.1", "--port", port)
    plex = ("--plex-url", plex_url, "--plex-token", TOKEN)
    async with (
        run_companion(folder, plex_url) as companion,
        run_program(folder, str(peer), *options, *plex, python=peer.with_name("python")) as other,
    ):
        await other.wait_for_line(r"running on (\S+)")
        urls = (companion.url, f"http://127.0.0.1:{port}/mcp")
        async with open_session(urls[0]) as ours, open_session(urls[1]) as theirs:
            yield Pair(ours, theirs, urls)


@asynccontextmanager
async def run_demo(folder: Path, *arguments: str) -> AsyncIterator[Program]:
    """Run a demo server in a process of its own."""
    async with run_program(folder, *PROGRAMS, *arguments) as program:
        program.url = await program.wait_for_line(r"serves (\S+)")
        yield program


# -- equal answers


def read_sessions(answer: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Return what both say about a session: state, player, user and title."""
    names = ("state", "player_name", "user", "content_description")
    return sorted(tuple(str(session[name]) for name in names) for session in answer["sessions"])


def read_contents(answer: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the keys and titles of a page, in order."""
    return [(str(item["media_id"]), item["title"]) for item in answer["items"]]


async def check_equal(pair: Pair, call: tuple[str, dict[str, Any]], read: Callable[..., Any], count: int) -> None:
    """Wait until the companion knows so many, and insist that both give the same answer."""
    with anyio.fail_after(60):
        while len(read(await pair.ours.call(*call))) < count:  # noqa: ASYNC110 - the first snapshot comes when it comes
            await anyio.sleep(0.1)
    await pair.theirs.reconnect()
    ours, theirs = read(await pair.ours.call(*call)), read(await pair.theirs.call(*call))
    assert ours == theirs, (ours[:3], theirs[:3])
    assert len(ours) == count


# -- the measurements


async def measure_start(folder: Path, peer: Path) -> AsyncIterator[Figure]:
    """Measure S1 and S2: both, and a bare server with as many tools, in turns."""
    database = ("--database", str(folder / "start.sqlite3"))
    python = peer.with_name("python")
    async with run_demo(folder, "streams", "4") as demo:
        plex = ("--plex-url", demo.url, "--plex-token", TOKEN)

        def start_three(count: int) -> tuple[Any, Any, Any]:
            return (
                start_once(folder, *COMPANION, *plex, *database),
                start_once(folder, str(peer), "--transport", "stdio", *plex, python=python),
                start_once(folder, *BARE, "tools", str(count)),
            )

        first = await anyio.to_thread.run_sync(start_three, 1)
        rounds = [await anyio.to_thread.run_sync(start_three, first[0].tools) for _ in range(REPEATS)]
    ours, theirs, bare = zip(*rounds, strict=True)
    seconds, cpu, memory = (
        [[getattr(one, name) for one in starts] for starts in (ours, theirs, bare)]
        for name in ("seconds", "cpu_seconds", "read_peak_mb")
    )
    tools = f"{ours[0].tools} and {theirs[0].tools} tools"
    yield compare("S1", f"start to tools/list on stdio, {tools}", seconds[0], seconds[1], unit="s", most=1.1)
    yield compare("S1", "processor time by then", cpu[0], cpu[1], unit="s")
    yield compare("S1", "to tools/list, against a bare MCPServer", seconds[0], seconds[2], unit="s", most=1.0)
    yield compare("S1", "processor time by then, the same", cpu[0], cpu[2], unit="s")
    yield compare("S2", "peak memory by then", memory[0], memory[1], unit="MB", most=1.05)


async def measure_sessions(folder: Path, peer: Path) -> AsyncIterator[Figure]:
    """Measure R1: the current sessions, one call after the other."""
    for count, most in STREAMS.items():
        async with run_demo(folder, "streams", str(count)) as demo, run_pair(folder, peer, demo.url) as pair:
            await check_equal(pair, SESSIONS, read_sessions, count)
            what = f"sessions_get_active, {count} streams, p50"
            yield compare("R1", what, *await _time_one_by_one(pair, SESSIONS), unit="ms", most=most)


async def _time_one_by_one(pair: Pair, call: tuple[str, dict[str, Any]]) -> tuple[list[float], list[float]]:
    """Return the median of each repeat, of both programs in turns."""
    halves: tuple[list[float], list[float]] = ([], [])
    for _ in range(REPEATS):
        for session, found in zip((pair.ours, pair.theirs), halves, strict=True):
            await session.reconnect()
            found.append(percentile([await session.time_call(*call) for _ in range(ONE_BY_ONE)], 50))
    return halves


async def measure_many_sessions(folder: Path, peer: Path) -> AsyncIterator[Figure]:
    """Measure R2: fifty calls in flight for the current sessions, with Plex 20 ms away."""
    async with run_demo(folder, "streams", "4") as demo, run_pair(folder, peer, demo.url) as pair:
        await check_equal(pair, SESSIONS, read_sessions, 4)
        slow = f"{demo.url}/demo/slow?seconds={PLEX_DELAY}"
        await anyio.to_thread.run_sync(lambda: requests.post(slow, timeout=5))
        async with open_crowd(pair.urls[0]) as ours, open_crowd(pair.urls[1]) as theirs:
            halves: tuple[list[float], list[float]] = ([], [])
            for _ in range(REPEATS):
                for crowd, found in zip((ours, theirs), halves, strict=True):
                    took, _ = await call_at_once(crowd, SESSIONS)
                    found.append(percentile(took, 50))
        what = f"{FIFTY} in flight, Plex 20 ms away, p50 of a call"
        yield compare("R2", what, *halves, unit="ms", most=1 / 25)


@asynccontextmanager
async def open_crowd(url: str) -> AsyncIterator[Sequence[McpSession]]:
    """Open fifty sessions, each on its own connection."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_session(url)) for _ in range(FIFTY)]


async def call_at_once(
    crowd: Sequence[McpSession], call: tuple[str, dict[str, Any]]
) -> tuple[list[float], float]:  # fmt: skip
    """Make one call in every session at once. Return the milliseconds of each, and the seconds of all."""
    took: list[float] = []

    async def make_call(session: McpSession) -> None:
        took.append(await session.time_call(*call))

    for session in crowd:
        await session.reconnect()
    began = time.monotonic()
    async with anyio.create_task_group() as tasks:
        for session in crowd:
            tasks.start_soon(make_call, session)
    return took, time.monotonic() - began


async def measure_library(folder: Path, peer: Path) -> AsyncIterator[Figure]:
    """Measure R5 and R3: a page of a library of 6,100 films one by one, then fifty at once, with pings meanwhile."""
    async with run_demo(folder, "demo", str(folder)) as demo, run_pair(folder, peer, demo.url) as pair:
        await check_equal(pair, CONTENTS, read_contents, 50)
        one_by_one = await _time_one_by_one(pair, CONTENTS)
        yield compare("R5", "library_get_contents, 50 films, p50", *one_by_one, unit="ms", most=1.0)
        rates: tuple[list[float], list[float]] = ([], [])
        idle: tuple[list[float], list[float]] = ([], [])
        busy: tuple[list[float], list[float]] = ([], [])
        async with open_crowd(pair.urls[0]) as ours, open_crowd(pair.urls[1]) as theirs:
            for _ in range(REPEATS):
                for side, (crowd, pinger) in enumerate(((ours, pair.ours), (theirs, pair.theirs))):
                    await pinger.reconnect()
                    idle[side].extend([await pinger.time_ping() for _ in range(20)])
                    rates[side].append(FIFTY / await _ping_meanwhile(crowd, pinger, busy[side]))
    yield compare("R5", f"the same, {FIFTY} in flight", *rates, unit="/s", least=1.2)
    for name, side in (("ping", 0), ("the other's ping, for comparison", 1)):
        high, low = percentile(busy[side], 99), percentile(idle[side], 99)
        what = f"{name} meanwhile, p99 of {len(busy[side])}, to its own p99 of {len(idle[side])} at rest"
        target, met = ("≤ 10", high <= 10 * low) if side == 0 else ("", None)
        yield Figure("R3", what, f"{high:.3g} ms", f"{low:.3g} ms", f"{high / low:.3g}", target, met)


async def _ping_meanwhile(crowd: Sequence[McpSession], pinger: McpSession, found: list[float]) -> float:
    """Ping while fifty calls are in flight. Return the seconds that these took."""
    seconds = 0.0
    done = anyio.Event()

    async def ping_until_done() -> None:
        while not done.is_set():
            found.append(await pinger.time_ping())
            await anyio.sleep(0.005)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ping_until_done)
        _, seconds = await call_at_once(crowd, CONTENTS)
        done.set()
    return seconds


MEASUREMENTS = {
    "S1": measure_start,
    "R1": measure_sessions,
    "R2": measure_many_sessions,
    "R5": measure_library,
}
SAME = {"S2": "S1", "R3": "R5"}


async def run(peer: Path, names: Collection[str]) -> None:
    began, before, figures = time.monotonic(), describe_machine(), []
    with tempfile.TemporaryDirectory() as folder:
        for name, measure in MEASUREMENTS.items():
            if name in names:
                async for figure in measure(Path(folder), peer):
                    figures.append(figure)
                    print(
                        f"{figure.id}  {figure.what}: {figure.ours}  {figure.floor}  {figure.ratio}",
                        file=sys.stderr,
                        flush=True,
                    )
    load = describe_machine().rpartition(", ")[2]
    print_table(figures, f"{before} before, {load} after; {time.monotonic() - began:.0f} s", against="plex-mcp-server")


def main(peer: str, *names: str) -> None:
    program = Path(peer).absolute()
    if not program.is_file():
        sys.exit(f"There is no {program}. Run: make bench-peer")
    wanted = {SAME.get(name.upper(), name.upper()) for name in names} or set(MEASUREMENTS)
    if unknown := wanted - MEASUREMENTS.keys():
        sys.exit(f"There is no {', '.join(sorted(unknown))}. There are {', '.join([*MEASUREMENTS, *SAME])}.")
    anyio.run(run, program, wanted)


if __name__ == "__main__":
    main(*sys.argv[1:])
