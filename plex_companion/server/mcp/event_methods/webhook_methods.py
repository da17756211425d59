"""`events/subscribe` and `events/unsubscribe`: webhooks, for authenticated callers of HTTP, where the settings allow them."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from plex_companion.events import EventSubscribed, EventUnsubscribed, ReceivedEvent
from plex_companion.mcp_events.callback_client import CallbackPolicy
from plex_companion.mcp_events.callback_urls import parse_callback_url
from plex_companion.mcp_events.event_errors import EventError, EventErrorCode, build_exhausted, build_invalid
from plex_companion.mcp_events.grants import grant_ms
from plex_companion.mcp_events.principals import name_issuer_principal, name_token_principal
from plex_companion.mcp_events.signatures import decode_secret
from plex_companion.mcp_events.stored_subscriptions import count_subscriptions, is_verified, read_subscription
from plex_companion.mcp_events.subscription_keys import derive_subscription_id
from plex_companion.mcp_events.verification import VerificationLimiter, verify_callback
from plex_companion.serialize import format_iso
from plex_companion.server.auth.authenticate import find_caller
from plex_companion.server.mcp.event_methods.request_params import check_selection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mcp.server.context import ServerRequestContext

    from plex_companion.companion import Companion
    from plex_companion.events import SubscriptionReport
    from plex_companion.mcp_events.callback_urls import CallbackUrl
    from plex_companion.mcp_events.shared_feed import OccurrenceFeed, Selection
    from plex_companion.models import EventSubscription
    from plex_companion.server.auth.authenticate import AuthenticatedCaller
    from plex_companion.server.mcp.event_methods.request_params import EventsSubscribeParams, EventsUnsubscribeParams

MOST_SUBSCRIPTIONS = 100
"""Of one caller,"""
MOST_TOGETHER = 1_000
"""and of all."""
STORED_SECONDS = 10.0
"""How long a caller waits until the process that listens has stored what it asked for."""
WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class _Request:
    """What a caller asks for."""

    principal: str
    selection: Selection
    url: CallbackUrl

    @property
    def id(self) -> str:
        name, arguments = self.selection.key
        return derive_subscription_id(self.principal, self.url.text, name, arguments)


@dataclass(frozen=True, slots=True)
class WebhookMethods:
    """Serves the requests about webhooks. The process that listens stores them and delivers."""

    companion: Companion
    feed: OccurrenceFeed
    policy: CallbackPolicy = field(default_factory=CallbackPolicy)
    _limiter: VerificationLimiter = field(default_factory=VerificationLimiter)
    _storing: anyio.Lock = field(default_factory=anyio.Lock)

    async def subscribe(self, ctx: ServerRequestContext[Any, Any], params: EventsSubscribeParams) -> dict[str, Any]:
        """Verify a callback and store a subscription, or refresh it.

        Raises:
            EventError: a parameter cannot be used, the caller must not, or has too many, or the callback fails.
            Invalid: the cursor is none.
        """
        request = self._check_request(ctx, params)
        secret = params.delivery.get("secret")
        key = decode_secret(secret if isinstance(secret, str) else "")
        granted = grant_ms(params.ttl_ms, given="ttl_ms" in params.model_fields_set)
        start = await self.feed.find_start(params.cursor, params.max_age_ms, request.selection, self.companion.now_ms)
        await self._find_known(request)  # nobody is called for one too many
        await self._verify(request, key)
        async with self._storing:  # or several at once would pass the limits
            known = await self._find_known(request)
            event = self._build_event(request, str(secret), granted, start.cursor)
            stored = await self._store(event)
        return _build_answer(stored, known, truncated=known is None and start.truncated)

    async def unsubscribe(self, ctx: ServerRequestContext[Any, Any], params: EventsUnsubscribeParams) -> dict[str, Any]:
        """End a subscription.

        Raises:
            EventError: a parameter cannot be used, the caller must not, or there is no such subscription.
        """
        request = self._check_request(ctx, params)
        known = await read_subscription(self.companion.cache, request.id, self.companion.now_ms)
        if known is None:
            message = "There is no such subscription, or it has expired."
            raise EventError(EventErrorCode.NOT_FOUND, message, kind="subscription")
        await self._report(EventUnsubscribed(request.id))
        await self._wait_for(lambda: self._is_gone(known))
        return {}

    def _check_request(
        self, ctx: ServerRequestContext[Any, Any], params: EventsSubscribeParams | EventsUnsubscribeParams
    ) -> _Request:
        mode = params.delivery.get("mode", WEBHOOK)
        if mode != WEBHOOK:
            message = "events/subscribe delivers to webhooks only. Use events/stream or events/poll."
            raise EventError(EventErrorCode.UNSUPPORTED, message, feature="deliveryMode", value=str(mode)[:100])
        principal = self._find_principal(ctx)
        selection = check_selection(params)
        url = params.delivery.get("url")
        if not isinstance(url, str):
            raise build_invalid("delivery.url must be the https:// address of the webhook.", "delivery.url")
        loopback = self.companion.settings.event_webhooks_loopback
        return _Request(principal, selection, parse_callback_url(url, loopback=loopback))

    def _find_principal(self, ctx: ServerRequestContext[Any, Any]) -> str:
        caller = find_caller(ctx.request)
        token = self.companion.settings.token
        if caller is None or (caller.issuer is None and token is None):
            message = "Webhooks need an authenticated caller. Set PLEX_COMPANION_TOKEN or an OAuth issuer."
            raise EventError(EventErrorCode.FORBIDDEN, message)
        return _name_principal(caller, token.get_secret_value() if token else "")

    async def _verify(self, request: _Request, key: bytes) -> None:
        """Verify a callback, once for each caller and address."""
        now = self.companion.clock()
        if await is_verified(self.companion.cache, request.principal, request.url.text, now.at):
            return
        self._limiter.count(request.url.host, now.tick)
        await verify_callback(request.url, request.id, key, now.at // 1_000, self.policy)

    async def _find_known(self, request: _Request) -> EventSubscription | None:
        """Return the subscription that is refreshed; `None` for a new one, if there may be one more."""
        known = await read_subscription(self.companion.cache, request.id, self.companion.now_ms)
        if known is None:
            await self._check_limits(request.principal)
        return known

    async def _check_limits(self, principal: str) -> None:
        own, every = await count_subscriptions(self.companion.cache, principal, self.companion.now_ms)
        for count, most in ((own, MOST_SUBSCRIPTIONS), (every, MOST_TOGETHER)):
            if count >= most:
                message = f"There are {most:,} event subscriptions already. End one, then try again."
                raise build_exhausted(message, "subscriptions", most)

    def _build_event(self, request: _Request, secret: str, granted: int, position: str) -> EventSubscribed:
        name, arguments = request.selection.key
        at = self.companion.now_ms
        return EventSubscribed(
            id=request.id,
            principal=request.principal,
            url=request.url.text,
            name=name,
            arguments=arguments,
            secret=secret,
            revision=secrets.token_hex(8),
            refreshed_at=at,
            expires_at=at + granted,
            position=position,
        )

    async def _store(self, event: EventSubscribed) -> EventSubscription:
        await self._report(event)

        async def find_stored() -> EventSubscription | None:
            found = await read_subscription(self.companion.cache, event.id, event.refreshed_at)
            return found if found is not None and found.revision == event.revision else None

        return await self._wait_for(find_stored)

    async def _is_gone(self, known: EventSubscription) -> EventSubscription | None:
        """Return a subscription that is not stored any more; `None` while it is."""
        found = await read_subscription(self.companion.cache, known.id, self.companion.now_ms)
        return known if found is None or found.created_at != known.created_at else None

    async def _report(self, event: SubscriptionReport) -> None:
        await self.companion.event_queue.put([ReceivedEvent(event, self.companion.clock())])

    async def _wait_for(self, find: Callable[[], Awaitable[EventSubscription | None]]) -> EventSubscription:
        """Wait until something is in the database."""
        with anyio.move_on_after(STORED_SECONDS):
            while True:
                committed = self.companion.live.prepare_wait()
                if (found := await find()) is not None:
                    return found
                await committed.wait()
        raise EventError(EventErrorCode.INTERNAL, "The database cannot be written now. Try again later.")


def _name_principal(caller: AuthenticatedCaller, token: str) -> str:
    if caller.issuer is None:
        return name_token_principal(token)
    return name_issuer_principal(caller.issuer, caller.subject or "")


def _build_answer(stored: EventSubscription, known: EventSubscription | None, *, truncated: bool) -> dict[str, Any]:
    answer = {
        "id": stored.id,
        "refreshBefore": format_iso(stored.expires_at),
        "cursor": stored.progress.watermark,
        "truncated": truncated,
    }
    return answer if known is None else {**answer, "deliveryStatus": _build_status(known)}


def _build_status(known: EventSubscription) -> dict[str, Any]:
    """Describe how deliveries went until now."""
    progress = known.progress
    return {
        "active": not progress.suspended,
        "lastDeliveryAt": format_iso(progress.last_delivered_at),
        "lastError": progress.last_error,
        **({} if progress.failed_since is None else {"failedSince": format_iso(progress.failed_since)}),
    }
