"""Websocket and event-source subscribers, each with its filter and its own bounded queue."""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from http.client import responses
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

import anyio
import anyio.lowlevel
from websockets.asyncio.server import serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request

    from plex_companion.demo.frames import Frame
    from plex_companion.demo.request import DemoAnswer

    AccessCheck = Callable[[str, list[tuple[str, str]], dict[str, str]], DemoAnswer | None]

QUEUE = 50_000  # frames; a subscriber that falls further behind is dropped
# PLEX.md 1.1: clients with 15 s timeouts live on idle servers, so the server pings at least that often (unverified).
PING_SECONDS = 12.0


# Clients that are cut off on purpose are not errors to report; an unattached logger prints nothing.
SILENT_LOGGER = logging.Logger("demo", logging.CRITICAL)  # noqa: LOG001  # see above


@dataclass(frozen=True, slots=True)
class FrameFilter:
    """The kinds of frames that a subscriber gets: `only`, or every kind if that is empty, minus `without`."""

    only: frozenset[str] = frozenset()
    without: frozenset[str] = frozenset({"log"})

    @classmethod
    def parse(cls, params: list[tuple[str, str]]) -> FrameFilter:
        """Parse `filters=` or `filter=`: names and `-names`. Empty is everything, absent is everything but the log."""
        given = [value for name, value in params if name in {"filters", "filter"}]
        if not given:
            return cls()
        names = [name for name in ",".join(given).split(",") if name]
        return cls(
            frozenset(name for name in names if not name.startswith("-")),
            frozenset(name[1:] for name in names if name.startswith("-")),
        )

    def accepts(self, frame: Frame) -> bool:
        """Return whether a frame passes the filter. Raw frames always do."""
        if frame.kind == "raw":
            return True
        return frame.kind not in self.without and (not self.only or frame.kind in self.only)


class SubscriberHub:
    """Queues every announcement for every subscriber that wants it. No subscriber waits for another."""

    def __init__(self) -> None:
        self._subscribers: dict[MemoryObjectSendStream[Frame], FrameFilter] = {}
        self.sent = 0
        self.sockets = self.joined = 0

    def announce(self, frame: Frame) -> None:
        """Queue a frame for every subscriber at once. A subscriber that is too far behind is dropped."""
        self.sent += 1
        for stream, requested in list(self._subscribers.items()):
            if requested.accepts(frame):
                try:
                    stream.send_nowait(frame)
                except (anyio.WouldBlock, anyio.BrokenResourceError):
                    self._drop(stream)

    @property
    def waiting(self) -> int:
        """The number of frames queued for the slowest subscriber."""
        return max((s.statistics().current_buffer_used for s in self._subscribers), default=0)

    async def wait_for_room(self) -> None:
        """Wait until no subscriber is far behind."""
        await anyio.lowlevel.checkpoint()
        while self.waiting > QUEUE // 5:  # noqa: ASYNC110  # memory streams offer no event for "half empty"
            await anyio.sleep(0.001)

    @property
    def listeners(self) -> int:
        """The number of subscribers."""
        return len(self._subscribers)

    def _drop(self, stream: MemoryObjectSendStream[Frame]) -> None:
        self._subscribers.pop(stream, None)
        stream.close()

    def subscribe(
        self, requested: FrameFilter
    ) -> tuple[MemoryObjectSendStream[Frame], MemoryObjectReceiveStream[Frame]]:
        """Start to collect frames. There is no replay of earlier ones."""
        send, receive = anyio.create_memory_object_stream["Frame"](QUEUE)
        self._subscribers[send] = requested
        return send, receive

    def close(self) -> None:
        """Drop every subscriber."""
        for stream in list(self._subscribers):
            self._drop(stream)

    def unsubscribe(self, send: MemoryObjectSendStream[Frame]) -> None:
        """Stop collecting frames."""
        self._drop(send)

    def serve_sockets(self, admit: AccessCheck) -> AbstractAsyncContextManager[Server]:
        """Run the inner websocket server on a port of its own."""

        def check(_: ServerConnection, request: Request) -> Response | None:
            parts = urlsplit(request.path)
            answer = admit(parts.path, parse_qsl(parts.query, keep_blank_values=True), _copy_headers(request.headers))
            return None if answer is None else _build_response(answer)

        return serve(
            self._serve, "127.0.0.1", 0, process_request=check, compression=None, ping_interval=PING_SECONDS, ping_timeout=None,
            close_timeout=0.2, max_size=65_536, server_header="Plex Media Server", logger=SILENT_LOGGER,
        )  # fmt: skip

    async def _serve(self, socket: ServerConnection) -> None:
        query = urlsplit(socket.request.path).query if socket.request else ""
        send, receive = self.subscribe(FrameFilter.parse(parse_qsl(query, keep_blank_values=True)))
        self.sockets += 1
        self.joined += 1
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._pump, socket, receive)
                with contextlib.suppress(ConnectionClosed):
                    async for _ in socket:
                        pass
                tasks.cancel_scope.cancel()
        finally:
            self.sockets -= 1
            self.unsubscribe(send)

    async def _pump(self, socket: ServerConnection, frames: MemoryObjectReceiveStream[Frame]) -> None:
        try:
            async with frames:
                async for frame in frames:
                    # `text=True` sends bytes as a text frame unchecked: that is how invalid UTF-8 gets out.
                    await socket.send(frame.payload, text=not frame.binary)
        except ConnectionClosed:
            return
        await socket.close(1001)

    async def stream_events(self, requested: FrameFilter) -> AsyncIterator[bytes]:
        """Yield the event source: `event:` and `data:` lines, a ping every ten seconds."""
        send, receive = self.subscribe(requested)
        try:
            yield b"event: ping\ndata: {}\n\n"
            while True:
                with anyio.move_on_after(10) as quiet:
                    try:
                        frame = await receive.receive()
                    except anyio.EndOfStream:
                        return
                if quiet.cancelled_caught:
                    yield b"event: ping\ndata: {}\n\n"
                elif frame.data:
                    yield f"event: {frame.kind}\ndata: {frame.data}\n\n".encode()
        finally:
            self.unsubscribe(send)
            receive.close()


def _copy_headers(headers: Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.raw_items()}


def _build_response(answer: DemoAnswer) -> Response:
    headers = Headers({
        "Content-Type": answer.media_type, "Content-Length": str(len(answer.body)), "Connection": "close",
        "X-Plex-Protocol": "1.0", **answer.headers,
    })  # fmt: skip
    # 498 and its like have no phrase of their own.
    return Response(answer.status, responses.get(answer.status, "Error"), headers, answer.body)
