"""A page of the list of alerts with its total, also of alerts that cannot be written now."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from plex_companion.cache.queries.alert_lists import count_alerts, read_alert_list
from plex_companion.history.alert_pages import list_remembered

if TYPE_CHECKING:
    from plex_companion.cache.queries.alert_lists import AlertFilter
    from plex_companion.history.source import HistorySource
    from plex_companion.models import Alert


class AlertList(NamedTuple):
    """A page of alerts, newest first; how many there are in all; and the id that the next page begins before."""

    alerts: list[Alert]
    total: int
    before: int | None


async def list_matching_alerts(
    source: HistorySource, wanted: AlertFilter, limit: int, before: int | None = None
) -> AlertList:
    """Return a page of the alerts that fit. The live state wins over rows: it says what could not be written so far."""
    rows = {alert.id: alert for alert in await read_alert_list(source.cache, wanted, limit + 1, before)}
    total = await count_alerts(source.cache, wanted)
    for alert in (alert for state in source.states for alert in list_remembered(state)):
        if alert.id in rows and not wanted.matches(alert):
            del rows[alert.id]
        elif wanted.matches(alert) and (before is None or alert.id < before):
            rows[alert.id] = alert
    found = sorted(rows.values(), key=lambda alert: -alert.id)
    page = found[:limit]
    return AlertList(page, max(total, len(page)), page[-1].id if len(found) > limit else None)
