"""Evaluates every alert rule for one event."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.changes.alerts import server_rules, session_rules
from plex_companion.changes.alerts.transitions import AlertTransitions
from plex_companion.changes.kinds import AlertAcknowledged, SessionChanged, SessionEnded, SessionStarted
from plex_companion.events import Acknowledged, Disconnected, SessionsUnread, Snapshot, Tick

if TYPE_CHECKING:
    from plex_companion.changes.alerts.rules import Thresholds
    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State
    from plex_companion.events import Event
    from plex_companion.models import Moment


def evaluate_alerts(
    event: Event, changes: list[Change], before: State, now: Moment, thresholds: Thresholds
) -> list[Change]:
    """Return the alerts that an event and its changes open and resolve."""
    if isinstance(event, Acknowledged):
        return [AlertAcknowledged(event.alert_id, now.at)]
    transitions = AlertTransitions(before, now, thresholds.hold_ms)
    server_rules.evaluate_server_event(event, before, transitions)
    server_rules.evaluate_reading(event, before, transitions, thresholds)
    for change in changes:
        server_rules.evaluate_server_change(change, event, before, transitions)
    if isinstance(event, Disconnected):
        session_rules.suspend_timers(transitions)
    elif isinstance(event, SessionsUnread):
        pass  # marking sessions as stale says nothing about them
    else:
        _evaluate_sessions(event, changes, before, transitions, thresholds)
    return transitions.changes


def _evaluate_sessions(
    event: Event, changes: list[Change], before: State, transitions: AlertTransitions, thresholds: Thresholds
) -> None:
    material = False
    for change in changes:
        match change:
            case SessionEnded(session=session):
                session_rules.clear_session(session.session_key, transitions)
                material = True
            case SessionStarted(session=session):
                session_rules.evaluate_session(session, before, transitions, thresholds)
                material = True
            case SessionChanged(session=session, progress_only=progress_only):
                session_rules.evaluate_session(session, before, transitions, thresholds)
                material = material or not progress_only
            case _:
                pass
    looks = isinstance(event, Snapshot) or (isinstance(event, Tick) and before.connection.state == "live")
    if material or looks:
        playing = session_rules.apply_session_changes(changes, before)
        if looks:
            for session in playing.values():
                session_rules.evaluate_session(session, before, transitions, thresholds)
            session_rules.clear_ended_sessions(playing, transitions)
        if isinstance(event, Snapshot) or not before.sessions_unreadable:
            session_rules.count_streams(playing, transitions, thresholds)
