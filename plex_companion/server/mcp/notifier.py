"""Notifies subscribed clients of both protocol eras of changed resources."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any

import anyio
from anyio.lowlevel import checkpoint
from mcp_types import (
    NotificationParams,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    UnsubscribeRequestParams,
)

from plex_companion.server.mcp.legacy import LegacySessions
from plex_companion.server.mcp.modern import ListenStreams
from plex_companion.server.mcp.subscribers import LISTING, Subscribers
from plex_companion.server.mcp.throttle import MERGE, PROGRESS, NotificationThrottle
from plex_companion.server.mcp.uri_index import UriIndex

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence
    from contextlib import AbstractContextManager

    from mcp.server.lowlevel.server import Server

    from plex_companion.resources.declare import Resource


@dataclass(frozen=True, slots=True)
class NotifierCounts:
    """What the notifier holds; all zero after every client has left."""

    subscriptions: int
    """In both eras. Every legacy session also has one for the list of resources."""
    sessions: int
    """Legacy clients."""
    pumps: int
    """Tasks writing to them."""
    get_streams: int
    """Legacy Streamable HTTP sessions that have a stream now."""
    listen_streams: int
    """Modern streams."""
    waiting: int
    """Announced updates that are not yet written to a client."""


class Notifier:
    """Sends level-triggered notifications: they say "read this again", never what changed.

    The first change of a URI is sent at once, later ones at most every 50 ms, and changes of progress only at most every
    second. Each announcement is followed by a notification. A client that does not read delays no other client.
    """

    def __init__(
        self, resources: Sequence[Resource], *, now: Callable[[], float] = time.monotonic, max_streams: int = 1024
    ) -> None:
        self.addresses = UriIndex(resources)
        self._now = now
        self._throttle = NotificationThrottle()
        self._wake = anyio.Event()
        self._subscribers = Subscribers()
        self._legacy = LegacySessions(self._subscribers, self.addresses)
        self._modern = ListenStreams(self._subscribers, self.addresses, limit=max_streams)

    def announce(
        self, immediate: Iterable[str] = (), progress_only: Iterable[str] = (), *, listing: bool = False
    ) -> None:
        """Announce that these URIs changed. Returns at once and never raises; URIs without subscribers cost nothing.

        Args:
            immediate: changes of state.
            progress_only: changes of progress only.
            listing: a resource was added to or removed from the list.
        """
        now = self._now()
        for uri in immediate:
            self._schedule(uri, MERGE, now)
        for uri in progress_only:
            self._schedule(uri, PROGRESS, now)
        if listing:
            self._schedule(LISTING, MERGE, now)

    @asynccontextmanager
    async def run(self) -> AsyncIterator[None]:
        """Deliver while entered. Enter before a transport opens, and leave after the last one has closed."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._deliver)
            self._legacy.start = lambda connection, session: tasks.start_soon(self._legacy.pump, connection, session)
            yield
            tasks.cancel_scope.cancel()

    def close(self) -> None:
        """Deliver waiting updates, end modern streams gracefully, and send nothing more."""
        for key in self._throttle.pop_due(inf):
            self._subscribers.notify(key)
        self._subscribers.close()

    def open_get_stream(self, session_id: str) -> AbstractContextManager[None]:
        """Mark the legacy session with this id as having a GET stream while entered."""
        return self._legacy.open_stream(session_id)

    def count(self) -> NotifierCounts:
        """Count what the notifier holds now."""
        legacy, modern = self._legacy, self._modern
        waiting = self._throttle.count_waiting() + self._subscribers.count_waiting()
        return NotifierCounts(
            self._subscribers.count_pairs(), len(legacy), legacy.pumps, legacy.streams, modern.open, waiting
        )

    def register_with(self, server: Server[Any]) -> None:
        """Register the subscription methods of both eras on a low-level server."""
        server.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, self._modern)
        server.add_request_handler("resources/subscribe", SubscribeRequestParams, self._legacy.subscribe)
        server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self._legacy.unsubscribe)
        server.add_notification_handler(
            "notifications/initialized", NotificationParams, self._legacy.handle_initialized
        )

    def _schedule(self, key: str, window: float, now: float) -> None:
        if key in self._subscribers:
            self._throttle.schedule(key, window, now)
            self._wake.set()

    async def _deliver(self) -> None:
        while True:
            self._wake = anyio.Event()
            for key in self._throttle.pop_due(self._now()):
                self._subscribers.notify(key)
                await checkpoint()  # a thousand subscribers of a thousand URIs must not stop the loop
            with anyio.move_on_after(self._throttle.find_next_time() - self._now()):
                await self._wake.wait()
