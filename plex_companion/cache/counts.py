"""Plays counted over a window: whole hours and days out of the roll-ups, the ragged ends out of the plays themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from plex_companion.cache.plays import KIND, NAMED
from plex_companion.times import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.cache import Cache
    from plex_companion.times import Window

By = Literal["user", "title", "library", "platform", "day", "hour"]

# What is unknown is '' in the roll-ups, since a key must be something.
_OF_DAYS = {name: (column, f"coalesce({column}, '')") for name, column in
            {"user": "user_id", "library": "library", "platform": "platform"}.items()}  # fmt: skip
_OF_HOURS = {
    "hour": ("hour % 24", f"started_at / {HOUR_MS} % 24"),
    "day": ("hour / 24", f"started_at / {DAY_MS}"),
}


async def counted(cache: Cache, by: By, window: Window, limit: int) -> list[sqlite3.Row]:
    """Plays of a window by one of their facts: `key`, `plays`, `timed` (of how many the watch time is known) and
    `watched_ms`; days and hours in their order, everything else by number.

    `groups`, `all_plays`, `all_timed` and `all_watched_ms` count beyond the limit.
    """
    if by == "title":
        sql, values = _TITLES, {"since": window.since, "until": window.until}
    elif by in _OF_DAYS:
        sql, values = _rolled_up("play_days", "day", *_OF_DAYS[by]), _split(window, DAY_MS)
    else:
        sql, values = _rolled_up("play_hours", "hour", *_OF_HOURS[by]), _split(window, HOUR_MS)
    order = "key" if by in _OF_HOURS else "plays DESC, watched_ms DESC, key"
    whole = f"""
        SELECT *, count(*) OVER () AS groups, sum(plays) OVER () AS all_plays, sum(timed) OVER () AS all_timed,
            sum(watched_ms) OVER () AS all_watched_ms
        FROM ({sql}) ORDER BY {order} LIMIT :limit
    """  # noqa: S608 - our own expressions
    return list(await cache.archive.execute_fetchall(whole, {**values, "limit": limit}))


async def first_play(cache: Cache) -> int | None:
    """When the oldest play began."""
    (row,) = await cache.archive.execute_fetchall("SELECT min(started_at) AS at FROM plays")
    at: int | None = row["at"]
    return at


_TITLES = f"""
    SELECT {NAMED} AS key, {KIND} AS kind, count(*) AS plays, count(watched_ms) AS timed,
        coalesce(sum(watched_ms), 0) AS watched_ms
    FROM plays WHERE started_at BETWEEN :since AND :until GROUP BY 1, 2
"""  # noqa: S608 - our own expressions


def _split(window: Window, unit: int) -> dict[str, int]:
    """The whole units inside a window, and what is left before and behind them."""
    first, end = -(-window.since // unit), (window.until + 1) // unit
    if end <= first:
        first = end = 0
        return {"since": window.since, "head": window.until, "first": 0, "end": 0, "tail": 1, "until": 0}
    return {
        "since": window.since,
        "head": first * unit - 1,
        "first": first,
        "end": end,
        "tail": end * unit,
        "until": window.until,
    }


def _rolled_up(table: str, unit: str, of_units: str, of_plays: str) -> str:
    ragged = f"SELECT {of_plays}, 1, watched_ms IS NOT NULL, coalesce(watched_ms, 0) FROM plays WHERE started_at"  # noqa: S608 - our own expressions
    return f"""
        SELECT key, sum(plays) AS plays, sum(timed) AS timed, sum(watched_ms) AS watched_ms FROM (
            SELECT {of_units} AS key, plays, timed, watched_ms FROM {table} WHERE {unit} >= :first AND {unit} < :end
            UNION ALL {ragged} BETWEEN :since AND :head
            UNION ALL {ragged} BETWEEN :tail AND :until
        ) GROUP BY key HAVING sum(plays) > 0
    """  # noqa: S608 - our own table and column names
