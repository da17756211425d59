"""What the charts are drawn from: plays by the hour, and who and what was played most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plex_companion.cache import Cache

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class Most:
    """Somebody or something, and how often; `watched_ms` counts the plays whose time is known."""

    name: str
    plays: int
    watched_ms: int
    art: str | None = None


async def plays_by_hour(cache: Cache, since_ms: int) -> dict[int, int]:
    """Plays by hour, counted from 1970. Hours without any are absent."""
    rows = await cache.reader.execute_fetchall(
        "SELECT hour, sum(plays) AS plays FROM play_hours WHERE hour >= :hour GROUP BY hour HAVING plays > 0",
        {"hour": since_ms // HOUR_MS},
    )
    return {int(row["hour"]): int(row["plays"]) for row in rows}


async def most_active(cache: Cache, since_ms: int, limit: int) -> list[Most]:
    """Who played most, out of the sums by day; names are the latest known."""
    return await _most(cache, _USERS, {"day": since_ms // DAY_MS, "limit": limit})


async def most_played(cache: Cache, since_ms: int, limit: int) -> list[Most]:
    """What was played most: a show for its episodes, an artist for their tracks. `art` is an item of the latest play."""
    return await _most(cache, _TITLES, {"since": since_ms, "limit": limit})


_USERS = """
    SELECT coalesce(
            (SELECT user_name FROM plays WHERE plays.user_id = counted.user_id ORDER BY started_at DESC LIMIT 1),
            'somebody'
        ) AS name, plays, watched_ms, NULL AS art
    FROM (
        SELECT user_id, sum(plays) AS plays, sum(watched_ms) AS watched_ms
        FROM play_days WHERE day >= :day GROUP BY user_id HAVING plays > 0
    ) AS counted
    ORDER BY plays DESC, name LIMIT :limit
"""
_TITLES = """
    SELECT name, plays, watched_ms, art FROM (
        SELECT CASE WHEN type IN ('episode', 'track') THEN coalesce(grandparent_title, title) ELSE title END AS name,
            CASE type WHEN 'episode' THEN 'show' WHEN 'track' THEN 'artist' ELSE type END AS kind,
            count(*) AS plays, coalesce(sum(watched_ms), 0) AS watched_ms,
            max(started_at) AS last_at, rating_key AS art -- beside a lone max(), columns are those of its row
        FROM plays WHERE started_at >= :since GROUP BY name, kind
    )
    WHERE name IS NOT NULL ORDER BY plays DESC, last_at DESC LIMIT :limit
"""


async def _most(cache: Cache, sql: str, values: dict[str, Any]) -> list[Most]:
    rows = await cache.reader.execute_fetchall(sql, values)
    return [Most(row["name"], int(row["plays"]), int(row["watched_ms"]), row["art"]) for row in rows]
