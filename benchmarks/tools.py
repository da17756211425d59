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

from benchmarks.figures import REPEATS, Figure, Spread, against, machine, percentile, show
from benchmarks.listening import LEGACY, MODERN, text
from benchmarks.programs import bare_server, running
from benchmarks.tools_calls import FILM, READS, Call
from benchmarks.tools_load import load
from plex_companion.app import open_application
from plex_companion.plex import session
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from benchmarks.programs import Program
    from benchmarks.tools_load import Load
    from plex_companion.app import Application

HOUSE = ("-m", "benchmarks.tools_house")
AWAY = 0.02
IMPORTED = "tools.sqlite3"
FIFTY = 50
EACH = 4
SLOTS = (8, 16, 32)
SWITCH_MS = sys.getswitchinterval() * 1000
ASKED = (
    Call("server_get_info", 1),
    Call("server_get_butler_tasks", 1),
    Call("media_get_details", 1, {"media_id": FILM}),
    Call("playlist_list", 1),
)
"""One request each, cheap for the demo server, which must not be what is measured."""
UNASKED = (Call("live_sessions", 0),)
ASIDE = {
    "ping": ("R3", "ping meanwhile"),
    "bare": ("R3", "the same beside a bare MCPServer"),
    "sessions": ("R2", "resources/read of plex://sessions meanwhile"),
}
"""What is asked while fifty calls are in flight."""


# -- each tool


@dataclass
class Cost:
    """What a call cost, in each repeat."""

    requests: list[int] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    plex: list[float] = field(default_factory=list)
    """Milliseconds in which it waited for Plex; requests at the same time are added up."""


@contextmanager
def watched() -> Iterator[list[float]]:
    """The milliseconds that each request to Plex takes, its answer's body included."""
    took: list[float] = []
    door: Any = session._PlexAdapter  # noqa: SLF001 - the one place through which every request goes
    send = door.send

    def timed(*args: Any, **options: Any) -> Any:
        began = time.monotonic()
        try:
            return send(*args, **options)
        finally:
            took.append((time.monotonic() - began) * 1000)

    door.send = timed
    try:
        yield took
    finally:
        door.send = send


async def every_tool(folder: Path, url: str) -> Table:
    """Each call nine times, nothing kept from before; the companion is in this process, the demo server in its own."""
    costs = {call: Cost() for call in map(str, READS)}
    settings = Settings.load({"plex_url": url, "plex_tv_url": url, "database": folder / IMPORTED})
    settings = settings.model_copy(update={"plex_token": SecretStr("benchmark-token")})
    async with open_application(settings) as application, Client(application.server, mode=MODERN) as client:
        while not application.companion.state.history.complete:  # the import asks too
            await application.companion.live.wait_for_commit()
        with watched() as took:
            for _ in range(REPEATS):
                for call in READS:
                    await _once(application, client, call, costs[str(call)], took)
    table = Table(
        "tool", "requests", "budget", "median (min-max)", "of it waiting for Plex", title="Reading tools, nothing kept"
    )
    for call in READS:
        cost = costs[str(call)]
        count = int(statistics.median(cost.requests))
        mark = " OVER" if count > call.budget else ""
        times = Spread.of(cost.took).text("ms"), f"{statistics.median(cost.plex):.3g} ms"
        table.add_row(str(call), f"{count}{mark}", str(call.budget), *times)
    return table


async def _once(application: Application, client: Client, call: Call, cost: Cost, took: list[float]) -> None:
    application.companion.ttl_cache.clear()
    took.clear()
    before, began = sum(application.companion.gateway.requests.values()), time.monotonic()
    answer = await client.call_tool(call.tool, call.given)
    cost.took.append((time.monotonic() - began) * 1000)
    cost.requests.append(sum(application.companion.gateway.requests.values()) - before)
    cost.plex.append(sum(took))
    assert not answer.is_error, (call, answer)
    assert not call.said or (answer.structured_content or {}).get(call.said), (call, answer)


# -- fifty in flight


@dataclass
class Crowd:
    """What is found in each repeat."""

    single: list[Load] = field(default_factory=list)
    fifty: dict[int, list[Load]] = field(default_factory=lambda: {count: [] for count in SLOTS})
    unasked: list[Load] = field(default_factory=list)
    idle: dict[str, list[list[float]]] = field(default_factory=lambda: {name: [] for name in ASIDE})
    busy: dict[str, list[list[float]]] = field(default_factory=lambda: {name: [] for name in ASIDE})


@asynccontextmanager
async def companions(folder: Path, url: str) -> AsyncIterator[dict[int, Program]]:
    """A companion for each number of slots, in a process of its own, with nothing left to import."""
    async with AsyncExitStack() as stack:
        found = {}
        for count in SLOTS:
            arguments = ("--transport", "http", "--port", "0", "--plex-url", url, "--plex-token", "benchmark-token")
            database = ("--database", str(shutil.copy(folder / IMPORTED, folder / f"{count}.sqlite3")))
            options = ("slots", str(count), str(SWITCH_MS), "serve", *arguments, *database)
            program = await stack.enter_async_context(running(folder, *HOUSE, *options))
            program.url = await program.until(r"(http://\S+/mcp)")
            await load(program.url, ASKED, 8, 4, {})
            found[count] = program
        yield found


@dataclass(frozen=True, slots=True)
class Aside:
    """What is asked while others call, and where."""

    url: str
    ask: Callable[[], Awaitable[Any]]


async def fifty(folder: Path, house: Program) -> list[Figure]:
    """T2: with Plex 20 ms away."""
    await anyio.to_thread.run_sync(lambda: requests.post(f"{house.url}/demo/slow?seconds={AWAY}", timeout=5))
    crowd, names = Crowd(), [call.tool for call in ASKED]
    async with (
        companions(folder, house.url) as programs,
        bare_server(folder, "slots", str(SLOTS[0]), *names) as bare,
        Client(programs[SLOTS[0]].url, mode=LEGACY) as old,
        Client(programs[SLOTS[0]].url, mode=MODERN) as new,
        Client(bare.url, mode=LEGACY) as floor,
    ):
        usual = programs[SLOTS[0]].url
        asides = {
            "ping": Aside(usual, old.send_ping),
            "bare": Aside(bare.url, floor.send_ping),
            "sessions": Aside(usual, lambda: text(new)),
        }
        for _ in range(REPEATS):
            await _repeat(crowd, programs, house, asides)
    return [*_rates(crowd), *_meanwhile(crowd)]


async def _repeat(crowd: Crowd, programs: dict[int, Program], house: Program, asides: dict[str, Aside]) -> None:
    usual = programs[SLOTS[0]].url
    pids = {"demo server": house.pid, "these callers": os.getpid()}
    for name, aside in asides.items():
        crowd.idle[name].append([await _took(aside.ask) for _ in range(20)])
    crowd.single.append(await load(usual, ASKED, 1, 20, {"companion": programs[SLOTS[0]].pid}))
    for count, program in programs.items():
        crowd.fifty[count].append(await load(program.url, ASKED, FIFTY, EACH, {"companion": program.pid, **pids}))
    crowd.unasked.append(await load(usual, UNASKED, FIFTY, EACH, {"companion": programs[SLOTS[0]].pid}))
    for name, aside in asides.items():
        crowd.busy[name].append(await _while_busy(aside.url, aside.ask))


async def _while_busy(url: str, ask: Callable[[], Awaitable[Any]]) -> list[float]:
    """How long it takes while fifty calls are in flight; asked again as soon as it is answered."""
    found: list[float] = []
    async with anyio.create_task_group() as tasks:

        async def asking() -> None:
            while True:
                await anyio.sleep(0.01)
                found.append(await _took(ask))

        tasks.start_soon(asking)
        await load(url, ASKED, FIFTY, EACH, {})
        tasks.cancel_scope.cancel()
    return found


async def _took(ask: Callable[[], Awaitable[Any]]) -> float:
    began = time.monotonic()
    await ask()
    return (time.monotonic() - began) * 1000


def _rates(crowd: Crowd) -> Iterator[Figure]:
    single = [one.rate for one in crowd.single]
    yield Figure("T2", "one call after the other", Spread.of(single).text("/s"))
    for count, loads in crowd.fifty.items():
        what = f"{FIFTY} in flight, {count} slots"
        least = 5 if count == SLOTS[0] else None
        yield against("R5", what, [one.rate for one in loads], single, unit="/s", least=least)
        waits = Spread.of(percentile(one.took, 50) for one in loads).text("ms")
        cpu = ", ".join(f"{name} {_cpu(loads, name):.2g}" for name in loads[0].cpu)
        yield Figure("T2", f"p50 of a call; processor ms a call: {cpu}", waits)
    unasked = Spread.of(one.rate for one in crowd.unasked).text("/s")
    cpu = f"processor ms a call: companion {_cpu(crowd.unasked, 'companion'):.2g}"
    yield Figure("T2", f"{FIFTY} in flight of a tool that asks nothing; {cpu}", unasked)


def _cpu(loads: list[Load], name: str) -> float:
    return statistics.median(one.cpu[name] for one in loads)


def _meanwhile(crowd: Crowd) -> Iterator[Figure]:
    for name, (id_, what) in ASIDE.items():
        busy, idle = crowd.busy[name], crowd.idle[name]
        halves = ([percentile(one, 50) for one in repeats] for repeats in (busy, idle))
        yield against(id_, f"{what}, p50, against idle", *halves, unit="ms")
        ours, floor = ([took for one in repeats for took in one] for repeats in (busy, idle))
        high, low = percentile(ours, 99), percentile(floor, 99)
        target, met = ("≤ 5", high <= 5 * low) if name == "ping" else ("", None)
        shown = f"the same, p99 of {len(ours)} against {len(floor)}"
        yield Figure(id_, shown, f"{high:.3g} ms", f"{low:.3g} ms", f"{high / low:.3g}", target, met)


async def run() -> None:
    began, before = time.monotonic(), machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with running(folder, *HOUSE, "house", name) as house:
            house.url = await house.until(r"serves (\S+)")
            table = await every_tool(folder, house.url)
            figures = await fifty(folder, house)
    Console(width=None if os.isatty(1) else 160).print(table)
    show(figures, f"{before} before, {machine().rpartition(', ')[2]} after; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="ping is removed")  # the era that has it is measured
    anyio.run(run)
