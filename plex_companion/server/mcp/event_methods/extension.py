"""MCP Events as an extension of the SDK's server: its methods, and how it is advertised."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.server.extension import Extension, MethodBinding
from mcp.shared.exceptions import MCPError
from mcp_types import INTERNAL_ERROR, INVALID_PARAMS

from plex_companion.cache.database import StorageError
from plex_companion.errors import Invalid
from plex_companion.mcp_events.event_errors import EventError, EventErrorCode
from plex_companion.server.auth.authenticate import find_caller
from plex_companion.server.mcp.event_methods.advertisement import IDENTIFIER
from plex_companion.server.mcp.event_methods.polling import Polling
from plex_companion.server.mcp.event_methods.push_streams import HEARTBEAT_SECONDS, MOST_STREAMS, PushStreams
from plex_companion.server.mcp.event_methods.request_params import (
    EventsListParams,
    EventsPollParams,
    EventsStreamParams,
    EventsSubscribeParams,
    EventsUnsubscribeParams,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from mcp.server.context import ServerRequestContext
    from pydantic import BaseModel

    from plex_companion.companion import Companion
    from plex_companion.mcp_events.shared_feed import OccurrenceFeed
    from plex_companion.server.mcp.event_methods.webhook_methods import WebhookMethods

ERA = frozenset({"2026-07-28"})


class EventMethods(Extension):
    """Serves `events/*` to clients of protocol 2026-07-28; to others they do not exist."""

    identifier = IDENTIFIER

    def __init__(
        self,
        companion: Companion,
        feed: OccurrenceFeed,
        *,
        most_streams: int = MOST_STREAMS,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
    ) -> None:
        def read_now() -> int:
            return companion.now_ms

        self._polling = Polling(feed, read_now, self._list_modes)
        self.streams = PushStreams(feed, read_now, limit=most_streams, heartbeat=heartbeat_seconds)
        self._webhooks = _build_webhook_methods(companion, feed)

    def settings(self) -> dict[str, Any]:
        """Return what is advertised: the list of events never changes while a server runs."""
        return {"listChanged": False}

    def methods(self) -> Sequence[MethodBinding]:
        """Return the methods."""
        return [
            _bind("events/list", EventsListParams, self._polling.list_events),
            _bind("events/poll", EventsPollParams, self._polling.poll),
            _bind("events/stream", EventsStreamParams, self.streams.serve),
            _bind("events/subscribe", EventsSubscribeParams, self._subscribe),
            _bind("events/unsubscribe", EventsUnsubscribeParams, self._unsubscribe),
        ]

    async def _subscribe(self, ctx: ServerRequestContext[Any, Any], params: EventsSubscribeParams) -> dict[str, Any]:
        return await self._require_webhooks().subscribe(ctx, params)

    async def _unsubscribe(
        self, ctx: ServerRequestContext[Any, Any], params: EventsUnsubscribeParams
    ) -> dict[str, Any]:
        return await self._require_webhooks().unsubscribe(ctx, params)

    def _require_webhooks(self) -> WebhookMethods:
        if self._webhooks is None:
            message = "Webhooks are off. PLEX_COMPANION_EVENT_WEBHOOKS=true allows them."
            raise EventError(EventErrorCode.UNSUPPORTED, message, feature="deliveryMode", value="webhook")
        return self._webhooks

    def _list_modes(self, ctx: ServerRequestContext[Any, Any]) -> list[str]:
        """List the ways in which a caller can receive events."""
        may_subscribe = self._webhooks is not None and find_caller(ctx.request) is not None
        return ["poll", "push", *(["webhook"] if may_subscribe else [])]


def _build_webhook_methods(companion: Companion, feed: OccurrenceFeed) -> WebhookMethods | None:
    if not companion.settings.event_webhooks:
        return None
    from plex_companion.server.mcp.event_methods.webhook_methods import WebhookMethods  # noqa: PLC0415 - only then

    return WebhookMethods(companion, feed)


def _bind(
    method: str,
    params: type[BaseModel],
    handler: Callable[[ServerRequestContext[Any, Any], Any], Awaitable[dict[str, Any]]],
) -> MethodBinding:
    async def handle(ctx: ServerRequestContext[Any, Any], given: Any) -> dict[str, Any]:
        try:
            return await handler(ctx, given)
        except EventError as error:
            raise MCPError(int(error.code), error.message, error.facts or None) from error
        except Invalid as error:
            raise MCPError(INVALID_PARAMS, error.message, {"argument": error.facts.get("argument")}) from error
        except StorageError as error:
            raise MCPError(INTERNAL_ERROR, "The database cannot be read now. Try again later.") from error

    return MethodBinding(method, params, handle, ERA)
