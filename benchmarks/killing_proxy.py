"""A proxy to PostgreSQL that kills the program behind a connection at a chosen moment of an append."""

from __future__ import annotations

import os
import signal
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import anyio
from anyio.abc import SocketAttribute

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from anyio.abc import SocketStream

Point = Literal["before the append", "between append and commit", "after the commit"]
POINTS: tuple[Point, ...] = ("before the append", "between append and commit", "after the commit")
MARKER = b"plex-companion entry"
"""How every entry begins."""
_BROKEN = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream, OSError)


@dataclass
class KillOrder:
    """The next kill: of the program that appends next, whichever it is."""

    point: Point
    delay: float
    """With `after the commit`: how many seconds after the append was answered."""
    signal: signal.Signals = signal.SIGKILL
    """SIGSTOP leaves the process and its connections as they are."""
    done: anyio.Event = field(default_factory=anyio.Event)
    killed: int = 0
    """The process that was killed."""
    at: float = 0.0


@dataclass
class KillingProxy:
    """Passes on the bytes of one program, and records when its appends were answered."""

    target: int
    take_order: Callable[[], KillOrder | None]
    pid: int = 0
    """The program behind it."""
    on_kill: Callable[[], None] = lambda: None
    """Is called when the program is killed."""
    port: int = 0
    answered: list[float] = field(default_factory=list)
    """When PostgreSQL answered its appends."""

    async def serve(self, client: SocketStream) -> None:
        """Pass on one connection until either end closes it."""
        with suppress(*_BROKEN):
            async with client, await anyio.connect_tcp("127.0.0.1", self.target) as server:
                appended: list[KillOrder | None] = []
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._pass_requests, client, server, appended)
                    tasks.start_soon(self._pass_answers, server, client, appended)

    async def _pass_requests(
        self, client: SocketStream, server: SocketStream, appended: list[KillOrder | None]
    ) -> None:
        with suppress(*_BROKEN):
            while True:
                data = await client.receive()
                if MARKER in data:
                    order = self.take_order()
                    if order and order.point == "before the append":
                        self._kill(order)
                        break
                    appended.append(order)
                await server.send(data)
        await server.aclose()

    async def _pass_answers(self, server: SocketStream, client: SocketStream, appended: list[KillOrder | None]) -> None:
        with suppress(*_BROKEN):
            while True:
                data = await server.receive()
                is_append = bool(appended)
                order = appended.pop() if appended else None
                if order and order.point == "between append and commit":
                    self._kill(order)
                if is_append:
                    self.answered.append(time.monotonic())
                await client.send(data)
                if order and order.point == "after the commit":
                    await anyio.sleep(order.delay)
                    self._kill(order)
        await client.aclose()

    def _kill(self, order: KillOrder) -> None:
        os.kill(self.pid, order.signal)
        self.on_kill()
        order.killed, order.at = self.pid, time.monotonic()
        order.done.set()


@asynccontextmanager
async def run_killing_proxy(target: int, take_order: Callable[[], KillOrder | None]) -> AsyncIterator[KillingProxy]:
    """Run a proxy to a port of this machine while the block does."""
    proxy = KillingProxy(target, take_order)
    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        proxy.port = listener.extra(SocketAttribute.local_port)  # noqa: S610 - anyio, not Django
        tasks.start_soon(listener.serve, proxy.serve)
        yield proxy
        tasks.cancel_scope.cancel()
