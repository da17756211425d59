"""Keeps a database healthy over the years: planner statistics, a short write-ahead log, a backup a day."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.backup import DEFAULT_BACKUPS, back_up, is_due, list_sqlite_files
from plex_companion.cache.connections import open_connection
from plex_companion.cache.repair import request_full_check
from plex_companion.errors import BackupFailed, DatabaseUnusable
from plex_companion.events import StorageReport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    import aiosqlite

    from plex_companion.cache.database import Cache

    SendReport = Callable[[StorageReport], Awaitable[None]]

LONG_WAL = 16_000_000
"""A write-ahead log longer than this, in bytes, is checkpointed whole and truncated."""
_CHECKPOINT_PAUSE_SECONDS = 0.1
"""Between two checkpoints, however fast the log grows."""
_TRUNCATE_WAIT_SECONDS = 0.1
"""How long truncating the log may keep a writer waiting for readers to finish."""
_FIRST_GOOD_OPTIMIZE = (3, 46)
"""From this version of SQLite, `PRAGMA optimize` also analyzes tables its connection has not queried
(sqlite.org/pragma.html#pragma_optimize).
"""


@dataclass(frozen=True, slots=True)
class MaintenancePlan:
    """How often maintenance runs."""

    backups: int = DEFAULT_BACKUPS
    """How many backups are kept; 0 makes none."""
    every_seconds: float = 60.0
    """Between two checks of the length of the log and the age of the newest backup."""


async def maintain(cache: Cache, plan: MaintenancePlan, now: Callable[[], int], report: SendReport) -> None:
    """Run the maintenance of the leader forever, on connections of its own: neither ingest nor readers wait for it.

    What fails is tried again. A failed backup is reported once; the next successful one is reported too.
    """
    if cache.repair_report is not None:
        await report(StorageReport("database", ok=False, words=str(cache.repair_report)))
    if cache.is_in_file():
        await _optimize(cache.path)
    failed = False
    while True:
        await anyio.sleep(plan.every_seconds)
        if not cache.is_in_file():
            continue
        await truncate_wal(cache.path)
        if plan.backups and is_due(cache.path, now()):
            failed = not await _back_up_daily(cache.path, plan, now(), report, failed=failed)


async def checkpoint_log(cache: Cache) -> None:
    """Checkpoint the write-ahead log before a commit has to, forever.

    A commit that does so takes ten times as long as others, because it copies a thousand pages and syncs twice more.
    """
    while True:
        await cache.log_growth.wait_until_due()
        with suppress(sqlite3.Error):  # a later commit checkpoints, and reports what is wrong
            await cache.checkpoint()
        await anyio.sleep(_CHECKPOINT_PAUSE_SECONDS)


async def _back_up_daily(path: Path, plan: MaintenancePlan, at: int, report: SendReport, *, failed: bool) -> bool:
    """Make the backup of the day; return whether it was made. A failure is reported once, not every minute."""
    try:
        made = await back_up(path, keep=plan.backups, at=at)
    except BackupFailed as error:
        if error.facts.get("damaged"):
            request_full_check(path)
        if not failed:
            await report(StorageReport("backup", ok=False, words=f"The daily backup failed. {error}"))
        return False
    await report(StorageReport("backup", ok=True, words=f"The daily backup was made: {made.path.name}"))
    await _optimize(path)
    return True


async def _optimize(path: Path) -> None:
    """Update the statistics of the query planner from samples: some 20 ms with a million plays."""
    with suppress(sqlite3.Error):  # the next commit reports what is wrong
        async with open_connection(path, wait=1) as connection:
            await connection.execute("PRAGMA analysis_limit = 400")
            good = sqlite3.sqlite_version_info >= _FIRST_GOOD_OPTIMIZE
            await connection.execute_fetchall("PRAGMA optimize(0x10002)" if good else "ANALYZE")


async def vacuum(path: Path) -> None:
    """Rewrite the file without its free pages, and merge the title index. Call while no other process uses it.

    Raises:
        DatabaseUnusable: the database is damaged, or the disk is full.
    """
    try:
        async with open_connection(path) as connection:
            if await _has_titles(connection):
                await connection.execute("INSERT INTO play_titles (play_titles) VALUES ('optimize')")
            await connection.execute("VACUUM")
            await _checkpoint(connection)
    except sqlite3.Error as error:
        raise DatabaseUnusable(f"The database {path} cannot be vacuumed: {error}.") from error


async def _has_titles(connection: aiosqlite.Connection) -> bool:
    """Return whether the schema is new enough to have the title index."""
    return bool(list(await connection.execute_fetchall("SELECT 1 FROM sqlite_schema WHERE name = 'play_titles'")))


async def truncate_wal(path: Path) -> bool:
    """Checkpoint a long write-ahead log and truncate it to nothing, if readers allow; return whether it is short now.

    `checkpoint_log` copies it every 750 pages (3 MB), but SQLite starts again at the beginning of the file only when all of it
    was copied and no reader uses it at that moment (sqlite.org/wal.html#avoiding_excessively_large_wal_files).
    """
    if _measure_wal(path) <= LONG_WAL:
        return True
    with suppress(sqlite3.Error):
        async with open_connection(path, wait=_TRUNCATE_WAIT_SECONDS) as connection:
            return await _checkpoint(connection)
    return False


async def _checkpoint(connection: aiosqlite.Connection) -> bool:
    ((busy, *_),) = await connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
    return not busy


def _measure_wal(path: Path) -> int:
    log, _ = list_sqlite_files(path)
    with suppress(OSError):
        return log.stat().st_size
    return 0
