"""`plex://history`: the plays, of everybody or of one user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.changes.kinds import ConnectionChanged, PlaysImported, SessionChanged, SessionEnded, SessionStarted
from plex_companion.history.play_pages import PlayQuery, list_plays
from plex_companion.models import User
from plex_companion.resources.declare import Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plex_companion.companion import Companion

SHOWN = 50
CHANGES = (SessionStarted, SessionChanged, SessionEnded, PlaysImported)


async def read_history(companion: Companion, user: str | None = None, cursor: str | None = None) -> dict[str, Any]:
    """Return the newest plays, running ones included. `history_query` continues from `next_cursor`."""
    return await list_plays(companion, SHOWN, PlayQuery(user), after=cursor)


def list_users(companion: Companion) -> Iterable[Mapping[str, str]]:
    """Yield the users that have an account on a server, each name once."""
    accounts = (account for state in companion.states for account in state.accounts if account.name)
    for handle in dict.fromkeys(User(account.id, account.name).handle for account in accounts):
        if handle:
            yield {"user": handle, "title": f"History of {handle}"}


HISTORY = Resource(
    "plex://history",
    "History",
    "The newest 50 plays.",
    read_history,
    touched_by=(*CHANGES, ConnectionChanged),
    progress=False,
)
USER_HISTORY = Resource(
    "plex://history/{user}",
    "A user's history",
    "The newest 50 plays of one user.",
    read_history,
    touched_by=CHANGES,
    progress=False,
    list_existing=list_users,
)
