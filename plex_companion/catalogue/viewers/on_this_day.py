"""What was played on this day of the year in earlier years."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from plex_companion.catalogue.queries import describe_freshness, read_with_freshness
from plex_companion.catalogue.search import decode_position, digest_question, encode_position
from plex_companion.catalogue.search_query import SortPosition
from plex_companion.history.filters import find_user
from plex_companion.history.play_pages import apply_current_names
from plex_companion.history.source import MOST, find_server
from plex_companion.times import find_day, parse_window
from plex_companion.zones import name_zone

if TYPE_CHECKING:
    import sqlite3
    from datetime import date

    from plex_companion.cache.rows import Row
    from plex_companion.history.source import HistorySource

_SHOWN = (
    *("id", "rating_key", "type", "full_title", "year", "library", "user", "started_at", "watched_ms", "estimated"),
    "percent",
)


async def list_on_this_day(
    source: HistorySource, user: str | None = None, limit: int = 20, cursor: str | None = None
) -> dict[str, Any]:
    """Return a page of the plays that began on this day of earlier years, newest first.

    Raises:
        Invalid: it is not a cursor, or one of another question.
        NotFound: the user is unknown.
        Ambiguous: several users have the name.
    """
    user_id = None if user is None else await find_user(source, user)
    server, today, most = find_server(source), find_day(source.now_ms, source.zone), min(limit, MOST)

    def read(connection: sqlite3.Connection) -> dict[str, Any]:
        digest = digest_question(connection, ("on_this_day", user_id, today))
        after = decode_position(cursor, digest) if cursor is not None else None
        (first,) = connection.execute("SELECT min(started_at) FROM plays").fetchone()
        windows = [] if first is None else _list_windows(source, today, find_day(first, source.zone).year)
        values = {"windows": json.dumps(windows), "user": user_id, "server": server}
        total, size = connection.execute(f"{_PLAYS} {_TOTALS}", values).fetchone()
        place = {"at": after.value if after else 2**62, "after": after.id if after else 0}
        rows = _read_page(connection, {**values, **place, "limit": most + 1})
        last = (
            SortPosition(unknown=False, value=rows[most - 1]["started_at"], id=rows[most - 1]["id"])
            if len(rows) > most
            else None
        )
        return {
            "day": f"{today:%m-%d}",
            "timezone": name_zone(source.zone),
            "plays": _describe_plays(source, rows[:most], today),
            "total": total,
            "total_size_bytes": size,
            "next_cursor": encode_position(digest, last) if last else None,
        }

    body, fresh = await read_with_freshness(source.cache, server, read)
    return {**body, "catalogue": describe_freshness(fresh)}


def _list_windows(source: HistorySource, today: date, first_year: int) -> list[list[int]]:
    """Return the beginnings and ends of this day in earlier years. The 29th of February is in leap years only."""
    days = []
    for year in range(first_year, today.year):
        try:
            days.append(today.replace(year=year).isoformat())
        except ValueError:
            continue
    windows = (parse_window(day, day, source.now_ms, source.zone) for day in days)
    return [[window.since, window.until] for window in windows]


_PLAYS = """
    WITH found AS MATERIALIZED (
        SELECT plays.id, plays.started_at, plays.item_id
        FROM json_each(:windows) AS day JOIN plays
            ON plays.started_at BETWEEN json_extract(day.value, '$[0]') AND json_extract(day.value, '$[1]')
        WHERE plays.server = :server AND (:user IS NULL OR plays.user_id = :user)
    )
"""
_TOTALS = """
    SELECT (SELECT count(*) FROM found), (
        SELECT coalesce(sum(size_bytes), 0) FROM items WHERE id IN (SELECT item_id FROM found)
    )
"""
_PAGE = """
    SELECT * FROM plays WHERE id IN (
        SELECT id FROM found WHERE started_at < :at OR (started_at = :at AND id < :after)
        ORDER BY started_at DESC, id DESC LIMIT :limit
    ) ORDER BY started_at DESC, id DESC
"""


def _read_page(connection: sqlite3.Connection, values: dict[str, Any]) -> list[Row]:
    cursor = connection.execute(f"{_PLAYS} {_PAGE}", values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]


def _describe_plays(source: HistorySource, rows: list[Row], today: date) -> list[dict[str, Any]]:
    plays = apply_current_names(source, rows)
    return [
        {
            **{name: play[name] for name in _SHOWN if name in play},
            "years_ago": today.year - find_day(row["started_at"], source.zone).year,
        }
        for row, play in zip(rows, plays, strict=True)
    ]
