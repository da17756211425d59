"""Tracks open responses, so that all of them can be ended when the program ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_EVENT_STREAM = (b"content-type", b"text/event-stream")
FINISH_SECONDS = 0.2


class OpenResponses:
    """Runs each request of an application in its own cancel scope.

    Otherwise one open stream keeps the web server from exiting: it waits for streams, and they wait for events.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._open: set[_Response] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        answer = _Response(scope["method"], send)
        self._open.add(answer)
        try:
            with answer.scope:
                await self._app(scope, receive, answer.send)
            if answer.scope.cancelled_caught or answer.is_unfinished:
                await answer.finish()
        finally:
            self._open.discard(answer)

    def __len__(self) -> int:
        """Return how many requests are being answered."""
        return len(self._open)

    def end_streams(self) -> None:
        """End the responses that never end by themselves: event streams opened by GET."""
        for answer in self._open:
            if answer.endless:
                answer.scope.cancel()

    def end_all(self) -> None:
        """End every response."""
        for answer in self._open:
            answer.scope.cancel()


class _Response:
    """One response on its way out."""

    def __init__(self, method: str, send: Send) -> None:
        self.scope = anyio.CancelScope()
        self.endless = False
        self._method, self._send = method, send
        self._last: str | None = None
        self._more = True

    async def send(self, message: Message) -> None:
        """Pass a message on, and remember how far the response is."""
        if message["type"] == "http.response.start":
            self.endless = self._method == "GET" and is_event_stream(message)
        await self._send(message)
        self._last = message["type"]
        self._more = message.get("more_body", False) or self._last == "http.response.start"

    @property
    def is_unfinished(self) -> bool:
        """Whether it was started and not finished, like a stream whose client seems to have left."""
        return self._last is not None and self._more

    async def finish(self) -> None:
        """Finish the response properly, if the client still reads."""
        with anyio.move_on_after(FINISH_SECONDS):
            if self._last is None:
                await self._send({"type": "http.response.start", "status": 503, "headers": []})
            if self._more:
                await self._send({"type": "http.response.body", "body": b"", "more_body": False})


def is_event_stream(message: Message) -> bool:
    """Return whether the start of a response begins an event stream."""
    name, kind = _EVENT_STREAM
    return any(key.lower() == name and value.startswith(kind) for key, value in message["headers"])
