"""Takes alerts to webhooks, from the queue in the database: at least once, by the rules of Standard Webhooks."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
from contextlib import suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
import httpx2

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

TRY_SECONDS = 10.0
_LOOK_SECONDS = 60.0
"""How long the queue is not looked into at most: clocks jump, and rows may come late where the disk refused."""


class WakeUp:
    """Rung whenever something was put into the queue."""

    def __init__(self) -> None:
        self._rung = anyio.Event()

    def wake(self) -> None:
        """Wake whoever waits."""
        self._rung.set()
        self._rung = anyio.Event()

    def prepare_wait(self) -> anyio.Event:
        """What the next ring sets. Take it before looking into the queue."""
        return self._rung


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where alerts go. The address may hold a secret, so it goes by its digest, or its host in the log."""

    name: str
    url: str
    secret: bytes | None

    @property
    def host(self) -> str:
        """What the log says."""
        return urlsplit(self.url).hostname or self.name


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """What every webhook is served with. `report` hands a result to ingest, which writes it down."""

    cache: Cache
    wake_up: WakeUp
    report: Callable[[DeliveryReport], Awaitable[None]]
    now: Callable[[], int]
    chance: Callable[[], float]
    secrets: SecretFilter
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep


async def deliver_alerts(webhooks: tuple[Webhook, ...], courier: DeliveryContext) -> None:
    """For ever, in the process that listens. Webhooks do not wait for each other."""
    async with (
        httpx2.AsyncClient(follow_redirects=False, trust_env=False, timeout=TRY_SECONDS) as client,
        anyio.create_task_group() as tasks,
    ):
        for webhook in webhooks:
            tasks.start_soon(_serve, webhook, courier, client)


async def _serve(webhook: Webhook, courier: DeliveryContext, client: httpx2.AsyncClient) -> None:
    """One message at a time, the oldest that is due first. When nobody is there, the others wait with it."""
    answered: dict[int, Delivery] = {}  # what the database may not say yet
    failing = False
    while True:
        rung = courier.wake_up.prepare_wait()
        waiting = await _read_waiting(webhook, courier, answered)
        ready = (one for one in waiting if one.due_at <= courier.now())
        due = min(ready, key=lambda one: one.id, default=None)
        if due is None:
            soonest = min((one.due_at for one in waiting), default=None)
            await _wait_until(soonest, courier, rung)
            continue
        answer = await post(client, webhook, replace(due, body=courier.secrets.hide(due.body)), courier.now())
        result = record_attempt(due, answer, courier.now(), courier.chance())
        answered[due.id] = result
        await courier.report(DeliveryReport(result))
        failing = _log_attempt(webhook, answer, failing=failing)
        if answer.concerns_all and result.done_at is None:
            await courier.sleep(max(0, result.due_at - courier.now()) / 1000)


async def _read_waiting(webhook: Webhook, courier: DeliveryContext, answered: dict[int, Delivery]) -> list[Delivery]:
    rows: list[Delivery] = []
    with suppress(StorageError):  # the queue is looked into again
        rows = await read_waiting_deliveries(courier.cache, webhook.name)
    behind = {one.id: answered[one.id] for one in rows if one.id in answered and answered[one.id].tries > one.tries}
    answered.clear()
    answered.update(behind)
    return [one for one in (behind.get(row.id, row) for row in rows) if one.done_at is None]


async def _wait_until(at: int | None, courier: DeliveryContext, rung: anyio.Event) -> None:
    """Wait until then, or the bell is rung."""
    seconds = _LOOK_SECONDS if at is None else min(_LOOK_SECONDS, max(0, at - courier.now()) / 1000)
    async with anyio.create_task_group() as waiting:

        async def wait_for_wake_up() -> None:
            await rung.wait()
            waiting.cancel_scope.cancel()

        waiting.start_soon(wait_for_wake_up)
        await courier.sleep(seconds)
        waiting.cancel_scope.cancel()


def _log_attempt(webhook: Webhook, answer: DeliveryAttempt, *, failing: bool) -> bool:
    """Tell the log when a webhook begins to fail and when it no longer does. Returns whether it fails."""
    if not answer.is_good and not failing:
        logger.warning("The webhook at %s does not take alerts (%s): they wait", webhook.host, answer.words)
    if answer.is_good and failing:
        logger.warning("The webhook at %s takes alerts again", webhook.host)
    return not answer.is_good


async def post(client: httpx2.AsyncClient, webhook: Webhook, delivery: Delivery, at: int) -> DeliveryAttempt:
    """One try. What the other side says beyond status and Retry-After is never read."""
    headers = build_headers(delivery, webhook.secret, at // 1000)
    try:
        with anyio.fail_after(TRY_SECONDS):
            async with client.stream("POST", webhook.url, content=delivery.body, headers=headers) as response:
                retry = _parse_retry_after_ms(response.headers.get("retry-after"), at)
                return DeliveryAttempt(response.status_code, f"HTTP {response.status_code}", retry)
    except (httpx2.TimeoutException, TimeoutError):
        return DeliveryAttempt(None, f"no answer within {TRY_SECONDS:.0f} s")
    except httpx2.ConnectError:
        return DeliveryAttempt(None, "cannot be reached")
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return DeliveryAttempt(None, "the connection was lost")


def build_headers(delivery: Delivery, secret: bytes | None, timestamp: int) -> dict[str, str]:
    """The headers of Standard Webhooks 1.0. The id stays the same however often it is tried."""
    seed = f"{delivery.id}.{delivery.created_at}.{delivery.webhook}.{delivery.body}"
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


def _parse_retry_after_ms(value: str | None, at: int) -> int | None:
    """Seconds, or a date (RFC 9110, 10.2.3)."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return int(value.strip()[:9]) * 1000
    try:
        return max(0, int(parsedate_to_datetime(value).timestamp() * 1000) - at)
    except (ValueError, OverflowError):
        return None
