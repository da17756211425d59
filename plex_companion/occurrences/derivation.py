"""Derives the occurrences of an event from the changes it leads to. Pure: nothing is altered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.changes.kinds import (
    AlertOpened,
    AlertReopened,
    AlertResolved,
    CatalogueRowsRead,
    ConditionSeen,
    Journaled,
    LibraryItemChanged,
    PlayEventRecorded,
    PlaysImported,
    PlaysRepeated,
    RefreshRequest,
    RuleFired,
    ServerSeen,
    SessionChange,
    SessionChanged,
    SessionEnded,
    TranscodeSeen,
)
from plex_companion.events import Tick
from plex_companion.occurrences.collector import OccurrenceCollector, find_milestones
from plex_companion.occurrences.counted_plays import record_counted_plays
from plex_companion.occurrences.library_data import record_checks
from plex_companion.occurrences.media_groups import complete_items, follow_item, record_groups
from plex_companion.occurrences.play_states import (
    end_session,
    follow_session,
    follow_waiting,
    has_reached_more,
    record_decision,
)
from plex_companion.occurrences.rule_data import record_firing
from plex_companion.occurrences.server_news import is_another_server, record_alert, record_connection, record_version

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.changes.kinds import Change, Effect
    from plex_companion.changes.state import State
    from plex_companion.events import Event
    from plex_companion.models import Moment


def derive_occurrences(event: Event, effects: Sequence[Effect], before: State, now: Moment) -> list[Change]:
    """Return the occurrences that an event and its changes cause, and what must be remembered of them.

    An empty list means that nothing has happened that has a type; so do nearly all reports.
    """
    followed = [effect for effect in effects if type(effect) not in _SILENT and not _is_untyped_play_event(effect)]
    if not isinstance(event, Tick) and _say_nothing_new(followed, before, now):
        return []
    collector = OccurrenceCollector(event, before, now)
    if any(isinstance(effect, ServerSeen) and is_another_server(effect, before) for effect in followed):
        collector.former_server = before.server.machine_identifier if before.server else None
    for effect in followed:
        _follow_change(effect, collector)
    record_connection(followed, collector)
    if isinstance(event, Tick):
        follow_waiting(collector)
        record_groups(collector)
    return collector.changes


_SILENT = frozenset({Journaled, TranscodeSeen, RefreshRequest, ConditionSeen})
"""Frequent effects that lead to no occurrence."""


def _is_untyped_play_event(effect: Effect) -> bool:
    """Return whether an effect is an event of a play that leads to no occurrence: all but a switch of quality are."""
    return isinstance(effect, PlayEventRecorded) and effect.kind != "decision"


def _follow_change(effect: Effect, collector: OccurrenceCollector) -> None:
    match effect:
        case SessionChange():
            _follow_play(effect, collector)
        case PlayEventRecorded(play_id=play_id):
            record_decision(effect, collector.find_play(play_id), collector)
        case PlaysImported() | PlaysRepeated():
            record_counted_plays(effect, collector)
        case LibraryItemChanged(change=change):
            follow_item(change, collector)
        case CatalogueRowsRead():
            complete_items(effect, collector)
            record_checks(collector)
        case ServerSeen():
            collector.former_server = None
            record_version(effect, collector)
        case AlertOpened() | AlertReopened() | AlertResolved():
            record_alert(effect, collector)
        case RuleFired():
            record_firing(effect, collector)
        case _:
            pass


def _follow_play(change: SessionChange, collector: OccurrenceCollector) -> None:
    if isinstance(change, SessionEnded):
        collector.leave(change.session)
        end_session(change, collector)
    else:
        collector.see(change.session)
        follow_session(change.session, collector)


def _say_nothing_new(followed: Sequence[Effect], before: State, now: Moment) -> bool:
    """Return whether changes only move a play on that has reached nothing new, as nearly all reports do."""
    if not followed:
        return True
    change = followed[0]
    if len(followed) > 1 or not isinstance(change, SessionChanged):
        return False
    session = change.session
    return not has_reached_more(session, find_milestones(before, session.play_id), now)
