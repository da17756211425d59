"""Decides what becomes of a webhook message after an attempt. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from plex_companion.times import HOUR_MS, MINUTE_MS

if TYPE_CHECKING:
    from plex_companion.mcp_events.callback_client import CallbackAnswer
    from plex_companion.models import DeliveryProgress, PendingDelivery

WAITS_MS = (1_000, 10_000, MINUTE_MS, 10 * MINUTE_MS)
"""How long to wait after each failed attempt. A receiver answers 503 until it has saved that it is subscribed, so the first
wait is short; after the last attempt a message is given up.
"""
LONGEST_ASKED_MS = 10 * MINUTE_MS
"""The longest wait that a receiver's Retry-After may ask for."""
MOST_PENDING = 50
"""Messages of one subscription that wait for another attempt; with more, the rest waits in the database."""
SUSPENDED_MS = HOUR_MS
"""A subscription to which nothing could be delivered for this long is suspended when another message is given up."""
_GIVEN_UP = frozenset({410, 413})
"""Statuses that refuse one message for good: gone, and too large."""


def record_attempt(
    progress: DeliveryProgress, message: PendingDelivery, answer: CallbackAnswer, at: int, chance: float
) -> DeliveryProgress:
    """Return the progress after one more attempt to send a message, whose `tries` count it already.

    `chance`, from 0 to 1, spreads the retries of several subscriptions.
    """
    others = tuple(one for one in progress.pending if one.before != message.before)
    if answer.problem is None:
        return replace(progress, pending=others, last_delivered_at=at, last_error=None, failed_since=None)
    failed_since = progress.failed_since if progress.failed_since is not None else at
    failed = replace(progress, pending=others, last_error=answer.problem, failed_since=failed_since)
    if answer.status in _GIVEN_UP:
        return failed
    if message.tries > len(WAITS_MS):
        return replace(failed, suspended=at - failed_since >= SUSPENDED_MS)
    wait = max(WAITS_MS[message.tries - 1], min(answer.retry_after_ms or 0, LONGEST_ASKED_MS))
    again = replace(message, due_at=at + int(wait * (1 + chance / 4)))
    return replace(failed, pending=_insert(progress, again))


def _insert(progress: DeliveryProgress, message: PendingDelivery) -> tuple[PendingDelivery, ...]:
    """Return the pending messages with one more; a new one is of a later occurrence than all others."""
    if any(one.before == message.before for one in progress.pending):
        return tuple(message if one.before == message.before else one for one in progress.pending)
    return (*progress.pending, message)


def find_due(progress: DeliveryProgress, at: int) -> PendingDelivery | None:
    """Return the message that waited longest for another attempt; `None` if none is due."""
    due = [one for one in progress.pending if one.due_at <= at]
    return min(due, key=lambda one: one.due_at, default=None)
