"""Who began movies and shows without finishing them, and where they left them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plex_companion.catalogue.queries import FINISHES_OF
from plex_companion.serialize import compute_percent, format_iso

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from plex_companion.cache.rows import Row


@dataclass(frozen=True, slots=True)
class Leaf:
    """A movie, or an episode of a show."""

    whole: int
    """The id of the movie itself, or of the show."""
    is_episode: bool
    is_regular: bool
    """A season 0 holds specials, which nobody has to have seen."""


_LEAVES = """
    SELECT id AS leaf, id AS whole, 0 AS episode, 1 AS regular FROM items
    WHERE id IN (SELECT value FROM json_each(:ids)) AND type <> 'show'
    UNION ALL
    SELECT episode.id, whole.id, 1, coalesce(episode.parent_index, 1) <> 0
    FROM items AS whole CROSS JOIN items AS episode INDEXED BY items_by_grandparent
        ON episode.grandparent_key = whole.rating_key -- CROSS JOIN: the few wholes first
    WHERE whole.id IN (SELECT value FROM json_each(:ids)) AND whole.type = 'show' AND whole.server = :server
        AND episode.server = :server AND episode.type = 'episode'
"""
_BEGUN = """
    SELECT item_id, user_id, view_offset_ms, duration_ms, coalesce(ended_at, updated_at) AS at
    FROM plays INDEXED BY plays_begun
    WHERE item_id IN (SELECT value FROM json_each(:ids)) AND user_id IS NOT NULL AND viewed_at IS NULL
        AND view_offset_ms > 0 AND coalesce(view_offset_ms * 10 < duration_ms * 9, 1)
    UNION ALL
    SELECT id, '1', view_offset_ms, duration_ms, coalesce(last_viewed_at, 0)
    FROM items INDEXED BY items_begun
    WHERE id IN (SELECT value FROM json_each(:ids)) AND view_offset_ms > 0
"""
_FINISHED = f"""
    WITH {FINISHES_OF}
    SELECT item_id, user_id, max(at) AS at FROM finishes_of GROUP BY item_id, user_id
"""  # noqa: S608 - our own


@dataclass(frozen=True, slots=True)
class Viewing:
    """Who left movies and shows unfinished, and when anybody last finished them or something in them."""

    begun: dict[int, list[dict[str, Any]]]
    last: dict[int, int]


def read_viewing(
    connection: sqlite3.Connection, server: str | None, ids: Sequence[int], users: Mapping[str, str | None]
) -> Viewing:
    """Return who began each of these movies and shows and did not finish it, the latest first, and when each was finished."""
    rows = connection.execute(_LEAVES, {"ids": _list_ids(ids), "server": server})
    leaves = {leaf: Leaf(whole, bool(episode), bool(regular)) for leaf, whole, episode, regular in map(tuple, rows)}
    wanted = {"ids": _list_ids(leaves)}
    begun, finished = _read_rows(connection, _BEGUN, wanted), _read_rows(connection, _FINISHED, wanted)
    found: dict[int, list[dict[str, Any]]] = {}
    known = [row for row in finished if row["user_id"] is not None]
    for (whole, user_id), (at, offset, percent) in find_left(leaves, begun, known).items():
        user = {"id": user_id, "name": users.get(user_id)}
        left = {"user": user, "view_offset_ms": offset, "percent": percent, "at": format_iso(at or None)}
        found.setdefault(whole, []).append(left)
    last: dict[int, int] = {}
    for row in finished:
        whole = leaves[row["item_id"]].whole
        last[whole] = max(row["at"], last.get(whole, 0))
    latest = {whole: sorted(some, key=lambda one: one["at"] or "", reverse=True) for whole, some in found.items()}
    return Viewing(latest, last)


def _list_ids(ids: Iterable[int]) -> str:
    return f"[{','.join(map(str, ids))}]"


def _read_rows(connection: sqlite3.Connection, sql: str, values: Mapping[str, Any]) -> list[Row]:
    cursor = connection.execute(sql, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def find_left(
    leaves: Mapping[int, Leaf], begun: Sequence[Row], finished: Sequence[Row]
) -> dict[tuple[int, str], tuple[int, int | None, float | None]]:
    """Return what each user left: when last, at what position, and how many per cent were watched. Pure.

    What somebody finished after they had begun it is not left. Of a show, the position is that of the episode that was left
    last, if one was, and the percentage counts regular episodes.
    """
    done = {(row["item_id"], row["user_id"]): row["at"] for row in finished}
    regular = Counter(leaf.whole for leaf in leaves.values() if leaf.is_regular)
    counts = Counter((leaves[item].whole, user) for item, user in done if leaves[item].is_regular)
    newest = _find_newest(leaves, [row for row in begun if row["at"] > done.get((row["item_id"], row["user_id"]), -1)])
    touched = {key: row["at"] for key, row in newest.items()}
    for (item, user), at in done.items():
        if leaves[item].is_episode:
            key = (leaves[item].whole, user)
            touched[key] = max(at, touched.get(key, 0))
    found = {}
    for key, at in touched.items():
        row = newest.get(key)
        if row is not None and not leaves[row["item_id"]].is_episode:
            found[key] = (at, row["view_offset_ms"], compute_percent(row["view_offset_ms"], row["duration_ms"]))
        elif row is not None or counts[key] < regular[key[0]]:
            percent = compute_percent(counts[key], regular[key[0]])
            found[key] = (at, row["view_offset_ms"] if row else None, percent)
    return found


def _find_newest(leaves: Mapping[int, Leaf], rows: Iterable[Row]) -> dict[tuple[int, str], Row]:
    """Return the newest of these rows for each movie or show and each user."""
    newest: dict[tuple[int, str], Row] = {}
    for row in rows:
        key = (leaves[row["item_id"]].whole, row["user_id"])
        if key not in newest or row["at"] >= newest[key]["at"]:
            newest[key] = row
    return newest
