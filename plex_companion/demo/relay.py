"""The public port: a small TCP relay, so that faults can act on bytes and the port can close and reopen."""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
from anyio.abc import SocketAttribute, SocketStream

from plex_companion.errors import PortInUse

if TYPE_CHECKING:
    from anyio.abc import TaskGroup, TaskStatus

MAX_FIRST_LINE = 16_384
MAX_LINKS = 2_000
BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


class PauseGate:
    """A gate that tasks wait at while it is closed."""

    def __init__(self) -> None:
        self._open = anyio.Event()
        self._open.set()

    def close(self) -> None:
        """Let tasks wait from now on."""
        if self._open.is_set():
            self._open = anyio.Event()

    def open(self) -> None:
        """Let all tasks through."""
        self._open.set()

    async def wait_open(self) -> None:
        """Wait until the gate is open."""
        await self._open.wait()


@dataclass(slots=True, eq=False)
class RelayLink:
    """One client connection. `allowance` is the number of bytes that may still go to the client before it is reset."""

    client: SocketStream
    scope: anyio.CancelScope
    gate: PauseGate = field(default_factory=PauseGate)
    websocket: bool = False
    allowance: int | None = None

    def reset(self) -> None:
        """Close with RST: linger off, zero seconds."""
        raw = self.client.extra(SocketAttribute.raw_socket)  # noqa: S610  # anyio, not Django
        with contextlib.suppress(OSError):
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.scope.cancel()


class PortRelay:
    """Listens on the public port and copies bytes to the inner servers, websocket upgrades to their own."""

    def __init__(self, host: str, port: int, tasks: TaskGroup, *, http_port: int, socket_port: int) -> None:
        self.host, self.port = host, port
        self._tasks, self._http_port, self._socket_port = tasks, http_port, socket_port
        self._gate = PauseGate()
        self._listening: anyio.CancelScope | None = None
        self._closed = anyio.Event()
        self.links: set[RelayLink] = set()

    async def open(self) -> None:
        """Listen on the port; after `close`, on the same one.

        Raises:
            PortInUse: Another program listens on it.
        """
        if self._listening is None:
            await self._tasks.start(self._listen)

    async def close(self) -> None:
        """Stop listening. Open connections stay open."""
        if self._listening is not None:
            self._listening.cancel()
            await self._closed.wait()

    async def _listen(self, *, task_status: TaskStatus[None]) -> None:
        try:
            listener = await anyio.create_tcp_listener(local_host=self.host, local_port=self.port)
        except OSError as error:
            raise PortInUse(
                f"The demo cannot listen on {self.host}:{self.port}: {error.strerror}.", port=self.port
            ) from error
        self._closed = anyio.Event()
        try:
            with anyio.CancelScope() as self._listening:
                async with listener:
                    self.port = listener.extra(SocketAttribute.local_port)  # noqa: S610  # anyio, not Django
                    task_status.started()
                    async with anyio.create_task_group() as accepting:
                        for one in listener.listeners:
                            accepting.start_soon(self._accept, one.extra(SocketAttribute.raw_socket))  # noqa: S610  # the same
        finally:
            self._listening = None
            self._closed.set()

    async def _accept(self, listening: socket.socket) -> None:
        """Accept connections, forever.

        An `accept` of asyncio that is cancelled as a connection arrives leaves its socket open. Waiting for one can be cancelled.
        """
        while True:
            await anyio.wait_readable(listening)
            with contextlib.suppress(OSError):
                self._tasks.start_soon(self._relay, listening.accept()[0])

    async def _relay(self, accepted: socket.socket) -> None:
        with anyio.CancelScope() as scope, contextlib.closing(accepted):
            async with await SocketStream.from_socket(accepted) as client:
                link = RelayLink(client, scope)
                if len(self.links) < MAX_LINKS:
                    self.links.add(link)
                    try:
                        await self._connect(link)
                    finally:
                        self.links.discard(link)

    async def _connect(self, link: RelayLink) -> None:
        with contextlib.suppress(*BROKEN):
            head = await self._read_first_line(link)
            link.websocket = b" /:/websocket" in head.partition(b"\r\n")[0]
            port = self._socket_port if link.websocket else self._http_port
            async with await anyio.connect_tcp("127.0.0.1", port) as server, anyio.create_task_group() as pumps:
                pumps.start_soon(self._copy_upstream, link, server, head, pumps.cancel_scope)
                await self._copy_downstream(link, server)
                pumps.cancel_scope.cancel()

    async def _read_first_line(self, link: RelayLink) -> bytes:
        head = b""
        while b"\r\n" not in head:
            await self._gate.wait_open()
            head += await link.client.receive()
            if len(head) > MAX_FIRST_LINE:
                raise anyio.EndOfStream
        return head

    async def _copy_upstream(
        self, link: RelayLink, server: SocketStream, head: bytes, pumps: anyio.CancelScope
    ) -> None:
        with contextlib.suppress(*BROKEN):
            await server.send(head)
            while True:
                await self._wait_for_gates(link)
                chunk = await link.client.receive()
                await self._wait_for_gates(link)
                await server.send(chunk)
        pumps.cancel()

    async def _copy_downstream(self, link: RelayLink, server: SocketStream) -> None:
        with contextlib.suppress(*BROKEN):
            while True:
                await self._wait_for_gates(link)
                chunk = await server.receive()
                await self._wait_for_gates(link)
                if link.allowance is not None:
                    chunk, link.allowance = chunk[: link.allowance], link.allowance - len(chunk[: link.allowance])
                await link.client.send(chunk)
                if link.allowance == 0:
                    link.reset()

    async def _wait_for_gates(self, link: RelayLink) -> None:
        await self._gate.wait_open()
        await link.gate.wait_open()

    def reset(self, *, websockets_only: bool = False) -> int:
        """Reset (RST) connections and return how many."""
        hit = [link for link in self.links if link.websocket or not websockets_only]
        for link in hit:
            link.reset()
        return len(hit)

    def freeze(self, *, everything: bool = False) -> None:
        """Go silent: TCP stays open, nothing is read or sent.

        Freezes the websockets that are open now, or with `everything` all connections until `thaw`.
        """
        if everything:
            self._gate.close()
        for link in self.links:
            if everything or link.websocket:
                link.gate.close()

    def thaw(self) -> None:
        """End the silence."""
        self._gate.open()
        for link in self.links:
            link.gate.open()

    def cut_after(self, count: int) -> None:
        """Let `count` more bytes through to every websocket, then reset it: usually in the middle of a frame."""
        for link in self.links:
            if link.websocket:
                link.allowance = count
