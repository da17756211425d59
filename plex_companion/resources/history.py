"""`plex://history`: what was played."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from plex_companion import wire
from plex_companion.cache.read import newest_plays
from plex_companion.changes.kinds import ConnectionChanged, SessionChanged, SessionEnded, SessionStarted
from plex_companion.errors import Invalid
from plex_companion.models import User
from plex_companion.resources.declare import Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plex_companion.companion import Companion

SHOWN = 50
_PLACE = re.compile(r"(\d{1,15})\.(\d{1,18})", re.ASCII)
CHANGES = (SessionStarted, SessionChanged, SessionEnded)


async def read_history(companion: Companion, user: str | None = None, cursor: str | None = None) -> dict[str, Any]:
    """The newest plays, live ones included; `next_cursor` names the place to go on from."""
    before = None if cursor is None else _place(cursor)
    rows = await newest_plays(companion.cache, SHOWN, user=user, before=before)
    full = len(rows) == SHOWN
    place = f"{rows[-1]['started_at']}.{rows[-1]['id']}" if full else None
    return {"plays": [wire.play(row) for row in rows], "next_cursor": place}


def _place(cursor: str) -> tuple[int, int]:
    found = _PLACE.fullmatch(cursor)
    if found is None:
        raise Invalid(f"{cursor[:40]!r} is no cursor of plays: pass next_cursor of the last answer.", argument="cursor")
    return int(found[1]), int(found[2])


def existing_users(companion: Companion) -> Iterable[Mapping[str, str]]:
    """The users this server knows."""
    for account in companion.state.accounts:
        handle = User(account.id, account.name).handle
        if account.name and handle:
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
    existing=existing_users,
)
