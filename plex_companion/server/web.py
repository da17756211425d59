"""The web server: a socket of our own, an ending within two seconds, and no patience with the idle."""

from __future__ import annotations

import errno
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import anyio
import uvicorn

from plex_companion.errors import PortInUse, StartError
from plex_companion.server.signals import told_to_end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

    from plex_companion.server.http import HttpApp
    from plex_companion.server.notifier import Notifier

BACKLOG = 1024
UNREAD_SECONDS = 30
"""A client that takes nothing for so long is given up by the kernel."""
SWEEP_SECONDS = 1.0
FAREWELL_SECONDS = 0.1
"""After the program was told to end: what listen streams have to say goodbye,"""
FINISH_SECONDS = 0.3
"""then running calls to finish,"""
ABORT_SECONDS = 0.2
"""then clients to take what is left for them."""


async def serve_http(
    app: HttpApp,
    host: str,
    port: int,
    *,
    notifier: Notifier,
    started: Callable[[str, int], None],
    limit_concurrency: int = 2048,
    head_seconds: float = 8.0,
) -> None:
    """Serve until SIGINT, SIGTERM or cancellation; then streams are ended gracefully, and all is over in 2 s.

    Args:
        app: what is served.
        host: a name or address.
        port: 0 for any that is free.
        notifier: running; it is closed when the end comes.
        started: called with the host and the real port once clients can connect.
        limit_concurrency: connections beyond it are answered 503.
        head_seconds: a connection that has not sent a request head by then is closed.

    Raises:
        PortInUse: another program listens there.
        StartError: the address cannot be used at all.
    """
    with open_socket(host, port) as listening:
        real_port: int = listening.getsockname()[1]
        web = _Web(app, notifier, limit_concurrency, lambda: started(host, real_port))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_exit_when_told, web)
            tasks.start_soon(_close_the_idle, web, head_seconds)
            with anyio.CancelScope(shield=True):  # cancelled, uvicorn would leave its connections behind
                async with app.running():
                    await web.serve(sockets=[listening])
            tasks.cancel_scope.cancel()


def open_socket(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        PortInUse: another program listens there.
        StartError: the address cannot be used at all.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            _prepare(listening)
            listening.bind(address)
            listening.listen(BACKLOG)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"Port {port} on {host} is in use. Choose another one with --port.", port=port) from error
        raise StartError(f"Cannot listen on {host}, port {port}: {error.strerror}.", port=port) from error
    return listening


def _prepare(listening: socket.socket) -> None:
    """Options that the connections inherit."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_SECONDS * 1000)


async def _exit_when_told(web: _Web) -> None:
    try:
        await told_to_end()
    finally:  # cancellation of `serve_http` ends it the same way
        web.should_exit = True


class _Web(uvicorn.Server):
    """uvicorn without its signal handling, which raises the signal again before anyone has cleaned up."""

    def __init__(self, app: HttpApp, notifier: Notifier, limit_concurrency: int, started: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=limit_concurrency,
            timeout_graceful_shutdown=3,
        )
        super().__init__(config)
        self._app = app
        self._notifier = notifier
        self._on_started = started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, which would otherwise be waited for."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._insist)
            await super().shutdown(sockets)
            tasks.cancel_scope.cancel()

    async def _insist(self) -> None:
        self._notifier.close()
        await anyio.sleep(FAREWELL_SECONDS)  # listen streams say goodbye, some of them through an SSE stream
        self._app.answers.end_streams()
        await anyio.sleep(FINISH_SECONDS)
        self._app.answers.end_all()
        await anyio.sleep(ABORT_SECONDS)
        for connection in connections(self):
            connection.transport.abort()


def connections(web: uvicorn.Server) -> set[H11Protocol]:
    """The open connections."""
    return cast("set[H11Protocol]", set(web.server_state.connections))


async def _close_the_idle(web: uvicorn.Server, head_seconds: float) -> None:
    """End connections whose request head takes too long; uvicorn would wait for ever for the first one."""
    waiting: dict[H11Protocol, tuple[RequestResponseCycle | None, float]] = {}
    while True:
        await anyio.sleep(min(SWEEP_SECONDS, head_seconds))
        waiting = {one: _since(one, waiting) for one in connections(web) if _is_waiting(one)}
        for connection, (_, since) in waiting.items():
            if anyio.current_time() - since > head_seconds:
                connection.transport.abort()


def _since(
    connection: H11Protocol, waiting: dict[H11Protocol, tuple[RequestResponseCycle | None, float]]
) -> tuple[RequestResponseCycle | None, float]:
    """The request answered last and since when nothing followed it."""
    before = waiting.get(connection)
    unchanged = before is not None and before[0] is connection.cycle
    return before if before and unchanged else (connection.cycle, anyio.current_time())


def _is_waiting(connection: H11Protocol) -> bool:
    # `cycle` is annotated as always there, but is None before the first request.
    cycle: RequestResponseCycle | None = connection.cycle
    return cycle is None or cycle.response_complete
