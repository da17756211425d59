"""Decides which alerts go to which webhooks, and when a failed delivery of the outbox is retried. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from plex_companion.changes.kinds import Change, DeliveryChanged, Effect, OccurrenceRecorded
from plex_companion.models import NOTIFY_PREFIX, Delivery
from plex_companion.times import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from plex_companion.changes.state import State
    from plex_companion.events import DigestBuilt
    from plex_companion.models import Moment, Occurrence

FIRST_WAIT_MS = 5_000
LONGEST_WAIT_MS = HOUR_MS
SOON_MS = (1_000, 5_000, 15_000)
"""How long messages to people wait after their first failures."""
GIVEN_UP_MS = DAY_MS
"""How old a message may become before it is given up."""
_ALERTS = frozenset({"alert.opened", "alert.resolved"})
"""The occurrences that webhooks get."""
DELIVERED, WITHDRAWN, GIVEN_UP = "delivered", "withdrawn", "given up"
_MARGIN_MS = 1_000
_OK, _MULTIPLE, _BAD_REQUEST, _SERVER_ERROR, _GONE = 200, 300, 400, 500, 410
_LATER = frozenset({408, 425, 429})
"""Statuses that say "not now" rather than "not this message"."""


@dataclass(frozen=True, slots=True)
class WebhookRules:
    """The rules of delivery. `body(what, alert, at)` builds the message, as JSON."""

    names: tuple[str, ...]
    """Digests of addresses, which may hold secrets."""
    body: Callable[[str, dict[str, Any], int], str]
    kinds: frozenset[str] = frozenset()
    """Kinds of alerts to deliver; empty means all."""
    hold_ms: int = 60_000
    """Within this time a condition that returns reopens the same alert, so its resolution is not sent earlier."""


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """The result of one attempt: an HTTP status or, without one, why there was none."""

    status: int | None
    words: str
    retry_after_ms: int | None = None
    detail: str = ""
    """What the receiver answered, for a person who waits for it; never a secret."""

    @property
    def is_good(self) -> bool:
        """Whether the message was accepted."""
        return self.status is not None and _OK <= self.status < _MULTIPLE

    @property
    def concerns_all(self) -> bool:
        """Whether every other message would fail the same way now: the receiver is not there, or not able."""
        status = self.status
        return status is None or status >= _SERVER_ERROR or status < _BAD_REQUEST or status in _LATER


def queue_deliveries(
    changes: Iterable[Effect],
    before: State,
    now: Moment,
    webhooks: WebhookRules,
    first_id: int | None = None,
    names: Mapping[str, str | None] = MappingProxyType({}),
) -> list[Change]:
    """Return the deliveries that the occurrences of alerts in these changes queue or withdraw.

    Args:
        changes: what an event leads to.
        before: the state before it.
        now: the present.
        webhooks: the rules of delivery.
        first_id: the first id that was not taken, if the same event has queued others.
        names: the names of all servers. A rule may open an alert about another one.
    """
    ids = count(first_id or before.ids.delivery)
    found: list[Change] = []
    for change in changes:
        if isinstance(change, OccurrenceRecorded) and change.occurrence.type in _ALERTS:
            where = _describe_server(change.occurrence.server, before, names)
            found += _deliver(change.occurrence, where, before, now, webhooks, ids)
    return found


def _describe_server(server: str | None, before: State, names: Mapping[str, str | None]) -> dict[str, str | None]:
    known = before.server
    if server is not None and (known is None or server != known.machine_identifier):
        return {"server": server, "server_name": names.get(server)}
    return {"server": known.machine_identifier if known else None, "server_name": known.name if known else None}


def _deliver(
    occurrence: Occurrence,
    where: dict[str, str | None],
    before: State,
    now: Moment,
    webhooks: WebhookRules,
    ids: Iterator[int],
) -> list[Change]:
    alert, over = occurrence.data["alert"], occurrence.type == "alert.resolved"
    if webhooks.kinds and alert["kind"] not in webhooks.kinds:
        return []
    if _is_muted(alert, before):
        return []
    alert_id = int(alert["id"])
    waiting = () if over else before.waiting_deliveries.get(alert_id, ())
    if waiting:  # receivers have not been sent the resolution: for them it is still open
        return [DeliveryChanged(replace(delivery, done_at=now.at, outcome=WITHDRAWN)) for delivery in waiting]
    due = now.at + webhooks.hold_ms + _MARGIN_MS if over else now.at
    body = webhooks.body(occurrence.type, {**alert, **where}, now.at)
    return [DeliveryChanged(Delivery(next(ids), name, alert_id, body, now.at, due)) for name in webhooks.names]


def _is_muted(alert: dict[str, Any], before: State) -> bool:
    """Return whether an alert opened while its kind was muted. Of one that opened before, receivers get the end."""
    since = before.muted_kinds.get(alert["kind"])
    return since is not None and datetime.fromisoformat(alert["at"]).timestamp() * 1_000 >= since


def queue_digest(event: DigestBuilt, before: State, now: Moment) -> list[Change]:
    """Return the deliveries of a weekly digest."""
    ids = count(before.ids.delivery)
    return [
        DeliveryChanged(
            Delivery(next(ids), f"{NOTIFY_PREFIX}{name}", None, event.body, now.at, now.at, digest_at=event.digest_at)
        )
        for name in event.targets
    ]


def record_attempt(delivery: Delivery, answer: DeliveryAttempt, at: int, chance: float) -> Delivery:
    """Return a delivery after one more attempt.

    `chance`, from 0 to 1, spreads the retries of several deliveries.
    """
    return _finish_attempt(delivery, answer, at, _compute_wait_ms(delivery.tries, answer, chance))


def record_group_attempt(
    group: Sequence[Delivery], answer: DeliveryAttempt, at: int, chance: float
) -> tuple[Delivery, ...]:
    """Return the deliveries that were sent together to a target of notifications, after one more attempt.

    They are retried together: a second, five and fifteen seconds after the first failures, then as webhooks are.
    """
    tries = max((one.tries for one in group), default=0)
    wait = SOON_MS[tries] if tries < len(SOON_MS) else _compute_wait_ms(tries, answer, chance)
    return tuple(_finish_attempt(one, answer, at, wait) for one in group)


def _compute_wait_ms(tries: int, answer: DeliveryAttempt, chance: float) -> int:
    wait = min(LONGEST_WAIT_MS, FIRST_WAIT_MS << min(tries, 20))
    return max(int(wait * (0.75 + chance / 4)), answer.retry_after_ms or 0)


def _finish_attempt(delivery: Delivery, answer: DeliveryAttempt, at: int, wait: int) -> Delivery:
    """Return a delivery after one more attempt; it is retried `wait` milliseconds later, unless it was accepted or is old."""
    tried = replace(delivery, tries=delivery.tries + 1)
    if answer.is_good:
        return replace(tried, done_at=at, outcome=DELIVERED)
    if answer.status == _GONE or at + wait > delivery.created_at + GIVEN_UP_MS:
        return replace(tried, done_at=at, outcome=f"{GIVEN_UP}: {answer.words}")
    return replace(tried, due_at=at + wait, outcome=answer.words)
