"""The web server: uvicorn on our own socket, with a shutdown within two seconds and limits for idle connections."""

from __future__ import annotations

import errno
import logging
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import anyio
import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from plex_companion.errors import PortInUse, StartError
from plex_companion.server.http.signals import wait_for_signal

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Iterator

    from uvicorn.protocols.http.h11_impl import RequestResponseCycle

    from plex_companion.server.http.http_app import HttpApp
    from plex_companion.server.mcp.notifier import Notifier

BACKLOG = 1024
MOST_CONNECTIONS = 2_048
OWN_FILES = 256
"""File descriptors for everything but client connections."""
UNREAD_SECONDS = 30
"""The kernel closes the connection of a client that acknowledges nothing for this long."""
UNREAD_BYTES = 128 * 1024
"""The send buffer of a connection; Linux doubles it (socket(7)). By default it could grow to megabytes."""
SWEEP_SECONDS = 1.0
LISTEN_END_SECONDS = 0.1
"""At shutdown: how long listen streams have to send their result,"""
FINISH_SECONDS = 0.3
"""then how long running calls have to finish,"""
ABORT_SECONDS = 0.2
"""then how long clients have to read the rest."""

_ERRORS = logging.getLogger(f"{__name__}.connection")
_ERRORS.setLevel(logging.ERROR)


async def serve_http(
    app: HttpApp,
    host: str,
    port: int,
    *,
    notifier: Notifier,
    started: Callable[[str, int], None],
    most_connections: int = MOST_CONNECTIONS,
    head_seconds: float = 8.0,
) -> None:
    """Serve until SIGINT, SIGTERM, SIGHUP or cancellation, then end all streams gracefully within 2 s.

    Args:
        app: the application.
        host: a name or address.
        port: 0 for any free port.
        notifier: must be running; it is closed at shutdown.
        started: called with the host and the real port once clients can connect.
        most_connections: with one more, the oldest connection without a running request is closed.
        head_seconds: a connection that has not sent a request head by then is closed.

    Raises:
        PortInUse: another program listens there.
        StartError: the address cannot be used at all.
    """
    with open_socket(host, port) as listening:
        real_port: int = listening.getsockname()[1]
        _raise_file_limit(most_connections)
        web = _UvicornServer(app, notifier, most_connections, lambda: started(host, real_port))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_exit_on_signal, web)
            tasks.start_soon(_close_idle, web, head_seconds)
            with anyio.CancelScope(shield=True):  # if cancelled, uvicorn would close its connections open
                async with app.run():
                    await web.serve(sockets=[listening])
            tasks.cancel_scope.cancel()


def open_socket(host: str, port: int) -> socket.socket:
    """Open a listening socket.

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
            _set_socket_options(listening)
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


def build_base_url(host: str, port: int) -> str:
    """Return the address for a browser. When listening on every address, use this machine's address in its network."""
    shown = find_own_address() if host in {"0.0.0.0", "::", ""} else host  # noqa: S104 - compared, not bound
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def find_own_address() -> str:
    """Return the source address of packets from this machine to the outside. Connecting a UDP socket sends no packet.

    192.0.2.1 is reserved for documentation (RFC 5737), so it is routed like any address outside.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:  # no network at all
            return "127.0.0.1"
        address: str = probe.getsockname()[0]
        return address


def _set_socket_options(listening: socket.socket) -> None:
    """Set the options that accepted connections inherit."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNREAD_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_SECONDS * 1000)


async def _exit_on_signal(web: _UvicornServer) -> None:
    try:
        await wait_for_signal()
    finally:  # cancellation of `serve_http` ends it the same way
        web.should_exit = True


class _UvicornServer(uvicorn.Server):
    """uvicorn without its signal handling, which raises the signal again before the cleanup."""

    def __init__(self, app: HttpApp, notifier: Notifier, most: int, started: Callable[[], None]) -> None:
        config = uvicorn.Config(
            app,
            http=_BoundedConnection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=most + 1,  # above it uvicorn refuses new clients; `_BoundedConnection` acts before that
            timeout_graceful_shutdown=3,
        )
        super().__init__(config)
        self._app = app
        self._notifier = notifier
        self._on_started = started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signal handlers as they are."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and call `started`."""
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams too; uvicorn would wait for them."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._end_streams)
            await super().shutdown(sockets)
            tasks.cancel_scope.cancel()

    async def _end_streams(self) -> None:
        self._notifier.close()
        await anyio.sleep(LISTEN_END_SECONDS)  # listen streams end with a result, some through an SSE stream
        self._app.responses.end_streams()
        await anyio.sleep(FINISH_SECONDS)
        self._app.responses.end_all()
        await anyio.sleep(ABORT_SECONDS)
        for connection in list_connections(self):
            connection.transport.abort()


class _BoundedConnection(H11Protocol):
    """A connection that makes room at the limit: the oldest idle connection is closed for a new one.

    A malformed request costs no more than its own connection: it is refused or closed, without a line in the log.
    """

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.logger = _ERRORS

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's own
        """Accept a client, and close the oldest idle connection at the limit."""
        super().connection_made(transport)
        self.connected_at = time.monotonic()
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            connections = cast("set[_BoundedConnection]", self.connections)
            idle = (one for one in connections if _is_waiting(one))
            min(idle, key=lambda one: one.connected_at).close()

    def send_400_response(self, msg: str) -> None:
        """Refuse a malformed request. During another answer, close instead: h11 cannot start a second one."""
        cycle: RequestResponseCycle | None = self.cycle  # `None` before the first request
        if cycle is not None:
            cycle.disconnected = True  # an answer that has not started can no longer be sent
            cycle.message_event.set()
        if self.conn.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
            super().send_400_response(msg)
        else:
            self.transport.close()

    def close(self) -> None:
        """Close the connection at once, and free its slot."""
        self.connections.discard(self)
        self.transport.abort()


def _raise_file_limit(most: int) -> None:
    """Raise the limit of open files, which is 1,024 by default on many systems."""
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = most + OWN_FILES if hard == resource.RLIM_INFINITY else min(hard, most + OWN_FILES)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def list_connections(web: uvicorn.Server) -> set[H11Protocol]:
    """Return the open connections."""
    return cast("set[H11Protocol]", set(web.server_state.connections))


async def _close_idle(web: uvicorn.Server, head_seconds: float) -> None:
    """Close connections whose request head takes too long; uvicorn waits for the first one without limit."""
    waiting: dict[H11Protocol, tuple[RequestResponseCycle | None, float]] = {}
    while True:
        await anyio.sleep(min(SWEEP_SECONDS, head_seconds))
        waiting = {one: _track_idle(one, waiting) for one in list_connections(web) if _is_waiting(one)}
        for connection, (_, since) in waiting.items():
            if anyio.current_time() - since > head_seconds:
                connection.transport.abort()


def _track_idle(
    connection: H11Protocol, waiting: dict[H11Protocol, tuple[RequestResponseCycle | None, float]]
) -> tuple[RequestResponseCycle | None, float]:
    """Return the last answered request, and the time since when nothing followed."""
    before = waiting.get(connection)
    return before if before and before[0] is connection.cycle else (connection.cycle, anyio.current_time())


def _is_waiting(connection: H11Protocol) -> bool:
    # `cycle` is annotated as always there, but is None before the first request.
    cycle: RequestResponseCycle | None = connection.cycle
    return cycle is None or cycle.response_complete
