"""What keeps a database well over the years: statistics, a short write-ahead log, a backup a day."""

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

    Tell = Callable[[StorageReport], Awaitable[None]]

LONG_WAL = 8_000_000
"""A write-ahead log longer than this, in bytes, is written back whole and cut."""
_PATIENCE_SECONDS = 0.1
"""How long cutting it may keep a writer waiting for readers to finish."""
_FIRST_GOOD_OPTIMIZE = (3, 46)
"""SQLite from which on `PRAGMA optimize` looks at tables that its connection has not asked."""


@dataclass(frozen=True, slots=True)
class MaintenancePlan:
    """How often what is done."""

    backups: int = DEFAULT_BACKUPS
    """How many stay; 0 makes none."""
    every_seconds: float = 60.0
    """Between two looks at the length of the log, and at the age of the newest backup."""


async def maintain(cache: Cache, care: MaintenancePlan, now: Callable[[], int], tell: Tell) -> None:
    """For ever, in the process that listens, on connections of its own: neither ingest nor readers wait for it.

    What cannot be done now is tried again; a backup that fails, and the next that does not, are told.
    """
    if cache.repair_report is not None:
        await tell(StorageReport("database", ok=False, words=str(cache.repair_report)))
    if cache.is_in_file():
        await _optimize(cache.path)
    failed = False
    while True:
        await anyio.sleep(care.every_seconds)
        if not cache.is_in_file():
            continue
        await truncate_wal(cache.path)
        if care.backups and is_due(cache.path, now()):
            failed = not await _back_up_daily(cache.path, care, now(), tell, failed=failed)


async def _back_up_daily(path: Path, care: MaintenancePlan, at: int, tell: Tell, *, failed: bool) -> bool:
    """The backup of the day. A failure is told once, not every minute. Returns whether there is one now."""
    try:
        made = await back_up(path, keep=care.backups, at=at)
    except BackupFailed as error:
        if error.facts.get("damaged"):
            request_full_check(path)
        if not failed:
            await tell(StorageReport("backup", ok=False, words=f"The backup of the day failed. {error}"))
        return False
    await tell(StorageReport("backup", ok=True, words=f"The backup of the day is made: {made.path.name}"))
    await _optimize(path)
    return True


async def _optimize(path: Path) -> None:
    """Renew what the planner knows of the tables, from samples: some 20 ms with a million plays."""
    with suppress(sqlite3.Error):  # the next commit says what is wrong
        async with open_connection(path, wait=1) as one:
            await one.execute("PRAGMA analysis_limit = 400")
            good = sqlite3.sqlite_version_info >= _FIRST_GOOD_OPTIMIZE
            await one.execute_fetchall("PRAGMA optimize(0x10002)" if good else "ANALYZE")


async def vacuum(path: Path) -> None:
    """Write the file anew without its free pages, and the title index as one piece. Call while nobody uses it.

    Raises:
        DatabaseUnusable: it is damaged, or there is no room.
    """
    try:
        async with open_connection(path) as one:
            if await _has_titles(one):
                await one.execute("INSERT INTO play_titles (play_titles) VALUES ('optimize')")
            await one.execute("VACUUM")
            await _checkpoint(one)
    except sqlite3.Error as error:
        raise DatabaseUnusable(f"The database {path} cannot be vacuumed: {error}.") from error


async def _has_titles(one: aiosqlite.Connection) -> bool:
    """Whether the database is as new as the title index."""
    return bool(list(await one.execute_fetchall("SELECT 1 FROM sqlite_schema WHERE name = 'play_titles'")))


async def truncate_wal(path: Path) -> bool:
    """Write a long write-ahead log back and cut it to nothing, if readers let us. Returns whether it is short now.

    SQLite writes it back by itself every 4 MB, but begins at its start again only when nobody reads it at that moment.
    """
    if _measure_wal(path) <= LONG_WAL:
        return True
    with suppress(sqlite3.Error):
        async with open_connection(path, wait=_PATIENCE_SECONDS) as one:
            return await _checkpoint(one)
    return False


async def _checkpoint(one: aiosqlite.Connection) -> bool:
    ((busy, *_),) = await one.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
    return not busy


def _measure_wal(path: Path) -> int:
    log, _ = list_sqlite_files(path)
    with suppress(OSError):
        return log.stat().st_size
    return 0
