"""Checks whether the files of an open database still have their names, and what has replaced them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import quote

from plex_companion.cache.backup import list_sqlite_files

if TYPE_CHECKING:
    from pathlib import Path

    FileId = tuple[int, int]

UNKNOWN = "unknown"
"""The server that rows belong to until Plex has said which server it is."""


def name_unknown(link: str, links: int) -> str:
    """Return the server that rows of a link belong to until Plex has said which server it is; `links` is how many there are."""
    return UNKNOWN if links == 1 else f"{UNKNOWN}:{link}"


_SMALLEST_PAGE = 512
"""The smallest page of SQLite in bytes. A database is a whole number of pages long (sqlite.org/fileformat.html#pages).
"""


class DatabaseMoved(sqlite3.OperationalError):
    """The open file no longer has its name: what is written to it now would be lost with it."""


@dataclass(frozen=True, slots=True)
class FileIds:
    """Device and inode of a database and of the two files beside it; `None` for a file that does not exist."""

    main: FileId | None
    wal: FileId | None
    shm: FileId | None


NO_FILES = FileIds(None, None, None)


def read_file_ids(path: Path) -> FileIds:
    """Return the ids of the three files that have these names now."""
    return FileIds(*(_read_file_id(file) for file in (path, *list_sqlite_files(path))))


def is_in_place(path: Path, opened: FileIds) -> bool:
    """Return whether all opened files still have their names, and the database was not truncated."""
    name = str(path)  # every write asks, and building paths would cost more than reading the files' ids
    try:
        found = os.stat(name)  # noqa: PTH116 - a path would have to be built
    except OSError:
        return False
    whole = found.st_size >= _SMALLEST_PAGE and found.st_size % _SMALLEST_PAGE == 0
    if not whole or (found.st_dev, found.st_ino) != opened.main:
        return False
    return _has_name(opened.wal, f"{name}-wal") and _has_name(opened.shm, f"{name}-shm")


def _has_name(opened: FileId | None, name: str) -> bool:
    """Return whether an opened file, if there is one, still has this name."""
    return opened is None or _read_file_id(name) == opened


Replacement = Literal["nothing", "no folder", "ours", "cut", "another"]


def find_replacement(path: Path, opened: FileIds) -> Replacement:
    """Return what has the name of the database now.

    That is nothing, the opened file (so one beside it is gone), the opened file cut short, or another file.
    """
    now = _read_file_id(path)
    if now is None:
        return "nothing" if path.parent.is_dir() and not os.path.lexists(path) else "no folder"
    if now != opened.main:
        return "another"
    return "ours" if path.stat().st_size >= _SMALLEST_PAGE else "cut"


def remove_logs(path: Path, opened: FileIds) -> None:
    """Delete the log files of the opened database: SQLite would apply them to the next database of that name."""
    for file, known in zip(list_sqlite_files(path), (opened.wal, opened.shm), strict=True):
        if known is not None and _read_file_id(file) == known:
            file.unlink(missing_ok=True)


def put_in_place(new: Path, path: Path, *, replacing: bool) -> None:
    """Give a finished file its name.

    Raises:
        FileExistsError: something else has the name by now, and it is not to be replaced.
    """
    if replacing:
        new.replace(path)
        return
    try:
        path.hardlink_to(new)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(path) from None
        new.replace(path)


@dataclass(frozen=True, slots=True)
class Owner:
    """The Plex server a database belongs to, and the digest of the address it was last reached at (0: none).

    Of several servers it is the one seen last.
    """

    server: str | None
    name: str | None
    address: int
    links: dict[str, str | None] = field(default_factory=dict)
    """The servers of all links, by the digests of their addresses."""

    @property
    def servers(self) -> frozenset[str]:
        """The machine identifiers of all servers that the database belongs to."""
        known = {server for server in self.links.values() if server}
        return frozenset(known or ({self.server} if self.server else ()))


def find_owner(path: Path, *, alone: bool = False) -> tuple[int, Owner] | None:
    """Return schema version and owner of a database; `None` if there is none, or it is not this program's.

    Args:
        path: the file.
        alone: look at the file and at nothing beside it: a write-ahead log that lies there may be another database's.
    """
    how = "immutable=1" if alone else "mode=ro"
    if not path.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?{how}", uri=True)) as connection:
            (schema,) = connection.execute("SELECT max(version) FROM migrations").fetchone()
            return int(schema or 0), read_owner(connection)
    except (sqlite3.Error, OSError):
        return None


def read_owner(connection: sqlite3.Connection) -> Owner:
    """Return the server seen last and the digest of its address.

    Raises:
        sqlite3.Error: it is no database of this program, or cannot be read.
    """
    row = connection.execute(
        "SELECT machine_identifier, name FROM servers WHERE machine_identifier NOT LIKE ? "
        "ORDER BY last_seen_at DESC LIMIT 1",
        (f"{UNKNOWN}%",),
    ).fetchone()
    (address,) = connection.execute("PRAGMA user_version").fetchone()
    return Owner(row[0] if row else None, row[1] if row else None, int(address), _read_link_servers(connection))


def _read_link_servers(connection: sqlite3.Connection) -> dict[str, str | None]:
    """Return the servers of all links; none in a database from before there were several."""
    if not connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'links'").fetchone()[0]:
        return {}
    return {row[0]: row[1] for row in connection.execute("SELECT link, server FROM links")}


def _read_file_id(file: Path | str) -> FileId | None:
    try:
        found = os.stat(file)  # noqa: PTH116 - takes both
    except OSError:
        return None
    return found.st_dev, found.st_ino
