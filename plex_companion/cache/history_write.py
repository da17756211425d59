"""Imports plays from Plex's history: links each to the companion's own record of that play, or adds it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.cache.replication.named_write import NamedWrite

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from plex_companion.cache.rows import Row

SLACK_MS = 10 * 60_000
"""How far from a play Plex's time of it may be: clocks differ, and a client may report late."""

# A play that was linked before its user was known may turn out to be another user's.
_UNLINK = """
    UPDATE plays SET history_key = NULL, viewed_at = NULL
    WHERE server = :server AND history_key = :history_key AND ended_by IS NOT 'imported' AND user_id <> :user_id
"""
# The end of a play that is inferred, stale or under way was not seen: it may have gone on for all that was left of the
# item, and for as long again with pauses.
_CANDIDATES = """
    WITH own AS (
        SELECT id, user_id, started_at, coalesce(ended_at, updated_at) AS seen_until,
            CASE WHEN ended_by IN ('stopped', 'replaced') THEN 0
            ELSE 2 * max(0, coalesce(duration_ms - view_offset_ms, 0)) END AS unseen
        FROM plays
        WHERE server = :server AND rating_key = :rating_key AND history_key IS NULL
            AND (user_id IS NULL OR :user_id IS NULL OR user_id = :user_id)
    )
    SELECT max(0, started_at - :viewed_at, :viewed_at - seen_until - unseen) AS off, user_id IS NULL AS anybody,
        abs(:viewed_at - seen_until) AS apart, id
    FROM own
    WHERE off <= :slack AND NOT EXISTS (
        SELECT 1 FROM plays WHERE server = :server AND history_key = :history_key AND ended_by IS NOT 'imported')
"""
_LEARNED_COLUMNS = (
    *("key", "guid", "type", "title", "grandparent_title", "parent_title", "item_index", "parent_index", "year"),
    *("grandparent_rating_key", "grandparent_guid"),
    *("performer", "edition", "search_title"),
    *("library", "library_id", "duration_ms", "user_id", "user_name", "client_identifier", "player_title", "platform"),
)
"""Columns that a play takes from its history row where it does not know them: it was over before Plex listed it."""
_LINK = f"""
    UPDATE plays SET history_key = :history_key, viewed_at = :viewed_at,
        {", ".join(f"{name} = coalesce({name}, :{name})" for name in _LEARNED_COLUMNS)}
    WHERE id = :id
"""  # noqa: S608 - our own column names
_DELETE_IMPORTED = "DELETE FROM plays WHERE server = :server AND history_key = :history_key AND ended_by = 'imported'"


def _import_rows(connection: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Link each row of Plex's history to the play it counts, or insert it as a play; importing a row twice is harmless.

    A row that was inserted before the companion's own play existed, or before its user was known, is merged into that
    play.
    """
    connection.executemany(_UNLINK, rows)
    links = _match_rows(connection, rows)
    linked = [{**row, "id": links[number]} for number, row in enumerate(rows) if number in links]
    connection.executemany(_DELETE_IMPORTED, linked)
    connection.executemany(_LINK, linked)
    alone = [row for number, row in enumerate(rows) if number not in links]
    if alone:
        connection.executemany(_build_insert(alone[0]), alone)


def _match_rows(connection: sqlite3.Connection, rows: Iterable[Row]) -> dict[int, int]:
    """Match rows with plays, nearest pairs first. No row counts two plays, and no play is counted twice."""
    pairs = sorted(
        (off, anybody, apart, number, play)
        for number, row in enumerate(rows)
        if row["rating_key"] is not None
        for off, anybody, apart, play in connection.execute(_CANDIDATES, {**row, "slack": SLACK_MS})
    )
    links: dict[int, int] = {}
    linked_plays: set[int] = set()
    for _, _, _, number, play in pairs:
        if number not in links and play not in linked_plays:
            links[number] = play
            linked_plays.add(play)
    return links


def _build_insert(row: Row) -> str:
    columns, values = ", ".join(row), ", ".join(f":{name}" for name in row)
    return (
        f"INSERT INTO plays ({columns}) VALUES ({values}) "  # noqa: S608 - our own column names
        "ON CONFLICT (server, history_key) WHERE history_key IS NOT NULL DO NOTHING"
    )


HISTORY_PLAYS = NamedWrite("history_plays", _import_rows)
