"""`plex://activity`: running scans and other activities, and library changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.changes.kinds import ActivityChanged, ActivityEnded, ConnectionChanged, LibraryItemChanged
from plex_companion.resources.declare import Resource

if TYPE_CHECKING:
    from plex_companion.companion import Companion


async def read_activity(companion: Companion) -> dict[str, Any]:
    """Return running activities, and the last 100 library changes, newest first."""
    state = companion.state
    running = sorted(state.activities.values(), key=lambda activity: activity.started_at)
    return {
        "running": [serialize.serialize_activity(activity) for activity in running],
        "recent": [serialize.serialize_library_change(change) for change in reversed(state.recent)],
    }


ACTIVITY = Resource(
    "plex://activity",
    "Activity",
    "Running scans and other activities, and items that were added, changed or removed.",
    read_activity,
    touched_by=(ActivityChanged, ActivityEnded, LibraryItemChanged, ConnectionChanged),
)
