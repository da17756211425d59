"""`events/stream`: the response of one request is the stream of one subscription."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import anyio
from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY

from plex_companion.cache.database import StorageError
from plex_companion.mcp_events.event_errors import (
    EventError,
    EventErrorCode,
    build_error_body,
    build_exhausted,
    build_invalid,
)
from plex_companion.server.auth.authenticate import find_caller
from plex_companion.server.mcp.event_methods.frames import open_frames
from plex_companion.server.mcp.event_methods.request_params import check_selection
from plex_companion.server.mcp.modern import refuse_large

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mcp.server.context import ServerRequestContext

    from plex_companion.mcp_events.shared_feed import OccurrenceFeed, Selection
    from plex_companion.server.auth.authenticate import AuthenticatedCaller
    from plex_companion.server.mcp.event_methods.frames import Frames
    from plex_companion.server.mcp.event_methods.request_params import EventsStreamParams

HEARTBEAT_SECONDS = 20.0
"""SEP-3415 wants one at least every 30 s; clients take a stream for dead after twice that."""
MOST_STREAMS = 1_024
"""Of one caller."""
_CLOSING = EventError(EventErrorCode.INTERNAL, "The server is closing. Open the stream again.")
_UNREADABLE = EventError(EventErrorCode.INTERNAL, "The database cannot be read now. The stream goes on later.")


class PushStreams:
    """The open streams. Each runs in the task of its request, so that a client that does not read delays no other.

    Nothing waits in memory for a slow client: it reads on from where it is. If that is pruned by then, it gets `active`
    with `truncated` once more.
    """

    def __init__(
        self,
        feed: OccurrenceFeed,
        now: Callable[[], int],
        *,
        limit: int,
        heartbeat: float,
    ) -> None:
        self._feed, self._now = feed, now
        self._limit, self._heartbeat = limit, heartbeat
        self._open: Counter[AuthenticatedCaller | None] = Counter()
        self._closed = False

    def __len__(self) -> int:
        """Return how many streams are open."""
        return self._open.total()

    def close(self) -> None:
        """End all streams, present and future, with the reason and a result."""
        self._closed = True
        self._feed.wake()

    async def serve(self, ctx: ServerRequestContext[Any, Any], params: EventsStreamParams) -> dict[str, Any]:
        """Push events until the client leaves, which cancels this, or the server closes.

        Raises:
            EventError: a parameter cannot be used, or the caller has too many streams.
            Invalid: the cursor is none.
        """
        await refuse_large(ctx)
        selection = check_selection(params)
        if ctx.request_id is None:
            raise build_invalid("events/stream needs a request id.", "id")
        with self._count(find_caller(ctx.request)), self._feed.follow():
            start = await self._feed.find_start(params.cursor, params.max_age_ms, selection, self._now())
            frames = await open_frames(ctx, {"cursor": start.cursor, "truncated": start.truncated})
            await self._push(frames, selection, start.cursor)
            await frames.write("terminated", {"error": build_error_body(_CLOSING)})
        return {"_meta": {SUBSCRIPTION_ID_META_KEY: ctx.request_id}}

    @contextmanager
    def _count(self, caller: AuthenticatedCaller | None) -> Iterator[None]:
        if self._open[caller] >= self._limit:
            message = f"{self._limit:,} event streams are open already. Close one, then try again."
            raise build_exhausted(message, "streams", self._limit)
        self._open[caller] += 1
        try:
            yield
        finally:
            self._open[caller] -= 1

    async def _push(self, frames: Frames, selection: Selection, cursor: str) -> None:
        silent_since = anyio.current_time()
        while not self._closed:
            arrived = self._feed.prepare_wait()
            if cursor != self._feed.newest:
                before = cursor
                cursor, wrote = await self._push_page(frames, selection, cursor)
                silent_since = anyio.current_time() if wrote else silent_since
                if cursor != before:
                    continue
            with anyio.move_on_at(silent_since + self._heartbeat):
                await arrived.wait()
                continue
            await frames.write("heartbeat", {"cursor": cursor})
            silent_since = anyio.current_time()

    async def _push_page(self, frames: Frames, selection: Selection, cursor: str) -> tuple[str, bool]:
        """Write the events of the next page. Return the cursor after them, and whether something was written."""
        try:
            page = await self._feed.read_after(cursor)
        except StorageError:
            await frames.write("error", {"error": build_error_body(_UNREADABLE)})
            return cursor, False
        if page.gap:
            await frames.write("active", {"cursor": page.start, "truncated": True})
        selected = page.select(selection)
        for occurrence in selected:
            await frames.write_event(occurrence)
        return page.next_cursor, page.gap or bool(selected)
