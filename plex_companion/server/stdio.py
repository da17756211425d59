"""Standard input and output as a transport that can be ended at any time."""

from __future__ import annotations

import os
import select
import stat
import sys
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, cast

import anyio
from mcp.server.stdio import stdio_server

from plex_companion.server.signals import told_to_end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from mcp.shared._stream_protocols import ReadStream, WriteStream
    from mcp.shared.message import SessionMessage

    from plex_companion.server.build import CompanionServer

CHUNK = 64 * 1024


async def serve_stdio(server: CompanionServer) -> None:
    """Serve the client at the other end of standard input and output.

    Returns at the end of input, or at SIGINT, SIGTERM or SIGHUP, with whatever is under way cancelled. Meanwhile standard
    output belongs to the protocol: what else is printed goes to standard error.
    """
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_when_told, tasks.cancel_scope)
        async with _streams() as (read, write):
            await server.serve(read, write)
        tasks.cancel_scope.cancel()


async def _cancel_when_told(serving: anyio.CancelScope) -> None:
    await told_to_end()
    serving.cancel()


@asynccontextmanager
async def _streams() -> AsyncIterator[tuple[ReadStream[SessionMessage | Exception], WriteStream[SessionMessage]]]:
    """The SDK's transport, but for its threads: one blocked in `read` or `write` cannot be cancelled (SIGINT hung)."""
    if sys.platform == "win32":  # no waiting for pipes there
        async with stdio_server() as streams:
            yield streams
        return
    with _claimed() as (stdin, stdout):
        reading = cast("anyio.AsyncFile[str]", Lines(stdin))
        writing = cast("anyio.AsyncFile[str]", Output(stdout))
        async with stdio_server(reading, writing) as streams:
            yield streams


@contextmanager
def _claimed() -> Iterator[tuple[int, int]]:
    """Private descriptors for the protocol. Everyone else reads nothing from 0, and what they write to 1 goes to 2."""
    stdin, stdout = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    sys.stdout.flush()
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    try:
        yield stdin, stdout
    finally:
        sys.stdout.flush()
        os.dup2(stdin, 0)
        os.dup2(stdout, 1)
        os.close(stdin)
        os.close(stdout)


class Lines:
    """The lines of a descriptor. The part of `anyio.AsyncFile` that the SDK uses for reading."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waits = _can_wait(descriptor)

    async def __aiter__(self) -> AsyncIterator[str]:
        """Each line, without its end; the last one also without a newline."""
        rest: list[bytes] = []
        while chunk := await self._chunk():
            first, *more = chunk.split(b"\n")
            rest.append(first)
            for following in more:
                yield _text(rest)
                rest = [following]
        if any(rest):
            yield _text(rest)

    async def _chunk(self) -> bytes:
        if self._waits:
            await anyio.wait_readable(self._descriptor)
        return os.read(self._descriptor, CHUNK)


class Output:
    """Writes to a descriptor. The part of `anyio.AsyncFile` that the SDK uses for writing."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waits = _can_wait(descriptor)

    async def write(self, text: str) -> None:
        """Write all of it, cancellable while the client does not read."""
        rest = memoryview(text.encode())
        while rest:
            if self._waits:
                await anyio.wait_writable(self._descriptor)
            # A pipe that can be written to takes PIPE_BUF bytes without blocking, and promises no more.
            rest = rest[os.write(self._descriptor, rest[: select.PIPE_BUF]) :]

    async def flush(self) -> None:
        """Nothing is kept back."""


def _can_wait(descriptor: int) -> bool:
    """Files, directories and `/dev/null` never block, and the system refuses to wait for them."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)


def _text(parts: list[bytes]) -> str:
    return b"".join(parts).decode("utf-8", "replace")
