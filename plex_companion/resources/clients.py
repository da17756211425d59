"""`plex://clients` and the timeline of each: the players."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.changes.kinds import ClientSeen, ConnectionChanged, SessionChanged, SessionEnded, SessionStarted
from plex_companion.errors import NotFound
from plex_companion.resources.declare import Resource
from plex_companion.resources.server_uris import take_only_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plex_companion.changes.state import State
    from plex_companion.companion import Companion
    from plex_companion.models import Client


async def read_clients(companion: Companion) -> dict[str, Any]:
    """Return every known player with its current or last timeline, most recently seen first."""
    seen = [(client, row) for state in companion.states for client, row in _serialize_clients(state, companion.now_ms)]
    seen.sort(key=lambda pair: pair[0].last_seen_at, reverse=True)
    return {"clients": [row for _, row in seen]}


def _serialize_clients(state: State, now_ms: int) -> Iterable[tuple[Client, dict[str, Any]]]:
    timelines, where = state.list_timelines(), serialize.describe_row_server(state)
    for client in state.clients.values():
        last = timelines.get(client.client_identifier)
        yield client, serialize.serialize_client(client, last, state, now_ms) | where


async def read_timeline(companion: Companion, client_identifier: str) -> dict[str, Any]:
    """Return the current or last timeline of one player.

    Raises:
        NotFound: no timeline of this player is known.
        Ambiguous: several servers have one.
    """
    found = {id(state): one for state in companion.states if (one := state.find_timeline(client_identifier))}
    if not found:
        message = f"No timeline of a client '{client_identifier}' is known. plex://clients lists the known clients."
        known = {client for state in companion.states for client in state.clients}
        raise NotFound(message, what="client", available=sorted(known)[:50])
    having = [state for state in companion.states if id(state) in found]
    state = take_only_server(having, TIMELINE.expand({"client_identifier": client_identifier}))
    timeline = serialize.serialize_timeline(found[id(state)], state, companion.now_ms)
    return {"timeline": timeline | serialize.describe_row_server(state)}


def list_timelines(companion: Companion) -> Iterable[Mapping[str, str]]:
    """Yield the players that have a timeline."""
    for state in companion.states:
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
