"""`plex://plays/{id}`: one play with its course, while it runs and ever after."""

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
    """One play."""
    try:
        return await get_play(companion, id)
    except Invalid as error:
        raise NotFound(error.message, what="play", available=[]) from error


def list_plays(companion: Companion) -> Iterable[Mapping[str, str]]:
    """The plays that run now; the others are too many to list, and can be read all the same."""
    for session in companion.state.sessions.values():
        yield {"id": str(session.play_id), "title": f"Play of {session.item.full_title or session.session_key}"}


PLAY = Resource(
    "plex://plays/{id}",
    "A play",
    "One play by its id: what, who, where, and every pause, seek and change of quality on the way.",
    read_play,
    touched_by=(SessionStarted, SessionChanged, SessionEnded, PlayEventRecorded),
    list_existing=list_plays,
)
