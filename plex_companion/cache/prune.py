"""Deletes rows that have been kept for long enough, a small step at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.changes.state import RECENT

if TYPE_CHECKING:
    from plex_companion.cache.database import Cache

STEP_ROWS = 2_000
# Each statement looks at no more rows than it may delete, so that a step costs the same however large the table is.
# `DELETE … LIMIT` exists only where SQLite was compiled with SQLITE_ENABLE_UPDATE_DELETE_LIMIT (sqlite.org/lang_delete),
# hence the subqueries. Rows of the journal are written in order of time and deleted in that order, without holes: a
# reader with a cursor must be able to see that rows after it are missing.
_STATEMENTS = (
    """
    DELETE FROM events WHERE id IN (SELECT id FROM events ORDER BY id LIMIT :step) AND id < max(
        coalesce(
            (SELECT min(id) FROM (SELECT id, at FROM events ORDER BY id LIMIT :step) WHERE at >= :before),
            (SELECT max(id) FROM events) + 1
        ),
        (SELECT max(id) FROM events) + 1 - :kept
    )
    """,
    """
    DELETE FROM library_changes WHERE id IN (
        SELECT id FROM library_changes INDEXED BY library_changes_by_time
        WHERE at < :before AND id <= (SELECT max(id) FROM library_changes) - :recent ORDER BY at LIMIT :step)
    """,
    """
    DELETE FROM activities WHERE (server, uuid) IN (
        SELECT server, uuid FROM activities WHERE ended_at < :before LIMIT :step)
    """,
    """
    DELETE FROM deliveries WHERE id IN (
        SELECT id FROM deliveries WHERE coalesce(done_at, created_at) < :before ORDER BY id LIMIT :step)
    """,
    """
    DELETE FROM announcements WHERE id IN (SELECT id FROM announcements ORDER BY id LIMIT :step) AND at < :announced
    """,
)


async def prune(
    cache: Cache, *, events_before: int, events_kept: int, alerts_before: int, announced_before: int = 0
) -> bool:
    """Delete old rows, at most `STEP_ROWS` per table; return whether there may be more to delete.

    Times are milliseconds since 1970. Library changes, ended activities and deliveries are kept as long as the journal;
    the library changes shown as recent stay.

    Raises:
        StorageError: the database cannot be written.
    """
    step = {"before": events_before, "kept": events_kept, "recent": RECENT, "step": STEP_ROWS}
    step["announced"] = announced_before
    async with cache.hold_writer() as writer:
        deleted = [(await writer.execute(sql, step)).rowcount for sql in _STATEMENTS]
        await writer.execute("DELETE FROM alerts WHERE resolved_at < :before", {"before": alerts_before})
    return STEP_ROWS in deleted
