"""`plex://libraries`: the libraries as of the last snapshot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.changes.kinds import ConnectionChanged, SectionsSeen
from plex_companion.resources.declare import Resource

if TYPE_CHECKING:
    from plex_companion.companion import Companion


async def read_libraries(companion: Companion) -> dict[str, Any]:
    """Return every library with its type and item count."""
    libraries = [
        serialize.serialize_section(section) | serialize.describe_row_server(state)
        for state in companion.states
        for section in state.sections
    ]
    return {"libraries": libraries, "count": len(libraries)}


LIBRARIES = Resource(
    "plex://libraries",
    "Libraries",
    "The libraries with their types and item counts.",
    read_libraries,
    touched_by=(SectionsSeen, ConnectionChanged),
)
