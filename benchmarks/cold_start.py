"""S1, S2: from the start of the program to its list of tools over stdio, as an MCP host starts it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from benchmarks.figures import REPEATS, Figure, Spread, compare
from benchmarks.programs import BARE, COMPANION, build_environment, read_peak_mb
from benchmarks.tools_load import read_cpu_ms
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CLIENT = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}


@dataclass(frozen=True, slots=True)
class Start:
    """One start: seconds to the list and of processor time, how many tools were on it, the most memory held by then."""

    seconds: float
    cpu_seconds: float
    tools: int
    read_peak_mb: float


def start_once(folder: Path, *arguments: str, python: Path | str = sys.executable) -> Start:
    """Start the program, initialize, list the tools and end it. `python` is another environment's, for its programs."""
    began = time.monotonic()
    with subprocess.Popen(  # noqa: S603  # our own programs
        [str(python), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=build_environment(folder),
    ) as program:
        _request(program, 1, "initialize", CLIENT)
        _send(program, {"method": "notifications/initialized"})
        listed = _request(program, 2, "tools/list", {})
        seconds = time.monotonic() - began
        found = Start(seconds, read_cpu_ms(program.pid) / 1000, len(listed["tools"]), read_peak_mb(program.pid))
        program.terminate()
    return found


def _send(program: subprocess.Popen[bytes], message: dict[str, Any]) -> None:
    assert program.stdin
    program.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
    program.stdin.flush()


def _request(program: subprocess.Popen[bytes], number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
    assert program.stdout
    _send(program, {"id": number, "method": method, "params": params})
    while True:
        answer = json.loads(program.stdout.readline())
        if answer.get("id") == number:
            result: dict[str, Any] = answer["result"]
            return result


async def measure_cold_start(folder: Path) -> AsyncIterator[Figure]:
    """Measure S1 and S2. The database exists already, as at every start but the first."""
    database = ("--database", str(folder / "start.sqlite3"))
    async with open_demo(alive=False) as demo:
        options = (*COMPANION, "--plex-url", demo.url, "--plex-token", "benchmark-token", *database)
        count = (await anyio.to_thread.run_sync(start_once, folder, *options)).tools
        bare = (*BARE, "tools", str(count))
        ours, floor = [], []
        for _ in range(REPEATS):
            ours.append(await anyio.to_thread.run_sync(start_once, folder, *options))
            floor.append(await anyio.to_thread.run_sync(start_once, folder, *bare))
    assert {one.tools for one in (*ours, *floor)} == {count}
    what = f"cold start to tools/list on stdio, {count} tools"
    yield compare("S1", what, [one.seconds for one in ours], [one.seconds for one in floor], unit="s", most=1.0)
    yield compare(
        "S1", "processor time by then", *([one.cpu_seconds for one in own] for own in (ours, floor)), unit="s"
    )
    mine, bare_mb = (Spread.from_repeats(one.read_peak_mb for one in starts).format("MB") for starts in (ours, floor))
    yield Figure("S2", "peak memory by then", mine, bare_mb)
