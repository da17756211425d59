"""One item as a page shows it: what is known of it, what it contains, its plays, and where people stopped."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from plex_companion.cache.connections import run_in_thread
from plex_companion.cache.queries.item_plays import read_item_plays
from plex_companion.cache.queries.servers import list_server_names
from plex_companion.catalogue.item_rows import describe_items
from plex_companion.catalogue.status import describe_item
from plex_companion.catalogue.viewers.show_progress import describe_progress
from plex_companion.errors import Invalid, NotFound, ToolError
from plex_companion.history.play_pages import LONGEST_ID, apply_current_names
from plex_companion.history.resumed_plays import group_resumed
from plex_companion.history.source import find_server
from plex_companion.serialize import compute_percent

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from plex_companion.cache.rows import Row
    from plex_companion.history.source import HistorySource

PLAYS = 200
"""Plays that are read, of which the newest are shown."""
GROUPS = 20
"""Rows of plays that are shown; the history has the rest."""
PARTS = 200
"""The most seasons, episodes, albums or tracks that are listed."""
NEARLY = 90
"""From this percentage on an item was watched to its end."""
_PART_FIELDS = (
    "rating_key",
    "type",
    "title",
    "year",
    "index",
    "leaf_count",
    "size_bytes",
    "duration_ms",
    "last_watched_at",
)
_PARTS = """
    SELECT id FROM items WHERE parent_key = :key AND server = :server
    ORDER BY item_index IS NULL, item_index, originally_available_at, id LIMIT :limit
"""


async def describe_item_page(source: HistorySource, rating_key: str) -> dict[str, Any]:
    """Return an item with its files, parts, plays and viewers. `item` is `None` if only its plays are known.

    `groups` has the places in `plays` of those that were resumed as one, the newest first.

    Raises:
        Invalid: this is not a rating key.
        NotFound: neither the catalogue nor the history has it.
    """
    if not (rating_key.isascii() and rating_key.isdecimal() and len(rating_key) <= LONGEST_ID):
        raise Invalid(f"{rating_key[:40]!r} is not the number of an item.", argument="rating_key")
    known: dict[str, Any] = {"item": None, "files": [], "watched_by": []}
    problem: NotFound | None = None
    try:
        known = await describe_item(source, rating_key)
    except NotFound as error:
        problem = error
    rows, total, parts = await _read_plays(source, rating_key)
    if problem is not None and not rows:
        raise problem
    groups, names = group_resumed(rows)[:GROUPS], await list_server_names(source.cache)
    shown = max((place for group in groups for place in group), default=-1) + 1
    return {
        **known,
        "parts": parts,
        "plays": apply_current_names(source, rows[:shown], names),
        "groups": groups,
        "total": total,
        "stopped": apply_current_names(source, find_stops(rows), names),
        "progress": await _read_progress(source, known["item"]),
    }


async def _read_plays(source: HistorySource, rating_key: str) -> tuple[list[dict[str, Any]], int, list[dict[str, Any]]]:
    server = find_server(source)

    def read(connection: sqlite3.Connection) -> tuple[list[dict[str, Any]], int, list[dict[str, Any]]]:
        values = {"key": rating_key, "server": server, "limit": PARTS}
        ids = [row[0] for row in connection.execute(_PARTS, values)]
        parts = describe_items(connection, server, ids, _PART_FIELDS)
        return (*read_item_plays(connection, server, rating_key, PLAYS), parts)

    return await run_in_thread(source.cache.archive, read)


async def _read_progress(source: HistorySource, item: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return for a show how far everybody is."""
    if item is None or item["type"] != "show":
        return []
    with suppress(ToolError):
        users: list[dict[str, Any]] = (await describe_progress(source, item["rating_key"]))["users"]
        return users
    return []


def find_stops(rows: Iterable[Row]) -> list[Row]:
    """Return, of plays with the newest first, the last of each user, unless it came to the end or goes on. Pure."""
    last: dict[str | None, Row] = {}
    for row in rows:
        last.setdefault(row["user_id"] or row["user_name"], row)
    return [row for row in last.values() if row["ended_at"] and _is_left(row)]


def _is_left(row: Row) -> bool:
    percent = compute_percent(row["view_offset_ms"], row["duration_ms"])
    return percent is not None and percent < NEARLY
