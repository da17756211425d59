"""How far everybody is in a show: the last episode, the next one, and how many are left."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from plex_companion.cache.connections import run_read
from plex_companion.catalogue.item_rows import DEFAULT_FIELDS, describe_items
from plex_companion.catalogue.queries import FINISHES_OF, describe_freshness, read_with_freshness
from plex_companion.catalogue.viewers.shows import find_show
from plex_companion.errors import ToolError
from plex_companion.history.filters import find_user, list_users
from plex_companion.history.source import find_server
from plex_companion.serialize import format_iso

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from plex_companion.cache.rows import Row
    from plex_companion.history.source import HistorySource


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a user is. Episodes are given by their place in the show."""

    last: int | None
    """The one that was finished most recently."""
    next: int | None
    """The one after the furthest that was finished; `None` at the end."""
    left: int
    """How many were not finished."""


def compute_progress(episodes: int, finished: Mapping[int, int]) -> Progress:
    """Return how far a user is in a show of so many episodes, by when they finished each. Pure."""
    if not finished:
        return Progress(None, 0 if episodes else None, episodes)
    last = max(finished, key=lambda place: (finished[place], place))
    following = max(finished) + 1
    return Progress(last, following if following < episodes else None, episodes - len(finished))


async def describe_progress(source: HistorySource, show: str, user: str | None = None) -> dict[str, Any]:
    """Return for each user who finished an episode, or for one user, the last episode, the next and how many are left.

    Specials (season 0) do not count.

    Raises:
        NotFound: the show or the user is unknown.
        Ambiguous: several shows or users have the name.
    """
    user_id = None if user is None else await find_user(source, user)
    server, names = find_server(source), await list_users(source)
    read = partial(_read_progress, server, show, names, user_id)
    body, fresh = await read_with_freshness(source.cache, server, read)
    return {**body, "catalogue": describe_freshness(fresh)}


async def list_progress(source: HistorySource, shows: Sequence[str], user_id: str) -> list[dict[str, Any]]:
    """Return how far one user is in shows, each with the `show`; without those that the catalogue does not have."""
    server, names = find_server(source), await list_users(source)

    def read(connection: sqlite3.Connection) -> list[dict[str, Any]]:
        found = []
        for show in shows:
            with suppress(ToolError):
                body = _read_progress(server, show, names, user_id, connection)
                found.append({"show": body["show"], **body["users"][0]})
        return found

    return await run_read(source.cache.archive, read)


def _read_progress(
    server: str | None,
    show: str,
    names: Mapping[str, str | None],
    user_id: str | None,
    connection: sqlite3.Connection,
) -> dict[str, Any]:
    whole = find_show(connection, server, show)
    episodes = _read_episodes(connection, server, whole["rating_key"])
    (described,) = describe_items(connection, server, [whole["id"]], DEFAULT_FIELDS)
    finished = _read_finished(connection, episodes, user_id)
    wanted = sorted(finished, key=lambda id_: (names.get(id_) or "").casefold()) if user_id is None else [user_id]
    users = [_describe_user(id_, names.get(id_), episodes, finished.get(id_, {})) for id_ in wanted]
    return {
        "show": described,
        "episodes": len(episodes),
        "users": users,
        "total": len(users),
        "total_size_bytes": described["size_bytes"],
        "next_cursor": None,
    }


_EPISODES = """
    SELECT id, rating_key, type, title, parent_index, item_index, duration_ms FROM items
    WHERE grandparent_key = :show AND server = :server AND type = 'episode' AND coalesce(parent_index, 1) <> 0
    ORDER BY coalesce(parent_index, 1), item_index IS NULL, item_index, originally_available_at, id
"""
_FINISHED = f"""
    WITH {FINISHES_OF}
    SELECT user_id, item_id, max(at) AS at FROM finishes_of WHERE {{users}} GROUP BY user_id, item_id
"""  # noqa: S608 - our own


def _read_episodes(connection: sqlite3.Connection, server: str | None, show: str) -> list[Row]:
    cursor = connection.execute(_EPISODES, {"show": show, "server": server})
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _read_finished(
    connection: sqlite3.Connection, episodes: Sequence[Row], user_id: str | None
) -> dict[str, dict[int, int]]:
    """Return for each user, or for one, when they finished which episodes, by their places in the show."""
    places = {episode["id"]: place for place, episode in enumerate(episodes)}
    found: dict[str, dict[int, int]] = {}
    given = {"ids": f"[{','.join(map(str, places))}]", "user": user_id}
    sql = _FINISHED.format(users="user_id IS NOT NULL" if user_id is None else "user_id = :user")
    for viewer, item_id, at in map(tuple, connection.execute(sql, given)):
        found.setdefault(viewer, {})[places[item_id]] = at
    return found


def _describe_user(id_: str, name: str | None, episodes: Sequence[Row], finished: Mapping[int, int]) -> dict[str, Any]:
    found = compute_progress(len(episodes), finished)
    last = None if found.last is None else _describe_episode(episodes[found.last])
    return {
        "user": {"id": id_, "name": name},
        "last": None
        if last is None or found.last is None
        else {**last, "at": format_iso(finished[found.last] or None)},
        "next": None if found.next is None else _describe_episode(episodes[found.next]),
        "left": found.left,
        "caught_up": bool(episodes) and found.left == 0,
    }


def _describe_episode(row: Row) -> dict[str, Any]:
    return {
        "rating_key": row["rating_key"],
        "type": row["type"],
        "title": row["title"] or None,
        "season": row["parent_index"],
        "episode": row["item_index"],
        "duration_ms": row["duration_ms"],
    }
