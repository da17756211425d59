"""The commands `backup`, `restore` and `vacuum`: maintenance of the database by hand."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from plex_companion.cache.backup import back_up, copy_to_named_file, list_backups, read_wall_clock
from plex_companion.cache.connections import hold_exclusive
from plex_companion.cache.maintenance import vacuum as compact
from plex_companion.cache.repair import restore as put_back
from plex_companion.errors import BackupFailed, DatabaseInUse, DatabaseUnusable
from plex_companion.text import format_count
from plex_companion.zones import name_zone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo
    from pathlib import Path


async def make_backup(path: Path, to: Path | None, keep: int) -> str:
    """Make a verified copy in the backup folder or in a new file, and return a sentence about it.

    Other processes can go on using the database.

    Raises:
        BackupFailed: the disk is full, the file exists already, or the database is damaged.
    """
    _insist_on(path)
    if to is not None:
        await copy_to_named_file(path, to)
        return f"Backup made and verified: {to} ({_format_size(to)})."
    made = await back_up(path, keep=keep, at=read_wall_clock())
    kept = len(list_backups(path, made.at))
    return (
        f"Backup made and verified: {made.path} ({_format_size(made.path)}). "
        f"{format_count(kept, 'backup is', 'backups are')} kept."
    )


def describe_backups(path: Path, zone: tzinfo) -> str:
    """List the backups with time (in this zone), size and path, newest first."""
    found = list_backups(path, read_wall_clock())
    lines = [f"{_format_time(one.at, zone)}  {_format_size(one.path):>10}  {one.path}" for one in found]
    return "\n".join(lines) or f"There is no backup of {path} yet. `plex-companion backup` makes one."


async def restore(path: Path, source: Path | None) -> str:
    """Restore the newest good backup, or the named one, and return a sentence about it. The replaced file is kept.

    Raises:
        BackupFailed: there is no good backup, or no such file.
        DatabaseInUse: another process uses the database.
        DatabaseNewer: a newer plex-companion made the backup.
    """
    _refuse_missing(source)
    if source is None and not list_backups(path, read_wall_clock()):
        raise BackupFailed(f"There is no good backup of {path}. `restore --list` lists all backups.")
    with _hold_exclusive(path, "restored"):
        chosen, aside = await put_back(path, source, read_wall_clock())
    kept = f" The replaced file is kept as {aside}." if aside else ""
    return f"Restored from {chosen}.{kept}"


async def vacuum(path: Path) -> str:
    """Return unused pages to the disk, compact the title index, and return a sentence about the sizes.

    Raises:
        DatabaseInUse: another process uses the database.
        DatabaseUnusable: it does not exist, it is damaged, or the disk has no room for the rewritten file.
    """
    _insist_on(path)
    with _hold_exclusive(path, "vacuumed"):
        before = _format_size(path)
        await compact(path)
    return f"{path}: {before} before, {_format_size(path)} after."


def _insist_on(path: Path) -> None:
    if not path.is_file():
        raise DatabaseUnusable(f"There is no database {path} yet. Name another file with --database.")


def _refuse_missing(source: Path | None) -> None:
    if source is not None and not source.exists():
        raise BackupFailed(f"There is no file {source}. `restore --list` shows the backups there are.")


@contextmanager
def _hold_exclusive(path: Path, done: str) -> Iterator[None]:
    with hold_exclusive(path) as alone:
        if not alone:
            message = f"Another plex-companion is using the database {path}. Stop it first; then it can be {done}."
            raise DatabaseInUse(message)
        yield


def _format_size(path: Path) -> str:
    return f"{path.stat().st_size / 1_000_000:,.1f} MB"


def _format_time(at: int, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(at / 1000, zone):%Y-%m-%d %H:%M:%S} {name_zone(zone)}"
