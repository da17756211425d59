"""Which plays went on at some time, for rules that are tried on a past in which that was not recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    from plex_companion.cache.database import Cache

LONGEST_MS = 2 * DAY_MS
"""A play that began earlier is not looked for."""


class PlayedStream(NamedTuple):
    """A play, while it went on."""

    server: str
    user_id: str | None
    user_name: str | None
    bandwidth_kbps: int
    started_at: int
    ended_at: int | None
    """Milliseconds since 1970, not included; `None` while it goes on."""


async def read_played_streams(cache: Cache, since: int, until: int) -> list[PlayedStream]:
    """Return the plays that went on between two times, in the order of their beginning. Imported ones were not seen."""
    sql = """
        SELECT server, user_id, user_name, coalesce(bandwidth_kbps, 0), started_at, ended_at FROM plays
        WHERE started_at BETWEEN :since - :longest AND :until AND (ended_at IS NULL OR ended_at > :since)
            AND coalesce(ended_by, '') <> 'imported'
        ORDER BY started_at
    """
    rows = await cache.archive.execute_fetchall(sql, {"since": since, "until": until, "longest": LONGEST_MS})
    return [PlayedStream(*row) for row in rows]
