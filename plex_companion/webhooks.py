"""Delivers alerts to webhooks from the queue in the database, at least once, by the rules of Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import httpx2
from msgspec.structs import replace

from plex_companion.cache.database import StorageError
from plex_companion.cache.queries.read import read_waiting_deliveries
from plex_companion.changes.deliveries import DeliveryAttempt, record_attempt
from plex_companion.events import DeliveryReport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plex_companion.cache.database import Cache
    from plex_companion.models import Delivery
    from plex_companion.text import SecretFilter

logger = logging.getLogger(__name__)

ATTEMPT_SECONDS = 10.0
MOST_READ = 100
"""Rows of the outbox that are read at once."""
_POLL_SECONDS = 60.0
"""The longest time between two looks into the queue: clocks jump, and rows come late after a full disk."""


class WakeUp:
    """Wakes the tasks that deliver, whenever a row was added to the queue."""

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def wake(self) -> None:
        """Wake every task that waits."""
        if self._event is not None:
            self._event.set()
            self._event = None

    def prepare_wait(self) -> anyio.Event:
        """Return the event that the next `wake` sets. Call it before looking into the queue, or a row could be missed."""
        if self._event is None:
            self._event = anyio.Event()
        return self._event


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that alerts are sent to.

    The address may hold a secret: the database knows it by its digest, and the log shows its host.
    """

    name: str
    url: str
    secret: bytes | None

    @property
    def host(self) -> str:
        """The host, for the log."""
        return urlsplit(self.url).hostname or self.name


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """The context of delivery. `report` queues a result, which ingest writes to the database."""

    cache: Cache
    wake_up: WakeUp
    report: Callable[[DeliveryReport], Awaitable[None]]
    now: Callable[[], int]
    chance: Callable[[], float]
    secrets: SecretFilter
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep


async def deliver_alerts(webhooks: tuple[Webhook, ...], context: DeliveryContext) -> None:
    """Deliver to every webhook, forever. Webhooks do not wait for each other."""
    async with (
        httpx2.AsyncClient(follow_redirects=False, trust_env=False, timeout=ATTEMPT_SECONDS) as client,
        anyio.create_task_group() as tasks,
    ):
        for webhook in webhooks:
            tasks.start_soon(_deliver_forever, webhook, context, client)


async def _deliver_forever(webhook: Webhook, context: DeliveryContext, client: httpx2.AsyncClient) -> None:
    """Deliver to one webhook, one message at a time, the oldest due message first.

    While the webhook cannot be reached, all its messages wait.
    """
    answered: dict[int, Delivery] = {}  # results that may not be in the database yet
    failing = False
    while True:
        wake_event = context.wake_up.prepare_wait()
        waiting = await read_waiting(webhook.name, context, answered)
        ready = (one for one in waiting if one.due_at <= context.now())
        due = min(ready, key=lambda one: one.id, default=None)
        if due is None:
            soonest = min((one.due_at for one in waiting), default=None)
            await wait_until(soonest, context, wake_event)
            continue
        answer = await post(client, webhook, replace(due, body=context.secrets.hide(due.body)), context.now())
        result = record_attempt(due, answer, context.now(), context.chance())
        answered[due.id] = result
        await context.report(DeliveryReport((result,)))
        failing = _log_attempt(webhook, answer, failing=failing)
        if answer.concerns_all and result.done_at is None:
            await context.sleep(max(0, result.due_at - context.now()) / 1000)


async def read_waiting(
    target: str, context: DeliveryContext, answered: dict[int, Delivery], most: int = MOST_READ
) -> list[Delivery]:
    """Return what waits for a target in the outbox, those due first.

    Args:
        target: as in the rows.
        context: the database.
        answered: results by id that may not be in the database yet. Those that are get removed.
        most: the most rows that are read.
    """
    rows: list[Delivery] = []
    with suppress(StorageError):  # the next look will succeed or wait again
        rows = await read_waiting_deliveries(context.cache, target, most)
    behind = {one.id: answered[one.id] for one in rows if one.id in answered and answered[one.id].tries > one.tries}
    answered.clear()
    answered.update(behind)
    return [one for one in (behind.get(row.id, row) for row in rows) if one.done_at is None]


async def wait_until(at: int | None, context: DeliveryContext, wake_event: anyio.Event) -> None:
    """Wait until a time in milliseconds since 1970, or until a row is added to the queue."""
    seconds = _POLL_SECONDS if at is None else min(_POLL_SECONDS, max(0, at - context.now()) / 1000)
    async with anyio.create_task_group() as waiting:

        async def wait_for_wake_up() -> None:
            await wake_event.wait()
            waiting.cancel_scope.cancel()

        waiting.start_soon(wait_for_wake_up)
        await context.sleep(seconds)
        waiting.cancel_scope.cancel()


def _log_attempt(webhook: Webhook, answer: DeliveryAttempt, *, failing: bool) -> bool:
    """Log when a webhook starts to fail and when it works again. Return whether it fails now."""
    if not answer.is_good and not failing:
        logger.warning(
            "The webhook at %s does not accept alerts (%s); they will be sent later", webhook.host, answer.words
        )
    if answer.is_good and failing:
        logger.warning("The webhook at %s accepts alerts again", webhook.host)
    return not answer.is_good


async def post(client: httpx2.AsyncClient, webhook: Webhook, delivery: Delivery, at: int) -> DeliveryAttempt:
    """Make one attempt. Of the answer, only the status and Retry-After are read."""
    headers = build_headers(delivery, webhook.secret, at // 1000)
    try:
        with anyio.fail_after(ATTEMPT_SECONDS):
            async with client.stream("POST", webhook.url, content=delivery.body, headers=headers) as response:
                retry = parse_retry_after_ms(response.headers.get("retry-after"), at)
                return DeliveryAttempt(response.status_code, f"HTTP {response.status_code}", retry)
    except (httpx2.TimeoutException, TimeoutError):
        return DeliveryAttempt(None, f"no answer within {ATTEMPT_SECONDS:.0f} s")
    except httpx2.ConnectError:
        return DeliveryAttempt(None, "cannot be reached")
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return DeliveryAttempt(None, "the connection was lost")


def build_headers(delivery: Delivery, secret: bytes | None, timestamp: int) -> dict[str, str]:
    """Build the headers of Standard Webhooks 1.0. The id is the same in every attempt, so receivers can drop repeats."""
    seed = f"{delivery.id}.{delivery.created_at}.{delivery.target}.{delivery.body}"
    message = f"msg_{hashlib.sha256(seed.encode()).hexdigest()[:24]}"
    headers = {
        "content-type": "application/json",
        "user-agent": "plex-companion",
        "webhook-id": message,
        "webhook-timestamp": str(timestamp),
    }
    if secret is not None:
        signed = hmac.new(secret, f"{message}.{timestamp}.{delivery.body}".encode(), hashlib.sha256).digest()
        headers["webhook-signature"] = f"v1,{base64.b64encode(signed).decode()}"
    return headers


def parse_retry_after_ms(value: str | None, at: int) -> int | None:
    """Parse Retry-After, which is a number of seconds or a date (RFC 9110, section 10.2.3)."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return int(value.strip()[:9]) * 1000
    try:
        return max(0, int(parsedate_to_datetime(value).timestamp() * 1000) - at)
    except (ValueError, OverflowError):
        return None
