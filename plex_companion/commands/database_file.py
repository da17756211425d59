"""The commands `make_backup`, `restore` and `vacuum`: the database looked after by hand."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from plex_companion.cache.backup import back_up, copy_to_named_file, list_backups, read_wall_clock
from plex_companion.cache.connections import hold_exclusive
from plex_companion.cache.maintenance import vacuum as compact
from plex_companion.cache.repair import restore as put_back
from plex_companion.errors import BackupFailed, DatabaseInUse, DatabaseUnusable
from plex_companion.zones import name_zone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo
    from pathlib import Path


async def make_backup(path: Path, to: Path | None, keep: int) -> str:
    """Make a checked copy, into the folder of backups or to a new file. Whoever uses the database goes on using it.

    Raises:
        BackupFailed: there is no room, the file exists already, or the database is damaged.
    """
    _insist_on(path)
    if to is not None:
        await copy_to_named_file(path, to)
        return f"Backup made and checked: {to} ({_format_size(to)})."
    made = await back_up(path, keep=keep, at=read_wall_clock())
    kept = len(list_backups(path, made.at))
    return (
        f"Backup made and checked: {made.path} ({_format_size(made.path)}). {kept} {'is' if kept == 1 else 'are'} kept."
    )


def describe_backups(path: Path, zone: tzinfo) -> str:
    """The backups there are, newest first, with their times in this zone."""
    found = list_backups(path, read_wall_clock())
    lines = [f"{_format_time(one.at, zone)}  {_format_size(one.path):>10}  {one.path}" for one in found]
    return "\n".join(lines) or f"There is no backup of {path} yet. `plex-companion backup` makes one."


async def restore(path: Path, source: Path | None) -> str:
    """Put a backup in the database's place, the newest good one unless another is named. What was there is kept.

    Raises:
        BackupFailed: there is no good backup, or no such file.
        DatabaseInUse: another process uses the database.
        DatabaseNewer: a newer plex-companion made the backup.
    """
    _refuse_missing(source)
    if source is None and not list_backups(path, read_wall_clock()):
        raise BackupFailed(f"There is no good backup of {path}. `restore --list` shows what there is.")
    with _hold_exclusive(path, "restored"):
        chosen, aside = await put_back(path, source, read_wall_clock())
    kept = f" What was there is kept as {aside}." if aside else ""
    return f"Restored from {chosen}.{kept}"


async def vacuum(path: Path) -> str:
    """Give the disk back what deleted rows left free, and put the title index in order.

    Raises:
        DatabaseInUse: another process uses the database.
        DatabaseUnusable: there is none, it is damaged, or there is no room to write it anew.
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
            raise DatabaseInUse(
                f"The database {path} is in use by another plex-companion: it can be {done} when that one has ended."
            )
        yield


def _format_size(path: Path) -> str:
    return f"{path.stat().st_size / 1_000_000:,.1f} MB"


def _format_time(at: int, zone: tzinfo) -> str:
    return f"{datetime.fromtimestamp(at / 1000, zone):%Y-%m-%d %H:%M:%S} {name_zone(zone)}"
