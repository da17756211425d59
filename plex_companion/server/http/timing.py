"""Measures how long answers take."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from plex_companion.server.http.responses import is_event_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send


class RequestTiming:
    """Reports each answer: the pattern of its route, method, status and seconds.

    An event stream is reported when it begins, since its length means nothing. The route of a request that no route
    answered is `none`; the status of one without an answer is 499, as in nginx.
    """

    def __init__(self, app: ASGIApp, observe: Callable[[str, str, int, float], None]) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        began = time.perf_counter()
        status, reported = 499, False

        def report() -> None:
            nonlocal reported
            if not reported:
                self._observe(_name_route(scope), scope["method"], status, time.perf_counter() - began)
            reported = True

        async def send_and_watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if is_event_stream(message):
                    report()
            await send(message)

        try:
            await self._app(scope, receive, send_and_watch)
        finally:
            report()


def _name_route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "none")
