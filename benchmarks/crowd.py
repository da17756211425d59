"""`python -m benchmarks.crowd`: a thousand event streams of which a hundred are never read; a thousand who only drip.

The floor is the same house with a hundred more good readers, and without those who drip, in turns with it.
"""

from __future__ import annotations

import asyncio
import json
import re
import resource
import sys
import tempfile
import time
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio

from benchmarks.figures import Figure, against, machine, percentile, show
from benchmarks.programs import companion
from benchmarks.telling import press
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.programs import Program
    from plex_companion.demo import Demo
    from plex_companion.demo.sessions import DemoSession

GOOD, DEAF, DRIPPING = 900, 100, 1_000
ROUNDS, WARM, PRESSES, CALLS = 5, 4, 6, 60
BACKLOG = 600
"""Events of 2 kB in the journal: what a deaf client asks for and then does not take."""
SECONDS = 60
UNREAD_SECONDS = 30
FILES = 8_192


@dataclass
class Reader(asyncio.Protocol):
    """A client of `/events` that notes when it was last told of a press."""

    path: str
    deaf: bool = False
    heard: list[float] = field(default_factory=list)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask, and if deaf take nothing of the answer."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        if self.deaf:
            transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """One mark for each piece: events of a press come alone."""
        if b"data: " in data:
            self.heard.append(time.monotonic())


@dataclass
class House:
    """A demo server, the companion, and who reads."""

    demo: Demo
    session: DemoSession
    program: Program
    readers: list[Reader]

    @property
    def address(self) -> tuple[str, int]:
        """Where the companion listens."""
        parts = urlsplit(self.program.url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    async def took(self) -> list[float]:
        """Milliseconds from a press until each good reader was told."""
        for reader in self.readers:
            reader.heard.clear()
        at = press(self.demo, self.session)
        with anyio.fail_after(SECONDS):
            while not all(reader.heard for reader in self.readers):  # noqa: ASYNC110  # a thousand readers
                await anyio.sleep(0.01)
        return [(reader.heard[0] - at) * 1000 for reader in self.readers]

    async def p99(self) -> float:
        """Of many presses, once everybody has caught up or is stuck."""
        for _ in range(WARM):
            await self.took()
        return percentile([ms for _ in range(PRESSES) for ms in await self.took()], 99)

    @asynccontextmanager
    async def joined(self, count: int, path: str, *, deaf: bool) -> AsyncIterator[list[Reader]]:
        """More clients while the block runs."""
        loop, more = asyncio.get_running_loop(), [Reader(path, deaf) for _ in range(count)]
        for reader in more:
            await loop.create_connection(lambda reader=reader: reader, *self.address)  # type: ignore[misc]  # bound now
        await anyio.sleep(1.0)
        try:
            yield more
        finally:
            for reader in more:
                reader.transport.abort()
            await anyio.sleep(0.5)


@asynccontextmanager
async def open_house(folder: Path) -> AsyncIterator[House]:
    async with open_demo(alive=False) as demo, companion(folder, demo.url) as program:
        session = demo.start()
        house = House(demo, session, program, [])
        await anyio.sleep(1.0)
        frame = json.dumps({"NotificationContainer": {"type": "invented", "size": 0, "x": "y" * 2_000}})
        for _ in range(BACKLOG // 100):
            for _ in range(100):
                demo.send_raw(frame)
            await anyio.sleep(0.02)
        yield house


async def deaf(house: House) -> AsyncIterator[Figure]:
    """Fault 24."""
    path = "/events?types=playing"
    ours: list[float] = []
    floor: list[float] = []
    async with house.joined(GOOD, path, deaf=False) as house.readers:
        before = 0.0
        for _ in range(ROUNDS):
            async with house.joined(DEAF, path, deaf=False):
                floor.append(await house.p99())
            before = before or house.program.peak_mb()  # after as many who read
            async with house.joined(DEAF, "/events?since=0", deaf=True):
                ours.append(await house.p99())
        yield against("24", "press to the good readers, p99", ours, floor, unit="ms", most=1.2)
        async with house.joined(DEAF, "/events?since=0", deaf=True):
            began = time.monotonic()
            ended = await _ended(house)
            waited = time.monotonic() - began
        more = house.program.peak_mb() - before
        yield Figure(
            "24", "deaf streams ended", f"{ended} of {DEAF} after {waited:.0f} s", target="all", met=ended == DEAF
        )
        yield Figure("24", "more memory for them", f"{more:.1f} MB", target="≤ 50 MB", met=more <= 50)


async def _ended(house: House) -> int:
    """How many the companion has given up, by its own count of open requests; who takes nothing hears of no end."""
    still = DEAF
    with anyio.move_on_after(UNREAD_SECONDS + 30):
        while still:
            await anyio.sleep(0.5)
            said = re.search(rb"requests_open ([\d.]+)", await _get(house, "/metrics"))
            assert said
            still = max(0, int(float(said[1])) - GOOD - 1)
    return DEAF - still


async def dripping(house: House) -> AsyncIterator[Figure]:
    """Fault 25."""
    ours: list[float] = []
    floor: list[float] = []
    for _ in range(ROUNDS):
        floor.append(percentile([await _call(house) for _ in range(CALLS)], 99))
        drips = [(await asyncio.open_connection(*house.address))[1] for _ in range(DRIPPING)]
        for writer in drips:
            writer.write(b"GET / HTTP/1.1\r\nHost: loc")
        await anyio.sleep(0.5)
        ours.append(percentile([await _call(house) for _ in range(CALLS)], 99))
        for writer in drips:
            writer.transport.abort()
        await anyio.sleep(0.5)
    yield against("25", f"a call while {DRIPPING} drip, p99", ours, floor, unit="ms", most=2.0)
    writers = [await asyncio.open_connection(*house.address) for _ in range(DRIPPING)]
    began = time.monotonic()
    for reader, _ in writers:
        await reader.read()
    took = time.monotonic() - began
    yield Figure("25", f"{DRIPPING} idle connections closed", f"{took:.1f} s", target="≤ 10 s", met=took <= 10)
    for _, writer in writers:
        writer.transport.abort()


async def _call(house: House) -> float:
    began = time.monotonic()
    await _get(house, "/healthz")
    return (time.monotonic() - began) * 1000


async def _get(house: House, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(*house.address)
    with closing(writer):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200")
    return answer


async def main() -> None:
    before, figures = machine(), []
    with tempfile.TemporaryDirectory() as folder:
        for fault in (deaf, dripping):
            async with open_house(Path(folder)) as house:
                async for figure in fault(house):
                    figures.append(figure)
                    print(f"{figure.id}  {figure.what}: {figure.ours}  {figure.ratio}", file=sys.stderr, flush=True)
    show(figures, before)


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, FILES)), hard))
    anyio.run(main)
