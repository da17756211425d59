"""`plex://sessions` and each session: what is playing now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from plex_companion import serialize
from plex_companion.changes.kinds import ConnectionChanged, SessionChanged, SessionEnded, SessionStarted
from plex_companion.errors import NotFound
from plex_companion.resources.declare import Resource
from plex_companion.resources.server_uris import take_only_server

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plex_companion.changes.state import State
    from plex_companion.companion import Companion
    from plex_companion.models import Session


async def read_sessions(companion: Companion) -> dict[str, Any]:
    """Return every session, and the totals."""
    return serialize.serialize_sessions(companion.states)


async def read_session(companion: Companion, session_key: str) -> dict[str, Any]:
    """Return one session.

    Raises:
        NotFound: no running session has this key.
        Ambiguous: sessions of several servers have it.
    """
    state, session = find_session(companion, session_key)
    return {"session": serialize.serialize_session(session) | serialize.describe_row_server(state)}


def find_session(companion: Companion, session_key: str) -> tuple[State, Session]:
    """Return the session with a key, and the state of its server.

    Raises:
        NotFound: no running session has this key.
        Ambiguous: sessions of several servers have it.
    """
    found = [state for state in companion.states if session_key in state.sessions]
    if not found:
        playing = sorted(key for state in companion.states for key in state.sessions)
        message = f"No session with key {session_key} is playing. Playing: {', '.join(playing) or 'none'}."
        raise NotFound(message, what="session", available=playing)
    state = take_only_server(found, f"plex://sessions/{quote(session_key, safe='')}")
    return state, state.sessions[session_key]


def list_sessions(companion: Companion) -> Iterable[Mapping[str, str]]:
    """Yield the running sessions."""
    for key, session in ((key, one) for state in companion.states for key, one in state.sessions.items()):
        yield {"session_key": key, "title": session.item.full_title or f"Session {key}"}


_CHANGES = (SessionStarted, SessionChanged, SessionEnded)

SESSIONS = Resource(
    "plex://sessions",
    "Now playing",
    "Who is watching or listening now: what, where, the position, and whether it is transcoded.",
    read_sessions,
    touched_by=(*_CHANGES, ConnectionChanged),
    of_state=True,
)
SESSION = Resource(
    "plex://sessions/{session_key}",
    "A session",
    "One session by its session key.",
    read_session,
    touched_by=_CHANGES,
    list_existing=list_sessions,
)
