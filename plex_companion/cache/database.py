"""An open database: one connection that writes, two that only read, and the file under them."""

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
from plex_companion.cache.connections import build_uri, connect, open_connection, run_in_thread, run_write
from plex_companion.cache.figure_cache import FigureCache
from plex_companion.cache.migrate import apply_all, is_older, list_migrations, migrate
from plex_companion.cache.open_files import (
    NO_FILES,
    UNKNOWN,
    DatabaseMoved,
    FileIds,
    Owner,
    find_replacement,
    is_in_place,
    put_in_place,
    read_file_ids,
    read_owner,
    remove_logs,
)
from plex_companion.cache.queries.title_words import CREATE_VOCABULARY
from plex_companion.cache.record import NO_SESSIONS, ServerBatch, Statements
from plex_companion.cache.repair import RepairReport, note_damage, repair
from plex_companion.cache.replication.position import read_position
from plex_companion.cache.replication.transaction import Transaction
from plex_companion.errors import BackupFailed, DatabaseBusy, DatabaseUnusable, Internal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence

    import aiosqlite

    from plex_companion.cache.leadership import LeaderCommit
    from plex_companion.cache.replication.entry_log import EntryLog
    from plex_companion.cache.replication.named_write import WriteCall
    from plex_companion.cache.replication.position import Position
    from plex_companion.changes.kinds import Change
    from plex_companion.models import Session

T = TypeVar("T")

StorageError = sqlite3.Error
"""Raised by a write when the disk is full or the file is locked: the caller goes on and tries again."""

LOCK_MS = 10_000
"""How long a write waits for another process, in milliseconds."""
WAL_LIMIT = 16_000_000
"""The size in bytes that the write-ahead log is truncated to after it grew (sqlite.org/pragma.html#pragma_journal_size_limit)."""
WRITER_CHECKPOINT_PAGES = 3_500
"""Pages in the write-ahead log from which a commit checkpoints it itself, if `Cache.checkpoint` has not done so before."""
CHECKPOINT_PAGES = 750
"""Pages in the write-ahead log from which `Cache.checkpoint` is due."""
PAGES_PER_COMMIT, ROWS_PER_PAGE = 10, 8
"""How pages of the log are estimated: a press writes some 12, a row of the journal an eighth."""
MIGRATION_WAIT_SECONDS = 120
"""How long a start waits while another process migrates the database."""


@dataclass(slots=True)
class LogGrowth:
    """How much the write-ahead log has grown since it was last checkpointed, as an estimate."""

    pages: int = 0
    _total_changes: int = 0
    _due: anyio.Event = field(default_factory=anyio.Event)

    def add_commit(self, total_changes: int) -> None:
        """Count a commit, after which its connection has changed so many rows since it was opened."""
        rows, self._total_changes = max(0, total_changes - self._total_changes), total_changes
        self.pages += PAGES_PER_COMMIT + rows // ROWS_PER_PAGE
        if self.pages >= CHECKPOINT_PAGES:
            self._due.set()

    async def wait_until_due(self) -> None:
        """Wait until a checkpoint is due, then begin to count again."""
        await self._due.wait()
        self.pages, self._due = 0, anyio.Event()


@dataclass(slots=True)
class Cache:
    """An open database at the schema this code knows. Its connections are replaced when its file is."""

    path: Path
    schema: int
    writer: aiosqlite.Connection
    reader: aiosqlite.Connection
    archive: aiosqlite.Connection
    """Reads too, on a thread of its own, so that a question about years does not delay what plays now."""
    lock_ms: int = LOCK_MS
    files: FileIds = NO_FILES
    """The files that were opened."""
    repair_report: RepairReport | None = None
    """The repair that was made before the file could be opened."""
    in_memory: bool = False
    """Whether there is no file yet: none was named, and no server has answered so far."""
    creation_failed: bool = False
    """Whether the database in memory could not be made a file, so that all its rows may be lost."""
    generation: int = 0
    """How often the connections were replaced."""
    entry_log: EntryLog | None = None
    """The log that several machines share, while this process is the one that writes to it."""
    figures: FigureCache = field(default_factory=FigureCache)
    """Figures of long windows, read in the thread of `archive`."""
    log_growth: LogGrowth = field(default_factory=LogGrowth)
    _moving: anyio.Lock = field(default_factory=lambda: anyio.Lock(fast_acquire=True))
    _opened: AsyncExitStack = field(default_factory=AsyncExitStack)
    _retired: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def write(
        self,
        changes: Iterable[Change],
        server: str,
        at: int,
        commit: LeaderCommit | None = None,
        committed: Mapping[str, Session] = NO_SESSIONS,
    ) -> int | None:
        """Write changes in one transaction, with at most one statement per table.

        Args:
            changes: what is written.
            server: the server that rows belong to.
            at: the time of the transaction.
            commit: what the leader adds.
            committed: the sessions by key whose rows are in the database as they say. Only what changed in them is written.

        Returns:
            The term of the leader, if there is a `commit`; otherwise `None`.

        Raises:
            StorageError: nothing was written, for example because the file has lost its name.
            LeadershipLost: nothing was written, because another process leads by now.
        """
        return await self.write_batches([ServerBatch(list(changes), server, UNKNOWN, committed)], at, commit)

    async def write_batches(
        self, batches: Sequence[ServerBatch], at: int, commit: LeaderCommit | None = None
    ) -> int | None:
        """Write changes of several servers in one transaction, as `write` does those of one.

        Raises:
            StorageError: nothing was written.
            LeadershipLost: nothing was written, because another process leads by now.
        """

        def list_calls() -> list[WriteCall]:
            statements = Statements(UNKNOWN, at)
            for batch in batches:
                statements.add_batch(batch)
            return statements.list_calls()

        transaction = Transaction(at, list_calls, commit)
        await self.commit(transaction)
        return transaction.term

    async def commit(self, transaction: Transaction) -> None:
        """Commit a transaction whose writes other machines repeat, if there are any; append it to their log before.

        Raises:
            EntryWaits: the log cannot be reached; the transaction is kept and tried again.
            StorageError: nothing was written.
            LeadershipLost: nothing was written, because another process leads by now.
        """
        log = self.entry_log
        if log is None:
            await self.transact(transaction.run_alone)
        else:
            await self._write_in_place(lambda writer: log.write(writer, transaction))

    async def settle(self) -> None:
        """Commit the transaction that waits for the log, if there is one.

        Raises:
            StorageError: it still waits.
            LeadershipLost: it was dropped, because another process leads by now.
        """
        if self.entry_log is not None:
            await self._write_in_place(self.entry_log.settle)

    async def transact(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one transaction, and return what it returns. No other machine repeats it.

        Raises:
            StorageError: nothing was written.
        """
        return await self._write_in_place(lambda writer: run_write(writer, work))

    async def _write_in_place(self, write: Callable[[aiosqlite.Connection], Awaitable[T]]) -> T:
        """Await a write by the connection of that moment. The file has its name, and its content is not copied meanwhile."""
        async with self._moving:  # a write while the file is copied would be missing from the copy
            self.require_in_place()
            try:
                written = await write(self.writer)
            except sqlite3.DatabaseError as error:
                note_damage(self.path, error)
                raise
            self.log_growth.add_commit(self.writer.total_changes)
            return written

    async def checkpoint(self) -> None:
        """Copy the write-ahead log into the file as far as readers allow, while others read and write.

        Raises:
            StorageError: it could not be copied; the log stays.
        """
        try:
            await self.archive.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.DatabaseError as error:
            note_damage(self.path, error)
            raise

    async def read_position(self) -> Position:
        """Return how far this database has applied the log that several machines share."""
        return await run_in_thread(self.reader, read_position)

    def is_in_place(self) -> bool:
        """Return whether the open files still have their names. A database in memory has none to lose."""
        return (self.in_memory and not self.creation_failed) or is_in_place(self.path, self.files)

    def is_in_file(self) -> bool:
        """Return whether there is a file, and it still has its name."""
        return not self.in_memory and self.is_in_place()

    def require_in_place(self) -> None:
        """Raise unless what is written now can be read later.

        Raises:
            DatabaseMoved: the file was removed, renamed or replaced.
        """
        if not self.is_in_place():
            raise DatabaseMoved(f"{self.path.name} was removed or replaced while it was in use")

    async def read_data_version(self) -> tuple[int, int]:
        """Return a value that differs after every commit of another connection, and after `reopen`.

        It is SQLite's `PRAGMA data_version` (sqlite.org/pragma.html#pragma_data_version), which ignores commits of the
        connection that asks.
        """
        (row,) = await self.writer.execute_fetchall("PRAGMA data_version")
        return self.generation, int(row[0])

    async def read_term(self) -> int:
        """Return the newest leadership term; 0 if no process ever led."""
        rows = await self.reader.execute_fetchall("SELECT term FROM listener")
        return next((int(row[0]) for row in rows), 0)

    async def read_owner(self) -> Owner:
        """Return the Plex server this database belongs to."""
        return await run_in_thread(self.reader, read_owner)

    async def record_address(self, mark: int) -> None:
        """Record the digest of the address at which the owner of this database was reached.

        Raises:
            StorageError: it cannot be written.
        """
        async with self.hold_writer() as writer:
            await writer.execute(f"PRAGMA user_version = {mark:d}")

    @asynccontextmanager
    async def hold_writer(self) -> AsyncIterator[aiosqlite.Connection]:
        """Yield the writer, in autocommit mode. The file keeps its name and its content is not copied meanwhile.

        Raises:
            DatabaseMoved: the file was removed, renamed or replaced.
        """
        async with self._moving:
            self.require_in_place()
            yield self.writer

    async def rewrite_file(self) -> None:
        """Copy the open database into a new file of its name, and use that file from now on.

        Raises:
            FileExistsError: another file has taken the name.
            OSError, StorageError: it cannot be written; the connections stay open.
        """
        async with self._moving:
            await self._rewrite_file()

    async def _rewrite_file(self) -> None:
        replacing = not self.in_memory and find_replacement(self.path, self.files) == "ours"
        real = self.path.resolve()
        handle, name = tempfile.mkstemp(".partial", f"{real.name}.", real.parent)  # 0600
        os.close(handle)
        new = Path(name)
        try:
            async with open_connection(new) as other:
                await self.archive.backup(other, pages=-1)
                await other.execute("PRAGMA journal_mode = DELETE")
            for file in list_sqlite_files(
                real
            ):  # SQLite would replay an old log into the new database (sqlite.org/howtocorrupt.html)
                file.unlink(missing_ok=True)
            put_in_place(new, real, replacing=replacing)
        finally:
            for file in (new, *list_sqlite_files(new)):
                file.unlink(missing_ok=True)
        await self._reopen()

    async def reopen(self) -> None:
        """Open the file that has the name now. The connections before stay open until the next `reopen`, or the end.

        Raises:
            DatabaseUnusable: it cannot be opened.
            DatabaseNewer: a newer plex-companion wrote it.
        """
        async with self._moving:
            await self._reopen()

    async def _reopen(self) -> None:
        remove_logs(self.path, self.files)
        schema = migrate(self.path)
        opened, connections = await _open_connections(self.path)
        await self._retired.aclose()
        self._retired, self._opened = self._opened, opened
        self.writer, self.reader, self.archive = connections
        self.schema, self.files, self.in_memory, self.creation_failed = schema, read_file_ids(self.path), False, False
        self.generation += 1
        await self.set_lock_timeout(self.lock_ms)

    async def close(self) -> None:
        """Close every connection."""
        await self._opened.aclose()
        await self._retired.aclose()

    async def set_lock_timeout(self, milliseconds: int) -> None:
        """Set how long a write waits for another process's transaction (`PRAGMA busy_timeout`)."""
        await self.writer.execute(f"PRAGMA busy_timeout = {milliseconds:d}")

    async def read_size_bytes(self) -> int:
        """Return the size of the database file in bytes."""
        sql = "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        (row,) = await self.reader.execute_fetchall(sql)
        return int(row[0])


async def _migrate_or_wait(path: Path) -> int:
    """Migrate the database, or wait while another process that started at the same time does."""
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
    """Repair the file if it is damaged, migrate it to today's schema after a backup, and open it.

    A write waits for another process's transaction for `lock_ms`.

    Raises:
        DatabaseUnusable: it cannot be opened, created or written.
        DatabaseNewer: a newer plex-companion wrote it.
    """
    repair_report = await repair(path, now())
    if backups:
        await _back_up_before_migration(path, backups, now())
    schema = await _migrate_or_wait(path)
    opened, (writer, reader, archive) = await _open_connections(path)
    cache = Cache(path, schema, writer, reader, archive, lock_ms, read_file_ids(path), repair_report, _opened=opened)
    async with _close_at_end(cache):
        yield cache


def explain_unreadable(error: StorageError) -> Internal:
    """Return the error for the reader of a damaged database. The rest of the program goes on without it."""
    return Internal(
        f"The database cannot be read ({error}). What plays now is known all the same; `plex-companion doctor` says more."
    )


@asynccontextmanager
async def open_in_memory(path: Path, lock_ms: int = LOCK_MS) -> AsyncIterator[Cache]:
    """Open a database in memory, until `Cache.rewrite_file` makes it the file `path`. Nothing is created before.

    Raises:
        DatabaseUnusable: the file could not be created.
    """
    _require_writable_folder(path)
    opened, (writer, reader, archive) = await _open_connections(None)
    schema = await run_in_thread(writer, partial(apply_all, migrations=list_migrations()))
    cache = Cache(path, schema, writer, reader, archive, lock_ms, in_memory=True, _opened=opened)
    async with _close_at_end(cache):
        yield cache


def _require_writable_folder(path: Path) -> None:
    nearest = next(folder for folder in path.resolve().parents if folder.exists())
    if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        message = f"The database {path} cannot be created: {nearest} cannot be written to. Name a file with --database."
        raise DatabaseUnusable(message)


@asynccontextmanager
async def _close_at_end(cache: Cache) -> AsyncIterator[None]:
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


async def _open_connections(path: Path | None) -> tuple[AsyncExitStack, list[aiosqlite.Connection]]:
    """Open the three connections to a file, or to a new database in memory that ends with them.

    Raises:
        DatabaseUnusable: it cannot be opened.
    """
    uri = build_uri(path, read_only=False) if path else f"file:/plex-companion-{uuid4().hex}?vfs=memdb"
    async with AsyncExitStack() as opened:
        try:
            writer, reader, archive = [
                await opened.enter_async_context(connect(uri)) for _ in ("writer", "reader", "archive")
            ]
            # FULL syncs the log at every commit: in WAL mode, NORMAL may lose commits when the power fails
            # (sqlite.org/pragma.html#pragma_synchronous).
            for pragma in ("foreign_keys = ON", "synchronous = FULL", f"journal_size_limit = {WAL_LIMIT}"):
                await writer.execute(f"PRAGMA {pragma}")
            await writer.execute_fetchall(f"PRAGMA wal_autocheckpoint = {WRITER_CHECKPOINT_PAGES}")
            await archive.execute(CREATE_VOCABULARY)
            for read_only in (reader, archive):
                await read_only.execute("PRAGMA query_only = ON")
            for connection in (
                writer,
                reader,
                archive,
            ):  # open the -wal and -shm files now, while they exist
                await connection.execute_fetchall("SELECT count(*) FROM sqlite_schema")
        except sqlite3.OperationalError as error:
            message = f"The database {path} cannot be used: {error}. Check that its folder can be written to."
            raise DatabaseUnusable(message) from error
        writer.row_factory = reader.row_factory = archive.row_factory = sqlite3.Row
        return opened.pop_all(), [writer, reader, archive]
    raise AssertionError  # the block above returns or raises


async def _back_up_before_migration(path: Path, backups: int, at: int) -> None:
    """Back up a database of an older version: a migration cannot be undone."""
    try:
        if is_older(path):
            await back_up(path, keep=backups, at=at)
    except BackupFailed as error:
        message = (
            f"The database {path} was written by an older version and cannot be migrated without a backup. {error} "
            "Set PLEX_COMPANION_BACKUPS=0 to migrate without one."
        )
        raise DatabaseUnusable(message) from error
    except sqlite3.Error:
        return  # opening it reports what is wrong
