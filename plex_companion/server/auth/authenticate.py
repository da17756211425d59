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

from plex_companion.server.auth.login import (
    LOGIN,
    LOGOUT,
    POLICY,
    find_session,
    is_https,
    is_own_page,
    make_local,
    read_address,
    render_page,
)
from plex_companion.server.auth.scopes import READ, WRITE
from plex_companion.server.http.refusal import Refusal

if TYPE_CHECKING:
    from starlette.types import Scope

    from plex_companion.server.auth.cookie import Cookies
    from plex_companion.server.auth.login_throttle import LoginThrottle
    from plex_companion.server.auth.oauth import ResourceServer

OPEN = frozenset({LOGIN, LOGOUT, "/healthz/live", "/healthz/ready"})
"""Told to everyone who knows our name: the login itself, and a word each for those who restart what hangs."""
METADATA = "/.well-known/oauth-protected-resource/"
MCP = frozenset({"/mcp", "/sse"})
MESSAGES = "/messages/"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_CHALLENGE = 'Bearer realm="plex-companion"'


@dataclass(frozen=True, slots=True)
class AuthResult:
    """Who may go on, and what their answer carries."""

    cookie: str | None = None
    """A fresh one, `Set-Cookie` and all."""
    reads_only: bool = False
    """An issuer's token without the scope `write`."""
    expires_at: float | None = None
    """Seconds since 1970 when that token has expired; a stream does not outlive it."""


class Authenticator:
    """Lets in or refuses. Without a token and an issuer it stands open."""

    def __init__(
        self, token: str | None, cookies: Cookies | None, failures: LoginThrottle, issuer: ResourceServer | None
    ) -> None:
        self._token = token.encode() if token else None
        self._cookies = cookies
        self._failures = failures
        self.issuer = issuer

    async def authenticate(self, scope: Scope) -> AuthResult | Refusal:
        """Judge a request by its head. A wrong token is answered late, and later each time."""
        path, headers = scope["path"], Headers(scope=scope)
        if path in OPEN or (self.issuer and path.startswith(METADATA)):
            return AuthResult()
        issuer = self.issuer if path in MCP or path.startswith(MESSAGES) else None
        if self._token is None and issuer is None:
            return AuthResult()
        return self._check_cookie(scope, headers) or await self._check_header(issuer, scope, headers)

    async def _check_header(
        self, issuer: ResourceServer | None, scope: Scope, headers: Headers
    ) -> AuthResult | Refusal:
        presented, ambient = _read_token(headers)
        if presented is None:
            return issuer.refuse(scope["path"], None) if issuer else _ask_for_token(scope, headers)
        crowded = self._failures.is_throttled(read_address(scope))
        if not crowded and self._token is not None and hmac.compare_digest(presented, self._token):
            self._failures.reset(read_address(scope))
            return _FOREIGN_PAGE if ambient and _is_foreign_write(scope, headers) else AuthResult()
        if issuer is not None:
            return await self._check_issuer(issuer, scope, presented)
        return await self._delay_refusal(scope, _ask_for_token(scope, headers))

    def _check_cookie(self, scope: Scope, headers: Headers) -> AuthResult | Refusal | None:
        visit = find_session(headers, self._cookies)
        if visit is None or self._cookies is None or "authorization" in headers:
            return None
        if scope["method"] not in SAFE and not is_own_page(headers):
            return _FOREIGN_PAGE
        if scope["method"] != "GET" or not self._cookies.is_due(visit):
            return AuthResult()
        return AuthResult(self._cookies.build_header(self._cookies.issue(visit), https=is_https(scope, headers)))

    async def _check_issuer(self, issuer: ResourceServer, scope: Scope, presented: bytes) -> AuthResult | Refusal:
        from plex_companion.server.auth import jwks as keys  # noqa: PLC0415 - cryptography takes long to import
        from plex_companion.server.auth import oauth  # noqa: PLC0415 - the same

        path = scope["path"]
        try:
            bearer = await issuer.verify(presented.decode("ascii", "replace"))
        except keys.KeysUnavailable:
            return oauth.build_unavailable()
        except oauth.TokenRejected as denied:
            refusal = issuer.refuse(path, denied.reason)
            return await self._delay_refusal(scope, refusal) if denied.is_forged else refusal
        bearer.apply(scope)
        if READ not in bearer.user.scopes:
            return issuer.forbid(path, READ)
        return AuthResult(reads_only=WRITE not in bearer.user.scopes, expires_at=bearer.expires_at)

    async def _delay_refusal(self, scope: Scope, refusal: Refusal) -> Refusal:
        """The refusal, held back; or at once another one, where enough are held back for this address already."""
        if self._failures.is_throttled(read_address(scope)):
            return _CROWDED
        with self._failures.count_failure(read_address(scope)) as seconds:
            await anyio.sleep(seconds)
        return refusal


def _ask_for_token(scope: Scope, headers: Headers) -> Refusal:
    """For the token: a person on a page, a program by a header. A browser is never asked for name and password."""
    told = {"www-authenticate": _CHALLENGE}
    if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
        query = scope["query_string"].decode("ascii", "replace")
        after = make_local(quote(scope["path"]) + (f"?{query}" if query else ""))
        told |= {"content-security-policy": POLICY}
        return Refusal(HTTPStatus.UNAUTHORIZED, "", told, render_page(after))
    return Refusal(HTTPStatus.UNAUTHORIZED, "A bearer token is needed.", told)


_CROWDED = Refusal(HTTPStatus.TOO_MANY_REQUESTS, "Too many wrong tokens. Wait a little.", {"retry-after": "10"})
_FOREIGN_PAGE = Refusal(HTTPStatus.FORBIDDEN, "A page of another server may not change anything here.")


def _is_foreign_write(scope: Scope, headers: Headers) -> bool:
    """Whether a browser, which repeats a password by itself, was made to write by a page of somebody else's."""
    from_browser = "origin" in headers or "sec-fetch-site" in headers
    return scope["method"] not in SAFE and from_browser and not is_own_page(headers)


def _read_token(headers: Headers) -> tuple[bytes | None, bool]:
    """The token of this request, and whether a browser may have sent it by itself: the password of Basic."""
    given = headers.get("authorization")
    if given is None:
        return None, False
    scheme, _, value = given.partition(" ")
    match scheme.lower():
        case "bearer":
            return value.strip().encode(), False
        case "basic":
            return _parse_password(value.strip()), True
        case _:
            return b"", False


def _parse_password(credentials: str) -> bytes:
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""
