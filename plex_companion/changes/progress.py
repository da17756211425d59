"""Derives the changes of reports that only show progress, which are nearly all.

Every other rule would find nothing in such a report: no start or end, no event of the play, no alert. Any other report goes
through all rules. They would derive the same changes from those that this module recognizes; a test compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.changes.alerts.session_rules import GOES_ON, is_unremarkable
from plex_companion.changes.kinds import SessionChange, SessionChanged
from plex_companion.changes.play_events import find_jump
from plex_companion.changes.sessions import handle_transcode, is_other_item, is_request_due, update_position
from plex_companion.events import Playing, TranscodeReport

if TYPE_CHECKING:
    from plex_companion.changes.alerts.rules import Thresholds
    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State
    from plex_companion.events import Event
    from plex_companion.models import Moment, Session


def derive_progress(event: Event, before: State, now: Moment, thresholds: Thresholds) -> list[Change] | None:
    """Return the changes of a report that only shows progress; `None` if it may say more."""
    match event:
        case Playing():
            return _derive_session_progress(event, before, now, thresholds)
        case TranscodeReport(phase="update"):
            return _derive_transcode_progress(event, before, now, thresholds)
        case _:
            return None


def _derive_session_progress(event: Playing, before: State, now: Moment, thresholds: Thresholds) -> list[Change] | None:
    known = before.sessions.get(event.session_key or "")
    if known is None or not _continues(known, event, before, now):
        return None
    session = update_position(known, event, before, now)
    if session.transcode != known.transcode or not _is_silent(known, session, before, now, thresholds):
        return None
    return [SessionChanged(session, progress_only=True)]


def _derive_transcode_progress(
    event: TranscodeReport, before: State, now: Moment, thresholds: Thresholds
) -> list[Change] | None:
    changes = handle_transcode(event, before)
    for change in changes:
        if isinstance(change, SessionChanged):
            known = before.sessions[change.session.session_key]
            if not (change.progress_only and _is_silent(known, change.session, before, now, thresholds)):
                return None
    return changes


def _is_silent(known: Session, session: Session, before: State, now: Moment, thresholds: Thresholds) -> bool:
    """Return whether a session in the same state, with the same output, leads to no event of its play and no alert."""
    steady = session.decision == known.decision and not find_jump(known, session, now)
    return steady and is_unremarkable(session, before, before.alerts, before.condition_since, now.tick, thresholds)


def _continues(known: Session, event: Playing, before: State, now: Moment) -> bool:
    """Return whether a report is of the same play in the same state, and Plex need not be asked about it."""
    return (
        event.state in GOES_ON
        and event.state == known.state
        and event.transcode_key == known.transcode_key
        and known.epoch == before.connection.epoch
        and known.stale == before.sessions_unreadable
        and not is_request_due(known, now)
        and not is_other_item(event, known)
    )


class BatchChanges:
    """The changes of a batch of events, in order. Progress that a later report overtakes gives its place to that.

    Nothing else of the session lies between the two, so whatever is derived from the changes stays the same.
    """

    def __init__(self) -> None:
        self.listed: list[Change] = []
        self._progress: dict[str, int] = {}
        """By session key: the index of progress that may still be overtaken."""

    def add(self, change: Change) -> None:
        """Append a change, or put it in the place of the progress it overtakes."""
        if isinstance(change, SessionChange):
            key = change.session.session_key
            if isinstance(change, SessionChanged) and change.progress_only:
                index = self._progress.setdefault(key, len(self.listed))
                if index < len(self.listed):
                    self.listed[index] = change
                    return
            else:
                self._progress.pop(key, None)
        self.listed.append(change)
