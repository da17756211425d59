"""What wants attention, and when it no longer does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.changes.alerts import server_rules, session_rules
from plex_companion.changes.alerts.rules import RULES, Thresholds
from plex_companion.changes.alerts.transitions import AlertTransitions
from plex_companion.changes.kinds import AlertAcknowledged, SessionChanged, SessionEnded, SessionStarted
from plex_companion.events import Acknowledged, Disconnected, SessionsUnread, Snapshot, Tick

if TYPE_CHECKING:
    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State
    from plex_companion.events import Event
    from plex_companion.models import Moment

__all__ = ["RULES", "Thresholds", "evaluate_alerts"]


def evaluate_alerts(
    event: Event, changes: list[Change], before: State, now: Moment, thresholds: Thresholds
) -> list[Change]:
    """The alerts that an event and the changes it means open and resolve."""
    if isinstance(event, Acknowledged):
        return [AlertAcknowledged(event.alert_id, now.at)]
    book = AlertTransitions(before, now, thresholds.hold_ms)
    server_rules.evaluate_server_event(event, before, book)
    server_rules.evaluate_reading(event, before, book, thresholds)
    for change in changes:
        server_rules.evaluate_server_change(change, event, before, book)
    if isinstance(event, Disconnected):
        session_rules.suspend_timers(book)
    elif isinstance(event, SessionsUnread):
        pass  # that sessions are marked says nothing of them
    else:
        _evaluate_sessions(event, changes, before, book, thresholds)
    return book.changes


def _evaluate_sessions(
    event: Event, changes: list[Change], before: State, book: AlertTransitions, thresholds: Thresholds
) -> None:
    material = False
    for change in changes:
        match change:
            case SessionEnded(session=session):
                session_rules.forget(session.session_key, book)
                material = True
            case SessionStarted(session=session):
                session_rules.evaluate_session(session, before, book, thresholds)
                material = True
            case SessionChanged(session=session, progress_only=progress_only):
                session_rules.evaluate_session(session, before, book, thresholds)
                material = material or not progress_only
            case _:
                pass
    looks = isinstance(event, Snapshot) or (isinstance(event, Tick) and before.connection.state == "live")
    if material or looks:
        playing = session_rules.apply_session_changes(changes, before)
        if looks:
            for session in playing.values():
                session_rules.evaluate_session(session, before, book, thresholds)
            session_rules.forget_gone(playing, book)
        if isinstance(event, Snapshot) or not before.sessions_unreadable:
            session_rules.count_streams(playing, book, thresholds)
