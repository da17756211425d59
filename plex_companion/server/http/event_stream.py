"""A response that the SDK streams, into which notifications are written beside what the SDK writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from plex_companion.server.http.responses import is_event_stream

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.types import Message, Scope, Send

_KEY = "plex_companion.event_stream"


class EventStream:
    """The way out of one response of `/mcp`, shared by the SDK and the notifier.

    Each message of ASGI carries whole events, so those of both may alternate. The notifier's go through the same layers of
    the application, and so through the filter of secrets, without the queues and the serialisation of the SDK.
    """

    def __init__(self, scope: Scope, send: Send) -> None:
        """Make it reachable from the request.

        Args:
            scope: of the request. In the scope, the handler of a request finds the stream.
            send: of the request. The SDK gets `self.send` in its place.
        """
        scope[_KEY] = self
        self._send = send
        self._is_listening = scope["method"] != "GET"
        self._open = anyio.Event()
        self._is_events = self._ended = False

    async def send(self, message: Message) -> None:
        """Pass on a message of the SDK's."""
        if message["type"] == "http.response.start":
            self._is_events = is_event_stream(message)
        elif not message.get("more_body", False):
            self._ended = True
        await self._send(message)
        if not self._open.is_set() and self._is_events and self._is_first(message):
            self._open.set()

    def _is_first(self, message: Message) -> bool:
        """Return whether others may write after this message. A listen stream begins with its acknowledgement."""
        if self._is_listening:
            return bool(message.get("body", b"").startswith(b"event:"))  # not a ping, which is a comment
        return True

    async def wait_until_open(self) -> None:
        """Wait until the SDK has begun the stream. Waits forever if the response is no event stream."""
        await self._open.wait()

    async def write(self, event: bytes) -> None:
        """Write one event. Does nothing after the end of the stream."""
        if not self._ended:
            await self._send({"type": "http.response.body", "body": event, "more_body": True})


def find_event_stream(request: Request | None) -> EventStream | None:
    """Return the stream of a request; `None` on transports other than `/mcp`."""
    return None if request is None else request.scope.get(_KEY)
