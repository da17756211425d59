"""Occurrences about the server and its household: alerts, the connection, new players, scans, versions.

They follow from alerts, which are kept, so that a restart repeats none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.changes.kinds import AlertOpened, AlertReopened, AlertResolved
from plex_companion.occurrences.play_data import build_play_data
from plex_companion.occurrences.play_states import ensure_started
from plex_companion.serialize import serialize_alert

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.changes.kinds import Effect, ServerSeen
    from plex_companion.changes.state import State
    from plex_companion.models import Alert, AlertKind, OccurrenceName
    from plex_companion.occurrences.collector import OccurrenceCollector

LOST: tuple[AlertKind, ...] = ("connection_lost", "unauthorized")
"""Alerts that are open as long as Plex cannot be heard."""
AlertChange = AlertOpened | AlertReopened | AlertResolved


def record_alert(change: AlertChange, collector: OccurrenceCollector) -> None:
    """Record that an alert opened or was resolved, and what else it means."""
    alert, resolved = change.alert, isinstance(change, AlertResolved)
    name: OccurrenceName = "alert.resolved" if resolved else "alert.opened"
    server = change.server if isinstance(change, AlertOpened) else None
    collector.record(name, collector.now.at, {"alert": serialize_alert(alert)}, server=server)
    match alert.kind:
        case "buffering" if not resolved:
            _record_buffering(alert, collector)
        case "new_device" if not resolved:
            _record_client(alert, collector)
        case "scan_finished" if alert.resolved_at is not None:
            _record_scan(alert, collector)
        case _:
            pass


def _record_buffering(alert: Alert, collector: OccurrenceCollector) -> None:
    session = collector.find_session(alert.subject)
    if session is not None:
        ensure_started(session, collector)
        data = {**build_play_data(session), "count": alert.detail.get("count")}
        collector.record("play.buffering", collector.now.at, data)


def _record_client(alert: Alert, collector: OccurrenceCollector) -> None:
    known = alert.detail
    names = ("client_identifier", "product", "platform", "local", "device")
    player = {"title": known.get("name"), **{name: known.get(name) for name in names}}
    collector.record("client.new", alert.at, {"player": player})


def _record_scan(alert: Alert, collector: OccurrenceCollector) -> None:
    known = alert.detail
    if known.get("added"):
        data = {"library": known.get("library"), "library_id": alert.subject or None, "added": known["added"]}
        collector.record("scan.finished", collector.now.at, {**data, "titles": list(known.get("titles") or ())})


def record_connection(effects: Sequence[Effect], collector: OccurrenceCollector) -> None:
    """Record that the connection was lost or restored, from the alerts that opened and resolved."""
    alerts = [effect for effect in effects if isinstance(effect, AlertChange) and effect.alert.kind in LOST]
    if not alerts:
        return
    before = {kind: alert for (kind, _), alert in collector.before.alerts.items() if kind in LOST}
    after: dict[AlertKind, Alert] = dict(before)
    for change in alerts:
        after.pop(change.alert.kind, None)
        if not isinstance(change, AlertResolved):
            after[change.alert.kind] = change.alert
    at = collector.now.at
    if after and not before:
        alert = next(iter(after.values()))
        collector.record("connection.lost", at, {"detail": alert.detail.get("reason")})
    elif before and not after:
        collector.record("connection.restored", at, _describe_outage(list(before.values()), collector))


def _describe_outage(alerts: list[Alert], collector: OccurrenceCollector) -> dict[str, Any]:
    began = min(alert.at for alert in alerts)
    down_ms = max(0, collector.now.at - min(began, collector.before.down_since or began))
    return {"down_ms": down_ms, "detail": alerts[0].detail.get("reason")}


def record_version(change: ServerSeen, collector: OccurrenceCollector) -> None:
    """Record that the server runs another version than when it was last seen."""
    known, seen = collector.before.server, change.server
    if known is None or is_another_server(change, collector.before):
        return
    if known.version and seen.version and known.version != seen.version:
        collector.record("server.updated", collector.now.at, {"from": known.version, "to": seen.version})


def is_another_server(change: ServerSeen, before: State) -> bool:
    """Return whether another machine answers than before."""
    known = before.server
    return known is not None and known.machine_identifier != change.server.machine_identifier
