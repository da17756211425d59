"""The only room that knows SQLite: one connection that writes, two that may only read."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

import anyio

from plex_companion.cache.backup import DEFAULT_BACKUPS, back_up, list_sqlite_files, read_wall_clock
from plex_companion.cache.connections import build_uri, connected_to, open_connection, run_in_thread, run_write
from plex_companion.cache.migrate import apply_all, is_older, list_migrations, migrate
from plex_companion.cache.open_files import (
    NO_FILES,
    DatabaseMoved,
    FileIds,
    Owner,
    file_ids,
    find_replacement,
    is_in_place,
    put_in_place,
    read_owner,
    remove_logs,
)
from plex_companion.cache.record import Statements, coalesce
from plex_companion.cache.repair import RepairReport, repair, watch_for_damage
from plex_companion.changes.state import RECENT
from plex_companion.errors import BackupFailed, DatabaseBusy, DatabaseUnusable, Internal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    import aiosqlite

    from plex_companion.cache.leadership import LeaderCommit
    from plex_companion.changes.kinds import Change

T = TypeVar("T")

StorageError = sqlite3.Error
"""What a write raises when the disk is full or the file is locked: the caller goes on and tries again."""

LOCK_MS = 10_000
"""How long a write waits for another process."""
WAL_LIMIT = 16_000_000
"""What the write-ahead log shrinks to, in bytes, after it had to grow."""
MIGRATION_WAIT_SECONDS = 120
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


@dataclass(slots=True)
class Cache:
    """An open database at the schema this code knows. Its connections are others once it was written anew."""

    path: Path
    schema: int
    writer: aiosqlite.Connection
    reader: aiosqlite.Connection
    archive: aiosqlite.Connection
    """Reads too, on a thread of its own: a question about years must not keep what plays now from being told."""
    lock_ms: int = LOCK_MS
    files: FileIds = NO_FILES
    """What was opened."""
    repair_report: RepairReport | None = None
    """What had to be done about the file before it could be opened."""
    in_memory: bool = False
    """Whether there is no file yet: nobody named one, and no server has answered so far."""
    stuck: bool = False
    """Whether what is in memory could not become a file, so that all of it may be lost."""
    generation: int = 0
    """How often its connections became others."""
    _moving: anyio.Lock = field(default_factory=lambda: anyio.Lock(fast_acquire=True))
    _opened: AsyncExitStack = field(default_factory=AsyncExitStack)
    _retired: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def write(
        self, changes: Iterable[Change], server: str, at: int, bulletin: LeaderCommit | None = None
    ) -> int | None:
        """Write what the changes say in one transaction, with at most a statement per table.

        Returns:
            The term of the process that listens, where a bulletin goes with it.

        Raises:
            StorageError: nothing of it was written, as where the file has lost its name.
            Deposed: the same, because another process listens by now.
        """
        known = list(changes)

        def work(connection: sqlite3.Connection) -> int | None:
            statements = Statements(server, at)  # in the writer's thread: there may be thousands
            for change in coalesce(known):
                statements.add(change)
            if bulletin is None:
                statements.run(connection)
                return None
            term = bulletin.check_term(connection)
            statements.run(connection)
            bulletin.write(connection, term)
            return term

        return await self.transact(work)

    async def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one transaction, in the file that has the name.

        Raises:
            StorageError: nothing of it was written.
        """
        async with self._moving:  # what is written while the file is copied would not be in the copy
            self.insist_on_place()
            with watch_for_damage(self.path):
                return await run_write(self.writer, work)

    def is_in_place(self) -> bool:
        """Return whether the files that are open still have their names; in memory nothing can be lost."""
        return (self.in_memory and not self.stuck) or is_in_place(self.path, self.files)

    def is_in_file(self) -> bool:
        """Return whether there is a file, and it still has its name."""
        return not self.in_memory and self.is_in_place()

    def insist_on_place(self) -> None:
        """Insist that what is written now stays.

        Raises:
            DatabaseMoved: the file was removed, renamed or replaced.
        """
        if not self.is_in_place():
            raise DatabaseMoved(f"{self.path.name} was removed or replaced while it was in use")

    async def read_data_version(self) -> tuple[int, int]:
        """Return what is another after every commit but those of our own writer."""
        (row,) = await self.writer.execute_fetchall("PRAGMA data_version")
        return self.generation, int(row[0])

    async def term(self) -> int:
        """Return the newest term that anybody began; 0 where nobody ever listened."""
        rows = await self.reader.execute_fetchall("SELECT term FROM listener")
        return next((int(row[0]) for row in rows), 0)

    async def owner(self) -> Owner:
        """Return the Plex server this database belongs to."""
        return await run_in_thread(self.reader, read_owner)

    async def record_address(self, mark: int) -> None:
        """Write down the mark of the address at which the owner of this database was heard.

        Raises:
            StorageError: it cannot be written.
        """
        async with self._moving:
            self.insist_on_place()
            await self.writer.execute(f"PRAGMA user_version = {mark:d}")

    async def write_anew(self) -> None:
        """Copy what is open into a new file of its name, and use that from now on.

        Raises:
            FileExistsError: another file has taken the name.
            OSError, StorageError: it cannot be written; what was open stays open.
        """
        async with self._moving:
            await self._write_anew()

    async def _write_anew(self) -> None:
        replacing = not self.in_memory and find_replacement(self.path, self.files) == "ours"
        real = self.path.resolve()
        handle, name = tempfile.mkstemp(".partial", f"{real.name}.", real.parent)  # 0600
        os.close(handle)
        new = Path(name)
        try:
            async with open_connection(new) as other:
                await self.archive.backup(other, pages=-1)
                await other.execute("PRAGMA journal_mode = DELETE")
            for file in list_sqlite_files(real):  # a write-ahead log must never meet another database
                file.unlink(missing_ok=True)
            put_in_place(new, real, replacing=replacing)
        finally:
            for file in (new, *list_sqlite_files(new)):
                file.unlink(missing_ok=True)
        await self._reopen()

    async def reopen(self) -> None:
        """Use the file that has the name now. What was open before stays so until it is done once more, or at the end.

        Raises:
            DatabaseUnusable: it cannot be opened.
            DatabaseNewer: a newer plex-companion wrote it.
        """
        async with self._moving:
            await self._reopen()

    async def _reopen(self) -> None:
        remove_logs(self.path, self.files)
        schema = migrate(self.path)
        opened, connections = await _connections(self.path)
        await self._retired.aclose()
        self._retired, self._opened = self._opened, opened
        self.writer, self.reader, self.archive = connections
        self.schema, self.files, self.in_memory, self.stuck = schema, file_ids(self.path), False, False
        self.generation += 1
        await self.set_lock_timeout(self.lock_ms)

    async def close(self) -> None:
        """Close every connection."""
        await self._opened.aclose()
        await self._retired.aclose()

    async def prune(
        self, *, events_before: int, events_kept: int, alerts_before: int, announced_before: int = 0
    ) -> bool:
        """Drop what has been kept for long enough, a small step of each. Returns whether there may be more of it.

        Library changes and ended activities go with the journal's age; the changes shown as recent stay.
        """
        step = {"before": events_before, "kept": events_kept, "recent": RECENT, "step": _PRUNE_STEP}
        step["announced"] = announced_before
        async with self._moving:
            self.insist_on_place()
            dropped = [(await self.writer.execute(sql, step)).rowcount for sql in _PRUNE]
            await self.writer.execute("DELETE FROM alerts WHERE resolved_at < :before", {"before": alerts_before})
        return _PRUNE_STEP in dropped

    async def set_lock_timeout(self, milliseconds: int) -> None:
        """How long a write waits for another process to finish its own."""
        await self.writer.execute(f"PRAGMA busy_timeout = {milliseconds:d}")

    async def read_size_bytes(self) -> int:
        """How large the database file is."""
        async with self.reader.execute(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        ) as rows:
            row = await rows.fetchone()
        return int(row[0]) if row else 0


async def _migrate_or_wait(path: Path) -> int:
    """Several processes may start at once on a database of an older version: one migrates it, the others wait."""
    try:
        with anyio.fail_after(MIGRATION_WAIT_SECONDS):
            while True:
                with suppress(DatabaseBusy):
                    return migrate(path, wait_seconds=0.5)
                await anyio.sleep(0.1)
    except TimeoutError:
        return migrate(path)


@asynccontextmanager
async def open_cache(
    path: Path, lock_ms: int = LOCK_MS, *, backups: int = DEFAULT_BACKUPS, now: Callable[[], int] = read_wall_clock
) -> AsyncIterator[Cache]:
    """Mend the file where it is damaged, bring it to today's schema, after a backup, and open it. A write waits for
    another process for `lock_ms`.

    Raises:
        DatabaseUnusable: it cannot be opened, created or written.
        DatabaseNewer: a newer plex-companion wrote it.
    """
    mended = await repair(path, now())
    if backups:
        await _back_up_before_migration(path, backups, now())
    schema = await _migrate_or_wait(path)
    opened, (writer, reader, archive) = await _connections(path)
    cache = Cache(path, schema, writer, reader, archive, lock_ms, file_ids(path), mended, _opened=opened)
    async with _closing(cache):
        yield cache


def explain_unreadable(error: StorageError) -> Internal:
    """Return what the reader of a damaged database gets: the rest of the program goes on without it."""
    return Internal(
        f"The database cannot be read ({error}). What plays now is known all the same; `plex-companion doctor` says more."
    )


@asynccontextmanager
async def open_in_memory(path: Path, lock_ms: int = LOCK_MS) -> AsyncIterator[Cache]:
    """Open a database in memory, until `write_anew` makes it the file `path`. Nothing is created before.

    Raises:
        DatabaseUnusable: the file could not be created.
    """
    _insist_on_room_for(path)
    opened, (writer, reader, archive) = await _connections(None)
    schema = await run_in_thread(writer, partial(apply_all, migrations=list_migrations()))
    cache = Cache(path, schema, writer, reader, archive, lock_ms, in_memory=True, _opened=opened)
    async with _closing(cache):
        yield cache


def _insist_on_room_for(path: Path) -> None:
    nearest = next(folder for folder in path.resolve().parents if folder.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        message = f"The database {path} cannot be created: {nearest} cannot be written to. Name a file with --database."
        raise DatabaseUnusable(message)


@asynccontextmanager
async def _closing(cache: Cache) -> AsyncIterator[None]:
    try:
        await cache.set_lock_timeout(cache.lock_ms)
        yield
    except BaseException:
        for connection in (cache.writer, cache.reader, cache.archive):
            await connection.interrupt()
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await cache.close()


async def _connections(path: Path | None) -> tuple[AsyncExitStack, list[aiosqlite.Connection]]:
    """Open the connections to a file, or to a database in memory that ends with them.

    Raises:
        DatabaseUnusable: it cannot be opened.
    """
    uri = build_uri(path, read_only=False) if path else f"file:/plex-companion-{uuid4().hex}?vfs=memdb"
    async with AsyncExitStack() as opened:
        try:
            writer, reader, archive = [
                await opened.enter_async_context(connected_to(uri)) for _ in ("writer", "reader", "archive")
            ]
            for pragma in ("foreign_keys = ON", "synchronous = FULL", f"journal_size_limit = {WAL_LIMIT}"):
                await writer.execute(f"PRAGMA {pragma}")
            for asked in (reader, archive):
                await asked.execute("PRAGMA query_only = ON")
            for one in (writer, reader, archive):  # each opens the files beside it now, and not when they may be gone
                await one.execute_fetchall("SELECT count(*) FROM sqlite_schema")
        except sqlite3.OperationalError as error:
            message = f"The database {path} cannot be used: {error}. Check that its folder can be written to."
            raise DatabaseUnusable(message) from error
        writer.row_factory = reader.row_factory = archive.row_factory = sqlite3.Row
        return opened.pop_all(), [writer, reader, archive]
    raise AssertionError  # the block above returns or raises


async def _back_up_before_migration(path: Path, backups: int, at: int) -> None:
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
