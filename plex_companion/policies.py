"""Turns settings into rules: alert thresholds, retention, webhooks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.changes.alerts.rules import Thresholds
from plex_companion.changes.deliveries import WebhookRules
from plex_companion.ingest.retention import Retention
from plex_companion.serialize import build_alert_message
from plex_companion.times import DAY_MS, MINUTE_MS

if TYPE_CHECKING:
    from plex_companion.settings import Settings


def compute_silence_limit_ms(settings: Settings) -> int:
    """Return how long the leading process may be silent before its followers call the state stale.

    It confirms the state at least every `reconcile_seconds`; three confirmations may fail.
    """
    return max(MINUTE_MS, int(settings.reconcile_seconds * 1000)) * 3


def build_thresholds(settings: Settings) -> Thresholds:
    """Return the limits of the alert rules from the settings."""
    return Thresholds(
        buffering_count=settings.alert_buffering_count,
        slow_ms=int(settings.alert_slow_seconds * 1000),
        transcode_4k=settings.alert_transcode_4k,
        streams=settings.alert_streams,
        streams_grace_ms=int(settings.alert_streams_grace_seconds * 1000),
        paused_ms=int(settings.alert_paused_minutes * MINUTE_MS),
        unreadable_ms=int(settings.alert_unreadable_seconds * 1000),
        hold_ms=int(settings.alert_hold_seconds * 1000),
    )


def build_retention(settings: Settings) -> Retention:
    """Return how long rows are kept, from the settings."""
    events_ms, alerts_ms = (
        int(days * DAY_MS) for days in (settings.retention_event_days, settings.retention_alert_days)
    )
    return Retention(events_ms, settings.retention_event_rows, alerts_ms)


def build_webhook_rules(settings: Settings) -> WebhookRules | None:
    """Return which alerts go to which webhooks; `None` without webhooks."""
    names = tuple(settings.list_webhooks())
    hold_ms = int(settings.alert_hold_seconds * 1000)
    return WebhookRules(names, build_alert_message, frozenset(settings.webhook_kinds), hold_ms) if names else None
