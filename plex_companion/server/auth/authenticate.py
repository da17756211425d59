"""Authenticates requests by bearer token, session cookie or OAuth access token."""

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
    SAFE,
    find_session,
    is_foreign_write,
    is_https,
    is_own_page,
    make_local,
    read_address,
    render_page,
)
from plex_companion.server.auth.scopes import READ, WRITE
from plex_companion.server.http.error_pages import POLICY, accepts_html
from plex_companion.server.http.refusal import Refusal
from plex_companion.settings import ICON

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Scope

    from plex_companion.server.auth.cookie import Cookies
    from plex_companion.server.auth.login_throttle import LoginThrottle
    from plex_companion.server.auth.oauth import ResourceServer

OPEN = frozenset({LOGIN, LOGOUT, ICON, "/healthz/live", "/healthz/ready"})
"""Paths that need no token: the login, the icon, which hosts fetch without one, and the health checks by which supervisors
restart a process that hangs."""
METADATA = "/.well-known/oauth-protected-resource/"
MCP = frozenset({"/mcp", "/sse"})
MESSAGES = "/messages/"
_CHALLENGE = 'Bearer realm="plex-companion"'


@dataclass(frozen=True, slots=True)
class AuthenticatedCaller:
    """Who sent a request: a user of an OAuth issuer or, without one, somebody with the companion's token."""

    issuer: str | None = None
    subject: str | None = None


TOKEN_HOLDER = AuthenticatedCaller()
_CALLER = "plex_companion.caller"


def store_caller(scope: Scope, caller: AuthenticatedCaller | None) -> None:
    """Store who sent a request, for its handler."""
    scope[_CALLER] = caller


def find_caller(request: Request | None) -> AuthenticatedCaller | None:
    """Return who sent a request; `None` without authentication, and on standard input."""
    return None if request is None else request.scope.get(_CALLER)


@dataclass(frozen=True, slots=True)
class AuthResult:
    """A request that is allowed, and the headers that its answer carries."""

    cookie: str | None = None
    """The value of `Set-Cookie` that renews the browser session."""
    reads_only: bool = False
    """Whether the request came with an issuer's token without the scope `write`."""
    expires_at: float | None = None
    """When that token expires, in seconds since 1970. A stream ends with it."""
    caller: AuthenticatedCaller | None = None
    """`None` where nobody must log in."""


class Authenticator:
    """Accepts or refuses requests. Without a token and an issuer, it accepts all."""

    def __init__(
        self, token: str | None, cookies: Cookies | None, failures: LoginThrottle, issuer: ResourceServer | None
    ) -> None:
        self._token = token.encode() if token else None
        self._cookies, self._failures = cookies, failures
        self.issuer = issuer

    async def authenticate(self, scope: Scope) -> AuthResult | Refusal:
        """Check the headers of a request. The answer to a wrong token is delayed, longer each time."""
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
        presented, automatic = _read_token(headers)
        if presented is None:
            return issuer.refuse(scope["path"], None) if issuer else _ask_for_token(scope, headers)
        throttled = self._failures.is_throttled(read_address(scope))
        if not throttled and self._token is not None and hmac.compare_digest(presented, self._token):
            self._failures.reset(read_address(scope))
            foreign = automatic and is_foreign_write(scope, headers)
            return _FOREIGN_PAGE if foreign else AuthResult(caller=TOKEN_HOLDER)
        if issuer is not None:
            return await self._check_issuer(issuer, scope, presented)
        return await self._delay_refusal(scope, _ask_for_token(scope, headers))

    def _check_cookie(self, scope: Scope, headers: Headers) -> AuthResult | Refusal | None:
        session = find_session(headers, self._cookies)
        if session is None or self._cookies is None or "authorization" in headers:
            return None
        if scope["method"] not in SAFE and not is_own_page(headers):
            return _FOREIGN_PAGE
        if scope["method"] != "GET" or not self._cookies.is_due(session):
            return AuthResult(caller=TOKEN_HOLDER)
        cookie = self._cookies.build_header(self._cookies.issue(session), https=is_https(scope, headers))
        return AuthResult(cookie, caller=TOKEN_HOLDER)

    async def _check_issuer(self, issuer: ResourceServer, scope: Scope, presented: bytes) -> AuthResult | Refusal:
        from plex_companion.server.auth import jwks, oauth  # noqa: PLC0415 - cryptography takes long to import

        path = scope["path"]
        try:
            bearer = await issuer.verify(presented.decode("ascii", "replace"))
        except jwks.KeysUnavailable:
            return oauth.build_unavailable()
        except oauth.TokenRejected as denied:
            refusal = issuer.refuse(path, denied.reason)
            return await self._delay_refusal(scope, refusal) if denied.is_forged else refusal
        bearer.apply(scope)
        if READ not in bearer.user.scopes:
            return issuer.forbid(path, READ)
        reads_only = WRITE not in bearer.user.scopes
        return AuthResult(reads_only=reads_only, expires_at=bearer.expires_at, caller=bearer.caller)

    async def _delay_refusal(self, scope: Scope, refusal: Refusal) -> Refusal:
        """Return the refusal after a delay, or at once a 429 if too many answers to this address wait already."""
        if self._failures.is_throttled(read_address(scope)):
            return _THROTTLED
        with self._failures.count_failure(read_address(scope)) as seconds:
            await anyio.sleep(seconds)
        return refusal


def _ask_for_token(scope: Scope, headers: Headers) -> Refusal:
    """Build the answer that asks for a token: a page for a person, a header for a program (RFC 9110, section 11.6.1).

    The challenge is never `Basic`, or browsers would ask for a user name and password.
    """
    answer_headers = {"www-authenticate": _CHALLENGE}
    if scope["method"] == "GET" and accepts_html(headers):
        query = scope["query_string"].decode("ascii", "replace")
        after = make_local(quote(scope["path"]) + (f"?{query}" if query else ""))
        answer_headers |= {"content-security-policy": POLICY}
        return Refusal(HTTPStatus.UNAUTHORIZED, "", answer_headers, render_page(after))
    return Refusal(HTTPStatus.UNAUTHORIZED, "This server needs a bearer token.", answer_headers)


_THROTTLED = Refusal(HTTPStatus.TOO_MANY_REQUESTS, "Too many wrong tokens. Wait a little.", {"retry-after": "10"})
_FOREIGN_PAGE = Refusal(HTTPStatus.FORBIDDEN, "Pages of other servers may not change anything here.")


def _read_token(headers: Headers) -> tuple[bytes | None, bool]:
    """Return the token of a request, and whether a browser may have sent it by itself, as it does with Basic."""
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
