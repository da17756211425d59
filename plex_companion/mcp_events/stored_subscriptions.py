"""Queries on the event subscriptions in the database, in whichever process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.cache.rows import parse_subscription

if TYPE_CHECKING:
    from plex_companion.cache.database import Cache
    from plex_companion.models import EventSubscription


async def read_subscription(cache: Cache, subscription_id: str, at: int) -> EventSubscription | None:
    """Return a subscription; `None` if there is none that has not expired."""
    sql = "SELECT * FROM event_subscriptions WHERE id = ? AND expires_at > ?"
    rows = await cache.reader.execute_fetchall(sql, (subscription_id, at))
    return next(map(parse_subscription, rows), None)


async def count_subscriptions(cache: Cache, principal: str, at: int) -> tuple[int, int]:
    """Return how many subscriptions a caller has, and how many there are."""
    sql = "SELECT count(*) FILTER (WHERE principal = ?), count(*) FROM event_subscriptions WHERE expires_at > ?"
    ((own, every),) = await cache.reader.execute_fetchall(sql, (principal, at))
    return int(own), int(every)


async def is_verified(cache: Cache, principal: str, url: str, at: int) -> bool:
    """Return whether a caller's callback was verified: each of its live subscriptions began with that."""
    sql = "SELECT 1 FROM event_subscriptions WHERE principal = ? AND url = ? AND expires_at > ?"
    return bool(list(await cache.reader.execute_fetchall(sql, (principal, url, at))))
