"""Derives the changes of activities from reports and from the list of activities."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from plex_companion.changes.kinds import ActivityChanged, ActivityEnded, Effect, RefreshRequest
from plex_companion.changes.state import MOST_PER_KIND
from plex_companion.models import Activity

if TYPE_CHECKING:
    from plex_companion.changes.state import State
    from plex_companion.events import ActivityReport, Snapshot
    from plex_companion.models import Moment

SCAN = "library.update.section"


def handle_activity(event: ActivityReport, before: State, now: Moment) -> list[Effect]:
    """Handle an activity that started, progressed or ended. A report without an identifier is ignored."""
    if event.uuid is None:
        return []
    known = before.activities.get(event.uuid)
    activity = _merge_report(event, event.uuid, known, now)
    if event.phase == "ended":
        ended: list[Effect] = [ActivityEnded(activity)]
        return [*ended, RefreshRequest("library")] if activity.type == SCAN else ended
    if known is None and len(before.activities) >= MOST_PER_KIND:
        return []
    return [ActivityChanged(activity)]


def _merge_report(event: ActivityReport, uuid: str, known: Activity | None, now: Moment) -> Activity:
    fresh = Activity(
        uuid,
        event.activity_type,
        event.title,
        event.subtitle,
        event.progress,
        event.cancellable,
        event.user_id,
        dict(event.context),
        started_at=now.at,
        updated_at=now.at,
    )
    if known is None:
        return fresh
    return replace(
        fresh,
        type=event.activity_type or known.type,
        title=event.title or known.title,
        context={**known.context, **event.context},
        started_at=known.started_at,
    )


def handle_activity_snapshot(event: Snapshot, before: State, now: Moment) -> list[Effect]:
    """Adopt what `/activities` lists, and end activities whose end was missed."""
    if event.activities is None:
        return []
    listed = {activity.uuid: activity for activity in event.activities}
    gone = [
        ActivityEnded(replace(activity, updated_at=now.at))
        for uuid, activity in before.activities.items()
        # A report "later" than now was made before the clock was set back.
        if uuid not in listed and not event.requested.at <= activity.updated_at <= now.at
    ]
    scanned: list[Effect] = [RefreshRequest("library")] if any(ended.activity.type == SCAN for ended in gone) else []
    room = max(0, MOST_PER_KIND - len(before.activities) + len(gone))
    new = [
        ActivityChanged(replace(activity, started_at=now.at, updated_at=now.at))
        for uuid, activity in listed.items()
        if uuid not in before.activities
    ]
    return [*gone, *new[:room], *scanned]
