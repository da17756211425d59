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
from plex_companion.server.mcp.merging import MergeWindows
from plex_companion.server.mcp.modern import ListenStreams
from plex_companion.server.mcp.subscribers import LISTING, Subscribers
from plex_companion.server.mcp.uri_index import UriIndex

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from mcp.server.lowlevel.server import Server

    from plex_companion.resources.declare import Resource
    from plex_companion.server.http.event_stream import EventStream
    from plex_companion.server.mcp.extensions.task_streams import TaskStreams


TOGETHER = 50
"""How many deliveries are made before the rest of the program has its turn."""


@dataclass(frozen=True, slots=True)
class NotifierCounts:
    """The numbers of clients and subscriptions; all zero after every client has left."""

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

    `merging.py` decides when: the first change of a URI is sent at once, later ones are merged. Each announcement is
    followed by a notification. A client that does not read delays no other client.
    """

    def __init__(
        self, resources: Sequence[Resource], *, now: Callable[[], float] = time.monotonic, max_streams: int = 1024
    ) -> None:
        self.addresses = UriIndex(resources)
        self._now = now
        self._windows = MergeWindows()
        self._round: dict[str, None] = {}
        self._wake = anyio.Event()
        self._subscribers = Subscribers()
        self._legacy = LegacySessions(self._subscribers, self.addresses)
        self._modern = ListenStreams(self._subscribers, self.addresses, limit=max_streams)
        self.closing: list[Callable[[], None]] = []
        """Called by `close`, so that other streams end with these."""

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
        for uri in self._subscribers.select(immediate):
            self._schedule(uri, now)
        for uri in self._subscribers.select(progress_only):
            self._schedule(uri, now, progress_only=True)
        for key in self._subscribers.select([LISTING] if listing else ()):
            self._schedule(key, now)

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
        for key in (*self._round, *self._windows.pop_due(inf)):
            self._subscribers.notify(key)
        self._subscribers.close()
        for close in self.closing:
            close()

    async def serve_get_stream(self, session_id: str, stream: EventStream) -> None:
        """Write the updates of the legacy session with this id into its GET stream. Cancel it at the end of the stream."""
        await self._legacy.serve_get_stream(session_id, stream)

    def count(self) -> NotifierCounts:
        """Count what the notifier holds now."""
        legacy, modern = self._legacy, self._modern
        waiting = self._windows.count_waiting() + len(self._round) + self._subscribers.count_waiting()
        pairs = self._subscribers.count_pairs()
        return NotifierCounts(pairs, len(legacy), legacy.pumps, legacy.streams, modern.open, waiting)

    def register_with(self, server: Server[Any], tasks: TaskStreams | None = None) -> None:
        """Register the subscription methods of both eras on a low-level server. Streams may follow `tasks`."""
        self._modern.tasks = tasks
        server.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, self._modern)
        server.add_request_handler("resources/subscribe", SubscribeRequestParams, self._legacy.subscribe)
        server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self._legacy.unsubscribe)
        server.add_notification_handler(
            "notifications/initialized", NotificationParams, self._legacy.handle_initialized
        )

    def _schedule(self, key: str, now: float, *, progress_only: bool = False) -> None:
        self._windows.schedule(key, now, progress_only=progress_only)
        self._wake.set()

    async def _deliver(self) -> None:
        while True:
            self._wake = anyio.Event()
            if due := self._windows.pop_due(self._now()):
                self._round = dict.fromkeys(due)
                self._windows.record_round(await self._deliver_round())
            with anyio.move_on_after(self._windows.find_next_time() - self._now()):
                await self._wake.wait()

    async def _deliver_round(self) -> float:
        """Notify the subscribers of all keys of the round, and return the seconds that it took.

        The rest of the program takes its turns in between. The first few subscribers are not timed: they take less
        than any window, and a measurement would mostly show other work.
        """
        began, count = None, 0
        while self._round:
            key = next(iter(self._round))
            for count, _ in enumerate(self._subscribers.notify_each(key), count + 1):  # noqa: B020  # counts on
                if count % TOGETHER == 0:
                    await checkpoint()
                    began = began or self._now()
                    if self._windows.is_overtaken(key, self._now()):
                        break  # the next round notifies all of them
            self._round.pop(key, None)
        await checkpoint()
        return 0.0 if began is None else self._now() - began
