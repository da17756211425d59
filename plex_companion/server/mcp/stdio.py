"""Standard input and output as a transport that can be cancelled at any time."""

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
from mcp_types import JSONRPCResponse, jsonrpc_message_adapter

from plex_companion.errors import HostNotReading
from plex_companion.server.http.refusal import MOST_BYTES
from plex_companion.server.http.signals import wait_for_signal
from plex_companion.server.mcp.json_lines import UnreadableLine, build_too_long, read_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from types import TracebackType

    from anyio.abc import ObjectReceiveStream, ObjectSendStream
    from mcp.shared._stream_protocols import ReadStream, WriteStream

    from plex_companion.server.mcp.build import CompanionServer
    from plex_companion.text import SecretFilter

logger = logging.getLogger(__name__)

CHUNK_BYTES = 64 * 1024
WAITING_BYTES = 8 * 1024 * 1024
"""The most bytes that wait for the host to read. Above it no more input is read, so that nothing more is answered."""
FULL_SECONDS = 1.0
"""How long a host may read nothing while that much waits."""
SILENT_SECONDS = 30.0
"""How long a host may read nothing while anything waits."""
LAST_SECONDS = 2.0
"""How long waiting output is still written after the end of input."""


def _ignore() -> None:
    """Do nothing about the first answer."""


async def serve_stdio(server: CompanionServer, on_first_answer: Callable[[], None] = _ignore) -> None:
    """Serve the client at the other end of standard input and output.

    `on_first_answer` is called when the first answer beyond the handshake is written.

    Returns at the end of input, when standard output is closed, or at SIGINT, SIGTERM or SIGHUP; running calls are
    cancelled. Meanwhile only MCP messages go to standard output (MCP, Transports, stdio): other output goes to standard
    error.

    Raises:
        HostNotReading: the client has stopped reading, and its answers would fill memory.
    """
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_cancel_on_signal, tasks.cancel_scope)
        async with _open_streams(server.secrets, on_first_answer) as (read, write):
            await server.serve(read, write)
        tasks.cancel_scope.cancel()


async def _cancel_on_signal(serving: anyio.CancelScope) -> None:
    await wait_for_signal()
    serving.cancel()


@asynccontextmanager
async def _open_streams(
    secrets: SecretFilter,
    on_first_answer: Callable[[], None],
) -> AsyncIterator[tuple[ReadStream[SessionMessage | Exception], WriteStream[SessionMessage]]]:
    """Open the streams as the SDK does, but without its threads: a thread blocked in `read` or `write` cannot be cancelled."""
    if sys.platform == "win32":  # it cannot wait for pipes
        async with stdio_server() as (read, write):
            on_first_answer()
            yield read, FilteredWriteStream(write, secrets)
        return
    to_server, from_client = anyio.create_memory_object_stream[SessionMessage | Exception](0)
    to_client, from_server = anyio.create_memory_object_stream[SessionMessage](0)
    with _claim_descriptors() as (stdin, stdout):
        output = DescriptorWriter(stdout, secrets)
        answered = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_read, LineReader(stdin, output), to_server, output)
            tasks.start_soon(_write, from_server, output, answered)
            tasks.start_soon(_report_first_answer, answered, output, on_first_answer)
            tasks.start_soon(_end_without_reader, output, tasks.cancel_scope)
            yield from_client, to_client
            await to_client.aclose()
            with anyio.move_on_after(LAST_SECONDS):
                await output.wait_until_written()
            tasks.cancel_scope.cancel()


class FilteredWriteStream:
    """The write stream of a transport of the SDK's, which writes what it gets. Hides secrets in each message."""

    def __init__(self, stream: WriteStream[SessionMessage], secrets: SecretFilter) -> None:
        self._stream = stream
        self._secrets = secrets

    async def send(self, item: SessionMessage, /) -> None:
        """Send a message without the secrets in it."""
        text = item.message.model_dump_json(by_alias=True, exclude_unset=True)
        if (harmless := self._secrets.hide(text)) != text:
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
                logger.warning("A line of standard input is not a message: %s", error)
                if error.answer:
                    output.write(error.answer)
                continue
            if message is not None:
                await to_server.send(SessionMessage(message))


async def _write(
    from_server: ObjectReceiveStream[SessionMessage], output: DescriptorWriter, answered: anyio.Event
) -> None:
    async for one in from_server:
        output.write(one.message.model_dump_json(by_alias=True, exclude_unset=True))
        if isinstance(one.message, JSONRPCResponse) and "capabilities" not in one.message.result:
            answered.set()
        await output.wait_for_space()


async def _report_first_answer(
    answered: anyio.Event, output: DescriptorWriter, on_first_answer: Callable[[], None]
) -> None:
    await answered.wait()
    await output.wait_until_written()
    on_first_answer()


async def _end_without_reader(output: DescriptorWriter, serving: anyio.CancelScope) -> None:
    await output.send()
    serving.cancel()


@contextmanager
def _claim_descriptors() -> Iterator[tuple[int, int]]:
    """Take private copies of the descriptors for the protocol.

    Meanwhile, reading from 0 gives nothing, and what is written to 1 goes to 2.
    """
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
    """The lines of a descriptor without their newlines. The last line may lack one."""

    def __init__(self, descriptor: int, output: DescriptorWriter, longest: int = MOST_BYTES) -> None:
        self._descriptor, self._output, self._longest = descriptor, output, longest
        self._waits = _can_wait(descriptor)

    async def __aiter__(self) -> AsyncIterator[bytes | UnreadableLine]:
        """Yield each line, or an error for a line that is too long."""
        rest, size = [b""], 0
        while chunk := await self._read_chunk():
            *ends, last = chunk.split(b"\n")
            for end in ends:
                await self._output.wait_for_space()
                yield b"".join([*rest, end]) if size + len(end) <= self._longest else build_too_long(self._longest)
                rest, size = [], 0
            size += len(last)
            rest = [*rest, last] if size <= self._longest else []
        if size:
            yield b"".join(rest) if size <= self._longest else build_too_long(self._longest)

    async def _read_chunk(self) -> bytes:
        if self._waits:
            await anyio.wait_readable(self._descriptor)
        else:
            await anyio.lowlevel.checkpoint()
        return os.read(self._descriptor, CHUNK_BYTES)


class DescriptorWriter:
    """Writes lines to a descriptor. Lines wait while the host does not read, up to limits of size and time."""

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
        """The number of waiting bytes."""
        self._filled, self._emptied = anyio.Event(), anyio.Event()

    def write(self, text: str) -> None:
        """Queue a line without the secrets in it. Returns at once."""
        line = memoryview(f"{self._secrets.hide(text)}\n".encode())
        self._lines.append(line)
        self.waiting += len(line)
        self._filled.set()

    async def wait_for_space(self) -> None:
        """Wait until less waits than the limit."""
        while self.waiting > self._most:
            await self._emptied.wait()

    async def wait_until_written(self) -> None:
        """Wait until everything is written."""
        while self.waiting:
            await self._emptied.wait()

    async def send(self) -> None:
        """Write queued lines until the host closes the pipe.

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
            await self._wait_writable()
            # A pipe that is ready takes PIPE_BUF bytes without blocking; POSIX promises no more.
            done = os.write(self._descriptor, line[: select.PIPE_BUF])
            line = line[done:]
            self.waiting -= done
            self._emptied.set()
            self._emptied = anyio.Event()

    async def _wait_writable(self) -> None:
        """Wait until the host reads, if the pipe is full.

        Raises:
            HostNotReading: the host does not read.
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
                    f"The host does not read its messages: {self.waiting / 1_000_000:.1f} MB have waited for "
                    f"{silent:.0f} s, so plex-companion ends. Start it again from the host."
                )


def _can_wait(descriptor: int) -> bool:
    """Return whether a descriptor can be waited for. Files, directories and `/dev/null` cannot (EPERM), and never block."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)
