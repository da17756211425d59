"""`plex://clients` and the timelines of its members: the players."""

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
    """Every player that was ever seen, with where it is or last was; the one seen last comes first."""
    state, now = companion.state, companion.now_ms
    seen = sorted(state.clients.values(), key=lambda client: client.last_seen_at, reverse=True)
    timelines = state.list_timelines()
    return {
        "clients": [serialize.serialize_client(one, timelines.get(one.client_identifier), state, now) for one in seen]
    }


async def read_timeline(companion: Companion, client_identifier: str) -> dict[str, Any]:
    """Where one player is, or last was."""
    state = companion.state
    timeline = state.find_timeline(client_identifier)
    if timeline is None:
        message = f"No timeline is known of a client '{client_identifier}'. plex://clients lists the known ones."
        raise NotFound(message, what="client", available=sorted(state.clients)[:50])
    return {"timeline": serialize.serialize_timeline(timeline, state, companion.now_ms)}


def list_timelines(companion: Companion) -> Iterable[Mapping[str, str]]:
    """The players that have a timeline."""
    state = companion.state
    for identifier in sorted(state.clients.keys() & state.list_timelines().keys()):
        title = state.clients[identifier].title or identifier
        yield {"client_identifier": identifier, "title": f"Timeline of {title}"}


_CHANGES = (SessionStarted, SessionChanged, SessionEnded)

CLIENTS = Resource(
    "plex://clients",
    "Clients",
    "The players that were seen, each with its last timeline.",
    read_clients,
    touched_by=(ClientSeen, *_CHANGES, ConnectionChanged),
)
TIMELINE = Resource(
    "plex://clients/{client_identifier}/timeline",
    "A client's timeline",
    "What a player plays and where it is, or last was.",
    read_timeline,
    touched_by=_CHANGES,
    list_existing=list_timelines,
)
