"""Checks every HTTP request before any route sees it."""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import anyio
from starlette.datastructures import Headers, MutableHeaders

from plex_companion.server.auth.authenticate import store_caller
from plex_companion.server.auth.scopes import WRITE, asks_to_write
from plex_companion.server.http.refusal import MOST_BYTES, Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from plex_companion.server.auth.authenticate import Authenticator

MCP = "/mcp"
LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
BODY_SECONDS = 10.0


_HOST = Refusal(
    HTTPStatus.MISDIRECTED_REQUEST,
    "This server does not answer to that host name. Add it to PLEX_COMPANION_ALLOWED_HOSTS.",
)
_ORIGIN = Refusal(
    HTTPStatus.FORBIDDEN,
    "Pages of that origin may not use this server. Add the origin to PLEX_COMPANION_ALLOWED_ORIGINS.",
)
_TOO_LARGE = Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request body is too large.")
_TOO_SLOW = Refusal(HTTPStatus.REQUEST_TIMEOUT, "The request body did not arrive in time.")


class RequestGuard:
    """Checks Host and Origin, authenticates, reads the body up to its limit, then passes the request on.

    MCP demands the check of Origin against DNS rebinding (specification, Transports, security warning).

    A host entry is `name` or `name:*` (any port), or `name:port`. An origin entry is that, with or without a
    scheme. Loopback is always allowed, and so is the origin of this server itself, since its Host was checked.
    """

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        *,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        any_address: bool = False,
        writes: Callable[[str, Mapping[str, Any]], bool],
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        """Wrap an application.

        Args:
            app: the application.
            authenticator: accepts or refuses requests.
            hosts: allowed in addition to loopback.
            origins: allowed in addition to loopback.
            any_address: whether a Host may be any bare IP address. That is safe with a token: a page that points its
                own name at this server (DNS rebinding) sends that name as Host.
            writes: whether a call of a tool with these arguments writes.
            body_seconds: a request body must have arrived by then.
        """
        self._app = app
        self._authenticator = authenticator
        self._hosts = tuple(_Authority.parse(host) for host in (*LOOPBACK, *hosts))
        self._origins = tuple(_Origin.parse(origin) for origin in (*LOOPBACK, *origins))
        self._any_address = any_address
        self._writes = writes
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        headers = Headers(scope=scope)
        refusal = self._check_origin(headers)
        if refusal is not None:
            await refusal.show_to(headers)(receive, send)
            return
        result = await self._authenticator.authenticate(scope)
        if isinstance(result, Refusal):
            await result.show_to(headers)(receive, send)
            return
        store_caller(scope, result.caller)
        body = _RequestBody(receive)
        refusal = _TOO_LARGE if _read_content_length(headers) > MOST_BYTES else await self._read(body)
        if body.broken_off:
            return  # the client is gone
        if refusal is None and result.reads_only:
            refusal = self._check_scope(scope["path"], body)
        if refusal is not None:
            await refusal.show_to(headers)(receive, send)
            return
        receive_body = body.replay if result.expires_at is None else _receive_until(result.expires_at, body.replay)
        await self._app(scope, receive_body, _add_cookie(send, result.cookie) if result.cookie else send)

    async def _read(self, body: _RequestBody) -> Refusal | None:
        with anyio.move_on_after(self._body_seconds):
            return None if await body.read(MOST_BYTES) else _TOO_LARGE
        return _TOO_SLOW

    def _check_scope(self, path: str, body: _RequestBody) -> Refusal | None:
        """Refuse a write without the scope `write` with a 403, so that the client asks its issuer for more.

        Only on `/mcp`: a client of SSE waits for its answer on the stream, where the tool itself answers.
        """
        issuer = self._authenticator.issuer if path == MCP else None
        return issuer.forbid(path, WRITE) if issuer and asks_to_write(body.whole, self._writes) else None

    def _check_origin(self, headers: Headers) -> Refusal | None:
        host = headers.getlist("host")
        if len(host) != 1 or not self._is_known_host(host[0]):
            return _HOST
        origin = headers.get("origin")
        return None if origin is None or self._is_allowed_origin(origin, host[0]) else _ORIGIN

    def _is_known_host(self, host: str) -> bool:
        return any(one.matches(host) for one in self._hosts) or (self._any_address and _is_address(host))

    def _is_allowed_origin(self, origin: str, host: str) -> bool:
        scheme, separator, authority = origin.lower().partition("://")
        if not separator:  # "null" (RFC 6454, section 7.1), or not an origin
            return False
        own = authority == host.lower() and scheme in {"http", "https"}
        return own or any(one.matches(scheme, authority) for one in self._origins)


@dataclass(frozen=True, slots=True)
class _Authority:
    """A host, and one port or any."""

    host: str
    port: str | None

    @classmethod
    def parse(cls, entry: str) -> _Authority:
        host, port = _split_authority(entry.strip())
        return cls(host, None if port in {"", "*"} else port)

    def matches(self, authority: str) -> bool:
        host, port = _split_authority(authority)
        return host == self.host and self.port in {None, port}


@dataclass(frozen=True, slots=True)
class _Origin:
    """A scheme or any, and an authority."""

    scheme: str | None
    authority: _Authority

    @classmethod
    def parse(cls, entry: str) -> _Origin:
        scheme, separator, rest = entry.strip().lower().rstrip("/").partition("://")
        return cls(scheme, _Authority.parse(rest)) if separator else cls(None, _Authority.parse(scheme))

    def matches(self, scheme: str, authority: str) -> bool:
        return scheme in {self.scheme or "http", self.scheme or "https"} and self.authority.matches(authority)


class _RequestBody:
    """A request body, read whole before the application sees it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = bytearray()
        self._next: list[Message] = []
        self.broken_off = False
        """Whether the client left before the whole body had arrived."""

    async def read(self, most_bytes: int) -> bool:
        """Read the whole body. Return false if it is larger than `most_bytes` or the client leaves."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] != "http.request":
                self.broken_off = True
                return False
            self._bytes += message.get("body", b"")
            more = message.get("more_body", False)
            if len(self._bytes) > most_bytes:
                return False
        self._next.append({"type": "http.request", "body": self.whole, "more_body": False})
        return True

    @property
    def whole(self) -> bytes:
        """The body that was read."""
        return bytes(self._bytes)

    async def replay(self) -> Message:
        """Return the body that was read, then whatever the client sends next."""
        return self._next.pop(0) if self._next else await self._receive()


def _receive_until(expired: float, receive: Receive) -> Receive:
    """Receive as if the client left at that time, so that a stream ends when its token expires."""
    deadline = anyio.current_time() + expired - time.time()

    async def watch_disconnect() -> Message:
        with anyio.move_on_at(deadline):
            return await receive()
        return {"type": "http.disconnect"}

    return watch_disconnect


def _add_cookie(send: Send, cookie: str) -> Send:
    async def send_with_cookie(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).append("set-cookie", cookie)
        await send(message)

    return send_with_cookie


def _is_address(authority: str) -> bool:
    try:
        ipaddress.ip_address(_split_authority(authority)[0])
    except ValueError:
        return False
    return True


def _split_authority(authority: str) -> tuple[str, str]:
    """Split an authority (RFC 3986, section 3.2) into host and port.

    The host is in lower case without a closing dot. An IPv6 address may lack its brackets.
    """
    text = authority.lower()
    if text.startswith("["):
        host, _, rest = text.partition("]")
        return host.removeprefix("["), rest.removeprefix(":")
    host, colon, port = text.rpartition(":")
    if not colon or ":" in host:
        return text.removesuffix("."), ""
    return host.removesuffix("."), port


def _read_content_length(headers: Headers) -> int:
    declared = headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() else 0
