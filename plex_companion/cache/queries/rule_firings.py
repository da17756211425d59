"""Queries on what rules have done."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from plex_companion.cache.connections import run_read
from plex_companion.cache.rows import parse_delivery, parse_rule_firing

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.cache.database import Cache
    from plex_companion.models import Delivery, RuleFiring


class RuleRecord(NamedTuple):
    """The newest firings of a rule, and its newest messages."""

    firings: list[RuleFiring]
    deliveries: list[Delivery]


async def read_rule_record(cache: Cache, rule_id: int, limit: int, before: int | None = None) -> RuleRecord:
    """Return the firings of a rule with a smaller id than `before`, and its messages, the newest first."""
    values = {"rule": rule_id, "limit": limit, "before": before}
    firings = """
        SELECT * FROM rule_firings WHERE rule_id = :rule AND (:before IS NULL OR id < :before)
        ORDER BY id DESC LIMIT :limit
    """
    deliveries = "SELECT * FROM deliveries WHERE rule_id = :rule ORDER BY id DESC LIMIT :limit"

    def select(connection: sqlite3.Connection) -> RuleRecord:
        return RuleRecord(
            [parse_rule_firing(row) for row in connection.execute(firings, values)],
            [parse_delivery(row) for row in connection.execute(deliveries, values)],
        )

    return await run_read(cache.reader, select)
