"""`plex://clients` and the timeline of each: the players."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.changes.kinds import ClientSeen, ConnectionChanged, SessionChanged, SessionEnded, SessionStarted
from plex_companion.errors import NotFound
from plex_companion.resources.declare import Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plex_companion.companion import Companion


async def read_clients(companion: Companion) -> dict[str, Any]:
    """Return every known player with its current or last timeline, most recently seen first."""
    state, now = companion.state, companion.now_ms
    seen = sorted(state.clients.values(), key=lambda client: client.last_seen_at, reverse=True)
    timelines = state.list_timelines()
    return {
        "clients": [serialize.serialize_client(one, timelines.get(one.client_identifier), state, now) for one in seen]
    }


async def read_timeline(companion: Companion, client_identifier: str) -> dict[str, Any]:
    """Return the current or last timeline of one player.

    Raises:
        NotFound: no timeline of this player is known.
    """
    state = companion.state
    timeline = state.find_timeline(client_identifier)
    if timeline is None:
        message = f"No timeline of a client '{client_identifier}' is known. plex://clients lists the known clients."
        raise NotFound(message, what="client", available=sorted(state.clients)[:50])
    return {"timeline": serialize.serialize_timeline(timeline, state, companion.now_ms)}


def list_timelines(companion: Companion) -> Iterable[Mapping[str, str]]:
    """Yield the players that have a timeline."""
    state = companion.state
    for identifier in sorted(state.clients.keys() & state.list_timelines().keys()):
        title = state.clients[identifier].title or identifier
        yield {"client_identifier": identifier, "title": f"Timeline of {title}"}


_CHANGES = (SessionStarted, SessionChanged, SessionEnded)

CLIENTS = Resource(
    "plex://clients",
    "Clients",
    "All players seen so far, each with its current or last timeline.",
    read_clients,
    touched_by=(ClientSeen, *_CHANGES, ConnectionChanged),
)
TIMELINE = Resource(
    "plex://clients/{client_identifier}/timeline",
    "A client's timeline",
    "What a player is playing, or last played, and its position.",
    read_timeline,
    touched_by=_CHANGES,
    list_existing=list_timelines,
)
