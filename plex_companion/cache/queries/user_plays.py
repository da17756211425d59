"""What single users played last: when, on which players, and which shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plex_companion.cache.database import Cache

_LAST_SEEN = """
    SELECT json_extract(value, '$[0]') AS person, max((
        SELECT max(started_at) FROM plays
        WHERE user_id = json_extract(value, '$[1]') AND coalesce(server = json_extract(value, '$[2]'), 1)
    )) AS at FROM json_each(:accounts) GROUP BY person
"""
_LATEST = """
    SELECT started_at, client_identifier, player_title, product, platform, grandparent_rating_key, type
    FROM plays WHERE user_id = :user AND (:servers IS NULL OR server IN (SELECT value FROM json_each(:servers)))
    ORDER BY started_at DESC, id DESC LIMIT :limit
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


async def read_last_seen(cache: Cache, accounts: Iterable[tuple[str, str, str | None]]) -> dict[str, int | None]:
    """Return when each person last began to play something.

    `accounts` are the person, the id of an account, and its server; `None` for any.
    """
    rows = await cache.archive.execute_fetchall(_LAST_SEEN, {"accounts": json.dumps(list(accounts))})
    return {row["person"]: row["at"] for row in rows}


async def read_latest_plays(
    cache: Cache, users: Mapping[str | None, Iterable[str] | None], limit: int
) -> list[LatestPlay]:
    """Return the newest plays of a person, given the servers on which each id of an account counts; `None` for any."""
    found: list[LatestPlay] = []
    for user, servers in users.items():
        values = {"user": user, "servers": None if servers is None else json.dumps(list(servers)), "limit": limit}
        found += [LatestPlay(*row) for row in await cache.archive.execute_fetchall(_LATEST, values)]
    return sorted(found, key=lambda play: -play.started_at)[:limit]
