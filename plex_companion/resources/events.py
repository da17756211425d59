"""`plex://events`: the journal of Plex's notifications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.cache.queries.read import read_last_event_id, read_newest_events
from plex_companion.cache.queries.servers import list_server_names
from plex_companion.changes.kinds import Journaled
from plex_companion.history.source import describe_server
from plex_companion.resources.declare import Resource

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from plex_companion.companion import Companion

SHOWN = 100


async def read_events(companion: Companion) -> dict[str, Any]:
    """Return the newest events, newest first. `events_since(next_cursor)` continues from here."""
    rows = await read_newest_events(companion.cache, SHOWN)
    cursor = rows[0]["id"] if rows else await read_last_event_id(companion.cache)
    return {"events": await serialize_events(companion, rows), "next_cursor": cursor}


async def serialize_events(companion: Companion, rows: Sequence[sqlite3.Row]) -> list[dict[str, Any]]:
    """Serialize rows of the journal, each with the server it is of."""
    names = await list_server_names(companion.cache) if rows else {}
    return [serialize.serialize_event(row) | describe_server(row["server"], names) for row in rows]


EVENTS = Resource(
    "plex://events",
    "Events",
    "The newest 100 notifications from Plex, as Plex sent them.",
    read_events,
    touched_by=(Journaled,),
)
