"""`plex://alerts`: what needs attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.changes.kinds import (
    AlertAcknowledged,
    AlertMuteChanged,
    AlertOpened,
    AlertReopened,
    AlertResolved,
    ConnectionChanged,
)
from plex_companion.errors import Invalid
from plex_companion.history.alert_pages import LONGEST_ID, list_alerts
from plex_companion.resources.declare import Resource

if TYPE_CHECKING:
    from plex_companion.companion import Companion

SHOWN = 100


async def read_alerts(companion: Companion, cursor: str | None = None) -> dict[str, Any]:
    """Return the newest alerts. `alerts_list` continues from `next_cursor` with older ones."""
    return await list_alerts(companion, SHOWN, before=None if cursor is None else _parse_id(cursor))


def _parse_id(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= LONGEST_ID):
        message = f"{cursor[:40]!r} is not a cursor of alerts: pass next_cursor of the last answer."
        raise Invalid(message, argument="cursor")
    return int(cursor)


ALERTS = Resource(
    "plex://alerts",
    "Alerts",
    "The newest 100 alerts: lost connection, buffering, slow transcoding, finished scans and more.",
    read_alerts,
    touched_by=(AlertOpened, AlertResolved, AlertReopened, AlertAcknowledged, AlertMuteChanged, ConnectionChanged),
)
