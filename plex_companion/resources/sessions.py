"""`plex://sessions` and each session: what is playing now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.changes.kinds import ConnectionChanged, SessionChanged, SessionEnded, SessionStarted
from plex_companion.errors import NotFound
from plex_companion.resources.declare import Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plex_companion.companion import Companion


async def read_sessions(companion: Companion) -> dict[str, Any]:
    """Return every session, and the totals."""
    return serialize.serialize_sessions(companion.state)


async def read_session(companion: Companion, session_key: str) -> dict[str, Any]:
    """Return one session.

    Raises:
        NotFound: no running session has this key.
    """
    session = companion.state.sessions.get(session_key)
    if session is None:
        playing = sorted(companion.state.sessions)
        message = f"No session with key {session_key} is playing. Playing: {', '.join(playing) or 'none'}."
        raise NotFound(message, what="session", available=playing)
    return {"session": serialize.serialize_session(session)}


def list_sessions(companion: Companion) -> Iterable[Mapping[str, str]]:
    """Yield the running sessions."""
    for key, session in companion.state.sessions.items():
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
