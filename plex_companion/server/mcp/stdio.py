"""Standard input and output as a transport that can be ended at any time."""

from __future__ import annotations

import logging
import os
import select
import stat
import sys
from collections import deque
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Self

import anyio
import anyio.lowlevel
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import jsonrpc_message_adapter

from plex_companion.errors import HostNotReading
from plex_companion.server.http.refusal import MOST_BYTES
from plex_companion.server.http.signals import wait_for_signal
from plex_companion.server.mcp.json_lines import UnreadableLine, read_message, too_long

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from types import TracebackType

    from anyio.abc import ObjectReceiveStream, ObjectSendStream
    from mcp.shared._stream_protocols import ReadStream, WriteStream

    from plex_companion.server.mcp.build import CompanionServer
    from plex_companion.text import SecretFilter

logger = logging.getLogger(__name__)

CHUNK = 64 * 1024
WAITING_BYTES = 8 * 1024 * 1024
"""Written and not yet read by the host; beyond it nothing more is taken in, so that no more is answered."""
FULL_SECONDS = 1.0
"""How long a host may read nothing while so much waits."""
SILENT_SECONDS = 30.0
"""How long it may read nothing while anything waits."""
LAST_SECONDS = 2.0
"""How long what waits at the end of input is still written."""


async def serve_stdio(server: CompanionServer) -> None:
    """Serve the client at the other end of standard input and output.

    Returns at the end of input, when nobody reads standard output any more, or at SIGINT, SIGTERM or SIGHUP, with whatever is
    under way cancelled. Meanwhile standard output belongs to the protocol: what else is printed goes to standard error.

    Raises:
        HostNotReading: the client has stopped reading, and its answers would fill the memory.
    """
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_on_signal, tasks.cancel_scope)
        async with _open_streams(server.secrets) as (read, write):
            await server.serve(read, write)
        tasks.cancel_scope.cancel()


async def _cancel_on_signal(serving: anyio.CancelScope) -> None:
    await wait_for_signal()
    serving.cancel()


@asynccontextmanager
async def _open_streams(
    secrets: SecretFilter,
) -> AsyncIterator[tuple[ReadStream[SessionMessage | Exception], WriteStream[SessionMessage]]]:
    """Do what the SDK's transport does without its threads: one blocked in `read` or `write` cannot be cancelled."""
    if sys.platform == "win32":  # no waiting for pipes there
        async with stdio_server() as (read, write):
            yield read, FilteredWriteStream(write, secrets)
        return
    to_server, from_client = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_client, from_server = anyio.create_memory_object_stream[SessionMessage](0)
    with _claim_descriptors() as (stdin, stdout):
        output = DescriptorWriter(stdout, secrets)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_read, LineReader(stdin, output), to_server, output)
            tasks.start_soon(_write, from_server, output)
            tasks.start_soon(_end_without_reader, output, tasks.cancel_scope)
            yield from_client, to_client
            await to_client.aclose()
            with anyio.move_on_after(LAST_SECONDS):
                await output.drained()
            tasks.cancel_scope.cancel()


class FilteredWriteStream:
    """The write stream of a transport of the SDK's, which writes what it gets. Hides secrets in each message."""

    def __init__(self, stream: WriteStream[SessionMessage], secrets: SecretFilter) -> None:
        self._stream = stream
        self._secrets = secrets

    async def send(self, item: SessionMessage, /) -> None:
        """Send a message without the secrets in it."""
        text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        harmless = self._secrets.hide(text)
        if harmless != text:
            item = SessionMessage(jsonrpc_message_adapter.validate_json(harmless, by_name=False), item.metadata)
        await self._stream.send(item)

    async def aclose(self) -> None:
        """Close the stream below."""
        await self._stream.aclose()

    async def __aenter__(self) -> Self:
        """Enter the stream below."""
        await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        """Leave the stream below."""
        return await self._stream.__aexit__(kind, error, traceback)


async def _read(
    lines: LineReader, to_server: ObjectSendStream[SessionMessage | Exception], output: DescriptorWriter
) -> None:
    async with to_server:
        async for line in lines:
            try:
                message = line if isinstance(line, UnreadableLine) else read_message(line)
                if isinstance(message, UnreadableLine):
                    raise message
            except UnreadableLine as error:
                logger.warning("A line of standard input is not understood: %s", error)
                if error.answer:
                    output.write(error.answer)
                continue
            if message is not None:
                await to_server.send(SessionMessage(message))


async def _write(from_server: ObjectReceiveStream[SessionMessage], output: DescriptorWriter) -> None:
    async for one in from_server:
        output.write(one.message.model_dump_json(by_alias=True, exclude_unset=True))
        await output.room()


async def _end_without_reader(output: DescriptorWriter, serving: anyio.CancelScope) -> None:
    await output.send()
    serving.cancel()


@contextmanager
def _claim_descriptors() -> Iterator[tuple[int, int]]:
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


class LineReader:
    """The lines of a descriptor, without their ends; the last one also without a newline."""

    def __init__(self, descriptor: int, output: DescriptorWriter, longest: int = MOST_BYTES) -> None:
        self._descriptor, self._output, self._longest = descriptor, output, longest
        self._waits = _can_wait(descriptor)

    async def __aiter__(self) -> AsyncIterator[bytes | UnreadableLine]:
        """Each line, or what is wrong with one that is too long to be kept."""
        rest, size = [b""], 0
        while chunk := await self._read_chunk():
            *ends, last = chunk.split(b"\n")
            for end in ends:
                await self._output.room()
                yield b"".join([*rest, end]) if size + len(end) <= self._longest else too_long(self._longest)
                rest, size = [], 0
            size += len(last)
            rest = [*rest, last] if size <= self._longest else []
        if size:
            yield b"".join(rest) if size <= self._longest else too_long(self._longest)

    async def _read_chunk(self) -> bytes:
        if self._waits:
            await anyio.wait_readable(self._descriptor)
        else:
            await anyio.lowlevel.checkpoint()
        return os.read(self._descriptor, CHUNK)


class DescriptorWriter:
    """Lines to a descriptor: kept while the host does not read, as many as may wait and as long as it may take."""

    def __init__(
        self,
        descriptor: int,
        secrets: SecretFilter,
        *,
        most: int = WAITING_BYTES,
        full: float = FULL_SECONDS,
        silent: float = SILENT_SECONDS,
    ) -> None:
        self._secrets = secrets
        self._descriptor = descriptor
        self._waits = _can_wait(descriptor)
        self._most, self._full, self._silent = most, full, silent
        self._lines: deque[memoryview] = deque()
        self.waiting = 0
        """Bytes that wait."""
        self._filled, self._emptied = anyio.Event(), anyio.Event()

    def write(self, text: str) -> None:
        """Have a line written. Returns at once."""
        line = memoryview(f"{self._secrets.hide(text)}\n".encode())
        self._lines.append(line)
        self.waiting += len(line)
        self._filled.set()

    async def room(self) -> None:
        """Return when no more waits than may."""
        while self.waiting > self._most:
            await self._emptied.wait()

    async def drained(self) -> None:
        """Return when nothing waits."""
        while self.waiting:
            await self._emptied.wait()

    async def send(self) -> None:
        """Write what waits, until nobody reads any more.

        Raises:
            HostNotReading: the host has not read for too long.
        """
        try:
            while True:
                while self._lines:
                    await self._send(self._lines[0])
                    self._lines.popleft()
                self._filled = anyio.Event()
                await self._filled.wait()
        except BrokenPipeError:
            return

    async def _send(self, line: memoryview) -> None:
        while line:
            await self._writable()
            # A pipe that can be written to takes PIPE_BUF bytes without blocking, and promises no more.
            done = os.write(self._descriptor, line[: select.PIPE_BUF])
            line = line[done:]
            self.waiting -= done
            self._emptied.set()
            self._emptied = anyio.Event()

    async def _writable(self) -> None:
        """Wait for the host to read, if need be.

        Raises:
            HostNotReading: it does not.
        """
        if not self._waits:
            await anyio.lowlevel.checkpoint()
            return
        began = anyio.current_time()
        while True:
            with anyio.move_on_after(self._full):
                await anyio.wait_writable(self._descriptor)
                return
            silent = anyio.current_time() - began
            if self.waiting > self._most or silent >= self._silent:
                raise HostNotReading(
                    f"The host does not read what it is told: {self.waiting / 1_000_000:.1f} MB have waited for "
                    f"{silent:.0f} s, so plex-companion ends. Start it again from the host."
                )


def _can_wait(descriptor: int) -> bool:
    """Files, directories and `/dev/null` never block, and the system refuses to wait for them."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)
