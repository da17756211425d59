"""`plex://activity`: running scans and other activities, and library changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.changes.kinds import ActivityChanged, ActivityEnded, ConnectionChanged, LibraryItemChanged
from plex_companion.resources.declare import Resource

if TYPE_CHECKING:
    from plex_companion.companion import Companion


SHOWN = 100


async def read_activity(companion: Companion) -> dict[str, Any]:
    """Return running activities, and the last 100 library changes, newest first."""
    each = [(state, serialize.describe_row_server(state)) for state in companion.states]
    running = [(activity, where) for state, where in each for activity in state.activities.values()]
    running.sort(key=lambda pair: pair[0].started_at)
    recent = [(change, where) for state, where in each for change in state.recent]
    recent.sort(key=lambda pair: -pair[0].id)
    return {
        "running": [serialize.serialize_activity(activity) | where for activity, where in running],
        "recent": [serialize.serialize_library_change(change) | where for change, where in recent[:SHOWN]],
    }


ACTIVITY = Resource(
    "plex://activity",
    "Activity",
    "Running scans and other activities, and items that were added, changed or removed.",
    read_activity,
    touched_by=(ActivityChanged, ActivityEnded, LibraryItemChanged, ConnectionChanged),
)
