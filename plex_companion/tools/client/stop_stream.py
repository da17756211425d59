"""Stopping a stream for the person who watches it: Plex ends its session and shows a message on the player."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from plex_companion.errors import NotFound, NotSupported, ToolError
from plex_companion.events import Audit, ReceivedEvent
from plex_companion.plex.query import call_action
from plex_companion.text import clean

if TYPE_CHECKING:
    from plex_companion.companion import Companion
    from plex_companion.models import Session
    from plex_companion.plex.client import PlexServer

MESSAGE = "Stopped by plex-companion"
"""What the player shows unless another message is given."""
LONGEST_MESSAGE = 200
SECONDS = 3.0
"""How long to wait until Plex reports that the session has ended."""


def terminate_session(plex: PlexServer, session_id: str, reason: str = MESSAGE) -> None:
    """Let Plex end a session. It takes `Session.id`, not the session key (PLEX.md)."""
    call_action(plex, "/status/sessions/terminate", sessionId=session_id, reason=reason)


async def stop_stream(companion: Companion, play_id: str, message: str = "") -> Session:
    """Stop the stream of a play and return its session once Plex reports the end, or after a few seconds.

    The journal records it, whatever its outcome.

    Raises:
        NotFound: nothing plays under that id.
        NotSupported: Plex has not listed the session yet.
        ToolError: Plex refused, or did not answer.
    """
    companion, session = _find_session(companion, play_id)
    if session.session_id is None:
        raise NotSupported("Plex has not listed this stream yet, so it cannot be stopped. Try again in a few seconds.")
    session_id, reason = session.session_id, clean(message).strip()[:LONGEST_MESSAGE] or MESSAGE
    outcome = "unfinished"
    try:
        await companion.gateway.call(lambda plex: terminate_session(plex, session_id, reason))
        outcome = "done"
    except ToolError as error:
        outcome = error.code
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await _record(companion, outcome, {"play_id": play_id, "message": reason})
    await _wait_for_end(companion, session.play_id)
    return session


def _find_session(companion: Companion, play_id: str) -> tuple[Companion, Session]:
    """Return the session of a play, and the companion of its server: session ids mean something there only."""
    for one in companion.each:
        for session in one.state.sessions.values():
            if str(session.play_id) == play_id:
                return one, session
    message = "This stream has ended already."
    raise NotFound(message, what="stream", play_id=play_id)


async def _record(companion: Companion, outcome: str, arguments: dict[str, str]) -> None:
    entry = companion.secrets.hide_values({"tool": "stop_stream", "arguments": arguments, "outcome": outcome})
    await companion.event_queue.put([ReceivedEvent(Audit("stop_stream", outcome, entry), companion.clock())])


async def _wait_for_end(companion: Companion, play_id: int) -> None:
    with anyio.move_on_after(SECONDS):
        while any(session.play_id == play_id for session in companion.state.sessions.values()):
            await companion.live.wait_for_commit()
