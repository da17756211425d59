"""A damaged database is put aside and its newest good backup put in its place, before anybody opens it."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.cache.backup import Backup, backups, companions, copy, damage, is_due, put_aside, stamp
from plex_companion.cache.connect import is_damage, unused
from plex_companion.cache.migrate import refuse_newer, schema_of, shipped
from plex_companion.errors import BackupFailed, DatabaseNewer, DatabaseUnusable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

_SAYS_SO = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True)
class Mended:
    """What was done about a damaged database: where it lies now, and the backup in its place, if there was a good one."""

    reason: str
    aside: Path
    backup: Backup | None

    def __str__(self) -> str:
        """One line for a person."""
        instead = (
            f"restored from the backup of {stamp(self.backup.at)}" if self.backup else "begun anew, without a backup"
        )
        return f"The database was damaged ({self.reason}): {instead}; the damaged one is kept as {self.aside.name}"


async def mend(path: Path, now: int) -> Mended | None:
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
        refuse_newer(path, shipped())
    with unused(path) as alone:
        return await _mended(path, now) if alone else None


async def _mended(path: Path, now: int) -> Mended | None:
    try:
        wrong = await damage(path, thorough=_has_reason(path, now))
    except sqlite3.Error:
        return None  # out of reach: who opens it says so
    if wrong is None:
        _mark(path).unlink(missing_ok=True)
        return None
    if not _was_ours(path, now):
        message = (
            f"The database {path} cannot be used: {wrong}. Name another file with --database, or move this one away."
        )
        raise DatabaseUnusable(message)
    try:
        return await _replaced(path, wrong, now)
    except OSError as error:
        raise DatabaseUnusable(f"The damaged database {path} cannot be put aside: {error.strerror}.") from error


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _has_reason(path: Path, now: int) -> bool:
    log, _ = companions(path)
    killed = log.exists() and log.stat().st_size > 0  # SQLite takes it away when the last one leaves
    return killed or _mark(path).exists() or is_due(path, now)


def _was_ours(path: Path, now: int) -> bool:
    """Whether it says it is a database, has lost its beginning to zeros as after a power cut, or has backups."""
    with path.open("rb") as file:
        beginning = file.read(len(_SAYS_SO))
    return beginning == _SAYS_SO or not beginning.strip(b"\x00") or bool(backups(path, now))


async def restore(path: Path, source: Path | None, now: int) -> tuple[Path, Path | None]:
    """Put a copy of `source`, or of the newest good backup, in the database's place. Call while nobody uses it.

    Returns:
        What was restored, and where what was there is now, if there was anything.

    Raises:
        BackupFailed: `source` is damaged or no database of ours, or there is no good backup.
        DatabaseNewer: a newer plex-companion made it.
    """
    ready = _ready(path)
    if source is None:
        newest = await _newest_good(path, ready, now)
        if newest is None:
            raise BackupFailed(f"There is no good backup of {path}. `restore --list` shows what there is.")
        source = newest.path
    else:
        await _checked(source, ready)
    try:
        aside = _swap(path, ready, f"before-restore-{stamp(now)}")
    except OSError as error:
        raise BackupFailed(f"{path} cannot be put aside: {error.strerror}.") from error
    return source, aside if _has_content(aside) else None


async def _replaced(path: Path, reason: str, now: int) -> Mended:
    """The good one is ready before the bad one goes, so that a process killed over it leaves one or the other."""
    ready = _ready(path)
    chosen = await _newest_good(path, ready, now)
    aside = _swap(path, ready if chosen else None, f"corrupt-{stamp(now)}")
    mended = Mended(reason, aside, chosen)
    logger.warning("%s", mended)
    return mended


async def _newest_good(path: Path, ready: Path, now: int) -> Backup | None:
    for backup in backups(path, now):
        with suppress(BackupFailed, DatabaseNewer):
            await _checked(backup.path, ready)
            return backup
    return None


async def _checked(source: Path, ready: Path) -> None:
    """A copy of `source` at `ready`, if it is good and ours."""
    try:
        refuse_newer(source, shipped())
        if not schema_of(source):
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
    _mark(path).unlink(missing_ok=True)
    return aside


def _ready(path: Path) -> Path:
    return path.with_name(f"{path.name}.restoring")


# Damage met while running


@contextmanager
def suspecting(path: Path) -> Iterator[None]:
    """Should SQLite meet damage in this block, the next start reads every page. It is said in the log, once."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        if is_damage(error) and not _mark(path).exists():
            logger.error(  # noqa: TRY400 - SQLite's words say all
                "The database is damaged (%s): plex-companion goes on in memory. When it is started again, the damaged "
                "file is put aside and the newest good backup takes its place",
                error,
            )
            suspect(path)
        raise


def suspect(path: Path) -> None:
    """Have the next start read every page."""
    with suppress(OSError):
        _mark(path).touch(mode=0o600)


def _mark(path: Path) -> Path:
    return path.with_name(f"{path.name}.suspect")
