"""Subscriptions since protocol version 2026-07-28: the response to `subscriptions/listen` is the stream."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mcp.server.subscriptions import SUBSCRIPTION_ID_META_KEY, ResourcesListChanged, ResourceUpdated
from mcp.shared.exceptions import MCPError
from mcp.shared.subscriptions import event_to_notification
from mcp_types import (
    INTERNAL_ERROR,
    INVALID_PARAMS,
    INVALID_REQUEST,
    SubscriptionFilter,
    SubscriptionsAcknowledgedNotification,
    SubscriptionsAcknowledgedNotificationParams,
    SubscriptionsListenResult,
)

from plex_companion.resources.task_uris import is_task_uri
from plex_companion.server.http.event_stream import find_event_stream
from plex_companion.server.mcp.extensions.task_streams import TASK_IDS
from plex_companion.server.mcp.limits import LONGEST_BYTES, MOST_BYTES, refuse_over_total, resolve_uris
from plex_companion.server.mcp.rendering import render_modern
from plex_companion.server.mcp.subscribers import LISTING, Subscriber, Subscribers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp.server.context import ServerRequestContext
    from mcp_types import ServerNotification, SubscriptionsListenRequestParams

    from plex_companion.server.mcp.extensions.task_streams import TaskStreams
    from plex_companion.server.mcp.uri_index import UriIndex

LARGEST_LISTEN = 2 * MOST_BYTES
"""The most bytes of a whole request: its URIs, escaped, and the rest."""


class ListenStreams:
    """Serves `subscriptions/listen`. One call is one stream.

    The SDK's own handler ends a stream after 1,024 unread events. A burst of distinct URIs reaches that even with a
    client that reads as fast as it can. Here a stream has a set that is never larger than its subscriptions.
    """

    def __init__(self, subscribers: Subscribers, addresses: UriIndex, *, limit: int) -> None:
        self._subscribers = subscribers
        self._addresses = addresses
        self._limit = limit
        self.open = 0
        self.tasks: TaskStreams | None = None
        """Set where the server serves tasks."""

    async def __call__(
        self, ctx: ServerRequestContext[Any, Any], params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Acknowledge, then send updates until the client leaves, which cancels this, or the server closes."""
        meta = {SUBSCRIPTION_ID_META_KEY: self._limit_streams(ctx)}
        await refuse_large(ctx)
        asked = params.notifications
        wanted = resolve_uris(self._addresses, asked.resource_subscriptions or ())
        if asked.resources_list_changed:
            wanted[LISTING] = LISTING
        tasks = await self.tasks.resolve(ctx, asked) if self.tasks else {}
        wanted |= tasks
        subscriber = Subscriber()
        self.open += 1
        # Registered before the acknowledgement: updates that are announced while it is written wait.
        self._subscribers.add(subscriber, wanted.items())
        try:
            await _send(ctx, _build_acknowledgement(asked, meta, [*tasks.values()]))
            for key in tasks:  # a task may have ended before the stream was opened
                subscriber.pending.add(key)
            await self._send_updates(ctx, subscriber, meta)
        finally:
            self._subscribers.drop(subscriber)
            self.open -= 1
        return SubscriptionsListenResult(_meta=meta)

    async def _send_updates(
        self, ctx: ServerRequestContext[Any, Any], subscriber: Subscriber, meta: dict[str, Any]
    ) -> None:
        stream = find_event_stream(ctx.request)
        subscription_id = json.dumps(ctx.request_id).encode()
        if stream:
            await stream.wait_until_open()
        async for key in subscriber.pending:
            spelling = subscriber.uris[key]
            if self.tasks and is_task_uri(key):
                await self.tasks.send(ctx, spelling, meta)
            elif stream:
                await stream.write(render_modern(spelling, subscription_id))
            else:
                await _send(ctx, _build_notification(spelling, meta))

    def _limit_streams(self, ctx: ServerRequestContext[Any, Any]) -> int | str:
        if ctx.request_id is None:
            raise MCPError(INVALID_REQUEST, "subscriptions/listen needs a request id.")
        if self.open >= self._limit:
            raise MCPError(INTERNAL_ERROR, f"{self._limit} listen streams are open already. Close one, then try again.")
        refuse_over_total(self._subscribers)
        return ctx.request_id


async def refuse_large(ctx: ServerRequestContext[Any, Any]) -> None:
    """Refuse a large request to open a stream. The SDK keeps all of it in memory while its stream is open.

    Raises:
        MCPError: -32602.
    """
    body = await ctx.request.body() if ctx.request is not None else json.dumps(ctx.params, default=str)
    if len(str(ctx.request_id)) > LONGEST_BYTES or len(body) > LARGEST_LISTEN:
        message = f"A {ctx.method} request may have {LARGEST_LISTEN:,} bytes, and {LONGEST_BYTES:,} in its id."
        raise MCPError(INVALID_PARAMS, message)


def _build_acknowledgement(asked: SubscriptionFilter, meta: dict[str, Any], tasks: Sequence[str]) -> ServerNotification:
    """Build the acknowledgement. It accepts every kind of notification, even those that never occur here.

    False flags and empty lists are left out.
    """
    honoured = SubscriptionFilter(
        tools_list_changed=asked.tools_list_changed or None,
        prompts_list_changed=asked.prompts_list_changed or None,
        resources_list_changed=asked.resources_list_changed or None,
        resource_subscriptions=asked.resource_subscriptions or None,
        **({TASK_IDS: [*tasks]} if tasks else {}),
    )
    params = SubscriptionsAcknowledgedNotificationParams(notifications=honoured, _meta=meta)
    return SubscriptionsAcknowledgedNotification(params=params)


def _build_notification(spelling: str, meta: dict[str, Any]) -> ServerNotification:
    event = ResourcesListChanged() if spelling == LISTING else ResourceUpdated(uri=spelling)
    return event_to_notification(event, meta)


async def _send(ctx: ServerRequestContext[Any, Any], notification: ServerNotification) -> None:
    await ctx.session.send_notification(notification, related_request_id=ctx.request_id)
