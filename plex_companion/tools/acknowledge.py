"""Acknowledging alerts. This is the companion's own note; Plex is neither queried nor changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.queries.alert_lists import count_unseen
from plex_companion.cache.queries.read import read_alert
from plex_companion.errors import NotFound, TimedOut
from plex_companion.events import Acknowledged, ReceivedEvent

if TYPE_CHECKING:
    from plex_companion.companion import Companion
    from plex_companion.models import Alert

SECONDS = 10.0
"""How long the write may take. It takes longer when the storage refuses."""
LONGEST_ID = 18


async def acknowledge_alert(companion: Companion, alert_id: str) -> Alert:
    """Acknowledge an alert and return it once that is committed. Return at once if it was acknowledged before.

    Raises:
        NotFound: there is no such alert, or it has been deleted since.
        TimedOut: the write did not finish in time; it is retried until it succeeds.
    """
    alert = await _read_alert(companion, alert_id)
    if alert.acknowledged_at is not None:
        return alert
    changed = companion.live.prepare_wait()  # before sending, or the commit could be missed
    await companion.event_queue.put([ReceivedEvent(Acknowledged(alert.id), companion.clock())])
    with anyio.move_on_after(SECONDS):
        while True:
            await changed.wait()
            changed = companion.live.prepare_wait()
            alert = await _read_alert(companion, alert_id)
            if alert.acknowledged_at is not None:
                return alert
    raise TimedOut(_NOT_YET.format(f"Alert {alert_id} is"))


_NOT_YET = (
    "{} not acknowledged yet: the cache cannot be written right now (see companion_status). The companion keeps trying."
)


async def acknowledge_alerts(companion: Companion, alert_ids: list[int]) -> None:
    """Acknowledge several alerts and return once that is committed.

    Raises:
        TimedOut: the write did not finish in time; it is retried until it succeeds.
    """
    changed = companion.live.prepare_wait()
    now = companion.clock()
    await companion.event_queue.put([ReceivedEvent(Acknowledged(alert_id), now) for alert_id in alert_ids])
    with anyio.move_on_after(SECONDS):
        while await count_unseen(companion.cache, alert_ids):
            await changed.wait()
            changed = companion.live.prepare_wait()
        return
    raise TimedOut(_NOT_YET.format("The alerts are"))


async def _read_alert(companion: Companion, alert_id: str) -> Alert:
    number = alert_id.strip()
    usable = number.isdecimal() and len(number) <= LONGEST_ID
    if not usable or (alert := await read_alert(companion.cache, int(number))) is None:
        raise NotFound(f"There is no alert '{alert_id}'. alerts_list shows the ids.", what="alert", alert_id=alert_id)
    return alert
