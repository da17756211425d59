"""The only room that knows SQLite: one connection that writes, one that may only read."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import aiosqlite

from plex_companion.cache.migrate import migrate
from plex_companion.cache.record import UNKNOWN, Statements, upsert
from plex_companion.errors import DatabaseUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from plex_companion.changes.kinds import Change

__all__ = ["UNKNOWN", "Cache", "StorageError", "open_cache"]

StorageError = sqlite3.Error
"""What a write raises when the disk is full or the file is locked: the caller goes on and tries again."""

_PRUNE_STEP = 2_000


@dataclass(frozen=True, slots=True)
class Cache:
    """An open database at the schema this code knows."""

    path: Path
    schema: int
    writer: aiosqlite.Connection
    reader: aiosqlite.Connection

    async def write(self, changes: Iterable[Change], server: str, at: int) -> None:
        """Write what the changes say in one transaction, with at most a statement per table.

        Raises:
            StorageError: nothing of it was written.
        """
        statements = Statements(server, at)
        for change in changes:
            statements.add(change)
        await self.writer.execute("BEGIN IMMEDIATE")
        try:
            for sql, row in statements.first:
                await self.writer.execute(sql, row)
            for table, rows in statements.upserts():
                if rows:
                    await self.writer.executemany(upsert(table, rows[0]), rows)
            await self.writer.execute("COMMIT")
        except BaseException:
            if self.writer.in_transaction:
                await self.writer.execute("ROLLBACK")
            raise

    async def prune(self, *, events_before: int, events_kept: int, alerts_before: int) -> None:
        """Drop old journal rows and resolved alerts, a small step at a time."""
        await self.writer.execute(
            "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at < :before"
            " OR id <= (SELECT max(id) FROM events) - :kept ORDER BY id LIMIT :step)",
            {"before": events_before, "kept": events_kept, "step": _PRUNE_STEP},
        )
        await self.writer.execute("DELETE FROM alerts WHERE resolved_at < :before", {"before": alerts_before})

    async def size_bytes(self) -> int:
        """How large the database file is."""
        async with self.reader.execute(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        ) as rows:
            row = await rows.fetchone()
        return int(row[0]) if row else 0


@asynccontextmanager
async def open_cache(path: Path) -> AsyncIterator[Cache]:
    """Bring the file to today's schema and open it.

    Raises:
        DatabaseUnusable: it cannot be opened, created or written.
        DatabaseNewer: a newer plex-companion wrote it.
    """
    schema = migrate(path)
    try:
        async with (
            aiosqlite.connect(path, isolation_level=None, timeout=10) as writer,
            aiosqlite.connect(path, isolation_level=None, timeout=10) as reader,
        ):
            for pragma in ("foreign_keys = ON", "synchronous = FULL", "busy_timeout = 10000"):
                await writer.execute(f"PRAGMA {pragma}")
            await writer.execute("INSERT OR IGNORE INTO servers VALUES (?, NULL, NULL, NULL, NULL, 0, 0)", (UNKNOWN,))
            await reader.execute("PRAGMA query_only = ON")
            writer.row_factory = reader.row_factory = sqlite3.Row
            yield Cache(path, schema, writer, reader)
    except sqlite3.OperationalError as error:
        message = f"The database {path} cannot be used: {error}. Check that its folder can be written to."
        raise DatabaseUnusable(message) from error
