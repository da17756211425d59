"""`plex://alerts`: what wants attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.changes.kinds import AlertAcknowledged, AlertOpened, AlertReopened, AlertResolved, ConnectionChanged
from plex_companion.memory.alerts import alerts
from plex_companion.resources.declare import Resource

if TYPE_CHECKING:
    from plex_companion.companion import Companion

SHOWN = 100


async def read_alerts(companion: Companion) -> dict[str, Any]:
    """The newest alerts; alerts_list goes on from `next_cursor`, to older ones."""
    return await alerts(companion, SHOWN)


ALERTS = Resource(
    "plex://alerts",
    "Alerts",
    "The newest 100 alerts: lost connection, buffering, slow transcoding, finished scans and the like.",
    read_alerts,
    touched_by=(AlertOpened, AlertResolved, AlertReopened, AlertAcknowledged, ConnectionChanged),
)
