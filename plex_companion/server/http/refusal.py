"""The answer to a request that is refused."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import anyio
from starlette.responses import Response

from plex_companion.server.http.error_pages import POLICY, accepts_html, render_error

if TYPE_CHECKING:
    from collections.abc import Mapping
    from http import HTTPStatus

    from starlette.datastructures import Headers
    from starlette.types import Receive, Send

MOST_BYTES = 4 * 1024 * 1024
LINGER_BYTES = 16 * MOST_BYTES
LINGER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal: JSON for programs, or a page for a person."""

    status: HTTPStatus
    message: str
    headers: Mapping[str, str] = field(default_factory=dict)
    page: str | None = None

    def show_to(self, headers: Headers) -> Refusal:
        """Return the refusal as a page if the request accepts HTML, else as it is."""
        if self.page is not None or not accepts_html(headers):
            return self
        more = {**self.headers, "content-security-policy": POLICY}
        return replace(self, headers=more, page=render_error(self.status, self.message))

    async def __call__(self, receive: Receive, send: Send) -> None:
        """Answer, then read the rest of the request.

        Closing with unread bytes resets the connection, and the client could lose the answer (RFC 9112, section 9.6).
        """
        headers = {"connection": "close", **self.headers}
        body = json.dumps({"error": self.message}) if self.page is None else self.page
        kind = "application/json" if self.page is None else "text/html"
        response = Response(body, self.status, headers, media_type=kind)
        await send({"type": "http.response.start", "status": self.status, "headers": response.raw_headers})
        await send({"type": "http.response.body", "body": response.body, "more_body": True})
        with anyio.move_on_after(LINGER_SECONDS):
            await _discard(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _discard(receive: Receive) -> None:
    size, more = 0, True
    while more and size < LINGER_BYTES:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
