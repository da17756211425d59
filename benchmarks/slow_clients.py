"""`python -m benchmarks.slow_clients`: a thousand event streams, a hundred of which are never read; a thousand unfinished requests.

The floor is a hundred more reading clients, and no unfinished requests, measured in turns.
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

from benchmarks.figures import Figure, compare, describe_machine, percentile, print_table
from benchmarks.notification_latency import press_button
from benchmarks.programs import run_companion
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from benchmarks.programs import Program
    from plex_companion.demo import Demo
    from plex_companion.demo.sessions import DemoSession

READING, UNREAD, SLOW = 900, 100, 1_000
ROUNDS, WARM, PRESSES, CALLS = 5, 4, 6, 60
BACKLOG = 600
"""Events of 2 kB in the journal, which an unread stream requests and does not read."""
SECONDS = 60
UNREAD_SECONDS = 30
FILES = 8_192


@dataclass
class Reader(asyncio.Protocol):
    """A client of `/events` that records when it received each press."""

    path: str
    unread: bool = False
    received: list[float] = field(default_factory=list)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request, and if unread pause reading."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(f"GET {self.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        if self.unread:
            transport.pause_reading()

    def data_received(self, data: bytes) -> None:
        """Record the time of each chunk: the events of a press come alone."""
        if b"data: " in data:
            self.received.append(time.monotonic())


@dataclass
class BenchmarkServers:
    """A demo server, the companion, and its readers."""

    demo: Demo
    session: DemoSession
    program: Program
    readers: list[Reader]

    @property
    def address(self) -> tuple[str, int]:
        """The address of the companion."""
        parts = urlsplit(self.program.url)
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    async def time_press(self) -> list[float]:
        """Press and return the milliseconds until each reader received it."""
        for reader in self.readers:
            reader.received.clear()
        at = press_button(self.demo, self.session)
        with anyio.fail_after(SECONDS):
            while not all(reader.received for reader in self.readers):  # noqa: ASYNC110  # a thousand readers
                await anyio.sleep(0.01)
        return [(reader.received[0] - at) * 1000 for reader in self.readers]

    async def measure_p99(self) -> float:
        """Return the p99 of many presses, once every reader has caught up or is stuck."""
        for _ in range(WARM):
            await self.time_press()
        return percentile([ms for _ in range(PRESSES) for ms in await self.time_press()], 99)

    @asynccontextmanager
    async def connect_readers(self, count: int, path: str, *, unread: bool) -> AsyncIterator[list[Reader]]:
        """Connect more clients until the block ends."""
        loop, more = asyncio.get_running_loop(), [Reader(path, unread) for _ in range(count)]
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
async def open_servers(folder: Path) -> AsyncIterator[BenchmarkServers]:
    async with open_demo(alive=False) as demo, run_companion(folder, demo.url) as program:
        session = demo.start()
        servers = BenchmarkServers(demo, session, program, [])
        await anyio.sleep(1.0)
        frame = json.dumps({"NotificationContainer": {"type": "invented", "size": 0, "x": "y" * 2_000}})
        for _ in range(BACKLOG // 100):
            for _ in range(100):
                demo.send_raw(frame)
            await anyio.sleep(0.02)
        yield servers


async def measure_unread_streams(servers: BenchmarkServers) -> AsyncIterator[Figure]:
    """Measure fault 24: streams that are never read."""
    path = "/events?types=playing"
    ours: list[float] = []
    floor: list[float] = []
    async with servers.connect_readers(READING, path, unread=False) as servers.readers:
        before = 0.0
        for _ in range(ROUNDS):
            async with servers.connect_readers(UNREAD, path, unread=False):
                floor.append(await servers.measure_p99())
            before = before or servers.program.read_peak_mb()  # after as many who read
            async with servers.connect_readers(UNREAD, "/events?since=0", unread=True):
                ours.append(await servers.measure_p99())
        yield compare("24", "press to the readers, p99", ours, floor, unit="ms", most=1.2)
        async with servers.connect_readers(UNREAD, "/events?since=0", unread=True):
            began = time.monotonic()
            ended = await _count_ended(servers)
            waited = time.monotonic() - began
        more = servers.program.read_peak_mb() - before
        yield Figure(
            "24", "unread streams ended", f"{ended} of {UNREAD} after {waited:.0f} s", target="all", met=ended == UNREAD
        )
        yield Figure("24", "more memory for them", f"{more:.1f} MB", target="≤ 50 MB", met=more <= 50)


async def _count_ended(servers: BenchmarkServers) -> int:
    """Return how many streams the companion has closed, by its own count of open requests: an unread stream does not see its end."""
    still = UNREAD
    with anyio.move_on_after(UNREAD_SECONDS + 30):
        while still:
            await anyio.sleep(0.5)
            said = re.search(rb"requests_open ([\d.]+)", await _get(servers, "/metrics"))
            assert said
            still = max(0, int(float(said[1])) - READING - 1)
    return UNREAD - still


async def measure_slow_requests(servers: BenchmarkServers) -> AsyncIterator[Figure]:
    """Measure fault 25: requests that are never finished."""
    ours: list[float] = []
    floor: list[float] = []
    for _ in range(ROUNDS):
        floor.append(percentile([await _time_call(servers) for _ in range(CALLS)], 99))
        unfinished = [(await asyncio.open_connection(*servers.address))[1] for _ in range(SLOW)]
        for writer in unfinished:
            writer.write(b"GET / HTTP/1.1\r\nHost: loc")
        await anyio.sleep(0.5)
        ours.append(percentile([await _time_call(servers) for _ in range(CALLS)], 99))
        for writer in unfinished:
            writer.transport.abort()
        await anyio.sleep(0.5)
    yield compare("25", f"a call while {SLOW} requests are unfinished, p99", ours, floor, unit="ms", most=2.0)
    writers = [await asyncio.open_connection(*servers.address) for _ in range(SLOW)]
    began = time.monotonic()
    for reader, _ in writers:
        await reader.read()
    time_press = time.monotonic() - began
    yield Figure("25", f"{SLOW} idle connections closed", f"{time_press:.1f} s", target="≤ 10 s", met=time_press <= 10)
    for _, writer in writers:
        writer.transport.abort()


async def _time_call(servers: BenchmarkServers) -> float:
    began = time.monotonic()
    await _get(servers, "/healthz")
    return (time.monotonic() - began) * 1000


async def _get(servers: BenchmarkServers, path: str) -> bytes:
    reader, writer = await asyncio.open_connection(*servers.address)
    with closing(writer):
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200")
    return answer


async def main() -> None:
    before, figures = describe_machine(), []
    with tempfile.TemporaryDirectory() as folder:
        for fault in (measure_unread_streams, measure_slow_requests):
            async with open_servers(Path(folder)) as servers:
                async for figure in fault(servers):
                    figures.append(figure)
                    print(f"{figure.id}  {figure.what}: {figure.ours}  {figure.ratio}", file=sys.stderr, flush=True)
    print_table(figures, before)


if __name__ == "__main__":
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, FILES)), hard))
    anyio.run(main)
