"""`plex://alerts`: what wants attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion import wire
from plex_companion.cache.read import newest_alerts
from plex_companion.changes.kinds import AlertAcknowledged, AlertOpened, AlertReopened, AlertResolved, ConnectionChanged
from plex_companion.resources.declare import Resource

if TYPE_CHECKING:
    from plex_companion.companion import Companion

SHOWN = 100


async def read_alerts(companion: Companion) -> dict[str, Any]:
    """The newest alerts; `next_cursor` is the id to go on before, for older ones."""
    alerts = await newest_alerts(companion.cache, SHOWN)
    return {
        "alerts": [wire.alert(alert) for alert in alerts],
        "next_cursor": alerts[-1].id if len(alerts) == SHOWN else None,
    }


ALERTS = Resource(
    "plex://alerts",
    "Alerts",
    "The newest 100 alerts: lost connection, buffering, slow transcoding, finished scans and the like.",
    read_alerts,
    touched_by=(AlertOpened, AlertResolved, AlertReopened, AlertAcknowledged, ConnectionChanged),
)
