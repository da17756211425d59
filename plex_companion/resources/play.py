"""`plex://plays/{id}`: one play with its timeline, running or ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.changes.kinds import PlayEventRecorded, SessionChanged, SessionEnded, SessionStarted
from plex_companion.errors import Invalid, NotFound
from plex_companion.history.play_pages import get_play
from plex_companion.resources.declare import Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plex_companion.companion import Companion


async def read_play(companion: Companion, id: str) -> dict[str, Any]:  # noqa: A002 - the field of the URI
    """Return one play with its timeline.

    Raises:
        NotFound: no play has this id, or it is not an id at all.
    """
    try:
        return await get_play(companion, id)
    except Invalid as error:
        raise NotFound(error.message, what="play", available=[]) from error


def list_plays(companion: Companion) -> Iterable[Mapping[str, str]]:
    """Yield the running plays. Ended ones are too many to list, but can be read."""
    for session in (one for state in companion.states for one in state.sessions.values()):
        yield {"id": str(session.play_id), "title": f"Play of {session.item.full_title or session.session_key}"}


PLAY = Resource(
    "plex://plays/{id}",
    "A play",
    "One play by its id: what, who, where, and every pause, seek and change of quality.",
    read_play,
    touched_by=(SessionStarted, SessionChanged, SessionEnded, PlayEventRecorded),
    list_existing=list_plays,
)
