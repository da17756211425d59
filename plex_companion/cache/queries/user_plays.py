"""What single users played last: when, on which players, and which shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.cache.database import Cache

_LAST_SEEN = """
    SELECT value AS id, (
        SELECT max(started_at) FROM plays WHERE user_id = value AND coalesce(server = :server, 1)
    ) AS at FROM json_each(:ids)
"""
_LATEST = """
    SELECT started_at, client_identifier, player_title, product, platform, grandparent_rating_key, type
    FROM plays WHERE user_id = :user AND coalesce(server = :server, 1) ORDER BY started_at DESC, id DESC LIMIT :limit
"""


class LatestPlay(NamedTuple):
    """How, when and where something was played."""

    started_at: int
    client_identifier: str | None
    player_title: str | None
    product: str | None
    platform: str | None
    show: str | None
    """The rating key of the show, of an episode."""
    type: str | None


async def read_last_seen(cache: Cache, ids: Iterable[str], server: str | None) -> dict[str, int | None]:
    """Return when each of these users last began to play something, on one server or on any."""
    rows = await cache.archive.execute_fetchall(_LAST_SEEN, {"ids": json.dumps(list(ids)), "server": server})
    return {row["id"]: row["at"] for row in rows}


async def read_latest_plays(cache: Cache, user_id: str, limit: int, server: str | None) -> list[LatestPlay]:
    """Return the newest plays of a user, on one server or on any."""
    rows = await cache.archive.execute_fetchall(_LATEST, {"user": user_id, "limit": limit, "server": server})
    return [LatestPlay(*row) for row in rows]
