"""Decides which alerts go to which webhooks, and when a failed delivery is retried. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Literal

from plex_companion.changes.kinds import AlertOpened, AlertReopened, AlertResolved, Change, DeliveryChanged, Effect
from plex_companion.models import Delivery
from plex_companion.times import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from plex_companion.changes.state import State
    from plex_companion.models import Alert, Moment

    What = Literal["alert.opened", "alert.resolved"]

FIRST_WAIT_MS = 5_000
LONGEST_WAIT_MS = HOUR_MS
GIVEN_UP_MS = DAY_MS
"""How old a message may become before it is given up."""
DELIVERED, WITHDRAWN, GIVEN_UP = "delivered", "withdrawn", "given up"
_MARGIN_MS = 1_000
_OK, _MULTIPLE, _BAD_REQUEST, _SERVER_ERROR, _GONE = 200, 300, 400, 500, 410
_LATER = frozenset({408, 425, 429})
"""Statuses that say "not now" rather than "not this message"."""


@dataclass(frozen=True, slots=True)
class WebhookRules:
    """What is delivered. `body(what, alert, at)` builds the message, as JSON."""

    names: tuple[str, ...]
    """Digests of addresses, which may hold secrets."""
    body: Callable[[What, Alert, int], str]
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

    @property
    def is_good(self) -> bool:
        """Whether the message was accepted."""
        return self.status is not None and _OK <= self.status < _MULTIPLE

    @property
    def concerns_all(self) -> bool:
        """Whether every other message would fail the same way now: the receiver is not there, or not able."""
        status = self.status
        return status is None or status >= _SERVER_ERROR or status < _BAD_REQUEST or status in _LATER


def queue_deliveries(changes: Iterable[Effect], before: State, now: Moment, webhooks: WebhookRules) -> list[Change]:
    """Return the deliveries that these changes queue or withdraw."""
    ids = count(before.next_delivery)
    found: list[Change] = []
    for change in changes:
        if not isinstance(change, AlertOpened | AlertReopened | AlertResolved):
            continue
        alert = change.alert
        if webhooks.kinds and alert.kind not in webhooks.kinds:
            continue
        waiting = before.waiting_deliveries.get(alert.id, ()) if isinstance(change, AlertReopened) else ()
        if waiting:  # receivers have not been sent the resolution: for them it is still open
            found += [DeliveryChanged(replace(delivery, done_at=now.at, outcome=WITHDRAWN)) for delivery in waiting]
            continue
        over = isinstance(change, AlertResolved)
        what: What = "alert.resolved" if over else "alert.opened"
        due = now.at + webhooks.hold_ms + _MARGIN_MS if over else now.at
        body = webhooks.body(what, alert, now.at)
        found += [DeliveryChanged(Delivery(next(ids), name, alert.id, body, now.at, due)) for name in webhooks.names]
    return found


def record_attempt(delivery: Delivery, answer: DeliveryAttempt, at: int, chance: float) -> Delivery:
    """Return a delivery after one more attempt.

    `chance`, from 0 to 1, spreads the retries of several deliveries.
    """
    tried = replace(delivery, tries=delivery.tries + 1)
    if answer.is_good:
        return replace(tried, done_at=at, outcome=DELIVERED)
    wait = min(LONGEST_WAIT_MS, FIRST_WAIT_MS << min(delivery.tries, 20))
    wait = max(int(wait * (0.75 + chance / 4)), answer.retry_after_ms or 0)
    if answer.status == _GONE or at + wait > delivery.created_at + GIVEN_UP_MS:
        return replace(tried, done_at=at, outcome=f"{GIVEN_UP}: {answer.words}")
    return replace(tried, due_at=at + wait, outcome=answer.words)
