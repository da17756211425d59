"""`python -m benchmarks.tools`: what each reading tool costs on a big household, and fifty calls in flight at once.

See docs/benchmarks.md.
"""

from __future__ import annotations

import os
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import requests
from mcp import Client
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from benchmarks.figures import REPEATS, Figure, Spread, compare, describe_machine, percentile, print_table
from benchmarks.mcp_clients import LEGACY, MODERN, read_text
from benchmarks.programs import run_bare_server, run_program
from benchmarks.tools_calls import FILM, READS, Call
from benchmarks.tools_load import run_load
from plex_companion.app import open_application
from plex_companion.plex import session
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence

    from benchmarks.programs import Program
    from benchmarks.tools_load import Load
    from plex_companion.app import Application

PROGRAMS = ("-m", "benchmarks.tools_programs")
PLEX_DELAY = 0.02
IMPORTED_DATABASE = "tools.sqlite3"
FIFTY = 50
CALLS_EACH = 4
SLOTS = (8, 16, 32)
SWITCH_MS = sys.getswitchinterval() * 1000
CALLS = (
    Call("server_get_info", 1),
    Call("server_get_butler_tasks", 1),
    Call("media_get_details", 1, {"media_id": FILM}),
    Call("playlist_list", 1),
)
"""One request each, cheap for the demo server, which must not limit the measurement."""
CONTENTS = (Call("library_get_contents", 3, {"library_name": "Films"}),)
"""A page of a library: the work on Plex's answer is most of its cost."""
LOCAL_CALLS = (Call("live_sessions", 0),)
SIDE_REQUESTS = {
    "ping": ("R3", "ping meanwhile"),
    "contents": ("R3", "ping while fifty library_get_contents are in flight"),
    "bare": ("R3", "the same beside a bare MCPServer"),
    "sessions": ("R2", "resources/read of plex://sessions meanwhile"),
}
"""The requests that are made while fifty calls are in flight."""


# -- each tool


@dataclass
class Cost:
    """The cost of a call, in each repeat."""

    requests: list[int] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    plex: list[float] = field(default_factory=list)
    """Milliseconds in which it waited for Plex; requests at the same time are added up."""


@contextmanager
def time_plex_requests() -> Iterator[list[float]]:
    """Collect the milliseconds of each request to Plex, with the body of its answer, until the block ends."""
    took: list[float] = []
    adapter: Any = session._PlexAdapter  # noqa: SLF001 - every request goes through it
    send = adapter.send

    def timed(*args: Any, **options: Any) -> Any:
        began = time.monotonic()
        try:
            return send(*args, **options)
        finally:
            took.append((time.monotonic() - began) * 1000)

    adapter.send = timed
    try:
        yield took
    finally:
        adapter.send = send


async def measure_every_tool(folder: Path, url: str) -> Table:
    """Measure each call nine times with empty caches. The companion is in this process, the demo server in its own."""
    costs = {call: Cost() for call in map(str, READS)}
    settings = Settings.load({"plex_url": url, "plex_tv_url": url, "database": folder / IMPORTED_DATABASE})
    settings = settings.model_copy(update={"plex_token": SecretStr("benchmark-token")})
    async with open_application(settings) as application, Client(application.server, mode=MODERN) as client:
        while not application.companion.state.history.complete:  # the import makes requests too
            await application.companion.live.wait_for_commit()
        with time_plex_requests() as took:
            for _ in range(REPEATS):
                for call in READS:
                    await _call_once(application, client, call, costs[str(call)], took)
    table = Table(
        "tool",
        "requests",
        "budget",
        "median (min-max)",
        "of which waiting for Plex",
        title="Reading tools, empty caches",
    )
    for call in READS:
        cost = costs[str(call)]
        count = int(statistics.median(cost.requests))
        mark = " OVER" if count > call.budget else ""
        times = Spread.from_repeats(cost.took).format("ms"), f"{statistics.median(cost.plex):.3g} ms"
        table.add_row(str(call), f"{count}{mark}", str(call.budget), *times)
    return table


async def _call_once(application: Application, client: Client, call: Call, cost: Cost, took: list[float]) -> None:
    application.companion.ttl_cache.clear()
    took.clear()
    before, began = sum(application.companion.gateway.requests.values()), time.monotonic()
    answer = await client.call_tool(call.tool, call.given)
    cost.took.append((time.monotonic() - began) * 1000)
    cost.requests.append(sum(application.companion.gateway.requests.values()) - before)
    cost.plex.append(sum(took))
    assert answer.is_error == (call.code is not None), (call, answer)
    assert not call.said or (answer.structured_content or {}).get(call.said), (call, answer)


# -- fifty in flight


@dataclass
class ConcurrentResults:
    """The results of each repeat."""

    single: list[Load] = field(default_factory=list)
    fifty: dict[int, list[Load]] = field(default_factory=lambda: {count: [] for count in SLOTS})
    local: list[Load] = field(default_factory=list)
    contents: list[Load] = field(default_factory=list)
    fifty_contents: list[Load] = field(default_factory=list)
    idle: dict[str, list[list[float]]] = field(default_factory=lambda: {name: [] for name in SIDE_REQUESTS})
    busy: dict[str, list[list[float]]] = field(default_factory=lambda: {name: [] for name in SIDE_REQUESTS})


@asynccontextmanager
async def run_companions(folder: Path, url: str) -> AsyncIterator[dict[int, Program]]:
    """Run a companion for each number of slots, in a process of its own, with nothing left to import."""
    async with AsyncExitStack() as stack:
        found = {}
        for count in SLOTS:
            arguments = ("--transport", "http", "--port", "0", "--plex-url", url, "--plex-token", "benchmark-token")
            database = ("--database", str(shutil.copy(folder / IMPORTED_DATABASE, folder / f"{count}.sqlite3")))
            options = ("slots", str(count), str(SWITCH_MS), "serve", *arguments, *database)
            program = await stack.enter_async_context(run_program(folder, *PROGRAMS, *options))
            program.url = await program.wait_for_line(r"(http://\S+/mcp)")
            await run_load(program.url, CALLS, 8, 4, {})
            found[count] = program
        yield found


@dataclass(frozen=True, slots=True)
class SideRequest:
    """A request that is made while others call."""

    url: str
    ask: Callable[[], Awaitable[Any]]
    beside: Sequence[Call] = CALLS


async def measure_fifty_calls(folder: Path, demo_program: Program) -> list[Figure]:
    """Measure T2: fifty calls with Plex 20 ms away."""
    await anyio.to_thread.run_sync(
        lambda: requests.post(f"{demo_program.url}/demo/slow?seconds={PLEX_DELAY}", timeout=5)
    )
    results, names = ConcurrentResults(), [call.tool for call in CALLS]
    async with (
        run_companions(folder, demo_program.url) as programs,
        run_bare_server(folder, "slots", str(SLOTS[0]), *names) as bare,
        Client(programs[SLOTS[0]].url, mode=LEGACY) as old,
        Client(programs[SLOTS[0]].url, mode=MODERN) as new,
        Client(bare.url, mode=LEGACY) as floor,
    ):
        usual = programs[SLOTS[0]].url
        sides = {
            "ping": SideRequest(usual, old.send_ping),
            "contents": SideRequest(usual, old.send_ping, CONTENTS),
            "bare": SideRequest(bare.url, floor.send_ping),
            "sessions": SideRequest(usual, lambda: read_text(new)),
        }
        for _ in range(REPEATS):
            await _repeat(results, programs, demo_program, sides)
    return [*_list_rates(results), *_list_contents_rates(results), *_list_side_latencies(results)]


async def _repeat(
    results: ConcurrentResults, programs: dict[int, Program], demo_program: Program, sides: dict[str, SideRequest]
) -> None:
    usual = programs[SLOTS[0]].url
    pids = {"demo server": demo_program.pid, "these callers": os.getpid()}
    for name, side in sides.items():
        results.idle[name].append([await _time_request(side.ask) for _ in range(20)])
    results.single.append(await run_load(usual, CALLS, 1, 20, {"companion": programs[SLOTS[0]].pid}))
    for count, program in programs.items():
        results.fifty[count].append(
            await run_load(program.url, CALLS, FIFTY, CALLS_EACH, {"companion": program.pid, **pids})
        )
    results.local.append(await run_load(usual, LOCAL_CALLS, FIFTY, CALLS_EACH, {"companion": programs[SLOTS[0]].pid}))
    companion = {"companion": programs[SLOTS[0]].pid}
    results.contents.append(await run_load(usual, CONTENTS, 1, 20, companion))
    results.fifty_contents.append(await run_load(usual, CONTENTS, FIFTY, CALLS_EACH, companion))
    for name, side in sides.items():
        results.busy[name].append(await _while_busy(side))


async def _while_busy(side: SideRequest) -> list[float]:
    """Return the milliseconds of a request that is repeated while fifty calls are in flight."""
    found: list[float] = []
    async with anyio.create_task_group() as tasks:

        async def request_repeatedly() -> None:
            while True:
                await anyio.sleep(0.01)
                found.append(await _time_request(side.ask))

        tasks.start_soon(request_repeatedly)
        await run_load(side.url, side.beside, FIFTY, CALLS_EACH, {})
        tasks.cancel_scope.cancel()
    return found


async def _time_request(ask: Callable[[], Awaitable[Any]]) -> float:
    began = time.monotonic()
    await ask()
    return (time.monotonic() - began) * 1000


def _list_rates(results: ConcurrentResults) -> Iterator[Figure]:
    single = [one.rate for one in results.single]
    yield Figure("T2", "one call after the other", Spread.from_repeats(single).format("/s"))
    for count, loads in results.fifty.items():
        what = f"{FIFTY} in flight, {count} slots"
        least = 5 if count == SLOTS[0] else None
        yield compare("R5", what, [one.rate for one in loads], single, unit="/s", least=least)
        waits = Spread.from_repeats(percentile(one.took, 50) for one in loads).format("ms")
        cpu = ", ".join(f"{name} {_median_cpu(loads, name):.2g}" for name in loads[0].cpu)
        yield Figure("T2", f"p50 of a call; processor ms a call: {cpu}", waits)
    local = Spread.from_repeats(one.rate for one in results.local).format("/s")
    cpu = f"processor ms a call: companion {_median_cpu(results.local, 'companion'):.2g}"
    yield Figure("T2", f"{FIFTY} in flight of a tool that needs no Plex; {cpu}", local)


def _list_contents_rates(results: ConcurrentResults) -> Iterator[Figure]:
    for what, loads in (("one after the other", results.contents), (f"{FIFTY} in flight", results.fifty_contents)):
        rate = Spread.from_repeats(one.rate for one in loads).format("/s")
        cpu = Spread.from_repeats(one.cpu["companion"] for one in loads).format("ms")
        yield Figure("R5", f"library_get_contents, {what}; processor time a call {cpu}", rate)


def _median_cpu(loads: list[Load], name: str) -> float:
    return statistics.median(one.cpu[name] for one in loads)


def _list_side_latencies(results: ConcurrentResults) -> Iterator[Figure]:
    for name, (id_, what) in SIDE_REQUESTS.items():
        busy, idle = results.busy[name], results.idle[name]
        halves = ([percentile(one, 50) for one in repeats] for repeats in (busy, idle))
        yield compare(id_, f"{what}, p50, against idle", *halves, unit="ms")
        ours, floor = ([took for one in repeats for took in one] for repeats in (busy, idle))
        high, low = percentile(ours, 99), percentile(floor, 99)
        most = {"ping": 5, "contents": 10}.get(name)
        target, met = ("", None) if most is None else (f"≤ {most}", high <= most * low)
        shown = f"the same, p99 of {len(ours)} against {len(floor)}"
        yield Figure(id_, shown, f"{high:.3g} ms", f"{low:.3g} ms", f"{high / low:.3g}", target, met)


async def run() -> None:
    began, before = time.monotonic(), describe_machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with run_program(folder, *PROGRAMS, "demo", name) as demo_program:
            demo_program.url = await demo_program.wait_for_line(r"serves (\S+)")
            table = await measure_every_tool(folder, demo_program.url)
            figures = await measure_fifty_calls(folder, demo_program)
    Console(width=None if os.isatty(1) else 160).print(table)
    print_table(
        figures, f"{before} before, {describe_machine().rpartition(', ')[2]} after; {time.monotonic() - began:.0f} s"
    )


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="ping is removed")  # the era that has it is measured
    anyio.run(run)
