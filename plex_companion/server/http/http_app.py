"""The HTTP application: both MCP transports, health and the dashboard's routes behind one guard."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit, urlunsplit

import anyio
from mcp.server.sse import SseServerTransport
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Mount, Route

from plex_companion.server.auth.authenticate import MESSAGES
from plex_companion.server.auth.config import OPEN_ACCESS
from plex_companion.server.http.error_pages import POLICY, accepts_html, render_error
from plex_companion.server.http.event_stream import EventStream
from plex_companion.server.http.guard import BODY_SECONDS
from plex_companion.server.http.headers import SecurityHeaders
from plex_companion.server.http.responses import OpenResponses
from plex_companion.server.http.secret_hiding import SecretHiding
from plex_companion.server.http.timing import RequestTiming
from plex_companion.text import format_count

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager

    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import BaseRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from plex_companion.server.auth.config import AuthConfig
    from plex_companion.server.mcp.build import CompanionServer
    from plex_companion.server.mcp.notifier import Notifier

MAX_STREAMS = 1_200
MAX_SESSIONS = 1_200


def _ignore(route: str, method: str, status: int, seconds: float) -> None:
    """Ignore an answer; without metrics nothing counts them."""


class HttpApp:
    """An ASGI application without lifespan: enter `run` once per process, around whatever serves it."""

    def __init__(
        self,
        server: CompanionServer,
        notifier: Notifier,
        *,
        health: Callable[[], Mapping[str, Any]],
        missing: Callable[[], Mapping[str, str]] = dict,
        observe: Callable[[str, str, int, float], None] = _ignore,
        extra_routes: Sequence[BaseRoute] = (),
        entry: AuthConfig = OPEN_ACCESS,
        max_sessions: int = MAX_SESSIONS,
        max_streams: int = MAX_STREAMS,
        idle_seconds: float = 1800,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        """Build the routes and the layers around them.

        Args:
            server: built for the same resources as the notifier.
            notifier: gets the legacy sessions that can be reached.
            health: returns the body of `/healthz`.
            missing: returns what keeps the companion from being ready; empty when it is.
            observe: called for each answer with the pattern of its route, method, status and seconds.
            extra_routes: the dashboard and other routes behind the same guard.
            entry: how requests are authenticated.
            max_sessions: the most MCP sessions of legacy clients of `/mcp`; the next one gets a 503.
            max_streams: the most streams of `/sse`; the next one gets a 503.
            idle_seconds: a legacy MCP session ends after this long without a request.
            body_seconds: a request body must have arrived by then.
        """
        self._sessions = StreamableHTTPSessionManager(
            server.lowlevel, max_sessions=max_sessions, session_idle_timeout=idle_seconds
        )
        sse = _Sse(server, max_streams)
        self.routes: list[BaseRoute] = [
            Route("/mcp", _StreamableHttp(self._sessions, notifier)),
            Route("/sse", sse, methods=["GET"]),
            Mount(MESSAGES, sse.post),
            *_build_health_routes(health, missing),
            *entry.build_routes(),
            *extra_routes,
        ]
        routed = Starlette(
            routes=self.routes, exception_handlers={HTTPException: _answer_http_error, Exception: _answer_failure}
        )
        hiding = SecretHiding(_make_redirects_relative(routed), server.secrets)
        guard = entry.build_guard(hiding, writes=server.is_write, body_seconds=body_seconds)
        self.responses = OpenResponses(RequestTiming(SecurityHeaders(guard), observe))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "http":  # the web server is started without lifespan and without websockets
            await self.responses(scope, receive, send)

    def run(self) -> AbstractAsyncContextManager[None]:
        """Run the sessions of Streamable HTTP while entered; leaving ends them."""
        return self._sessions.run()


class _StreamableHttp:
    """`/mcp`, for both protocol eras. The notifier writes into its streams."""

    def __init__(self, sessions: StreamableHTTPSessionManager, notifier: Notifier) -> None:
        self._sessions = sessions
        self._notifier = notifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = EventStream(scope, send)
        session_id = Headers(scope=scope).get(MCP_SESSION_ID_HEADER)
        if scope["method"] != "GET" or session_id is None:
            await self._sessions.handle_request(scope, receive, stream.send)
            return
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._notifier.serve_get_stream, session_id, stream)
            await self._sessions.handle_request(scope, receive, stream.send)
            tasks.cancel_scope.cancel()


class _Sse:
    """`/sse` and `/messages/`. The SDK's own `sse_app` raises at shutdown, and has no limit."""

    def __init__(self, server: CompanionServer, most: int) -> None:
        self._server = server
        self._transport = SseServerTransport(MESSAGES)
        self._most = most
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._open >= self._most:
            await _build_busy_response(self._most)(scope, receive, send)
            return
        self._open += 1
        try:
            async with self._transport.connect_sse(scope, receive, send) as (read, write):
                await self._server.serve(read, write)
        finally:
            self._open -= 1

    async def post(self, scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(
            anyio.BrokenResourceError, anyio.ClosedResourceError
        ):  # the stream ended while the message came in
            await self._transport.handle_post_message(scope, receive, send)


async def _answer_http_error(request: Request, error: Exception) -> Response:
    """Answer an unknown route or method in the form of every other refusal."""
    problem = cast("HTTPException", error)  # Starlette's handlers are typed for any
    return _build_error(request, problem.status_code, problem.detail, problem.headers)


async def _answer_failure(request: Request, _: Exception) -> Response:
    """Answer a request that failed here. Starlette raises the error again, so it is logged."""
    message = "plex-companion failed to answer. Its log says why."
    return _build_error(request, HTTPStatus.INTERNAL_SERVER_ERROR, message)


def _build_error(request: Request, status: int, message: str, headers: Mapping[str, str] | None = None) -> Response:
    if accepts_html(request.headers):
        return HTMLResponse(
            render_error(status, message), status, {**(headers or {}), "content-security-policy": POLICY}
        )
    return JSONResponse({"error": message}, status, headers)


def _make_redirects_relative(app: ASGIApp) -> ASGIApp:
    """Wrap an application so that its redirects have no scheme and host; behind a TLS proxy they would be wrong.

    Starlette redirects `/mcp/` to `http://…/mcp`, and a client that follows would send its token unencrypted.
    A relative Location is allowed (RFC 9110, section 10.2.2).
    """

    async def run_app(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_relative(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if "location" in headers:
                    headers["location"] = urlunsplit(("", "", *urlsplit(headers["location"])[2:]))
            await send(message)

        await app(scope, receive, send_relative)

    return run_app


def _build_busy_response(most: int) -> JSONResponse:
    problem = {"error": f"{format_count(most, 'stream is', 'streams are')} open already. Try again later."}
    return JSONResponse(problem, HTTPStatus.SERVICE_UNAVAILABLE, headers={"retry-after": "60"})


def _build_health_routes(
    health: Callable[[], Mapping[str, Any]], missing: Callable[[], Mapping[str, str]]
) -> Iterator[Route]:
    """Build the health routes: everything, only that the program runs, and whether it is ready."""

    async def report_health(_: Request) -> JSONResponse:  # a plain function would be run in a thread
        return JSONResponse(dict(health()))

    async def report_live(_: Request) -> JSONResponse:
        return JSONResponse({"status": "ok"})

    async def report_ready(_: Request) -> JSONResponse:
        problems = dict(missing())
        status = HTTPStatus.SERVICE_UNAVAILABLE if problems else HTTPStatus.OK
        return JSONResponse({"status": "not ready" if problems else "ok", **problems}, status)

    for path, answer in (("/healthz", report_health), ("/healthz/live", report_live), ("/healthz/ready", report_ready)):
        yield Route(path, answer, methods=["GET"])
