"""The HTTP side of the demo server: access, routing, and writing answers as XML or JSON."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import anyio
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from plex_companion.demo import control
from plex_companion.demo.nodes.tree import Node, to_json, to_xml
from plex_companion.demo.request import DemoAnswer, DemoRequest, HttpRefusal, build_error_page
from plex_companion.demo.routes import (
    account,
    browse,
    discover,
    library,
    managed_hubs,
    pictures,
    pins,
    players,
    plex_tv,
    queues,
    sections,
    server,
    sonic,
    status,
    streams,
    writes,
)
from plex_companion.demo.subscribers import FrameFilter

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from plex_companion.demo.demo_server import Demo
    from plex_companion.demo.household.model import DemoUser

    Handler = Callable[[DemoRequest], Node | DemoAnswer]

MAX_BODY = 20_000_000
# `{name:kind}` in a route: what `kind` may be.
KINDS = {
    "picture": "thumb|art|banner|theme|composite|clearLogo|squareArt",
    "pictures": "posters|arts|banners|themes|clearLogos|squareArts",
    "work": "refresh|analyze|match|unmatch|split|merge",
    "number": "[0-9]{1,12}",
    "playable": "video|music",
    "watchlist": "released|available",
    "started": r"\.m3u8|\.mpd|\.mp3|",
    "flag": "unwatched|inProgress|hdr|unmatched|duplicate|trash",
    "chosen": "poster|art|banner|theme|clearLogo|squareArt",
}
# The first route that matches answers, so particular paths stand before general ones.
ROUTES: tuple[tuple[str, str, Any], ...] = (
    *discover.ROUTES,
    *server.ROUTES,
    *sections.ROUTES,
    *sonic.ROUTES,
    *pictures.ROUTES,
    *managed_hubs.ROUTES,
    *browse.ROUTES,
    *library.ROUTES,
    *status.ROUTES,
    *queues.ROUTES,
    *players.ROUTES,
    *writes.ROUTES,
    *streams.ROUTES,
    *account.ROUTES,
    *pins.ROUTES,
    *plex_tv.ROUTES,
)
EVENT_SOURCE = "/:/eventsource/notifications"
PLEX_TV = ("/api/", "/devices.xml", "/users/account")
OPEN = re.compile(r"/identity|/api/v2/pins(/\d+)?")
"""The paths that need no token."""


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """Compile a route's pattern to an expression."""

    def replace_group(match: re.Match[str]) -> str:
        return f"(?P<{match[1]}>{KINDS[match[2]] if match[2] else '[^/]+'})"

    return re.compile(re.sub(r"{(\w+)(?::(\w+))?}", replace_group, pattern) + "$")


class DemoWeb:
    """The ASGI application of one demo server."""

    def __init__(self, demo: Demo) -> None:
        self._demo = demo
        self._answering: set[anyio.CancelScope] = set()
        self._routes: dict[str, list[tuple[re.Pattern[str], Handler]]] = {}
        for method, pattern, handler in ROUTES:
            self._routes.setdefault(method, []).append((compile_pattern(pattern), handler))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request. Anything else is refused by the server in front."""
        if scope["type"] != "http":
            return
        with self._demo.state.requests.track(scope["path"], scope["query_string"]):
            response: Response = Response(status_code=503)
            with anyio.CancelScope() as answering:
                self._answering.add(answering)
                try:
                    response = await self._respond(Request(scope, receive))
                finally:
                    self._answering.discard(answering)
            await response(scope, receive, send)

    def close(self) -> None:
        """Answer all open requests at once with 503: the server is closing."""
        for answering in list(self._answering):
            answering.cancel()

    async def _respond(self, request: Request) -> Response:
        params = parse_qsl(request.scope["query_string"].decode("utf-8", "replace"), keep_blank_values=True)
        if request.url.path.startswith("/demo/"):
            return await control.respond(self._demo, request)
        self._log_request(request.method, request.url.path, params)
        await anyio.sleep(self._demo.state.faults.delay)
        headers = dict(request.headers)
        refusal = self._refuse_long_path(request) or self.check_access(request.url.path, params, headers)
        if refusal is not None:
            return _build_plain(refusal)
        if request.url.path == EVENT_SOURCE:
            return StreamingResponse(
                self._demo.subscribers.stream_events(FrameFilter.parse(params)), media_type="text/event-stream"
            )
        body = await _read_body(request)
        if body is None:
            return Response(status_code=413)
        user = self._find_user(params, headers) or self._demo.state.owner
        return self._answer(request, params, headers, user, body)

    def _answer(
        self, request: Request, params: list[tuple[str, str]], headers: dict[str, str], user: DemoUser, body: bytes
    ) -> Response:
        path, method = request.url.path, "GET" if request.method == "HEAD" else request.method
        for pattern, handler in self._routes.get(method, ()):
            match = pattern.match(path)
            if match:
                demo_request = DemoRequest(
                    self._demo.state, user, method, path, params, match.groupdict(), headers, body
                )
                try:
                    return _build_response(handler(demo_request), headers)
                except HttpRefusal as refused:
                    return _build_plain(build_error_page(refused.status))
        self._demo.state.requests.unknown.append((method, path))
        return _build_plain(build_error_page(404))

    def _log_request(self, method: str, path: str, params: list[tuple[str, str]]) -> None:
        query = urlencode([(name, value) for name, value in params if name != "X-Plex-Token"])
        self._demo.state.requests.log.append((method, f"{path}?{query}" if query else path))

    def _refuse_long_path(self, request: Request) -> DemoAnswer | None:
        longest, line = self._demo.state.faults.longest_path, request.scope["raw_path"] + request.scope["query_string"]
        return build_error_page(414) if longest is not None and len(line) > longest else None

    def check_access(self, path: str, params: list[tuple[str, str]], headers: dict[str, str]) -> DemoAnswer | None:
        """Return the refusal of a caller, for a simulated fault or their token; `None` if they may go on."""
        faults = self._demo.state.faults
        # Its providers share paths with the server: a client that diverts a request to here says where it was meant to go.
        cloud = path.startswith(PLEX_TV) or headers.get("x-forwarded-host", "").endswith(".plex.tv")
        if cloud and faults.cloud_status is not None:
            page = build_error_page(faults.cloud_status)
            return page if faults.cloud_body is None else DemoAnswer(faults.cloud_body, faults.cloud_status)
        if faults.status is not None and not cloud:
            page = build_error_page(faults.status)
            return page if faults.body is None else DemoAnswer(faults.body, faults.status, "text/xml", faults.headers)
        if OPEN.fullmatch(path):
            return None
        if faults.revoked or self._find_user(params, headers) is None:
            return plex_tv.INVALID_TOKEN if cloud else build_error_page(401)
        return None

    def check_socket_access(
        self, path: str, params: list[tuple[str, str]], headers: dict[str, str]
    ) -> DemoAnswer | None:
        """Return the refusal of a websocket's handshake, or `None`. Only the two known paths exist."""
        self._log_request("GET", path, params)
        refusal = self.check_access(path, params, headers)
        if refusal is None and path not in {"/:/websockets/notifications", "/:/websocket/notifications"}:
            return build_error_page(404)
        return refusal

    def _find_user(self, params: list[tuple[str, str]], headers: dict[str, str]) -> DemoUser | None:
        """Return the user of the token. Without a required token, an unknown one counts as the owner."""
        state = self._demo.state
        token = headers.get("x-plex-token") or next((v for n, v in params if n == "X-Plex-Token"), "")
        user = state.by_token.get(token)
        return state.owner if user is None and state.token is None else user


async def _read_body(request: Request) -> bytes | None:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            return None
    return body


def _build_response(answer: Node | DemoAnswer, headers: dict[str, str]) -> Response:
    if isinstance(answer, DemoAnswer):
        return _build_plain(answer)
    extra = {"X-Plex-Protocol": "1.0", "Cache-Control": "no-cache"}
    if "totalSize" in answer.attributes:
        extra["X-Plex-Container-Start"] = str(answer.attributes.get("offset", 0))
        extra["X-Plex-Container-Total-Size"] = str(answer.attributes["totalSize"])
    if "application/json" in headers.get("accept", ""):
        return Response(to_json(answer), media_type="application/json", headers=extra)
    return Response(to_xml(answer), media_type="text/xml;charset=utf-8", headers=extra)


def _build_plain(answer: DemoAnswer) -> Response:
    headers = {"X-Plex-Protocol": "1.0", "Content-Type": answer.media_type, **answer.headers}
    return Response(answer.body, answer.status, headers)
