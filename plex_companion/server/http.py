"""The HTTP surface: both MCP transports, health and the dashboard's routes behind one guard."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from plex_companion.server.guard import BODY_SECONDS, Guard
from plex_companion.server.streams import Answers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from starlette.requests import Request
    from starlette.routing import BaseRoute
    from starlette.types import Message, Receive, Scope, Send

    from plex_companion.server.build import CompanionServer
    from plex_companion.server.notifier import Notifier

MESSAGES = "/messages/"


class HttpApp:
    """An ASGI application without lifespan: enter `running` once per process, around whatever serves it."""

    def __init__(
        self,
        server: CompanionServer,
        notifier: Notifier,
        *,
        health: Callable[[], Mapping[str, Any]],
        extra_routes: Sequence[BaseRoute] = (),
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        token: str | None = None,
        max_sessions: int = 500,
        idle_seconds: float = 1800,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        """Give it what it serves and whom.

        Args:
            server: built for the same offer as the notifier.
            notifier: told which legacy sessions can be reached.
            health: what `/healthz` answers.
            extra_routes: the dashboard and whatever else stands behind the same guard.
            hosts: allowed besides loopback.
            origins: allowed besides loopback.
            token: asked of every request when given.
            max_sessions: of legacy clients of `/mcp`; the next one is answered 503.
            idle_seconds: such a session ends when nothing was asked of it for so long.
            body_seconds: a request body must have arrived by then.
        """
        self._sessions = StreamableHTTPSessionManager(
            server.lowlevel, max_sessions=max_sessions, session_idle_timeout=idle_seconds
        )
        sse = _Sse(server)
        routes = [
            Route("/mcp", _StreamableHttp(self._sessions, notifier)),
            Route("/sse", sse, methods=["GET"]),
            Mount(MESSAGES, sse.post),
            Route("/healthz", _health(health), methods=["GET"]),
            *extra_routes,
        ]
        self.answers = Answers(Starlette(routes=routes))
        self._guard = Guard(self.answers, hosts=hosts, origins=origins, token=token, body_seconds=body_seconds)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._guard(scope, receive, send)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Hold the sessions of Streamable HTTP while entered; leaving ends them."""
        return self._sessions.run()


class _StreamableHttp:
    """`/mcp`, both eras. Tells the notifier which legacy sessions can be reached."""

    def __init__(self, sessions: StreamableHTTPSessionManager, notifier: Notifier) -> None:
        self._sessions = sessions
        self._notifier = notifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        session_id = Headers(scope=scope).get(MCP_SESSION_ID_HEADER)
        if scope["method"] == "GET" and session_id is not None:
            await self._watched(session_id, scope, receive, send)
        else:
            await self._sessions.handle_request(scope, receive, send)

    async def _watched(self, session_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        with ExitStack() as open_stream:

            async def watch(message: Message) -> None:
                await send(message)
                # The SDK starts reading for the stream in the same turn of the loop in which it sends these headers.
                if message["type"] == "http.response.start" and message["status"] == HTTPStatus.OK:
                    open_stream.enter_context(self._notifier.get_stream(session_id))

            await self._sessions.handle_request(scope, receive, watch)


class _Sse:
    """`/sse` and `/messages/`. The SDK's own `sse_app` raises at shutdown."""

    def __init__(self, server: CompanionServer) -> None:
        self._server = server
        self._transport = SseServerTransport(MESSAGES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._transport.connect_sse(scope, receive, send) as (read, write):
            await self._server.serve(read, write)

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # the stream ended under the message
            await self._transport.handle_post_message(scope, receive, send)


def _health(health: Callable[[], Mapping[str, Any]]) -> Callable[[Request], Awaitable[JSONResponse]]:
    async def answer(_: Request) -> JSONResponse:  # a plain function would be run in a thread
        return JSONResponse(dict(health()), headers={"cache-control": "no-store"})

    return answer
