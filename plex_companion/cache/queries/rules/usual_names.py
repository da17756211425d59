"""Names that a household knows, for rules to begin with."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from plex_companion.cache.connections import run_read

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.cache.database import Cache


class UsualNames(NamedTuple):
    """A user, a show and its last episode; `None` where nothing is known."""

    user: str | None = None
    show: str | None = None
    last_episode: str | None = None


async def read_usual_names(cache: Cache) -> UsualNames:
    """Return who played something last, the show of the last episode that was played, and the last episode there is of it."""
    return await run_read(cache.reader, _select_names)


_USER = "SELECT user_name FROM plays WHERE user_name <> '' ORDER BY started_at DESC, id DESC LIMIT 1"
_SHOW = """
    SELECT server, grandparent_title, grandparent_rating_key FROM plays
    WHERE type = 'episode' AND grandparent_title <> '' ORDER BY started_at DESC, id DESC LIMIT 1
"""
_LAST = """
    SELECT title FROM items WHERE grandparent_key = :key AND server = :server AND type = 'episode' AND title <> ''
    ORDER BY parent_index DESC, item_index DESC LIMIT 1
"""


def _select_names(connection: sqlite3.Connection) -> UsualNames:
    user = connection.execute(_USER).fetchone()
    show = connection.execute(_SHOW).fetchone()
    last = (
        show and connection.execute(_LAST, {"key": show["grandparent_rating_key"], "server": show["server"]}).fetchone()
    )
    return UsualNames(user and user[0], show and show["grandparent_title"], last and last[0])
