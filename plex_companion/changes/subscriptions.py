"""Decides what becomes of event subscriptions: begun, refreshed, served further, ended, expired. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from plex_companion.changes.kinds import EventSubscriptionChanged, EventSubscriptionRemoved
from plex_companion.events import EventsDelivered, EventSubscribed
from plex_companion.models import DeliveryProgress, EventSubscription
from plex_companion.times import HOUR_MS

if TYPE_CHECKING:
    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State
    from plex_companion.events import SubscriptionReport
    from plex_companion.models import Moment

OVERLAP_MS = HOUR_MS
"""How long messages are signed with the key before the last one too."""


def handle_report(event: SubscriptionReport, before: State) -> list[Change]:
    """Return the changes of a report about an event subscription."""
    known = before.event_subscriptions.get(event.id)
    if isinstance(event, EventSubscribed):
        is_live = known is not None and known.expires_at > event.refreshed_at
        return [EventSubscriptionChanged(_refresh(known, event) if known and is_live else _begin(event))]
    if known is None:
        return []
    if isinstance(event, EventsDelivered):
        is_same = known.created_at == event.created_at
        return [EventSubscriptionChanged(replace(known, progress=event.progress))] if is_same else []
    return [EventSubscriptionRemoved(event.id)]


def expire_subscriptions(before: State, now: Moment) -> list[Change]:
    """Return the end of each event subscription that was not refreshed in time."""
    over = (one for one in before.event_subscriptions.values() if one.expires_at <= now.at)
    return [EventSubscriptionRemoved(one.id) for one in over]


def _begin(event: EventSubscribed) -> EventSubscription:
    return EventSubscription(
        id=event.id,
        principal=event.principal,
        url=event.url,
        name=event.name,
        arguments=event.arguments,
        secret=event.secret,
        revision=event.revision,
        refreshed_at=event.refreshed_at,
        expires_at=event.expires_at,
        progress=DeliveryProgress(event.position),
        created_at=event.refreshed_at,
    )


def _refresh(known: EventSubscription, event: EventSubscribed) -> EventSubscription:
    """Return a live subscription with the new grant. It goes on where it is, also where it was suspended."""
    refreshed = replace(
        known,
        secret=event.secret,
        revision=event.revision,
        refreshed_at=event.refreshed_at,
        expires_at=event.expires_at,
        progress=replace(known.progress, suspended=False, failed_since=None),
    )
    if event.secret == known.secret:
        return refreshed
    return replace(refreshed, previous_secret=known.secret, previous_until=event.refreshed_at + OVERLAP_MS)
