"""Delivers occurrences to the webhooks that clients subscribed: at least once, each message on its own.

The occurrences in the database are the queue. Of each subscription it is stored how far it was served, and which messages
before that are tried again; so a restart loses none, and a message whose result was not stored is sent again with its id.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
from msgspec.structs import replace

from plex_companion.cache.database import StorageError
from plex_companion.events import EventsDelivered, EventUnsubscribed
from plex_companion.mcp_events.callback_client import CallbackPolicy, send_callback
from plex_companion.mcp_events.callback_urls import parse_callback_url
from plex_companion.mcp_events.delivery_rules import MOST_PENDING, find_due, record_attempt
from plex_companion.mcp_events.event_errors import EventError, EventErrorCode, build_error_body
from plex_companion.mcp_events.messages import (
    LARGEST_BYTES,
    build_message_id,
    encode_delivery,
    encode_gap,
    encode_terminated,
)
from plex_companion.mcp_events.shared_feed import Selection
from plex_companion.mcp_events.signatures import build_signed_headers, list_keys
from plex_companion.mcp_events.verification import build_control_id
from plex_companion.models import PendingDelivery
from plex_companion.occurrences.declare import OCCURRENCE_TYPES
from plex_companion.times import MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plex_companion.events import SubscriptionReport
    from plex_companion.ingest.live import Live
    from plex_companion.mcp_events.callback_client import CallbackAnswer
    from plex_companion.mcp_events.shared_feed import FeedOccurrence, FeedPage, OccurrenceFeed
    from plex_companion.models import DeliveryProgress, EventSubscription
    from plex_companion.text import SecretFilter

logger = logging.getLogger(__name__)

LONGEST_WAIT_SECONDS = 60.0
"""The longest time between two looks: clocks jump, and the database may be out of reach for a while."""
STORED_EVERY_MS = 10 * MINUTE_MS
"""How often it is stored that nothing matched: a position must not become older than the occurrences that are kept."""
MOST_PER_HOST, MOST_TOGETHER = 8, 128
"""Messages that are on their way at once."""
TERMINATED_TRIES = 3


@dataclass(frozen=True, slots=True)
class EventDelivery:
    """The surroundings of delivery. `report` queues what happened, which ingest writes to the database."""

    live: Live
    feed: OccurrenceFeed
    report: Callable[[SubscriptionReport], Awaitable[None]]
    now: Callable[[], int]
    chance: Callable[[], float]
    is_revoked: Callable[[str], bool]
    """Whether a caller, by name, can no longer log in."""
    loopback: bool
    secrets: SecretFilter
    policy: CallbackPolicy = field(default_factory=CallbackPolicy)
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep


async def deliver_occurrences(context: EventDelivery) -> None:
    """Serve every event subscription, forever. None waits for another, unless too much is sent to one host."""
    served: set[tuple[str, int]] = set()
    limits = _SendLimits()
    async with anyio.create_task_group() as tasks:
        while True:
            committed = context.live.prepare_wait()
            for subscription in context.live.state.event_subscriptions.values():
                key = subscription.id, subscription.created_at
                if key not in served and not subscription.progress.suspended:
                    served.add(key)
                    tasks.start_soon(_serve, context, subscription, limits, served)
            await committed.wait()


async def _serve(
    context: EventDelivery, subscription: EventSubscription, limits: _SendLimits, served: set[tuple[str, int]]
) -> None:
    try:
        with context.feed.follow():
            await _Worker(context, subscription, limits).run()
    except EventError as error:  # what an older version accepted, this one may not
        logger.warning("An event subscription cannot be served (%s) and is ended", error.message)
        await _end(context, subscription)
    finally:
        served.discard((subscription.id, subscription.created_at))


async def _end(context: EventDelivery, subscription: EventSubscription) -> None:
    """End a subscription, and wait until that is committed."""
    await context.report(EventUnsubscribed(subscription.id))
    while _find_current(context, subscription) is not None:
        await context.live.wait_for_commit()


def _find_current(context: EventDelivery, subscription: EventSubscription) -> EventSubscription | None:
    """Return a subscription as it is now; `None` when it is over, also where another of its id has begun."""
    found = context.live.state.event_subscriptions.get(subscription.id)
    return found if found is not None and found.created_at == subscription.created_at else None


class _SendLimits:
    """How many messages may be on their way, to one host and together."""

    def __init__(self) -> None:
        self.together = anyio.CapacityLimiter(MOST_TOGETHER)
        self._hosts: dict[str, anyio.CapacityLimiter] = {}

    def get(self, host: str) -> anyio.CapacityLimiter:
        return self._hosts.setdefault(host, anyio.CapacityLimiter(MOST_PER_HOST))


class _Worker:
    """Serves one subscription until it ends, expires or is suspended."""

    def __init__(self, context: EventDelivery, subscription: EventSubscription, limits: _SendLimits) -> None:
        self._context = context
        self._first = subscription
        self._progress = subscription.progress
        self._stored_at = context.now()
        self._selection = Selection(subscription.name, json.loads(subscription.arguments))
        self._url = parse_callback_url(subscription.url, loopback=context.loopback)
        self._limits = limits

    async def run(self) -> None:
        while (subscription := self._find()) is not None:
            if self._progress.suspended:
                await self._wait_until_stored()
                return
            if (error := self._find_end(subscription)) is not None:
                await self._terminate(subscription, error)
                return
            arrived = self._context.feed.prepare_wait()
            if not await self._try_step(subscription):
                await self._wait(arrived, subscription)

    def _find(self) -> EventSubscription | None:
        """Return the subscription as it is now; `None` when it is over or has expired."""
        found = _find_current(self._context, self._first)
        return found if found is not None and found.expires_at > self._context.now() else None

    def _find_end(self, subscription: EventSubscription) -> EventError | None:
        """Return why a subscription must end; `None` if it need not."""
        if self._context.is_revoked(subscription.principal):
            return EventError(EventErrorCode.FORBIDDEN, "The subscriber can no longer log in.")
        if subscription.name not in OCCURRENCE_TYPES:
            message = f"There is no event {subscription.name} any more."
            return EventError(EventErrorCode.NOT_FOUND, message, kind="event")
        return None

    async def _try_step(self, subscription: EventSubscription) -> bool:
        """Send one message, or move past occurrences that do not match. Return whether there was something to do."""
        try:
            if message := find_due(self._progress, self._context.now()):
                await self._send_again(subscription, message)
                return True
            return len(self._progress.pending) < MOST_PENDING and await self._take_next(subscription)
        except StorageError:
            await self._context.sleep(1)
            return True

    async def _take_next(self, subscription: EventSubscription) -> bool:
        position = self._progress.position
        page = await self._context.feed.read_after(position)
        if page.gap:
            first = PendingDelivery(position, "", self._context.now())
            await self._send_gap(subscription, first, replace(self._progress, position=page.start))
            return True
        found = next(iter(page.select(self._selection)), None)
        if found is not None:
            first = PendingDelivery(found.before, found.event["eventId"], self._context.now())
            await self._send_event(subscription, first, found, replace(self._progress, position=found.cursor))
            return True
        self._progress = replace(self._progress, position=page.next_cursor)
        if page.next_cursor != position and self._context.now() - self._stored_at >= STORED_EVERY_MS:
            await self._store(self._progress)
        return bool(page.occurrences)

    async def _send_again(self, subscription: EventSubscription, message: PendingDelivery) -> None:
        again = replace(message, tries=message.tries + 1)
        if not message.event_id:
            await self._send_gap(subscription, again, self._progress)
            return
        page = await self._context.feed.read_after(message.before)
        found = _find_event(page, message.event_id)
        if found is None:  # it is older than what is kept
            await self._send_gap(subscription, replace(again, event_id="", tries=1), self._progress)
        else:
            await self._send_event(subscription, again, found, self._progress)

    async def _send_event(
        self, subscription: EventSubscription, message: PendingDelivery, found: FeedOccurrence, after: DeliveryProgress
    ) -> None:
        watermark = self._progress.pending[0].before if self._progress.pending else message.before
        body = encode_delivery(found.event, watermark)
        if len(body) > LARGEST_BYTES:
            logger.warning(
                "An occurrence of the type %s is too large for a webhook and is left out", found.event["name"]
            )
            others = tuple(one for one in after.pending if one.before != message.before)
            await self._store(replace(after, pending=others))
            return
        await self._send(subscription, message, (build_message_id(found.event), body), after)

    async def _send_gap(
        self, subscription: EventSubscription, message: PendingDelivery, after: DeliveryProgress
    ) -> None:
        others = [one for one in after.pending if one.before != message.before]
        fresh = others[0].before if others else after.position
        await self._send(subscription, message, (build_control_id("gap"), encode_gap(fresh)), after)

    async def _send(
        self,
        subscription: EventSubscription,
        message: PendingDelivery,
        sent: tuple[str, bytes],
        after: DeliveryProgress,
    ) -> None:
        answer = await self._post(subscription, *sent)
        self._log(answer)
        await self._store(record_attempt(after, message, answer, self._context.now(), self._context.chance()))

    async def _post(self, subscription: EventSubscription, message_id: str, body: bytes) -> CallbackAnswer:
        async with self._limits.get(self._url.host), self._limits.together:
            at = self._context.now()
            body = self._context.secrets.hide_bytes(body)
            keys = list_keys(subscription, at)
            headers = build_signed_headers(self._first.id, message_id, at // 1_000, body, keys)
            return await send_callback(self._url, headers, body, self._context.policy)

    async def _store(self, progress: DeliveryProgress) -> None:
        self._progress, self._stored_at = progress, self._context.now()
        await self._context.report(EventsDelivered(self._first.id, self._first.created_at, progress))

    async def _wait_until_stored(self) -> None:
        while (found := self._find()) is not None:
            committed = self._context.live.prepare_wait()
            if found.progress.suspended:
                return
            await committed.wait()

    async def _terminate(self, subscription: EventSubscription, error: EventError) -> None:
        """Tell the subscriber why it ends, a few times if need be, and end it."""
        sent = build_control_id("terminated"), encode_terminated(build_error_body(error))
        for tries in range(TERMINATED_TRIES):
            await self._context.sleep(tries)
            if (await self._post(subscription, *sent)).problem not in {"connection_refused", "timeout", "http_5xx"}:
                break
        await _end(self._context, subscription)

    def _log(self, answer: CallbackAnswer) -> None:
        """Log when a callback starts to fail and when it works again."""
        failed = self._progress.last_error is not None
        if answer.problem is not None and not failed:
            logger.warning(
                "The event webhook at %s does not accept messages (%s); they are sent again",
                self._url.host,
                answer.problem,
            )
        if answer.problem is None and failed:
            logger.warning("The event webhook at %s accepts messages again", self._url.host)

    async def _wait(self, arrived: anyio.Event, subscription: EventSubscription) -> None:
        """Wait for an occurrence, the next attempt, or the end of the subscription."""
        now = self._context.now()
        due = min((one.due_at for one in self._progress.pending), default=subscription.expires_at)
        seconds = max(0.0, min(due - now, subscription.expires_at - now) / 1_000)
        await _wait_for(arrived, min(seconds, LONGEST_WAIT_SECONDS), self._context.sleep)


async def _wait_for(event: anyio.Event, seconds: float, sleep: Callable[[float], Awaitable[None]]) -> None:
    async with anyio.create_task_group() as waiting:

        async def wait_for_event() -> None:
            await event.wait()
            waiting.cancel_scope.cancel()

        waiting.start_soon(wait_for_event)
        await sleep(seconds)
        waiting.cancel_scope.cancel()


def _find_event(page: FeedPage, event_id: str) -> FeedOccurrence | None:
    return next((one for one in page.occurrences[:1] if one.event["eventId"] == event_id), None)
