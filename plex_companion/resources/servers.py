"""`plex://servers`: the configured servers, the connection to each, and how much there is on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.changes.kinds import (
    ConnectionChanged,
    SectionsSeen,
    ServerSeen,
    SessionChanged,
    SessionEnded,
    SessionStarted,
)
from plex_companion.resources.declare import Resource

if TYPE_CHECKING:
    from plex_companion.changes.state import State
    from plex_companion.companion import Companion


async def read_servers(companion: Companion) -> dict[str, Any]:
    """Return a row for each configured server, in the order of the settings."""
    rows = serialize.describe_servers(companion.states, companion.now_ms)
    return {"servers": [row | _count(state) for row, state in zip(rows, companion.states, strict=True)]}


def _count(state: State) -> dict[str, Any]:
    """Return how much there is on a server; null where its libraries were never read."""
    sections = state.sections
    return {
        "sessions": len(state.sessions),
        "transcoding": sum(session.decision == "transcode" for session in state.sessions.values()),
        "libraries": len(sections) if sections else None,
        "items": sum(section.count or 0 for section in sections) if sections else None,
    }


SERVERS = Resource(
    "plex://servers",
    "Servers",
    "The Plex servers: connection, sessions, transcoding, libraries and the items in them.",
    read_servers,
    touched_by=(ConnectionChanged, ServerSeen, SectionsSeen, SessionStarted, SessionChanged, SessionEnded),
    progress=False,
)
