"""Occurrences of plays: started, paused, resumed, watched, stopped, and another quality.

What was recorded of a play is compared with the play as it is now, so it does not matter how often, or by which process,
a state is reported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from plex_companion.events import Snapshot
from plex_companion.occurrences.play_data import build_play_data
from plex_companion.serialize import compute_percent

if TYPE_CHECKING:
    from plex_companion.changes.kinds import PlayEventRecorded, SessionEnded
    from plex_companion.models import Moment, PlayMilestones, Session
    from plex_companion.occurrences.collector import OccurrenceCollector

UNLISTED_MS = 10_000
"""How long a play that Plex does not list yet waits for its title and user before it counts as started without."""
WATCHABLE = frozenset({"movie", "episode", "track"})
_WATCHED_NUMERATOR, _WATCHED_DENOMINATOR = 9, 10
"""The part of an item after which Plex counts it as watched, unless another was set (PLEX.md 2.2)."""


def is_watched(session: Session) -> bool:
    """Return whether so much of an item has played that Plex counts it. Live TV is never counted."""
    item = session.item
    duration = item.duration_ms
    return (
        bool(duration)
        and session.view_offset_ms * _WATCHED_DENOMINATOR >= (duration or 0) * _WATCHED_NUMERATOR
        and item.type in WATCHABLE
        and not item.live
    )


def follow_session(session: Session, collector: OccurrenceCollector) -> None:
    """Record what a play has reached since its last occurrence."""
    if has_reached_more(session, collector.find_milestones(session.play_id), collector.now):
        _catch_up(session, collector)


def has_reached_more(session: Session, reached: PlayMilestones, now: Moment) -> bool:
    """Return whether a play has reached what was not recorded yet."""
    if not reached.started:
        return session.listed or _has_waited(session, now)
    return is_paused(session, reached) != reached.paused or (not reached.watched and is_watched(session))


def is_paused(session: Session, reached: PlayMilestones) -> bool:
    """Return whether a play is paused; while it does neither play nor pause, it stays as it was."""
    state = session.state
    return state == "paused" or (state != "playing" and reached.paused)


def follow_waiting(collector: OccurrenceCollector) -> None:
    """Record the start of plays that Plex still does not list."""
    for session in collector.before.sessions.values():
        reached = collector.find_milestones(session.play_id)
        if not reached.started and _has_waited(session, collector.now):
            _catch_up(session, collector)


def _has_waited(session: Session, now: Moment) -> bool:
    return not 0 <= now.at - session.started_at < UNLISTED_MS  # the clock may have been set back


def end_session(change: SessionEnded, collector: OccurrenceCollector) -> None:
    """Record the end of a play, and before it what else was not recorded."""
    session = change.session
    inferred = change.ended_by in {"inferred", "stale"} or isinstance(collector.event, Snapshot)
    _catch_up(session, collector)
    data = {
        **build_play_data(session),
        "ended_by": change.ended_by,
        "watched_ms": session.watched_ms,
        "percent": compute_percent(session.view_offset_ms, session.item.duration_ms),
    }
    collector.record("play.stopped", change.ended_at, data, inferred=inferred)


def ensure_started(session: Session, collector: OccurrenceCollector) -> None:
    """Record the start of a play before anything else is recorded of it."""
    if not collector.find_milestones(session.play_id).started:
        _catch_up(session, collector)


def _catch_up(session: Session, collector: OccurrenceCollector) -> None:
    """Record everything that a play has reached and that was not recorded."""
    reached = collector.find_milestones(session.play_id)
    paused = is_paused(session, reached)
    watched = reached.watched or is_watched(session)
    if reached.started and (paused, watched) == (reached.paused, reached.watched):
        return
    found_out = isinstance(collector.event, Snapshot)
    known = _find_known(session, collector)
    data, at = build_play_data(session), collector.now.at
    if not reached.started:
        collector.record("play.started", session.started_at, data, inferred=found_out and known is None)
    if paused != reached.paused:
        inferred = found_out and (known is None or known.state != session.state)
        collector.record("play.paused" if paused else "play.resumed", at, data, inferred=inferred)
    if watched and not reached.watched:
        collector.record("play.watched", at, data, inferred=found_out and (known is None or not is_watched(known)))
    collector.reach(session.play_id, replace(reached, started=True, paused=paused, watched=watched))


def _find_known(session: Session, collector: OccurrenceCollector) -> Session | None:
    """Return the session as it was before the event, if it is the same play."""
    known = collector.before.sessions.get(session.session_key)
    return known if known is not None and known.play_id == session.play_id else None


def record_decision(change: PlayEventRecorded, session: Session | None, collector: OccurrenceCollector) -> None:
    """Record that a play goes on in another way."""
    if session is None:
        return
    ensure_started(session, collector)
    detail: dict[str, Any] = {name: change.detail.get(name) for name in ("from", "to")}
    detail["reasons"] = change.detail.get("reasons") or []
    inferred = isinstance(collector.event, Snapshot)
    collector.record("play.quality_changed", change.at, {**build_play_data(session), **detail}, inferred=inferred)
