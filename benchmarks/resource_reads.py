"""R1: reading the current sessions over HTTP, against a resource of the same bytes on a bare server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mcp import Client

from benchmarks.figures import REPEATS, Figure, compare, percentile
from benchmarks.mcp_clients import MODERN, read_text, wait_for_sessions
from benchmarks.programs import run_bare_server, run_companion
from benchmarks.simulated_load import build_household_with_players, start_sessions
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

STREAMS = (4, 20, 100)
READS = 20


async def measure_reads(folder: Path) -> AsyncIterator[Figure]:
    async with (
        open_demo(alive=False, household=build_household_with_players(max(STREAMS))) as demo,
        run_companion(folder, demo.url) as program,
        Client(program.url, mode=MODERN) as client,
    ):
        for count in STREAMS:
            start_sessions(demo, count)
            await wait_for_sessions(client, count)
            body = await read_text(client)
            file = folder / f"{count}.json"
            file.write_text(body)
            async with run_bare_server(folder, "body", str(file)) as bare, Client(bare.url, mode=MODERN) as other:
                assert await read_text(other) == body
                yield await _compare_reads(client, other, count, len(body))


async def _compare_reads(client: Client, other: Client, count: int, size: int) -> Figure:
    ours, floor = [], []
    for _ in range(REPEATS):
        pairs = [(await _time_read(client), await _time_read(other)) for _ in range(READS)]
        ours.append(percentile([pair[0] for pair in pairs], 50))
        floor.append(percentile([pair[1] for pair in pairs], 50))
    what = f"read plex://sessions with {count} streams ({size / 1000:.1f} kB)"
    return compare("R1", what, ours, floor, unit="ms", most=1.15)


async def _time_read(client: Client) -> float:
    began = time.monotonic()
    await read_text(client)
    return (time.monotonic() - began) * 1000
