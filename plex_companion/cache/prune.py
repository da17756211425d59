"""Deletes rows that have been kept for long enough, a small step at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.cache.replication.named_write import NamedWrite
from plex_companion.cache.replication.transaction import Transaction
from plex_companion.changes.state import RECENT

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.cache.database import Cache
    from plex_companion.cache.rows import Row

STEP_ROWS = 2_000
# Each statement looks at no more rows than it may delete, so that a step costs the same however large the table is.
# `DELETE … LIMIT` exists only where SQLite was compiled with SQLITE_ENABLE_UPDATE_DELETE_LIMIT (sqlite.org/lang_delete),
# hence the subqueries. Rows of the journal are written in order of time and deleted in that order, without holes: a
# reader with a cursor must be able to see that rows after it are missing.
_OLDEST_ROWS = """
    DELETE FROM {table} WHERE id IN (SELECT id FROM {table} ORDER BY id LIMIT :step) AND id < max(
        coalesce(
            (SELECT min(id) FROM (SELECT id, at FROM {table} ORDER BY id LIMIT :step) WHERE at >= :{before}),
            (SELECT max(id) FROM {table}) + 1
        ),
        (SELECT max(id) FROM {table}) + 1 - :kept
    )
"""
_STATEMENTS = (
    _OLDEST_ROWS.format(table="events", before="before"),
    _OLDEST_ROWS.format(table="occurrences", before="occurrences_before"),
    """
    DELETE FROM library_changes WHERE id IN (
        SELECT id FROM library_changes INDEXED BY library_changes_by_time
        WHERE at < :before AND id <= (SELECT max(id) FROM library_changes) - :recent ORDER BY at LIMIT :step)
    """,
    """
    DELETE FROM activities WHERE (server, uuid) IN (
        SELECT server, uuid FROM activities WHERE ended_at < :before ORDER BY server, uuid LIMIT :step)
    """,
    """
    DELETE FROM deliveries WHERE id IN (
        SELECT id FROM deliveries WHERE coalesce(done_at, due_at) < :before ORDER BY id LIMIT :step)
    """,
    """
    DELETE FROM tool_tasks WHERE id IN (
        SELECT id FROM tool_tasks WHERE status <> 'working' AND updated_at < :before ORDER BY id LIMIT :step)
    """,
    """
    DELETE FROM rule_firings WHERE id IN (SELECT id FROM rule_firings ORDER BY id LIMIT :step)
        AND recorded_at < :alerts_before
    """,
    """
    DELETE FROM announcements WHERE id IN (SELECT id FROM announcements ORDER BY id LIMIT :step) AND at < :announced
    """,
)


def _prune(connection: sqlite3.Connection, step: Row) -> bool:
    """Delete one step of old rows; return whether there may be more to delete."""
    step = {"occurrences_before": step["before"], **step}  # a step that an earlier version logged has none
    deleted = [connection.execute(sql, step).rowcount for sql in _STATEMENTS]
    connection.execute("DELETE FROM alerts WHERE resolved_at < :alerts_before", step)
    return STEP_ROWS in deleted


PRUNE = NamedWrite("prune", _prune)


async def prune(
    cache: Cache,
    *,
    events_before: int,
    events_kept: int,
    alerts_before: int,
    announced_before: int = 0,
    occurrences_before: int | None = None,
) -> bool:
    """Delete old rows, at most `STEP_ROWS` per table; return whether there may be more to delete.

    Times are milliseconds since 1970. Library changes, ended activities and deliveries are kept as long as the journal; the
    library changes shown as recent stay. So are occurrences, unless they have a time of their own. What rules have done is kept
    as long as alerts. Other machines repeat the step with these numbers, whatever their settings.

    Raises:
        StorageError: the database cannot be written.
    """
    step = {"before": events_before, "kept": events_kept, "recent": RECENT, "step": STEP_ROWS}
    step |= {"announced": announced_before, "alerts_before": alerts_before}
    step["occurrences_before"] = events_before if occurrences_before is None else occurrences_before
    transaction = Transaction(announced_before, lambda: [PRUNE.call(step)])
    await cache.commit(transaction)
    return any(transaction.results)
