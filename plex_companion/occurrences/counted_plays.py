"""Plays that Plex's history counts as watched, and the companion's own plays that they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from plex_companion.changes.kinds import PlaysImported
from plex_companion.occurrences.play_data import build_imported_data, build_play_data
from plex_companion.occurrences.play_states import ensure_started

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plex_companion.changes.kinds import PlaysRepeated
    from plex_companion.models import EndedPlay, ImportedPlay, PlayMilestones, Session
    from plex_companion.occurrences.collector import OccurrenceCollector

SLACK_MS = 10 * 60_000
"""How far from a play Plex's time of it may be, as when the rows of history are linked (`cache/history_write.py`)."""


def record_counted_plays(change: PlaysImported | PlaysRepeated, collector: OccurrenceCollector) -> None:
    """Record the plays that Plex counted since this server was first reached. Older ones are the past, not news.

    Rows of Plex's history that were read before record nothing.
    """
    since = collector.before.server_since
    if since is None:
        return
    new = isinstance(change, PlaysImported)
    for play in change.plays:
        if play.viewed_at < since - SLACK_MS:
            continue
        own = _find_own_play(play, collector)
        if own is not None:
            _count_own_play(play, own, collector, new=new)
        elif new and play.viewed_at >= since:
            data = build_imported_data(play)
            collector.record("play.watched", play.viewed_at, data, inferred=True, history_key=play.history_key)


def _count_own_play(play: ImportedPlay, own: Session, collector: OccurrenceCollector, *, new: bool) -> None:
    ensure_started(own, collector)
    reached = collector.find_milestones(own.play_id)
    if reached.history_key == play.history_key and reached.watched:
        return
    if new and not reached.watched:
        at = max(play.viewed_at, own.started_at)
        collector.record("play.watched", at, build_play_data(own), history_key=play.history_key)
    collector.reach(own.play_id, replace(reached, watched=True, history_key=play.history_key))


def _find_own_play(play: ImportedPlay, collector: OccurrenceCollector) -> Session | None:
    """Return the play that a row of Plex's history counts: the nearest of its item and user that no other row counts."""
    candidates = [
        (distance, session.play_id, session)
        for session, ended in _list_plays(collector)
        if session.item.rating_key == play.item.rating_key
        and _may_be(play, session, collector.find_milestones(session.play_id))
        and (distance := _measure_distance(play, session, ended)) <= SLACK_MS
    ]
    return min(candidates, key=lambda one: one[:2], default=(0, 0, None))[2]


def _list_plays(collector: OccurrenceCollector) -> Iterator[tuple[Session, EndedPlay | None]]:
    yield from ((session, None) for session in collector.before.sessions.values())
    yield from ((ended.session, ended) for ended in collector.before.ended_plays.values())


def _may_be(play: ImportedPlay, session: Session, reached: PlayMilestones) -> bool:
    users = {one.id for one in (play.user, session.user) if one is not None and one.id is not None}
    return play.item.rating_key is not None and reached.history_key in {None, play.history_key} and len(users) <= 1


def _measure_distance(play: ImportedPlay, session: Session, ended: EndedPlay | None) -> int:
    """Return how far Plex's time is from a play whose end may not have been seen."""
    seen_until = ended.ended_at if ended else session.updated_at
    left = max(0, (session.item.duration_ms or 0) - session.view_offset_ms)
    unseen = 0 if ended is not None and ended.ended_by in {"stopped", "replaced"} else 2 * left
    return max(0, session.started_at - play.viewed_at, play.viewed_at - seen_until - unseen)
