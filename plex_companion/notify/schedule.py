"""Decides what a target of notifications gets next, and when. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.changes.deliveries import GIVEN_UP, DeliveryAttempt, record_group_attempt
from plex_companion.times import MINUTE_MS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.models import Delivery, Message

GATHER_MS, MOST_GATHER_MS = 250, 700
"""How long a message waits for the next of its cause, since they come in several commits; and for all of them together."""
BURST = 3
"""So many messages of one rule that wait together are a burst, and more of it may come at the next tick, as while a scan goes on."""
BURST_GATHER_MS, MOST_BURST_MS = 6_000, 30_000
"""How long a burst waits for the next of it, longer than from one tick to the next; and for all of it."""
REFUSED = "refused"
"""Begins the outcome of a message that the service took for wrong: what else waits is sent meanwhile."""
NOT_TAKEN = "not taken"
"""The outcome of a message that did not go out for a reason that Apprise does not say."""
_CLIENT_ERROR, _SERVER_ERROR = 400, 500
_NOT_NOW = frozenset({401, 403, 404, 407, 408, 425, 429})
"""Statuses that any other message would get now, too: a key that is wrong, a limit that is reached."""


@dataclass(frozen=True, slots=True)
class QueuedMessage:
    """A message in the outbox, with its row."""

    delivery: Delivery
    message: Message

    @property
    def is_refused(self) -> bool:
        """Whether the service took it for wrong when it was last sent."""
        return self.delivery.tries > 0 and (self.delivery.outcome or "").startswith(REFUSED)

    @property
    def may_have_picture(self) -> bool:
        """Whether nothing speaks against its picture: it was not sent, or only did not reach the service."""
        outcome = self.delivery.outcome or ""
        return self.delivery.tries == 0 or not outcome.startswith((REFUSED, NOT_TAKEN))

    @property
    def is_single(self) -> bool:
        """Whether it is sent alone: a page of its own, or what was refused among others."""
        return self.message.html is not None or self.is_refused


@dataclass(frozen=True, slots=True)
class SendPlan:
    """What a target gets now, as one message, or until when it gets nothing."""

    group: tuple[QueuedMessage, ...] = ()
    wait_until: int | None = None
    """Milliseconds since 1970; `None` if nothing waits, or something is sent now."""


def plan_send(waiting: Sequence[QueuedMessage], sent_at: Sequence[int], now: int, rate: int) -> SendPlan:
    """Return what a target gets now: everything that is due, in order, as one message.

    Nothing is sent while the target is not there, or after `rate` messages within a minute.

    Args:
        waiting: the messages that wait for the target.
        sent_at: when messages were sent to it.
        now: milliseconds since 1970.
        rate: the most messages within a minute.
    """
    if not waiting:
        return SendPlan()
    away_until = max((one.delivery.due_at for one in waiting if one.delivery.tries and not one.is_refused), default=now)
    first_due = min(one.delivery.due_at for one in waiting)
    due = [one for one in waiting if one.delivery.due_at <= now]
    begins = max(first_due, away_until, _find_free_time(sent_at, now, rate), _find_group_end(due, now))
    if begins > now:
        return SendPlan(wait_until=begins)
    return SendPlan(_choose_group(sorted(due, key=lambda one: one.delivery.id)))


def _find_group_end(due: Sequence[QueuedMessage], now: int) -> int:
    """Return when new messages have had the time to be joined by others: when none came for a while, or soon anyway.

    A message that is in no burst is not held up by one: the burst goes with it, as far as it has come.
    """
    new = [one.delivery for one in due if one.delivery.tries == 0]
    counts = Counter(one.rule_id for one in new)
    if single := [one.created_at for one in new if one.rule_id is None or counts[one.rule_id] < BURST]:
        return min(max(single) + GATHER_MS, min(single) + MOST_GATHER_MS)
    times = [one.created_at for one in new]
    return min(max(times) + BURST_GATHER_MS, min(times) + MOST_BURST_MS) if times else now


def _find_free_time(sent_at: Sequence[int], now: int, rate: int) -> int:
    """Return from when on another message is within the rate."""
    recent = sorted(at for at in sent_at if now - MINUTE_MS < at <= now)
    return recent[-rate] + MINUTE_MS if len(recent) >= rate else now


def _choose_group(due: Sequence[QueuedMessage]) -> tuple[QueuedMessage, ...]:
    """Return the first messages that make one: up to one that is sent alone."""
    usual = [one for one in due if not one.is_refused] or due[:1]  # a refused one comes last
    if usual[0].is_single:
        return (usual[0],)
    single = next((place for place, one in enumerate(usual) if one.is_single), len(usual))
    return tuple(usual[:single])


def record_answer(
    group: Sequence[QueuedMessage], answer: DeliveryAttempt, at: int, chance: float
) -> tuple[Delivery, ...]:
    """Return the rows of messages that were sent as one, after the attempt. What waits says whether it was refused."""
    if is_refusal(answer):
        answer = DeliveryAttempt(answer.status, f"{REFUSED}: {answer.words}", answer.retry_after_ms)
    return record_group_attempt([one.delivery for one in group], answer, at, chance)


def is_refusal(answer: DeliveryAttempt) -> bool:
    """Return whether the service took this message for wrong, and may take another."""
    status = answer.status
    return status is not None and _CLIENT_ERROR <= status < _SERVER_ERROR and status not in _NOT_NOW


def is_given_up(delivery: Delivery) -> bool:
    """Return whether a message will never be sent."""
    return delivery.done_at is not None and (delivery.outcome or "").startswith(GIVEN_UP)
