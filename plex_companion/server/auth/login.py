"""The login page: a browser sends the token once and gets a session cookie."""

from __future__ import annotations

import hmac
import html
import secrets
import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import anyio
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from plex_companion.server.http.error_pages import POLICY, render_standalone

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.datastructures import Headers
    from starlette.requests import Request
    from starlette.types import Scope

    from plex_companion.server.auth.cookie import BrowserSession, Cookies
    from plex_companion.server.auth.login_throttle import LoginThrottle

LOGIN, LOGOUT = "/login", "/logout"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
CODE_SECONDS = 3_600.0
_FORM = """{said}
<form method="post" action="{action}"><input type="hidden" name="next" value="{after}">
<label for="token">Token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<button>Log in</button></form>
<p>The token is the password of this server. Whoever installed it knows it: it is the value of
<code>PLEX_COMPANION_TOKEN</code>. If none was set, it was printed at the first start and is in the file
<code>http-token</code> beside the database.</p>
<p>Already logged in? <a href="{after}">Go on</a>.</p>"""


class LoginCode:
    """A code that logs one browser in, once, within an hour of the start. The token itself must not be in an address."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.text = secrets.token_urlsafe(24)
        self._now = now
        self._until = now() + CODE_SECONDS
        self._used = False

    def redeem(self, given: str) -> bool:
        """Return whether this is the code. It is accepted once."""
        if not hmac.compare_digest(given.encode(), self.text.encode()) or self._used or self._now() > self._until:
            return False
        self._used = True
        return True


class LoginPages:
    """`/login` and `/logout`."""

    def __init__(
        self, token: str | None, cookies: Cookies | None, failures: LoginThrottle, code: LoginCode | None
    ) -> None:
        self._token = token.encode() if token else None
        self._cookies, self._failures = cookies, failures
        self._code = code

    def build_routes(self) -> list[Route]:
        """Build both routes. They can be reached without the token."""
        return [
            Route(LOGIN, self._show_page, methods=["GET"]),
            Route(LOGIN, self._log_in, methods=["POST"]),
            Route(LOGOUT, self._log_out, methods=["POST"]),
        ]

    async def _show_page(self, request: Request) -> Response:
        """Show the login page; with the one-time code of the first start, log in and go to the dashboard."""
        after = make_local(request.query_params.get("next", "/"))
        given = request.query_params.get("code")
        if self._cookies is None:
            return _redirect(after)
        if given is not None and self._code is not None and self._code.redeem(given):
            return self._log_browser_in(request, self._cookies, "/")
        message = None if given is None else "This link was used already or has expired. Log in with the token."
        status = HTTPStatus.OK if given is None else HTTPStatus.UNAUTHORIZED
        return HTMLResponse(render_page(after, message), status, {"content-security-policy": POLICY})

    async def _log_in(self, request: Request) -> Response:
        form = _parse_form(await request.body())
        after = make_local(form.get("next", ["/"])[0])
        if self._cookies is None or self._token is None:
            return _redirect(after)
        address = read_address(request.scope)
        if self._failures.is_throttled(address):
            page = render_page(after, "Too many wrong tokens. Wait a little.")
            headers = {"content-security-policy": POLICY, "retry-after": "10"}
            return HTMLResponse(page, HTTPStatus.TOO_MANY_REQUESTS, headers)
        given = form.get("token", [""])[0].strip().encode()
        if hmac.compare_digest(given, self._token):
            self._failures.reset(address)
            return self._log_browser_in(request, self._cookies, after)
        with self._failures.count_failure(address) as seconds:
            await anyio.sleep(seconds)
        page = render_page(after, "This token is wrong.")
        return HTMLResponse(page, HTTPStatus.UNAUTHORIZED, {"content-security-policy": POLICY})

    def _log_browser_in(self, request: Request, cookies: Cookies, after: str) -> Response:
        cookie = cookies.build_header(cookies.issue(), https=is_https(request.scope, request.headers))
        return _redirect(after, cookie)

    async def _log_out(self, request: Request) -> Response:
        """End the browser session, if one of our own pages requests it."""
        session = find_session(request.headers, self._cookies)
        if self._cookies is None or session is None:
            return _redirect(LOGIN)
        if not is_own_page(request.headers):
            return Response("Only pages of this server may log you out.", HTTPStatus.FORBIDDEN)
        self._cookies.end(session)
        return _redirect(LOGIN, self._cookies.build_expired_header(https=is_https(request.scope, request.headers)))


def render_page(after: str, message: str | None = None) -> str:
    """Render the login page, which leads to a local path."""
    body = f'<p role="alert">{html.escape(message)}</p>' if message else ""
    form = _FORM.format(said=body, action=LOGIN, after=html.escape(after))
    return render_standalone("Log in", "plex-companion", form)


def make_local(path: str) -> str:
    """Return the path if it is on this server, else `/`.

    In a browser, two slashes or backslashes begin another host (WHATWG URL, relative slash state).
    """
    is_local = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if is_local and not path.startswith((LOGIN, LOGOUT)) else "/"


def find_session(headers: Headers, cookies: Cookies | None) -> BrowserSession | None:
    """Return the browser session that a request belongs to by its cookie."""
    return cookies.find_session(cookie_parser(headers.get("cookie", ""))) if cookies else None


def is_own_page(headers: Headers) -> bool:
    """Return whether a page of this server sent the request. Browsers send cookies with requests from other ports too.

    Browsers send `Sec-Fetch-Site` over TLS and on loopback, and `Origin` everywhere. A page of another origin cannot
    set our own header without a preflight (CORS).
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin")
    if origin is not None:
        return origin.lower().partition("://")[2] == headers.get("host", "").lower()
    return "x-plex-companion" in headers


def is_foreign_write(scope: Scope, headers: Headers) -> bool:
    """Return whether a page of another site made a browser write. Browsers repeat a Basic password by themselves."""
    from_browser = "origin" in headers or "sec-fetch-site" in headers
    return scope["method"] not in SAFE and from_browser and not is_own_page(headers)


def is_https(scope: Scope, headers: Headers) -> bool:
    """Return whether the browser uses TLS, perhaps up to a proxy. A client that lies about it harms only its own cookie."""
    message = (scope.get("scheme"), headers.get("x-forwarded-proto"), headers.get("origin", "").partition("://")[0])
    return "https" in message


def read_address(scope: Scope) -> str:
    """Return the address that a request came from."""
    client = scope.get("client")
    return client[0] if client else ""


def _parse_form(body: bytes) -> dict[str, list[str]]:
    """Parse the body of our form; return nothing if it cannot be our form."""
    try:
        return parse_qs(body.decode(), max_num_fields=10)
    except ValueError:
        return {}


def _redirect(path: str, cookie: str | None = None) -> Response:
    answer = RedirectResponse(path, HTTPStatus.SEE_OTHER)
    if cookie is not None:
        answer.headers["set-cookie"] = cookie
    return answer
