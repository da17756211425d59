"""The notifications of one `events/stream`, written to the client that opened it."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY
from mcp_types import Notification

from plex_companion.server.http.event_stream import find_event_stream
from plex_companion.text import encode_json

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext

    from plex_companion.mcp_events.shared_feed import FeedOccurrence
    from plex_companion.server.http.event_stream import EventStream

PREFIX = "notifications/events/"
MOST_CACHED = 256
"""Frames that are kept: many streams write the same ones."""


class Frames(Protocol):
    """Writes the frames of one stream. Each call returns when the client has room for more."""

    async def write(self, kind: str, params: dict[str, Any]) -> None:
        """Write a frame."""

    async def write_event(self, occurrence: FeedOccurrence) -> None:
        """Write an occurrence."""


async def open_frames(ctx: ServerRequestContext[Any, Any], active: dict[str, Any]) -> Frames:
    """Write the frame `active`, which opens the stream, and return the way for those that follow."""
    through_sdk = _SdkFrames(ctx)
    await through_sdk.write("active", active)
    stream = find_event_stream(ctx.request)
    if stream is None:
        return through_sdk
    await stream.wait_until_open()
    return _HttpFrames(stream, ctx.request_id)


class _SdkFrames:
    """Through the SDK, on standard output and SSE."""

    def __init__(self, ctx: ServerRequestContext[Any, Any]) -> None:
        self._ctx = ctx

    async def write(self, kind: str, params: dict[str, Any]) -> None:
        stamped = {**params, "_meta": {SUBSCRIPTION_ID_META_KEY: self._ctx.request_id}}
        notification: Any = Notification[dict[str, Any], str](method=f"{PREFIX}{kind}", params=stamped)
        await self._ctx.session.send_notification(notification, related_request_id=self._ctx.request_id)

    async def write_event(self, occurrence: FeedOccurrence) -> None:
        await self.write("event", {**occurrence.event, "cursor": occurrence.cursor})


class _HttpFrames:
    """Into the response of `/mcp`, beside the SDK, which would serialize each occurrence again for each stream."""

    def __init__(self, stream: EventStream, request_id: int | str | None) -> None:
        self._stream = stream
        stamp = json.dumps({SUBSCRIPTION_ID_META_KEY: request_id})
        self._end = f',"_meta":{stamp}}}}}\r\n\r\n'.encode()

    async def write(self, kind: str, params: dict[str, Any]) -> None:
        await self._stream.write(_encode_start(kind, encode_json(params)) + self._end)

    async def write_event(self, occurrence: FeedOccurrence) -> None:
        await self._stream.write(_encode_start("event", occurrence.encoded) + self._end)


@lru_cache(MOST_CACHED)
def _encode_start(kind: str, params: str) -> bytes:
    """Encode a frame but for its stamp. `params` is a JSON object that is not empty."""
    return f'event: message\r\ndata: {{"jsonrpc":"2.0","method":"{PREFIX}{kind}","params":{params[:-1]}'.encode()
