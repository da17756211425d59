"""What runs beside the benchmark: the companion and the bare programs, each in a process of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
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

    async def until(self, pattern: str) -> str:
        """The first group of the first line that has the pattern."""
        with anyio.fail_after(SECONDS):
            while True:
                found = re.search(pattern, await self.lines.receive())
                if found:
                    return found[1]

    def peak_mb(self) -> float:
        """The most memory it has ever held."""
        return peak_mb(self.pid)


def peak_mb(pid: int) -> float:
    """The most memory a process has ever held, in MB (10⁶ bytes)."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found
    return int(found[1]) * 1024 / 1e6


def environment(folder: Path) -> dict[str, str]:
    """Nothing of this machine's settings."""
    return {"HOME": str(folder), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}


@asynccontextmanager
async def running(folder: Path, *arguments: str) -> AsyncIterator[Program]:
    """Python with these arguments until the block ends. What it prints, on both outputs, are its lines."""
    command = [sys.executable, *arguments]
    async with (
        await anyio.open_process(
            command, stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, cwd=folder, env=environment(folder)
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
async def companion(folder: Path, plex_url: str) -> AsyncIterator[Program]:
    """The companion as it is shipped, over HTTP, listening to this Plex."""
    options = ("--transport", "http", "--port", "0", "--plex-url", plex_url, "--plex-token", "benchmark-token")
    database = ("--database", str(folder / f"{os.urandom(4).hex()}.sqlite3"))
    async with running(folder, *COMPANION, *options, *database) as program:
        program.url = await program.until(r"(http://\S+/mcp)")
        yield program


@asynccontextmanager
async def bare_server(folder: Path, *arguments: str) -> AsyncIterator[Program]:
    """A mode of `bare.py` that serves HTTP."""
    async with running(folder, *BARE, *arguments) as program:
        program.url = await program.until(r"serves (\S+)")
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
