"""Unwatched movies and shows that somebody may like, each with its reason. Nothing leaves the machine for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.catalogue.item_rows import DEFAULT_FIELDS, describe_items
from plex_companion.catalogue.queries import describe_freshness, read_with_freshness
from plex_companion.catalogue.search import scale_bound
from plex_companion.catalogue.viewers.taste import (
    Feature,
    Recommendation,
    Seen,
    UnwatchedItem,
    describe_reason,
    recommend,
)
from plex_companion.history.filters import find_user, list_users
from plex_companion.history.source import MOST, find_server
from plex_companion.times import DAY_MS, MINUTE_MS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from plex_companion.history.source import HistorySource

LATELY = 60
"""How many of the latest finished movies and shows count."""
ABANDONED_MS = 14 * DAY_MS
"""What was begun and not touched for so long counts as abandoned."""
LINKS = 3
"""The most titles of a reason that are listed by their rating keys."""
_FIELDS = (*DEFAULT_FIELDS, "genres")

_DONE = """
    done AS MATERIALIZED (
        SELECT item_id, max(at) AS at FROM finishes WHERE :user IS NULL OR user_id = :user GROUP BY item_id
    )
"""
_FINISHED = f"""
    WITH {_DONE}
    SELECT id, title, max(at) AS at FROM (
        SELECT items.id, items.title, done.at FROM done JOIN items ON items.id = done.item_id
        WHERE items.type = 'movie' AND items.server = :server
        UNION ALL
        SELECT whole.id, whole.title, done.at FROM done JOIN items AS leaf ON leaf.id = done.item_id
        JOIN items AS whole ON whole.rating_key = leaf.grandparent_key AND whole.server = :server
        WHERE leaf.type = 'episode' AND whole.type = 'show' AND leaf.server = :server
    ) GROUP BY id ORDER BY at DESC, id
"""  # noqa: S608 - our own
_BEGUN = """
    SELECT id, title, max(at) AS at FROM (
        SELECT items.id, items.title, coalesce(plays.ended_at, plays.updated_at) AS at
        FROM plays JOIN items ON items.id = plays.item_id
        WHERE items.type = 'movie' AND items.server = :server AND (:user IS NULL OR plays.user_id = :user)
            AND plays.viewed_at IS NULL AND plays.view_offset_ms > 0
        UNION ALL
        SELECT id, title, coalesce(last_viewed_at, 0) FROM items
        WHERE type = 'movie' AND server = :server AND view_offset_ms > 0 AND coalesce(:user, '1') = '1'
    ) GROUP BY id ORDER BY at DESC, id
"""
_CANDIDATES = """
    SELECT id, coalesce(audience_rating, critic_rating, 0) AS rating FROM items
    WHERE server = :server AND type IN ('movie', 'show') AND (:type IS NULL OR type = :type)
        AND coalesce(duration_ms <= :longest, :longest IS NULL)
"""
_TAGS = """
    SELECT id, CASE kind WHEN 'genre' THEN 'genre' ELSE 'person' END, name FROM tags
    WHERE server = :server AND kind IN ('genre', 'actor', 'director')
"""
_TAGGED = """
    SELECT item_id, tag_id FROM json_each(:ids) AS wanted CROSS JOIN item_tags ON item_tags.item_id = wanted.value
"""
"""CROSS JOIN: the items first. SQLite knows too little of the data, and might look for each item below each tag."""
_STUDIOS = "SELECT items.id, studio, year FROM json_each(:ids) AS wanted CROSS JOIN items ON items.id = wanted.value"


async def recommend_items(
    source: HistorySource,
    user: str | None = None,
    kind: str | None = None,
    duration_max_minutes: float | None = None,
    limit: int = 10,
) -> dict[str, Any]:
    """Return movies and shows that a user did not begin, by what they finished lately, each with its reason.

    Without a user, what nobody began, by what everybody finished. What was abandoned counts against.

    Raises:
        NotFound: the user is unknown.
        Ambiguous: several users have the name.
    """
    user_id = None if user is None else await find_user(source, user)
    server, who = find_server(source), None if user_id is None else (await list_users(source)).get(user_id)
    longest = scale_bound(duration_max_minutes, MINUTE_MS)
    values = {"server": server, "user": user_id, "type": kind, "longest": longest}

    def read(connection: sqlite3.Connection) -> dict[str, Any]:
        ranked, keys = rank_items(connection, values, source.now_ms)
        page = ranked[: min(limit, MOST)]
        items = describe_items(connection, server, [one.id for one in page], _FIELDS)
        return {
            "user": {"id": user_id, "name": who} if user_id else None,
            "items": [
                {
                    **item,
                    "reason": describe_reason(one, who),
                    "because": [keys[seen.id] for seen in one.because[:LINKS]],
                }
                for one, item in zip(page, items, strict=True)
            ],
            "total": len(ranked),
            "total_size_bytes": sum(item["size_bytes"] or 0 for item in items) if len(page) == len(ranked) else None,
            "next_cursor": None,
        }

    body, fresh = await read_with_freshness(source.cache, server, read)
    return {**body, "catalogue": describe_freshness(fresh)}


def rank_items(
    connection: sqlite3.Connection, values: dict[str, Any], now_ms: int
) -> tuple[list[Recommendation], dict[int, str]]:
    """Return the items that may be recommended, best first, and the rating keys of what was finished."""
    finished = [tuple(row) for row in connection.execute(_FINISHED, values)]
    done = {row[0] for row in finished}
    begun = [row for row in map(tuple, connection.execute(_BEGUN, values)) if row[0] not in done]
    abandoned = [row for row in begun if row[2] < now_ms - ABANDONED_MS][:LATELY]
    lately = finished[:LATELY]
    left_out = done | {row[0] for row in begun}
    found = [row for row in map(tuple, connection.execute(_CANDIDATES, values)) if row[0] not in left_out]
    wanted = [row[0] for row in (*lately, *abandoned, *found)]
    features = _read_features(connection, values["server"], wanted)
    seen = [
        Seen(id_, title, at, features.get(id_, frozenset()), abandoned=is_abandoned)
        for rows, is_abandoned in ((lately, False), (abandoned, True))
        for id_, title, at in rows
    ]
    candidates = [UnwatchedItem(id_, rating, features.get(id_, frozenset())) for id_, rating in found]
    return recommend(seen, candidates), _read_keys(connection, [row[0] for row in lately])


def _read_features(
    connection: sqlite3.Connection, server: str | None, ids: Iterable[int]
) -> dict[int, frozenset[Feature]]:
    """Return what items have in common with others. There are many: a tag is made a feature once, whatever has it."""
    wanted = {"ids": _list_ids(ids)}
    tags = {id_: Feature(kind, name) for id_, kind, name in _iterate(connection, _TAGS, {"server": server})}
    found: dict[int, list[Feature]] = {}
    for id_, studio, year in _iterate(connection, _STUDIOS, wanted):
        found[id_] = [Feature("studio", studio)] if studio else []
        if year is not None and year > 0:
            found[id_].append(Feature("decade", f"{year // 10 * 10}s"))
    for id_, tag_id in _iterate(connection, _TAGGED, wanted):
        if tag_id in tags:
            found[id_].append(tags[tag_id])
    return {id_: frozenset(features) for id_, features in found.items()}


def _iterate(connection: sqlite3.Connection, sql: str, values: dict[str, Any]) -> Iterator[tuple[Any, ...]]:
    cursor = connection.cursor()
    cursor.row_factory = None  # tuples
    return cursor.execute(sql, values)


def _read_keys(connection: sqlite3.Connection, ids: Iterable[int]) -> dict[int, str]:
    sql = "SELECT id, rating_key FROM items WHERE id IN (SELECT value FROM json_each(?))"
    return dict(map(tuple, connection.execute(sql, (_list_ids(ids),))))


def _list_ids(ids: Iterable[int]) -> str:
    return f"[{','.join(map(str, ids))}]"
