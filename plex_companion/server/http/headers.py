"""Security headers of every response, unless its route sets its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import MutableHeaders

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "content-security-policy"
NOT_FRAMED = "frame-ancestors 'none'"
DEFAULTS = {
    POLICY: f"default-src 'none'; base-uri 'none'; form-action 'none'; {NOT_FRAMED}",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not `no-referrer`: with it, browsers send forms of our own pages with `Origin: null` (Fetch, append a request `Origin`).
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}


class SecurityHeaders:
    """Adds the headers to every response of an application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(MutableHeaders(scope=message))
            await send(message)

        await self._app(scope, receive, send_with_headers)


def _add_headers(headers: MutableHeaders) -> None:
    for name, value in DEFAULTS.items():
        headers.setdefault(name, value)
    policy = headers[POLICY]
    if "frame-ancestors" not in policy:
        headers[POLICY] = f"{policy.rstrip('; ')}; {NOT_FRAMED}"
