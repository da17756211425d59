"""A damaged database is put aside and its newest good backup put in its place, before anybody opens it."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import contextmanager, suppress
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
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

_SAYS_SO = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True)
class RepairReport:
    """What was done about a damaged database: where it lies now, and the backup in its place, if there was a good one."""

    reason: str
    aside: Path
    backup: Backup | None

    def __str__(self) -> str:
        """One line for a person."""
        instead = (
            f"restored from the backup of {format_stamp(self.backup.at)}"
            if self.backup
            else "begun anew, without a backup"
        )
        return f"The database was damaged ({self.reason}): {instead}; the damaged one is kept as {self.aside.name}"


async def repair(path: Path, now: int) -> RepairReport | None:
    """See that a database is sound, and do what must be done if it is not. Where another process uses it, nothing.

    A look costs next to nothing and finds a broken header or a missing end. Every page is read (3 s a gigabyte) only
    where there is reason to: a process was killed over it, met damage, or no backup of the last day vouches for it.

    Raises:
        DatabaseNewer: a newer plex-companion wrote it; nothing is touched.
        DatabaseUnusable: it is no database, and nothing shows that it ever was; nothing is touched.
    """
    if not _has_content(path):
        return None
    with suppress(sqlite3.Error):
        refuse_newer(path, list_migrations())
    with hold_exclusive(path) as alone:
        return await _repair_locked(path, now) if alone else None


async def _repair_locked(path: Path, now: int) -> RepairReport | None:
    try:
        wrong = await find_damage(path, thorough=_has_reason(path, now))
    except sqlite3.Error:
        return None  # out of reach: who opens it says so
    if wrong is None:
        _name_mark_file(path).unlink(missing_ok=True)
        return None
    if not _is_own_database(path, now):
        message = (
            f"The database {path} cannot be used: {wrong}. Name another file with --database, or move this one away."
        )
        raise DatabaseUnusable(message)
    try:
        return await _replace(path, wrong, now)
    except OSError as error:
        raise DatabaseUnusable(f"The damaged database {path} cannot be put aside: {error.strerror}.") from error


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _has_reason(path: Path, now: int) -> bool:
    log, _ = list_sqlite_files(path)
    killed = log.exists() and log.stat().st_size > 0  # SQLite takes it away when the last one leaves
    return killed or _name_mark_file(path).exists() or is_due(path, now)


def _is_own_database(path: Path, now: int) -> bool:
    """Whether it says it is a database, has lost its beginning to zeros as after a power cut, or has backups."""
    with path.open("rb") as file:
        beginning = file.read(len(_SAYS_SO))
    return beginning == _SAYS_SO or not beginning.strip(b"\x00") or bool(list_backups(path, now))


async def restore(path: Path, source: Path | None, now: int) -> tuple[Path, Path | None]:
    """Put a copy of `source`, or of the newest good backup, in the database's place. Call while nobody uses it.

    Returns:
        What was restored, and where what was there is now, if there was anything.

    Raises:
        BackupFailed: `source` is damaged or no database of ours, or there is no good backup.
        DatabaseNewer: a newer plex-companion made it.
    """
    ready = _name_new_file(path)
    if source is None:
        newest = await _copy_newest_good(path, ready, now)
        if newest is None:
            raise BackupFailed(f"There is no good backup of {path}. `restore --list` shows what there is.")
        source = newest.path
    else:
        await _copy_checked(source, ready)
    try:
        aside = _swap(path, ready, f"before-restore-{format_stamp(now)}")
    except OSError as error:
        raise BackupFailed(f"{path} cannot be put aside: {error.strerror}.") from error
    return source, aside if _has_content(aside) else None


async def _replace(path: Path, reason: str, now: int) -> RepairReport:
    """The good one is ready before the bad one goes, so that a process killed over it leaves one or the other."""
    ready = _name_new_file(path)
    chosen = await _copy_newest_good(path, ready, now)
    aside = _swap(path, ready if chosen else None, f"corrupt-{format_stamp(now)}")
    mended = RepairReport(reason, aside, chosen)
    logger.warning("%s", mended)
    return mended


async def _copy_newest_good(path: Path, ready: Path, now: int) -> Backup | None:
    for backup in list_backups(path, now):
        with suppress(BackupFailed, DatabaseNewer):
            await _copy_checked(backup.path, ready)
            return backup
    return None


async def _copy_checked(source: Path, ready: Path) -> None:
    """A copy of `source` at `ready`, if it is good and ours."""
    try:
        refuse_newer(source, list_migrations())
        if not read_schema_version(source):
            raise BackupFailed(f"{source} is no database of plex-companion.")
        await copy(source, ready)
    except sqlite3.Error as error:
        raise BackupFailed(f"{source} cannot be restored: {error}.") from error
    except OSError as error:
        raise BackupFailed(f"{ready} cannot be written: {error.strerror}.") from error


def _swap(path: Path, ready: Path | None, suffix: str) -> Path:
    aside = put_aside(path, suffix)
    if ready:
        ready.replace(path)
    _name_mark_file(path).unlink(missing_ok=True)
    return aside


def _name_new_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.restoring")


# Damage met while running


@contextmanager
def watch_for_damage(path: Path) -> Iterator[None]:
    """Should SQLite meet damage in this block, the next start reads every page. It is said in the log, once."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if is_damage(error) and not _name_mark_file(path).exists():
            logger.error(  # noqa: TRY400 - SQLite's words say all
                "The database is damaged (%s): plex-companion goes on in memory. When it is started again, the damaged "
                "file is put aside and the newest good backup takes its place",
                error,
            )
            request_full_check(path)
        raise


def request_full_check(path: Path) -> None:
    """Have the next start read every page."""
    with suppress(OSError):
        _name_mark_file(path).touch(mode=0o600)


def _name_mark_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.suspect")
