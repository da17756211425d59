"""The programs beside the benchmark: the companion and the bare programs, each in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio.streams.text import TextReceiveStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import ByteReceiveStream, Process

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 30
BARE = ("-m", "benchmarks.bare")
COMPANION = ("-m", "plex_companion", "serve")


@dataclass
class Program:
    """A running program. `url` is where it serves, if it does."""

    pid: int
    lines: anyio.abc.ObjectReceiveStream[str]
    url: str = ""

    async def wait_for_line(self, pattern: str) -> str:
        """Wait for a line that has the pattern and return its first group."""
        with anyio.fail_after(SECONDS):
            while True:
                found = re.search(pattern, await self.lines.receive())
                if found:
                    return found[1]

    def read_peak_mb(self) -> float:
        """Return the most memory that it has ever held, in MB."""
        return read_peak_mb(self.pid)

    def read_cpu_ms(self) -> float:
        """Return the processor time that it has used, in ms."""
        return read_cpu_ms(self.pid)

    def read_wait_ms(self) -> float:
        """Return how long its main thread was ready to run and had no processor, in ms (proc(5), schedstat)."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[1]) / 1e6


def read_cpu_ms(pid: int) -> float:
    """Return the processor time of a process with all of its threads, those that ended too, in ms.

    The id of the clock of another process is made as glibc's `clock_getcpuclockid` makes it (linux/posix-timers_types.h).
    """
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e6


def read_peak_mb(pid: int) -> float:
    """Return the most memory that a process has ever held, in MB (10⁶ bytes)."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024 / 1e6


def build_environment(folder: Path) -> dict[str, str]:
    """Return an environment without this machine's settings."""
    return {"HOME": str(folder), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}


@asynccontextmanager
async def run_program(
    folder: Path, *arguments: str, python: Path | str = sys.executable
) -> AsyncIterator[Program]:  # fmt: skip
    """Run Python with these arguments until the block ends. Its lines are those of both outputs.

    `python` is another environment's, for its programs.
    """
    command = [str(python), *arguments]
    async with (
        await anyio.open_process(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, cwd=folder, env=build_environment(folder)
        ) as process,
        anyio.create_task_group() as tasks,
    ):
        send, receive = anyio.create_memory_object_stream[str](10_000)
        assert process.stdout
        tasks.start_soon(_read, process.stdout, send)
        with send, receive:
            try:
                yield Program(process.pid, receive)
            finally:
                await _end(process)
                tasks.cancel_scope.cancel()


@asynccontextmanager
async def run_companion(folder: Path, plex_url: str) -> AsyncIterator[Program]:
    """Run the companion as it is shipped, over HTTP, listening to this Plex."""
    options = ("--transport", "http", "--port", "0", "--plex-url", plex_url, "--plex-token", "benchmark-token")
    database = ("--database", str(folder / f"{os.urandom(4).hex()}.sqlite3"))
    async with run_program(folder, *COMPANION, *options, *database) as program:
        program.url = await program.wait_for_line(r"(http://\S+/mcp)")
        yield program


@asynccontextmanager
async def run_bare_relay(folder: Path, plex_url: str) -> AsyncIterator[Program]:
    """Run the relay on the bare SDK, listening to this Plex."""
    address = f"ws{plex_url.removeprefix('http')}/:/websockets/notifications"
    async with run_bare_server(folder, "relay", address, str(folder / f"{os.urandom(4).hex()}.sqlite3")) as program:
        yield program


@asynccontextmanager
async def run_bare_server(folder: Path, *arguments: str) -> AsyncIterator[Program]:
    """Run a mode of `bare.py` that serves HTTP."""
    async with run_program(folder, *BARE, *arguments) as program:
        program.url = await program.wait_for_line(r"serves (\S+)")
        yield program


async def _read(stdout: ByteReceiveStream, send: anyio.abc.ObjectSendStream[str]) -> None:
    rest = ""
    async for text in TextReceiveStream(stdout):
        *whole, rest = (rest + text).split("\n")
        for line in whole:
            await send.send(line)


async def _end(process: Process) -> None:
    with anyio.CancelScope(shield=True), anyio.move_on_after(5):
        if process.returncode is None:
            process.terminate()
            await process.wait()
