"""Queries that every question about the catalogue needs: how fresh it is, and what its rows are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.cache.connections import run_read
from plex_companion.cache.queries.kept_figures import select_kept_figures
from plex_companion.catalogue.model import Freshness
from plex_companion.serialize import format_iso

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from plex_companion.cache.database import Cache
    from plex_companion.changes.state import State

Values = dict[str, Any]

LEAVES = "('movie', 'episode', 'track')"
"""In SQL: the types that have files, and are watched themselves."""
CONTAINERS = "('show', 'season', 'artist', 'album')"
"""In SQL: the types whose size and whose plays are those of what they contain."""

FINISHES_OF = """
    finishes_of AS (
        SELECT plays.item_id AS item_id, plays.user_id AS user_id, coalesce(viewed_at, ended_at, updated_at) AS at
        FROM json_each(:ids) AS wanted CROSS JOIN plays INDEXED BY plays_finished ON plays.item_id = wanted.value
        WHERE plays.item_id IS NOT NULL AND (viewed_at IS NOT NULL OR view_offset_ms * 10 >= duration_ms * 9)
        UNION ALL
        SELECT items.id, '1', coalesce(last_viewed_at, 0)
        FROM json_each(:ids) AS wanted CROSS JOIN items INDEXED BY items_viewed ON items.id = wanted.value
        WHERE view_count > 0 AND items.type IN ('movie', 'episode', 'track')
    )
"""
"""A common table: the rows of the view `finishes` of some items. Of the view itself, SQLite reads every row, whatever is asked for."""

_FRESHNESS = """
    SELECT sum(total) AS total, count(*) > 0 AND min(complete) AS complete, min(CASE WHEN complete THEN as_of END) AS as_of,
        max(detail) AS detail
    FROM catalogue_sections WHERE server = :server
"""


def read_freshness(cache: Cache, connection: sqlite3.Connection, server: str | None) -> Freshness:
    """Return how far the catalogue of a server is filled. Its items are counted only after one was added or removed."""

    def count(connection: sqlite3.Connection) -> int:
        return int(connection.execute("SELECT count(*) FROM items WHERE server = ?", (server,)).fetchone()[0])

    row = connection.execute(_FRESHNESS, {"server": server}).fetchone()
    items = select_kept_figures(cache, connection, ("items", server), ("catalogue",), count)
    complete = bool(row["complete"])
    total = None if row["total"] is None else max(int(row["total"]), items)
    return Freshness(items, items if complete else total, complete, row["as_of"], row["detail"])


async def read_catalogue_freshness(cache: Cache, server: str | None) -> Freshness:
    """Return how far the catalogue of a server is filled, in a transaction of its own."""
    return await run_read(cache.reader, lambda connection: read_freshness(cache, connection, server))


async def read_with_freshness(
    cache: Cache, server: str | None, read: Callable[[sqlite3.Connection], Any]
) -> tuple[Any, Freshness]:
    """Return what `read` finds, and how fresh that is, both as of one moment."""

    def both(connection: sqlite3.Connection) -> tuple[Any, Freshness]:
        return read(connection), read_freshness(cache, connection, server)

    return await run_read(cache.archive, both)


def describe_freshness(found: Freshness, state: State | None = None) -> dict[str, Any]:
    """Return how complete an answer of the catalogue can be. Until `complete`, items may be missing.

    With the state of a running companion: since it was compared on this connection, events have kept it fresh.
    """
    as_of = found.as_of
    if state is not None and state.connection.state == "live" and found.complete and found.detail is None:
        as_of = max(as_of or 0, state.refreshed_at or 0) if (as_of or 0) >= state.connection.since_at else as_of
    return {
        "items": found.items,
        "total": found.total,
        "complete": found.complete,
        "as_of": format_iso(as_of),
        "detail": found.detail,
    }
