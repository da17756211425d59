"""Replaces a damaged database by its newest good backup, before anything opens it."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.cache.backup import (
    Backup,
    copy,
    find_damage,
    format_stamp,
    is_due,
    list_backups,
    list_sqlite_files,
    put_aside,
)
from plex_companion.cache.connections import hold_exclusive, is_damage
from plex_companion.cache.migrate import list_migrations, read_schema_version, refuse_newer
from plex_companion.errors import BackupFailed, DatabaseNewer, DatabaseUnusable

if TYPE_CHECKING:
    from pathlib import Path

logger = logging.getLogger(__name__)

_HEADER = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True)
class RepairReport:
    """The repair of a damaged database: where it is now, and which backup replaced it, if there was a good one."""

    reason: str
    aside: Path
    backup: Backup | None

    def __str__(self) -> str:
        """Describe the repair in one line, for people."""
        restored = f"restored from the backup of {format_stamp(self.backup.at)}" if self.backup else None
        instead = restored or "started empty, for lack of a good backup"
        return f"The database was damaged ({self.reason}): {instead}; the damaged file is kept as {self.aside.name}"


async def repair(path: Path, now: int) -> RepairReport | None:
    """Check a database and replace it if it is damaged. If another process uses it, do nothing.

    The quick check costs next to nothing and finds a broken header or a missing end. Every page is read (3 s a
    gigabyte) only where there is reason to: a process was killed while it was open, SQLite reported damage, or there is
    no backup of the last day.

    Raises:
        DatabaseNewer: a newer plex-companion wrote it; nothing is touched.
        DatabaseUnusable: it is not a database, and nothing shows that it ever was; nothing is touched.
    """
    if not _has_content(path):
        return None
    with suppress(sqlite3.Error):
        refuse_newer(path, list_migrations())
    with hold_exclusive(path) as is_exclusive:
        return await _repair_locked(path, now) if is_exclusive else None


async def _repair_locked(path: Path, now: int) -> RepairReport | None:
    try:
        damage = await find_damage(path, thorough=_needs_full_check(path, now))
    except sqlite3.Error:
        return None  # out of reach: opening it reports that
    if damage is None:
        _name_suspect_file(path).unlink(missing_ok=True)
        return None
    if not _is_own_database(path, now):
        message = (
            f"The database {path} cannot be used: {damage}. Name another file with --database, or move this one away."
        )
        raise DatabaseUnusable(message)
    try:
        return await _replace_damaged(path, damage, now)
    except OSError as error:
        raise DatabaseUnusable(f"The damaged database {path} cannot be put aside: {error.strerror}.") from error


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _needs_full_check(path: Path, now: int) -> bool:
    log, _ = list_sqlite_files(path)
    killed = log.exists() and log.stat().st_size > 0  # SQLite deletes it when the last connection closes
    return killed or _name_suspect_file(path).exists() or is_due(path, now)


def _is_own_database(path: Path, now: int) -> bool:
    """Return whether a file has SQLite's header, begins with zeros as after a power cut, or has backups."""
    with path.open("rb") as file:
        header = file.read(len(_HEADER))
    return header == _HEADER or not header.strip(b"\x00") or bool(list_backups(path, now))


async def restore(path: Path, source: Path | None, now: int) -> tuple[Path, Path | None]:
    """Put a copy of `source`, or of the newest good backup, in the database's place. Call while no process uses it.

    Returns:
        What was restored, and where what was there is now, if there was anything.

    Raises:
        BackupFailed: `source` is damaged or not a database of plex-companion, or there is no good backup.
        DatabaseNewer: a newer plex-companion made it.
    """
    prepared = _name_new_file(path)
    if source is None:
        newest = await _copy_newest_good(path, prepared, now)
        if newest is None:
            raise BackupFailed(f"There is no good backup of {path}. `restore --list` lists the backups.")
        source = newest.path
    else:
        await _copy_checked(source, prepared)
    try:
        aside = _swap(path, prepared, f"before-restore-{format_stamp(now)}")
    except OSError as error:
        raise BackupFailed(f"{path} cannot be put aside: {error.strerror}.") from error
    return source, aside if _has_content(aside) else None


async def _replace_damaged(path: Path, reason: str, now: int) -> RepairReport:
    """Replace a damaged database by its newest good backup.

    The copy is ready before the damaged file is renamed, so that a process killed meanwhile leaves one or the other.
    """
    prepared = _name_new_file(path)
    chosen = await _copy_newest_good(path, prepared, now)
    aside = _swap(path, prepared if chosen else None, f"corrupt-{format_stamp(now)}")
    report = RepairReport(reason, aside, chosen)
    logger.warning("%s", report)
    return report


async def _copy_newest_good(path: Path, prepared: Path, now: int) -> Backup | None:
    for backup in list_backups(path, now):
        with suppress(BackupFailed, DatabaseNewer):
            await _copy_checked(backup.path, prepared)
            return backup
    return None


async def _copy_checked(source: Path, prepared: Path) -> None:
    """Copy `source` to `prepared`, if it is undamaged and this program's."""
    try:
        refuse_newer(source, list_migrations())
        if not read_schema_version(source):
            raise BackupFailed(f"{source} is not a database of plex-companion.")
        await copy(source, prepared)
    except sqlite3.Error as error:
        raise BackupFailed(f"{source} cannot be restored: {error}.") from error
    except OSError as error:
        raise BackupFailed(f"{prepared} cannot be written: {error.strerror}.") from error


def _swap(path: Path, prepared: Path | None, suffix: str) -> Path:
    aside = put_aside(path, suffix)
    if prepared:
        prepared.replace(path)
    _name_suspect_file(path).unlink(missing_ok=True)
    return aside


def _name_new_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.restoring")


# Damage met while running


def note_damage(path: Path, error: sqlite3.DatabaseError) -> None:
    """Have the next start read every page if this error of SQLite reports damage. The log says so once."""
    if is_damage(error) and not _name_suspect_file(path).exists():
        logger.error(
            "The database is damaged (%s): plex-companion goes on in memory. When it is started again, the damaged "
            "file is put aside and replaced by the newest good backup",
            error,
        )
        request_full_check(path)


def request_full_check(path: Path) -> None:
    """Have the next start read every page."""
    with suppress(OSError):
        _name_suspect_file(path).touch(mode=0o600)


def _name_suspect_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.suspect")
