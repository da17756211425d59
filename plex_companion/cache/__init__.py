"""The only room that knows SQLite: one connection that writes, two that may only read."""

from __future__ import annotations

import sqlite3
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.backup import KEPT, back_up, wall
from plex_companion.cache.connect import connected
from plex_companion.cache.mend import Mended, mend, suspecting
from plex_companion.cache.migrate import is_older, migrate
from plex_companion.cache.record import UNKNOWN, Statements, condensed
from plex_companion.cache.transact import written
from plex_companion.changes.state import RECENT
from plex_companion.errors import BackupFailed, DatabaseBusy, DatabaseUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable
    from pathlib import Path

    import aiosqlite

    from plex_companion.cache.board import Bulletin
    from plex_companion.changes.kinds import Change

__all__ = ["UNKNOWN", "Cache", "StorageError", "condensed", "open_cache"]

StorageError = sqlite3.Error
"""What a write raises when the disk is full or the file is locked: the caller goes on and tries again."""

LOCK_MS = 10_000
"""How long a write waits for another process."""
WAL_LIMIT = 16_000_000
"""What the write-ahead log shrinks to, in bytes, after it had to grow."""
PATIENCE_SECONDS = 120
"""How long the start waits for another process that migrates the database."""
_PRUNE_STEP = 2_000
# Each looks at no more rows than it may drop, so that a step costs the same whatever there is. Rows of the journal are
# written in the order of time and go in that order, without holes: a cursor must see that rows before it are missing.
_PRUNE = (
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


@dataclass(frozen=True, slots=True)
class Cache:
    """An open database at the schema this code knows."""

    path: Path
    schema: int
    writer: aiosqlite.Connection
    reader: aiosqlite.Connection
    archive: aiosqlite.Connection
    """Reads too, on a thread of its own: a question about years must not keep what plays now from being told."""
    lock_ms: int = LOCK_MS
    file: tuple[int, int] = (0, 0)
    """Device and number of the file."""
    mended: Mended | None = None
    """What had to be done about the file before it could be opened."""

    async def write(
        self, changes: Iterable[Change], server: str, at: int, bulletin: Bulletin | None = None
    ) -> int | None:
        """Write what the changes say in one transaction, with at most a statement per table.

        Returns:
            The term of the process that listens, where a bulletin goes with it.

        Raises:
            StorageError: nothing of it was written.
            Deposed: the same, because another process listens by now.
        """
        known = list(changes)

        def work(connection: sqlite3.Connection) -> int | None:
            statements = Statements(server, at)  # in the writer's thread: there may be thousands
            for change in condensed(known):
                statements.add(change)
            if bulletin is None:
                statements.run(connection)
                return None
            term = bulletin.begin(connection)
            statements.run(connection)
            bulletin.pin(connection, term)
            return term

        with suspecting(self.path):
            return await written(self.writer, work)

    def is_in_place(self) -> bool:
        """Whether the file that is open is still the one of that name: a damaged one may have been put aside."""
        try:
            return file_of(self.path) == self.file
        except OSError:
            return False

    async def version(self) -> int:
        """A number that is another after every commit but those of our own writer."""
        (row,) = await self.writer.execute_fetchall("PRAGMA data_version")
        return int(row[0])

    async def prune(
        self, *, events_before: int, events_kept: int, alerts_before: int, announced_before: int = 0
    ) -> bool:
        """Drop what has been kept for long enough, a small step of each. Returns whether there may be more of it.

        Library changes and ended activities go with the journal's age; the changes shown as recent stay.
        """
        step = {"before": events_before, "kept": events_kept, "recent": RECENT, "step": _PRUNE_STEP}
        step["announced"] = announced_before
        dropped = [(await self.writer.execute(sql, step)).rowcount for sql in _PRUNE]
        await self.writer.execute("DELETE FROM alerts WHERE resolved_at < :before", {"before": alerts_before})
        return _PRUNE_STEP in dropped

    async def wait_for_lock(self, milliseconds: int) -> None:
        """How long a write waits for another process to finish its own."""
        await self.writer.execute(f"PRAGMA busy_timeout = {milliseconds:d}")

    async def size_bytes(self) -> int:
        """How large the database file is."""
        async with self.reader.execute(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        ) as rows:
            row = await rows.fetchone()
        return int(row[0]) if row else 0


def file_of(path: Path) -> tuple[int, int]:
    """Device and number of a file."""
    found = path.stat()
    return found.st_dev, found.st_ino


async def _migrated(path: Path) -> int:
    """Several processes may start at once on a database of an older version: one migrates it, the others wait."""
    try:
        with anyio.fail_after(PATIENCE_SECONDS):
            while True:
                with suppress(DatabaseBusy):
                    return migrate(path, wait_seconds=0.5)
                await anyio.sleep(0.1)
    except TimeoutError:
        return migrate(path)


@asynccontextmanager
async def open_cache(
    path: Path, lock_ms: int = LOCK_MS, *, backups: int = KEPT, now: Callable[[], int] = wall
) -> AsyncIterator[Cache]:
    """Mend the file where it is damaged, bring it to today's schema, after a backup, and open it. A write waits for
    another process for `lock_ms`.

    Raises:
        DatabaseUnusable: it cannot be opened, created or written.
        DatabaseNewer: a newer plex-companion wrote it.
    """
    mended = await mend(path, now())
    if backups:
        await _back_up_the_older(path, backups, now())
    schema = await _migrated(path)
    async with AsyncExitStack() as opened:
        try:
            writer, reader, archive = [
                await opened.enter_async_context(connected(path)) for _ in ("writer", "reader", "archive")
            ]
            for pragma in ("foreign_keys = ON", "synchronous = FULL", f"journal_size_limit = {WAL_LIMIT}"):
                await writer.execute(f"PRAGMA {pragma}")
            for asked in (reader, archive):
                await asked.execute("PRAGMA query_only = ON")
        except sqlite3.OperationalError as error:
            message = f"The database {path} cannot be used: {error}. Check that its folder can be written to."
            raise DatabaseUnusable(message) from error
        writer.row_factory = reader.row_factory = archive.row_factory = sqlite3.Row
        cache = Cache(path, schema, writer, reader, archive, lock_ms, file_of(path), mended)
        await cache.wait_for_lock(lock_ms)
        yield cache


async def _back_up_the_older(path: Path, backups: int, at: int) -> None:
    """What a migration makes of a database cannot be taken back."""
    try:
        if is_older(path):
            await back_up(path, keep=backups, at=at)
    except BackupFailed as error:
        message = (
            f"The database {path} is of an older version and is not brought to today's without a backup. {error} "
            "Set PLEX_COMPANION_BACKUPS=0 to go without."
        )
        raise DatabaseUnusable(message) from error
    except sqlite3.Error:
        return  # who opens it says what is wrong
