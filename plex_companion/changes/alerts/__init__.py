"""What wants attention, and when it no longer does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.changes.alerts import server, sessions
from plex_companion.changes.alerts.book import Book
from plex_companion.changes.alerts.rules import RULES, Thresholds
from plex_companion.changes.kinds import AlertAcknowledged, SessionChanged, SessionEnded, SessionStarted
from plex_companion.events import Acknowledged, Disconnected, SessionsUnread, Snapshot, Tick

if TYPE_CHECKING:
    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State
    from plex_companion.events import Event
    from plex_companion.models import Moment

__all__ = ["RULES", "Thresholds", "alerts_for"]


def alerts_for(event: Event, changes: list[Change], before: State, now: Moment, thresholds: Thresholds) -> list[Change]:
    """The alerts that an event and the changes it means open and resolve."""
    if isinstance(event, Acknowledged):
        return [AlertAcknowledged(event.alert_id, now.at)]
    book = Book(before, now, thresholds.hold_ms)
    server.of_server(event, before, book)
    server.of_reading(event, before, book, thresholds)
    for change in changes:
        server.of_change(change, event, before, book)
    if isinstance(event, Disconnected):
        sessions.unheard(book)
    elif isinstance(event, SessionsUnread):
        pass  # that sessions are marked says nothing of them
    else:
        _of_sessions(event, changes, before, book, thresholds)
    return book.changes


def _of_sessions(event: Event, changes: list[Change], before: State, book: Book, thresholds: Thresholds) -> None:
    material = False
    for change in changes:
        match change:
            case SessionEnded(session=session):
                sessions.forget(session.session_key, book)
                material = True
            case SessionStarted(session=session):
                sessions.look_at(session, before, book, thresholds)
                material = True
            case SessionChanged(session=session, progress_only=progress_only):
                sessions.look_at(session, before, book, thresholds)
                material = material or not progress_only
            case _:
                pass
    looks = isinstance(event, Snapshot) or (isinstance(event, Tick) and before.connection.state == "live")
    if material or looks:
        playing = sessions.sessions_after(changes, before)
        if looks:
            for session in playing.values():
                sessions.look_at(session, before, book, thresholds)
            sessions.forget_gone(playing, book)
        if isinstance(event, Snapshot) or not before.sessions_unreadable:
            sessions.count_streams(playing, book, thresholds)
