"""R1: what plays, read over HTTP, against a resource of the same bytes on a bare server."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mcp import Client

from benchmarks.figures import REPEATS, Figure, against, percentile
from benchmarks.listening import MODERN, text, until_listed
from benchmarks.programs import bare_server, companion
from benchmarks.workload import crowded, gather
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

STREAMS = (4, 20, 100)
READS = 20


async def current(folder: Path) -> AsyncIterator[Figure]:
    async with (
        open_demo(alive=False, household=crowded(max(STREAMS))) as demo,
        companion(folder, demo.url) as program,
        Client(program.url, mode=MODERN) as client,
    ):
        for count in STREAMS:
            gather(demo, count)
            await until_listed(client, count)
            body = await text(client)
            file = folder / f"{count}.json"
            file.write_text(body)
            async with bare_server(folder, "body", str(file)) as bare, Client(bare.url, mode=MODERN) as other:
                assert await text(other) == body
                yield await _compared(client, other, count, len(body))


async def _compared(client: Client, other: Client, count: int, size: int) -> Figure:
    ours, floor = [], []
    for _ in range(REPEATS):
        pairs = [(await _took(client), await _took(other)) for _ in range(READS)]
        ours.append(percentile([pair[0] for pair in pairs], 50))
        floor.append(percentile([pair[1] for pair in pairs], 50))
    what = f"read plex://sessions with {count} streams ({size / 1000:.1f} kB)"
    return against("R1", what, ours, floor, unit="ms", most=1.15)


async def _took(client: Client) -> float:
    began = time.monotonic()
    await text(client)
    return (time.monotonic() - began) * 1000
