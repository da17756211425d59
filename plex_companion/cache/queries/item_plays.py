"""Plays of one item of the catalogue, and of everything in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.cache.queries.plays import SHOWN_COLUMNS

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.cache.rows import Row

# An item that the catalogue has is found by its own id, since another item may have had its rating key before.
_ITEM_PLAYS = """
    WITH wanted (id) AS (
        SELECT id FROM items WHERE server = :server AND rating_key = :key
        UNION ALL SELECT id FROM items WHERE server = :server AND parent_key = :key
        UNION ALL SELECT id FROM items WHERE server = :server AND grandparent_key = :key
    )
    SELECT started_at, id FROM plays INDEXED BY plays_watched WHERE item_id IN (SELECT id FROM wanted) AND item_id IS NOT NULL
    UNION ALL
    SELECT started_at, id FROM plays WHERE rating_key = :key AND server = :server AND NOT EXISTS (SELECT 1 FROM wanted)
"""


def read_item_plays(
    connection: sqlite3.Connection, server: str | None, rating_key: str, limit: int
) -> tuple[list[Row], int]:
    """Return the newest plays of an item and of what it contains, and how many there are in all."""
    values = {"server": server, "key": rating_key, "limit": limit}
    (total,) = connection.execute(f"SELECT count(*) FROM ({_ITEM_PLAYS})", values).fetchone()  # noqa: S608 - our own query
    sql = f"""
        SELECT {", ".join(SHOWN_COLUMNS)} FROM plays WHERE id IN (
            SELECT id FROM ({_ITEM_PLAYS}) ORDER BY started_at DESC, id DESC LIMIT :limit
        )
        ORDER BY started_at DESC, id DESC
    """  # noqa: S608 - our own columns and query
    rows = [dict(zip(SHOWN_COLUMNS, row, strict=True)) for row in connection.execute(sql, values)]
    return rows, int(total)
