"""Who may talk to us over HTTP: one check in front of every route."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

import anyio
from starlette.datastructures import Headers
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
MOST_BYTES = 4 * 1024 * 1024
BODY_SECONDS = 10.0
LINGER_BYTES = 16 * MOST_BYTES
LINGER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Refusal:
    status: HTTPStatus
    message: str
    challenge: str | None = None

    async def __call__(self, receive: Receive, send: Send) -> None:
        """Answer, then let the client finish speaking: closing on unread bytes would take the answer from it."""
        headers = {"connection": "close"}
        if self.challenge:
            headers["www-authenticate"] = self.challenge
        response = Response(json.dumps({"error": self.message}), self.status, headers, media_type="application/json")
        await send({"type": "http.response.start", "status": self.status, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": response.body, "more_body": True})
        with anyio.move_on_after(LINGER_SECONDS):
            await _discard(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


_HOST = _Refusal(
    HTTPStatus.MISDIRECTED_REQUEST,
    "This server does not answer to that Host. Add it to PLEX_COMPANION_ALLOWED_HOSTS.",
)
_ORIGIN = _Refusal(
    HTTPStatus.FORBIDDEN,
    "Pages of that Origin may not ask this server. Add it to PLEX_COMPANION_ALLOWED_ORIGINS.",
)
_TOO_LARGE = _Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request body is too large.")
_TOO_SLOW = _Refusal(HTTPStatus.REQUEST_TIMEOUT, "The request body did not arrive in time.")
_REALM = 'realm="plex-companion"'


class Guard:
    """Checks Host, Origin, token and body size, then passes the request on, its body read.

    A host entry is `name` or `name:*` (any port), or `name:port`. An origin entry is that, with or without a
    scheme. Loopback is always allowed, and so is the origin of the page's own server: its Host has been checked.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        hosts: Iterable[str] = (),
        origins: Iterable[str] = (),
        token: str | None = None,
        most_bytes: int = MOST_BYTES,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._app = app
        self._hosts = tuple(_Authority.of(host) for host in (*LOOPBACK, *hosts))
        self._origins = tuple(_Origin.of(origin) for origin in (*LOOPBACK, *origins))
        self._token = token.encode() if token else None
        self._most_bytes = most_bytes
        self._body_seconds = body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer the request, or refuse it."""
        if scope["type"] != "http":  # the web server is started without lifespan and without websockets
            return
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(receive, send)
            return
        body = _Body(receive)
        with anyio.move_on_after(self._body_seconds) as reading:
            if not await body.read(self._most_bytes):
                await _TOO_LARGE(receive, send)
                return
        if reading.cancelled_caught:
            await _TOO_SLOW(receive, send)
            return
        await self._app(scope, body.replay, send)

    def _refusal(self, scope: Scope) -> _Refusal | None:
        headers = Headers(scope=scope)
        host = headers.getlist("host")
        if len(host) != 1 or not _fits(self._hosts, host[0]):
            return _HOST
        origin = headers.get("origin")
        if origin is not None and not self._welcome(origin, host[0]):
            return _ORIGIN
        if self._token is not None and not hmac.compare_digest(_presented(headers), self._token):
            return _Refusal(HTTPStatus.UNAUTHORIZED, "A bearer token is needed.", _challenge(headers))
        return _TOO_LARGE if _declared(headers) > self._most_bytes else None

    def _welcome(self, origin: str, host: str) -> bool:
        scheme, separator, authority = origin.lower().partition("://")
        if not separator:  # "null", and what is no origin at all
            return False
        own = authority == host.lower() and scheme in {"http", "https"}
        return own or any(one.fits(scheme, authority) for one in self._origins)


@dataclass(frozen=True, slots=True)
class _Authority:
    """A host, and one port or any."""

    host: str
    port: str | None

    @classmethod
    def of(cls, entry: str) -> _Authority:
        host, port = _split(entry.strip())
        return cls(host, None if port in {"", "*"} else port)

    def fits(self, authority: str) -> bool:
        host, port = _split(authority)
        return host == self.host and self.port in {None, port}


@dataclass(frozen=True, slots=True)
class _Origin:
    """A scheme or any, and an authority."""

    scheme: str | None
    authority: _Authority

    @classmethod
    def of(cls, entry: str) -> _Origin:
        scheme, separator, rest = entry.strip().lower().rstrip("/").partition("://")
        return cls(scheme, _Authority.of(rest)) if separator else cls(None, _Authority.of(scheme))

    def fits(self, scheme: str, authority: str) -> bool:
        return scheme in {self.scheme or "http", self.scheme or "https"} and self.authority.fits(authority)


class _Body:
    """A request body, read before anyone looks at it."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._bytes = bytearray()
        self._next: list[Message] = []

    async def read(self, most_bytes: int) -> bool:
        """Read all of it; false when it is larger than that."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] != "http.request":  # the client has gone
                self._next.append(message)
                break
            self._bytes += message.get("body", b"")
            more = message.get("more_body", False)
            if len(self._bytes) > most_bytes:
                return False
        self._next.insert(0, {"type": "http.request", "body": bytes(self._bytes), "more_body": more})
        return True

    async def replay(self) -> Message:
        """What was read, then what comes."""
        return self._next.pop(0) if self._next else await self._receive()


async def _discard(receive: Receive) -> None:
    size, more = 0, True
    while more and size < LINGER_BYTES:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)


def _fits(allowed: Iterable[_Authority], authority: str) -> bool:
    return any(one.fits(authority) for one in allowed)


def _split(authority: str) -> tuple[str, str]:
    """Host in lower case without a closing dot, and the port as written. `::1` may stand without brackets."""
    text = authority.lower()
    if text.startswith("["):
        host, _, rest = text.partition("]")
        return host.removeprefix("["), rest.removeprefix(":")
    host, colon, port = text.rpartition(":")
    if not colon or ":" in host:
        return text.removesuffix("."), ""
    return host.removesuffix("."), port


def _declared(headers: Headers) -> int:
    declared = headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() else 0


def _presented(headers: Headers) -> bytes:
    """The token of this request. A browser, which cannot be told to send one, gives it as a Basic password."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip().encode()
        case "basic":
            return _password(value.strip())
        case _:
            return b""


def _password(credentials: str) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""


def _challenge(headers: Headers) -> str:
    """Only a browser that opens a page is offered Basic: an MCP client must not ask its user for a name."""
    page = "text/html" in headers.get("accept", "")
    return f"Basic {_REALM}" if page else f"Bearer {_REALM}"
