"""Whoever knocks: with the token, with the cookie that a browser was given for it, or with a token of an issuer."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio
from starlette.datastructures import Headers

from plex_companion.server.login import LOGIN, LOGOUT, POLICY, address_of, is_https, is_own_page, local, page, visit_of
from plex_companion.server.refusal import Refusal
from plex_companion.server.scopes import READ, WRITE

if TYPE_CHECKING:
    from starlette.types import Scope

    from plex_companion.server.cookie import Cookies
    from plex_companion.server.failures import Failures
    from plex_companion.server.oauth import ResourceServer

OPEN = frozenset({LOGIN, LOGOUT, "/healthz/live", "/healthz/ready"})
"""Told to everyone who knows our name: the login itself, and a word each for those who restart what hangs."""
METADATA = "/.well-known/oauth-protected-resource/"
MCP = frozenset({"/mcp", "/sse"})
MESSAGES = "/messages/"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_CHALLENGE = 'Bearer realm="plex-companion"'


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who may go on, and what their answer carries."""

    cookie: str | None = None
    """A fresh one, `Set-Cookie` and all."""
    reads_only: bool = False
    """An issuer's token without the scope `write`."""
    until: float | None = None
    """Seconds since 1970 when that token has expired; a stream does not outlive it."""


class Door:
    """Lets in or refuses. Without a token and an issuer it stands open."""

    def __init__(
        self, token: str | None, cookies: Cookies | None, failures: Failures, issuer: ResourceServer | None
    ) -> None:
        self._token = token.encode() if token else None
        self._cookies = cookies
        self._failures = failures
        self.issuer = issuer

    async def admit(self, scope: Scope) -> Admitted | Refusal:
        """Judge a request by its head. A wrong token is answered late, and later each time."""
        path, headers = scope["path"], Headers(scope=scope)
        if path in OPEN or (self.issuer and path.startswith(METADATA)):
            return Admitted()
        issuer = self.issuer if path in MCP or path.startswith(MESSAGES) else None
        if self._token is None and issuer is None:
            return Admitted()
        return self._by_cookie(scope, headers) or await self._by_header(issuer, scope, headers)

    async def _by_header(self, issuer: ResourceServer | None, scope: Scope, headers: Headers) -> Admitted | Refusal:
        presented, ambient = _presented(headers)
        if presented is None:
            return issuer.refuse(scope["path"], None) if issuer else _ask(scope, headers)
        crowded = self._failures.crowded(address_of(scope))
        if not crowded and self._token is not None and hmac.compare_digest(presented, self._token):
            self._failures.succeeded(address_of(scope))
            return _FOREIGN_PAGE if ambient and _is_foreign_write(scope, headers) else Admitted()
        if issuer is not None:
            return await self._by_issuer(issuer, scope, presented)
        return await self._late(scope, _ask(scope, headers))

    def _by_cookie(self, scope: Scope, headers: Headers) -> Admitted | Refusal | None:
        visit = visit_of(headers, self._cookies)
        if visit is None or self._cookies is None or "authorization" in headers:
            return None
        if scope["method"] not in SAFE and not is_own_page(headers):
            return _FOREIGN_PAGE
        if scope["method"] != "GET" or not self._cookies.is_due(visit):
            return Admitted()
        return Admitted(self._cookies.header(self._cookies.issue(visit), https=is_https(scope, headers)))

    async def _by_issuer(self, issuer: ResourceServer, scope: Scope, presented: bytes) -> Admitted | Refusal:
        from plex_companion.server import issuer as keys  # noqa: PLC0415 - cryptography takes long to import
        from plex_companion.server import oauth  # noqa: PLC0415 - the same

        path = scope["path"]
        try:
            bearer = await issuer.judge(presented.decode("ascii", "replace"))
        except keys.KeysUnavailable:
            return oauth.unavailable()
        except oauth.Denied as denied:
            refusal = issuer.refuse(path, denied.reason)
            return await self._late(scope, refusal) if denied.guessed else refusal
        bearer.enter(scope)
        if READ not in bearer.user.scopes:
            return issuer.forbid(path, READ)
        return Admitted(reads_only=WRITE not in bearer.user.scopes, until=bearer.until)

    async def _late(self, scope: Scope, refusal: Refusal) -> Refusal:
        """The refusal, held back; or at once another one, where enough are held back for this address already."""
        if self._failures.crowded(address_of(scope)):
            return _CROWDED
        with self._failures.failed(address_of(scope)) as seconds:
            await anyio.sleep(seconds)
        return refusal


def _ask(scope: Scope, headers: Headers) -> Refusal:
    """For the token: a person on a page, a program by a header. A browser is never asked for name and password."""
    told = {"www-authenticate": _CHALLENGE}
    if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
        query = scope["query_string"].decode("ascii", "replace")
        after = local(quote(scope["path"]) + (f"?{query}" if query else ""))
        told |= {"content-security-policy": POLICY}
        return Refusal(HTTPStatus.UNAUTHORIZED, "", told, page(after))
    return Refusal(HTTPStatus.UNAUTHORIZED, "A bearer token is needed.", told)


_CROWDED = Refusal(HTTPStatus.TOO_MANY_REQUESTS, "Too many wrong tokens. Wait a little.", {"retry-after": "10"})
_FOREIGN_PAGE = Refusal(HTTPStatus.FORBIDDEN, "A page of another server may not change anything here.")


def _is_foreign_write(scope: Scope, headers: Headers) -> bool:
    """Whether a browser, which repeats a password by itself, was made to write by a page of somebody else's."""
    from_browser = "origin" in headers or "sec-fetch-site" in headers
    return scope["method"] not in SAFE and from_browser and not is_own_page(headers)


def _presented(headers: Headers) -> tuple[bytes | None, bool]:
    """The token of this request, and whether a browser may have sent it by itself: the password of Basic."""
    given = headers.get("authorization")
    if given is None:
        return None, False
    scheme, _, value = given.partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip().encode(), False
        case "basic":
            return _password(value.strip()), True
        case _:
            return b"", False


def _password(credentials: str) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""
