"""What wants attention, and when it no longer does."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any

from plex_companion.changes.activities import SCAN
from plex_companion.changes.kinds import (
    ActivityEnded,
    AlertOpened,
    AlertResolved,
    Change,
    ServerSeen,
    SessionChanged,
    SessionEnded,
    SessionStarted,
)
from plex_companion.changes.state import BUFFERING_MS
from plex_companion.events import Disconnected, Event, Reachability, Snapshot, StatusNote, Tick, UpdateState
from plex_companion.models import Alert, AlertKind, Moment, Session, Severity
from plex_companion.text import discreet

if TYPE_CHECKING:
    from plex_companion.changes.state import State

SERVER = "plex"
GAP_MS = 1_000
"""What is shorter is a hiccup that the snapshot has made good."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a rule speaks up."""

    buffering_count: int = 3
    """Running dry so often within five minutes."""
    slow_ms: int = 20_000
    """A transcoder slower than real time for so long."""


class _Book:
    """The alerts one event opens and resolves, numbered from the first free id."""

    def __init__(self, before: State, now: Moment) -> None:
        self.open, self.now, self.ids = before.alerts, now, count(before.next_alert)
        self.changes: list[Change] = []
        self.done: set[tuple[str, AlertKind, str]] = set()

    def raise_(self, kind: AlertKind, severity: Severity, subject: str, title: str, /, **detail: Any) -> None:
        if (kind, subject) not in self.open and self._is_first("open", kind, subject):
            self.changes.append(AlertOpened(Alert(next(self.ids), self.now.at, kind, severity, title, detail, subject)))

    def note(self, kind: AlertKind, severity: Severity, subject: str, title: str, /, **detail: Any) -> None:
        """Something that happened and is over at once."""
        alert = Alert(next(self.ids), self.now.at, kind, severity, title, detail, subject, self.now.at)
        self.changes.append(AlertOpened(alert))

    def resolve(self, kind: AlertKind, subject: str) -> None:
        alert = self.open.get((kind, subject))
        if alert is not None and self._is_first("resolve", kind, subject):
            self.changes.append(AlertResolved(replace(alert, resolved_at=self.now.at)))

    def _is_first(self, what: str, kind: AlertKind, subject: str) -> bool:
        """Whether this event has not done the same already: a tick may both change a session and look at it."""
        news = (what, kind, subject)
        is_first = news not in self.done
        self.done.add(news)
        return is_first


def alerts_for(event: Event, changes: list[Change], before: State, now: Moment, thresholds: Thresholds) -> list[Change]:
    """The alerts that an event and the changes it means open and resolve."""
    book = _Book(before, now)
    _of_server(event, before, book)
    for change in changes:
        _of_change(change, before, book, thresholds)
    if isinstance(event, Tick):
        for session in before.sessions.values():
            _of_session(session, before, book, thresholds)
    return book.changes


def _of_server(event: Event, before: State, book: _Book) -> None:
    match event:
        case Disconnected(unauthorized=True, detail=detail):
            book.resolve("connection_lost", SERVER)
            title = "Plex refuses the token: set a new PLEX_TOKEN"
            book.raise_("unauthorized", "error", SERVER, title, reason=detail)
        case Disconnected(detail=detail):
            book.raise_("connection_lost", "error", SERVER, "Plex cannot be heard", reason=detail)
        case Snapshot(first=True):
            book.resolve("connection_lost", SERVER)
            book.resolve("unauthorized", SERVER)
            _gap(before, book)
        case Reachability(reachable=False):
            book.raise_("remote_access_lost", "warning", SERVER, "Plex is not reachable from outside the home")
        case Reachability(reachable=True):
            book.resolve("remote_access_lost", SERVER)
        case StatusNote(title=title, description=description, name=name):
            words = discreet(description) if description else None
            book.note("plex_status", "info", name or SERVER, discreet(title or "Plex says"), description=words)
        case UpdateState(version=str() as version, state=state) if state != "done":
            # Unverified: only the state "done" with an empty version is on record.
            book.raise_("update_available", "info", version, f"Plex {version} is available", state=state)
        case _:
            pass


def _gap(before: State, book: _Book) -> None:
    if before.down_since is not None and book.now.at - before.down_since >= GAP_MS:
        seconds = max(0, book.now.at - before.down_since) // 1000
        title = f"Plex was not heard for {seconds} s: what began and ended in between is unknown"
        book.note("listener_gap", "warning", SERVER, title, since_ms=before.down_since, until_ms=book.now.at)


def _of_change(change: Change, before: State, book: _Book, thresholds: Thresholds) -> None:
    match change:
        case SessionEnded(session=session):
            for kind in ("playback_error", "buffering", "transcode_slow"):
                book.resolve(kind, session.session_key)
        case SessionStarted(session=session) | SessionChanged(session=session):
            _of_session(session, before, book, thresholds)
        case ActivityEnded(activity=activity) if activity.type == SCAN:
            section = str(activity.context.get("librarySectionID") or "")
            added = before.added.get(section, 0)
            name = next((known.title for known in before.sections if known.section_id == section), None)
            title = f"Scan of {name or 'a library'} finished: {added} new"
            book.note("scan_finished", "info", section, title, library=name, added=added)
        case ServerSeen(server=server):
            for kind, version in before.alerts:
                if kind == "update_available" and version == server.version:
                    book.resolve(kind, version)
        case _:
            pass


def _of_session(session: Session, before: State, book: _Book, thresholds: Thresholds) -> None:
    key, title = session.session_key, session.item.full_title or f"session {session.session_key}"
    who = {"session_key": key, "title": title, "user": session.user.name if session.user else None}
    if session.state == "error":
        book.raise_("playback_error", "error", key, f"Playback failed: {title}", **who)
    else:
        book.resolve("playback_error", key)
    _of_buffering(session, before, book, thresholds, who)
    since = before.slow.get(key)
    if session.transcode is None or not session.transcode.is_slow:
        book.resolve("transcode_slow", key)
    elif since is not None and book.now.tick - since >= thresholds.slow_ms:
        speed = session.transcode.speed
        book.raise_("transcode_slow", "warning", key, f"The transcoder cannot keep up: {title}", speed=speed, **who)


def _of_buffering(session: Session, before: State, book: _Book, thresholds: Thresholds, who: dict[str, Any]) -> None:
    key = session.session_key
    times = [tick for tick in before.buffered.get(key, ()) if book.now.tick - tick <= BUFFERING_MS]
    known = before.sessions.get(key)
    again = known is not None and session.buffer_count > known.buffer_count
    if len(times) + again >= thresholds.buffering_count:
        book.raise_("buffering", "warning", key, f"Keeps buffering: {who['title']}", count=len(times) + again, **who)
    elif not times and not again:
        book.resolve("buffering", key)
