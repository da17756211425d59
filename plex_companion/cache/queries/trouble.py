"""What happened around a play: alerts about it and about the server, and the streams beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.cache.connections import run_read
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.cache.database import Cache
    from plex_companion.times import Window

_ALERTS = """
    SELECT kind, at, resolved_at, title, json_extract(detail, '$.speed') AS speed FROM alerts
    WHERE server = :server AND at BETWEEN :since AND :until AND (
        json_extract(detail, '$.play_id') = :play OR kind IN ('connection_lost', 'listener_gap', 'sessions_unreadable'))
    ORDER BY at, id
"""
_BESIDE = """
    SELECT id, decision, location, (
        SELECT count(*) FROM play_marks WHERE play_id = plays.id AND kind = 'buffering' AND at BETWEEN :since AND :until
    ) AS buffered
    FROM plays
    WHERE server = :server AND id <> :play AND started_at BETWEEN :early AND :until
        AND coalesce(ended_at, :until) >= :since AND ended_by IS NOT 'imported'
"""


async def read_trouble(
    cache: Cache, play_id: int, server: str, whole: Window, near: Window
) -> tuple[list[sqlite3.Row], list[sqlite3.Row]]:
    """Return the alerts during a play, and the streams that ran beside it within `near`, as of one moment.

    A stream that began more than a day earlier is not found.
    """
    values = {"play": play_id, "server": server}
    alerts = {**values, "play": str(play_id), "since": whole.since, "until": whole.until}
    beside = {**values, "since": near.since, "until": near.until, "early": near.since - DAY_MS}

    def read(connection: sqlite3.Connection) -> tuple[list[sqlite3.Row], list[sqlite3.Row]]:
        return connection.execute(_ALERTS, alerts).fetchall(), connection.execute(_BESIDE, beside).fetchall()

    return await run_read(cache.archive, read)
