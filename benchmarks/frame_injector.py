"""A relay in front of the demo server that can also send frames into the websockets that pass through it.

The demo announces some 10,000 frames a second; this writes prebuilt bytes, so that the sender does not limit the measurement.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
from anyio.abc import SocketAttribute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from anyio.abc import SocketStream

GONE = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


@dataclass(eq=False)
class Link:
    """A websocket that passes through; only whole frames go in at a time."""

    client: SocketStream
    turn: anyio.Lock = field(default_factory=anyio.Lock)

    async def send(self, payload: bytes) -> None:
        """Write whole frames, one writer at a time."""
        async with self.turn:
            await self.client.send(payload)


class FrameInjector:
    """The relay; clients connect to `url` instead of the demo server's."""

    def __init__(self, target: int) -> None:
        self.url = ""
        self._target = target
        self._websockets: set[Link] = set()

    async def send_frames(self, payload: bytes) -> None:
        """Write websocket frames to every listener; return when the system has accepted them."""
        for link in list(self._websockets):
            await link.send(payload)

    async def relay(self, client: SocketStream) -> None:
        """Copy one connection to the demo server and back."""
        link = Link(client)
        with suppress(*GONE):
            async with client, await anyio.connect_tcp("127.0.0.1", self._target) as server:
                head = await client.receive()
                if b" /:/websocket" in head.partition(b"\r\n")[0]:
                    self._websockets.add(link)
                await server.send(head)
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._up, client, server, tasks.cancel_scope)
                    with suppress(*GONE):
                        async for chunk in server:
                            await link.send(chunk)
                    tasks.cancel_scope.cancel()
        self._websockets.discard(link)

    async def _up(self, client: SocketStream, server: SocketStream, both: anyio.CancelScope) -> None:
        with suppress(*GONE):
            async for chunk in client:
                await server.send(chunk)
        both.cancel()


@asynccontextmanager
async def open_injector(target: int) -> AsyncIterator[FrameInjector]:
    """Run an injector in front of this port until the block ends."""
    injector = FrameInjector(target)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        injector.url = f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}"  # noqa: S610  # anyio, not Django
        tasks.start_soon(listener.serve, injector.relay)
        yield injector
        tasks.cancel_scope.cancel()


def encode_websocket_frames(texts: Iterable[str]) -> bytes:
    """Encode text frames as a server sends them: not masked, not compressed (RFC 6455, 5.2)."""
    return b"".join(_encode_frame(text.encode()) for text in texts)


def _encode_frame(payload: bytes) -> bytes:
    if len(payload) < 126:
        return bytes((0x81, len(payload))) + payload
    return b"\x81\x7e" + len(payload).to_bytes(2, "big") + payload
