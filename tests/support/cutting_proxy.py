"""A proxy on loopback that cuts a connection at a chosen moment: before a request arrives, or before its answer does."""

from __future__ import annotations

from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import anyio
from anyio.abc import SocketAttribute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import ByteStream, SocketStream

    Moment = Literal["request", "answer", "late"]

BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


@dataclass
class CuttingProxy:
    """Passes bytes on to one port. A request is recognized by bytes that it holds."""

    target: int
    port: int = 0
    refuses: bool = False
    """Whether every connection is cut, and no new one gets through."""
    cuts: int = 0
    held: bytes | None = None
    """With `late`: the request that has not arrived yet."""
    _moment: Moment | None = None
    _marker: bytes = b""
    _released: anyio.Event = field(default_factory=anyio.Event)
    _delivered: anyio.Event = field(default_factory=anyio.Event)
    _links: set[anyio.CancelScope] = field(default_factory=set)

    def arm(self, moment: Moment, marker: bytes) -> None:
        """Cut the next connection that sends these bytes.

        `request`: before they arrive. `answer`: after they have arrived and been answered, without the answer. `late`: before
        they arrive, and they arrive later, after `deliver`.
        """
        self._moment, self._marker = moment, marker

    async def deliver(self) -> None:
        """Let the request arrive that was held back."""
        self._released.set()
        await self._delivered.wait()

    def cut_all(self) -> None:
        """Cut every connection, and refuse new ones."""
        self.refuses = True
        for link in self._links:
            link.cancel()

    async def serve(self, client: SocketStream) -> None:
        with suppress(*BROKEN):
            async with client:
                if not self.refuses:
                    async with await anyio.connect_tcp("127.0.0.1", self.target) as server:
                        await self._join(client, server)

    async def _join(self, client: SocketStream, server: SocketStream) -> None:
        with anyio.CancelScope() as scope:
            self._links.add(scope)
            drop_answer = anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._pass_requests, client, server, drop_answer, scope)
                tasks.start_soon(self._pass_answers, server, client, drop_answer, scope)
        self._links.discard(scope)

    async def _pass_requests(
        self, client: ByteStream, server: ByteStream, drop_answer: anyio.Event, scope: anyio.CancelScope
    ) -> None:
        with suppress(*BROKEN):
            while True:
                data = await client.receive()
                if self._moment is not None and self._marker in data:
                    moment, self._moment = self._moment, None
                    self.cuts += 1
                    match moment:
                        case "answer":
                            drop_answer.set()
                        case "late":
                            await self._hold(data, client, server)
                            break
                        case "request":
                            break
                await server.send(data)
        scope.cancel()

    async def _hold(self, data: bytes, client: ByteStream, server: ByteStream) -> None:
        self.held = data
        await client.aclose()
        await self._released.wait()
        with suppress(*BROKEN):
            await server.send(data)
            await server.receive()
        self._delivered.set()

    async def _pass_answers(
        self, server: ByteStream, client: ByteStream, drop_answer: anyio.Event, scope: anyio.CancelScope
    ) -> None:
        with suppress(*BROKEN):
            while True:
                data = await server.receive()
                if drop_answer.is_set():
                    break
                await client.send(data)
        if self.held is None or self._released.is_set():
            scope.cancel()


@asynccontextmanager
async def cutting_proxy(target: int) -> AsyncIterator[CuttingProxy]:
    """Run a proxy to a port of this machine while the block does."""
    proxy = CuttingProxy(target)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        proxy.port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio, not Django
        tasks.start_soon(listener.serve, proxy.serve)
        yield proxy
        tasks.cancel_scope.cancel()
