"""How much the libraries take up, by library, show, resolution, codec, year or viewer, and how they grew."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from plex_companion.catalogue.disk_space.group_pages import page_groups
from plex_companion.catalogue.months import Month, find_month
from plex_companion.catalogue.queries import LEAVES, describe_freshness, read_with_freshness
from plex_companion.catalogue.search import GB, digest_question
from plex_companion.history.filters import list_users
from plex_companion.history.source import MOST, find_server
from plex_companion.serialize import LAST_MS
from plex_companion.times import HOUR_MS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from datetime import tzinfo

    from plex_companion.history.source import HistorySource

    Group = dict[str, Any]
    Names = dict[str, str | None]

StorageBy = Literal["library", "show", "resolution", "codec", "year_added", "user_watched"]


async def measure_storage(
    source: HistorySource, by: StorageBy = "library", limit: int = 50, cursor: str | None = None
) -> dict[str, Any]:
    """Return how many items each group has, their size, length and watch time, the largest first; and the growth by month.

    Movies, episodes and tracks count. By resolution and codec, each file counts in its own group.

    Raises:
        Invalid: it is not a cursor, or one of another question.
    """
    server, names, most = find_server(source), await list_users(source), min(limit, MOST)

    def read(connection: sqlite3.Connection) -> dict[str, Any]:
        growth = _read_growth(connection, server, source.zone)
        every = _read_groups(connection, server, by, growth, names)
        digest = digest_question(connection, ("storage", by))
        groups, following = page_groups(every, lambda group: f"{group['id']} {group['name']}", digest, most, cursor)
        return {
            "by": by,
            "groups": [_add_ratio(group) for group in groups],
            "total": len(every),
            "total_items": sum(added.items for added in growth),
            "total_size_bytes": sum(added.size_bytes for added in growth),
            "growth": [_describe_month(added) for added in growth],
            "next_cursor": following,
        }

    body, fresh = await read_with_freshness(source.cache, server, read)
    return {**body, "catalogue": describe_freshness(fresh)}


def _add_ratio(group: Group) -> Group:
    hours, gigabytes = group["watched_ms"] / HOUR_MS, group["size_bytes"] / GB
    return {**group, "watched_hours_per_gb": round(hours / gigabytes, 2) if gigabytes else None}


_SIZES = "items INDEXED BY items_sizes"
"""SQLite knows too little of the data to choose this by itself: without it, it reads all rows with their texts."""
_WATCHED = """
    watched AS MATERIALIZED (
        SELECT item_id, sum(watched_ms) AS ms FROM plays INDEXED BY plays_watched
        WHERE item_id IS NOT NULL GROUP BY item_id
    )
"""
_SUMS = """
    count(*) AS items, coalesce(sum(size_bytes), 0) AS size_bytes, coalesce(sum(duration_ms), 0) AS duration_ms,
    coalesce(sum(watched.ms), 0) AS watched_ms
"""
_OF_ITEMS = f"""
    WITH {_WATCHED}
    SELECT {{key}} AS id, {_SUMS} FROM {_SIZES} LEFT JOIN watched ON watched.item_id = items.id
    WHERE items.server = :server AND type IN {LEAVES} AND {{only}} GROUP BY {{key}}
"""  # noqa: S608 - our own
_OF_FILES = f"""
    WITH {_WATCHED}, several AS MATERIALIZED (
        SELECT DISTINCT item_id FROM files INDEXED BY files_further WHERE position > 0
    ), versions AS ( -- few items have several files: only these are grouped
        SELECT item_id, {{key}} AS name, size_bytes AS size FROM files WHERE item_id NOT IN several
        UNION ALL
        SELECT item_id, {{key}}, sum(size_bytes) FROM files WHERE item_id IN several GROUP BY item_id, {{key}}
    )
    SELECT NULL AS id, versions.name AS name, count(*) AS items, coalesce(sum(size), 0) AS size_bytes,
        coalesce(sum(duration_ms), 0) AS duration_ms, coalesce(sum(watched.ms), 0) AS watched_ms
    FROM versions CROSS JOIN items ON items.id = versions.item_id LEFT JOIN watched ON watched.item_id = items.id
    WHERE items.server = :server AND type IN {LEAVES} GROUP BY versions.name
"""  # noqa: S608 - our own
_BY_VIEWER = f"""
    WITH done AS (
        SELECT DISTINCT item_id, user_id FROM finishes WHERE user_id IS NOT NULL
    ), watched AS (
        SELECT item_id, user_id, (
            SELECT sum(watched_ms) FROM plays INDEXED BY plays_watched
            WHERE plays.item_id = done.item_id AND plays.user_id = done.user_id
        ) AS ms FROM done
    )
    SELECT user_id AS id, {_SUMS} FROM watched CROSS JOIN items ON items.id = watched.item_id -- CROSS JOIN: fewer first
    WHERE items.server = :server AND type IN {LEAVES} GROUP BY user_id
"""  # noqa: S608 - our own
_BY_YEAR = f"""
    WITH {_WATCHED}, years AS (
        SELECT value ->> 0 AS name, value ->> 1 AS start, value ->> 2 AS beyond FROM json_each(:years)
    )
    SELECT NULL AS id, years.name AS name, {_SUMS}
    FROM years JOIN {_SIZES} ON added_at >= start AND added_at < beyond LEFT JOIN watched ON watched.item_id = items.id
    WHERE items.server = :server AND type IN {LEAVES} GROUP BY years.name
    UNION ALL
    SELECT NULL, NULL, {_SUMS} FROM {_SIZES} LEFT JOIN watched ON watched.item_id = items.id
    WHERE items.server = :server AND type IN {LEAVES} AND coalesce(added_at NOT BETWEEN 0 AND {LAST_MS}, 1)
    HAVING count(*) > 0
"""  # noqa: S608 - our own
_QUERIES = {
    "library": _OF_ITEMS.format(key="section_id", only=1),
    "show": _OF_ITEMS.format(key="grandparent_key", only="type = 'episode'"),
    "resolution": _OF_FILES.format(key="resolution"),
    "codec": _OF_FILES.format(key="coalesce(video_codec, audio_codec)"),
    "year_added": _BY_YEAR,
    "user_watched": _BY_VIEWER,
}
_NAMES = {
    "library": "SELECT section_id, title FROM catalogue_sections WHERE server = :server",
    "show": "SELECT rating_key, title FROM items WHERE server = :server AND type = 'show'",
}


def _read_groups(
    connection: sqlite3.Connection, server: str | None, by: StorageBy, growth: Sequence[AddedItems], users: Names
) -> list[Group]:
    values = {"server": server, "years": json.dumps(_list_years(growth))}
    cursor = connection.execute(_QUERIES[by], values)
    columns = [column[0] for column in cursor.description]
    groups = [dict(zip(columns, row, strict=True)) for row in cursor]
    names = dict(map(tuple, connection.execute(_NAMES[by], values))) if by in _NAMES else users
    return [{"id": group["id"], "name": names.get(group["id"]), **group} for group in groups]


def _list_years(growth: Iterable[AddedItems]) -> list[tuple[str, int, int]]:
    """Return the years in which something was added: name, beginning, and beginning of what is after the last month."""
    years: dict[str, tuple[str, int, int]] = {}
    for month, _, _ in growth:
        if month is not None:
            name = month.name[:4]
            start = years[name][1] if name in years else month.start
            years[name] = (name, start, month.end)
    return list(years.values())


class AddedItems(NamedTuple):
    """What was added in a month; `None` is an unknown time."""

    month: Month | None
    items: int
    size_bytes: int


_ADDED = f"""
    SELECT count(*), coalesce(sum(size_bytes), 0), (
        SELECT min(added_at) FROM {_SIZES}
        WHERE server = :server AND type IN {LEAVES} AND added_at BETWEEN :end AND {LAST_MS}
    )
    FROM {_SIZES} WHERE server = :server AND type IN {LEAVES} AND added_at >= :start AND added_at < :end
"""  # noqa: S608 - our own
_ADDED_UNKNOWN = f"""
    SELECT count(*), coalesce(sum(size_bytes), 0) FROM {_SIZES}
    WHERE server = :server AND type IN {LEAVES} AND coalesce(added_at NOT BETWEEN 0 AND {LAST_MS}, 1)
"""  # noqa: S608 - our own


def _read_growth(connection: sqlite3.Connection, server: str | None, zone: tzinfo) -> list[AddedItems]:
    """Return what was added in each month, oldest first. What was added at an unknown time comes last."""
    growth: list[AddedItems] = []
    values = {"server": server, "start": 0, "end": 0}
    _, _, at = connection.execute(_ADDED, values).fetchone()
    while at is not None:
        month = find_month(at, zone)
        values |= {"start": month.start, "end": month.end}
        items, size, at = connection.execute(_ADDED, values).fetchone()
        growth.append(AddedItems(month, items, size))
    unknown = AddedItems(None, *connection.execute(_ADDED_UNKNOWN, values).fetchone())
    return [*growth, *([unknown] if unknown.items else [])]


def _describe_month(added: AddedItems) -> Group:
    return {"month": added.month and added.month.name, "items": added.items, "size_bytes": added.size_bytes}
