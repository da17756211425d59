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

from plex_companion.server.mcp.limits import LONGEST_BYTES, MOST_BYTES, refuse_over_total, resolve_uris
from plex_companion.server.mcp.subscribers import LISTING, Subscriber, Subscribers

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp_types import ServerNotification, SubscriptionsListenRequestParams

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

    async def __call__(
        self, ctx: ServerRequestContext[Any, Any], params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Acknowledge, then send updates until the client leaves, which cancels this, or the server closes."""
        meta = {SUBSCRIPTION_ID_META_KEY: self._limit_streams(ctx)}
        await _refuse_large(ctx)
        asked = params.notifications
        wanted = resolve_uris(self._addresses, asked.resource_subscriptions or ())
        if asked.resources_list_changed:
            wanted[LISTING] = LISTING
        subscriber = Subscriber()
        self.open += 1
        # Registered before the acknowledgement: updates that are announced while it is written wait.
        self._subscribers.add(subscriber, wanted.items())
        try:
            await _send(ctx, _build_acknowledgement(asked, meta))
            async for key in subscriber.pending:
                await _send(ctx, _build_notification(subscriber.uris[key], meta))
        finally:
            self._subscribers.drop(subscriber)
            self.open -= 1
        return SubscriptionsListenResult(_meta=meta)

    def _limit_streams(self, ctx: ServerRequestContext[Any, Any]) -> int | str:
        if ctx.request_id is None:
            raise MCPError(INVALID_REQUEST, "subscriptions/listen needs a request id.")
        if self.open >= self._limit:
            raise MCPError(INTERNAL_ERROR, f"{self._limit} listen streams are open already. Close one, then try again.")
        refuse_over_total(self._subscribers)
        return ctx.request_id


async def _refuse_large(ctx: ServerRequestContext[Any, Any]) -> None:
    """Refuse a large request. The SDK keeps all of it in memory while its stream is open.

    Raises:
        MCPError: -32602.
    """
    body = await ctx.request.body() if ctx.request is not None else json.dumps(ctx.params, default=str)
    if len(str(ctx.request_id)) > LONGEST_BYTES or len(body) > LARGEST_LISTEN:
        message = f"A subscriptions/listen request may have {LARGEST_LISTEN:,} bytes, and {LONGEST_BYTES:,} in its id."
        raise MCPError(INVALID_PARAMS, message)


def _build_acknowledgement(asked: SubscriptionFilter, meta: dict[str, Any]) -> ServerNotification:
    """Build the acknowledgement. It accepts every kind of notification, even those that never occur here.

    False flags and empty lists are left out.
    """
    honoured = SubscriptionFilter(
        tools_list_changed=asked.tools_list_changed or None,
        prompts_list_changed=asked.prompts_list_changed or None,
        resources_list_changed=asked.resources_list_changed or None,
        resource_subscriptions=asked.resource_subscriptions or None,
    )
    params = SubscriptionsAcknowledgedNotificationParams(notifications=honoured, _meta=meta)
    return SubscriptionsAcknowledgedNotification(params=params)


def _build_notification(spelling: str, meta: dict[str, Any]) -> ServerNotification:
    event = ResourcesListChanged() if spelling == LISTING else ResourceUpdated(uri=spelling)
    return event_to_notification(event, meta)


async def _send(ctx: ServerRequestContext[Any, Any], notification: ServerNotification) -> None:
    await ctx.session.send_notification(notification, related_request_id=ctx.request_id)
