"""Copies of the database that can be trusted: made while everything runs, and checked before they count as backups."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from plex_companion.cache.connections import is_damage, open_connection
from plex_companion.errors import BackupFailed
from plex_companion.private_files import make_folder
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

DEFAULT_BACKUPS = 3
"""How many backups are kept, unless the settings say otherwise."""
_STAMP = "%Y%m%dT%H%M%SZ"
_STEP_PAGES = 1_000
"""Pages copied between two checks whether the copy is still wanted: 4 MB, some 10 ms."""
_ROOM = 64_000_000
"""Bytes a backup leaves free on the disk at least: the database itself needs some."""
_ABANDONED_MS = DAY_MS


@dataclass(frozen=True, slots=True)
class Backup:
    """A checked copy, and when it was made (milliseconds since 1970)."""

    path: Path
    at: int


def read_wall_clock() -> int:
    """Return the wall clock, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def format_stamp(at: int) -> str:
    """Format a time for file names: in UTC, sortable."""
    return datetime.fromtimestamp(at / 1000, UTC).strftime(_STAMP)


def find_backup_folder(path: Path) -> Path:
    """Return the folder of a database's backups."""
    return path.with_name(f"{path.name}.backups")


def list_backups(path: Path, now: int) -> list[Backup]:
    """List the backups of a database, newest first. One from the future, made by a wrong clock, comes last."""
    made = [Backup(file, at) for file in _list_backup_files(path, ".sqlite3") if (at := _read_time(file)) is not None]
    return sorted(made, key=lambda backup: (backup.at <= now, backup.at), reverse=True)


def is_due(path: Path, now: int) -> bool:
    """Return whether the newest backup is a day old, or there is none."""
    return not any(now - DAY_MS < backup.at <= now for backup in list_backups(path, now))


async def back_up(path: Path, *, keep: int, at: int) -> Backup:
    """Copy the database into its backup folder, check the copy, and delete the oldest beyond `keep` (0 keeps all).

    Others read and write meanwhile. A copy that cannot be made or is damaged replaces no older backup.

    Raises:
        BackupFailed: there is no room, the folder cannot be written, or the database is damaged.
    """
    place = find_backup_folder(path)
    made = Backup(place / f"{format_stamp(at)}.sqlite3", at)
    try:
        make_folder(place)
        await copy(path, made.path)
    except OSError as error:
        raise BackupFailed(f"No backup can be made in {place.name}: {error.strerror}.") from error
    with suppress(OSError):  # a backup too many does no harm
        _rotate(path, made, keep)
    return made


async def copy_to_named_file(source: Path, target: Path) -> None:
    """Copy a database to a file that a person names, and create missing folders on the way.

    Raises:
        BackupFailed: the file already exists or cannot be written, or the source is damaged.
    """
    if os.path.lexists(target):  # noqa: ASYNC240 - one system call, not worth a thread
        raise BackupFailed(f"{target} already exists and is left alone: name a new file.")
    try:
        make_folder(target.parent)
        await copy(source, target)
    except OSError as error:
        raise BackupFailed(f"{target} cannot be written: {error.strerror}.") from error


async def copy(source: Path, target: Path) -> None:
    """Put a checked copy of a database at `target`, in one file that stands alone. Only the owner can read it.

    Raises:
        BackupFailed: the source is damaged or cannot be read, or there is no room.
        OSError: the target's folder cannot be written.
    """
    _require_free_space(source, target.parent)
    handle, name = tempfile.mkstemp(".partial", f"{target.name}.", target.parent)  # 0600
    os.close(handle)
    partial = Path(name)
    try:
        await _copy_pages(source, partial)
        damage = await find_damage(partial)
        if damage is not None:
            raise BackupFailed(f"The copy of {source.name} is damaged, and so is the database: {damage}.", damaged=True)
        os.replace(partial, target)  # noqa: PTH105 - as above
    except sqlite3.Error as error:
        raise BackupFailed(f"{source.name} cannot be copied: {error}.", damaged=is_damage(error)) from error
    finally:
        _unlink(partial, *list_sqlite_files(partial))


async def _copy_pages(source: Path, target: Path) -> None:
    """Copy a database in small steps, so that the end of the program never waits for the copy.

    One read transaction spans all steps: otherwise every write in between would restart the backup
    (sqlite.org/c3ref/backup_finish.html).
    """
    wanted = True

    def on_progress(_status: int, _left: int, _pages: int) -> None:
        if not wanted:
            raise sqlite3.OperationalError("no longer wanted")

    async with (
        open_connection(target) as other,
        open_connection(source, read_only=True) as source_db,
    ):  # the source is closed first
        await source_db.execute("BEGIN")
        await source_db.execute_fetchall("SELECT count(*) FROM sqlite_schema")
        try:
            await source_db.backup(other, pages=_STEP_PAGES, progress=on_progress, sleep=0.01)
        finally:
            wanted = False
        await source_db.execute("COMMIT")
        await other.execute("PRAGMA journal_mode = DELETE")  # a backup in WAL mode would need a -wal file beside it


async def find_damage(path: Path, *, thorough: bool = True) -> str | None:
    """Return what is wrong with a database, in SQLite's words; `None` if nothing is. `thorough` reads every page.

    Raises:
        sqlite3.Error: it cannot be read for another reason.
    """
    try:
        async with open_connection(path, read_only=True) as source_db:
            await source_db.execute_fetchall("SELECT count(*) FROM sqlite_schema")
            found = list(await source_db.execute_fetchall("PRAGMA quick_check(1)")) if thorough else []
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        return str(error)
    words = [str(row[0]) for row in found if row[0] != "ok"]
    return " ".join(words[0].split()) if words else None


def list_sqlite_files(path: Path) -> tuple[Path, Path]:
    """Return the paths of the write-ahead log and the shared memory that SQLite keeps beside a database."""
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


def put_aside(path: Path, suffix: str) -> Path:
    """Rename a database and the files beside it; return the new path.

    The write-ahead log goes first: SQLite would replay it into another database of that name
    (sqlite.org/howtocorrupt.html).
    """
    aside = path.with_name(f"{path.name}.{suffix}")
    for file, other in zip((*list_sqlite_files(path), path), (*list_sqlite_files(aside), aside), strict=True):
        if file.exists():
            file.replace(other)
    return aside


def _rotate(path: Path, made: Backup, keep: int) -> None:
    """Delete old backups and abandoned copies. The backup just made stays, whatever the clock says."""
    others = [backup for backup in list_backups(path, made.at) if backup.path != made.path]
    if keep:
        _unlink(*(backup.path for backup in others[keep - 1 :]))
    for file in _list_backup_files(path, ".partial"):  # left by a process that was killed
        if made.at - file.stat().st_mtime * 1000 > _ABANDONED_MS:
            _unlink(file)


def _list_backup_files(path: Path, suffix: str) -> Iterable[Path]:
    place = find_backup_folder(path)
    return [file for file in place.iterdir() if file.suffix == suffix] if place.is_dir() else []


def _read_time(file: Path) -> int | None:
    try:
        return int(datetime.strptime(file.stem, _STAMP).replace(tzinfo=UTC).timestamp() * 1000)
    except ValueError:  # another program's file
        return None


def _require_free_space(source: Path, place: Path) -> None:
    try:
        need = source.stat().st_size + _ROOM
        free = shutil.disk_usage(place).free
    except OSError as error:
        raise BackupFailed(f"{source.name} cannot be copied: {error.strerror}.") from error
    if free < need:
        raise BackupFailed(f"{source.name} cannot be copied: {need // 10**6} MB are needed, {free // 10**6} are free.")


def _unlink(*files: Path) -> None:
    for file in files:
        file.unlink(missing_ok=True)
