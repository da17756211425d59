"""Brings a database to the schema this code knows: plain SQL files, each in one transaction."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING
from urllib.parse import quote

from plex_companion.errors import DatabaseBusy, DatabaseNewer, DatabaseUnusable
from plex_companion.names.search_text import prepare_titles
from plex_companion.private_files import make_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable
    from pathlib import Path

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")
_MIGRATIONS_TABLE = """
    CREATE TABLE IF NOT EXISTS migrations (
        version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at TEXT NOT NULL
    ) STRICT
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file `NNNN_name.sql`."""

    version: int
    name: str
    sql: str


def list_migrations() -> list[Migration]:
    """List the migrations of this version, oldest first: from the wheel, or from the top of a checkout."""
    folder: Traversable = resources.files("plex_companion") / "migrations"
    if not folder.is_dir():
        folder = resources.files("plex_companion") / ".." / "migrations"
    found = [(match, file) for file in folder.iterdir() if (match := _FILE.fullmatch(file.name))]
    return sorted(
        (Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")) for match, file in found),
        key=lambda migration: migration.version,
    )


def migrate(path: Path, migrations: list[Migration] | None = None, *, wait_seconds: float = 10) -> int:
    """Apply the missing migrations and return the version reached. Call before this process opens any other connection.

    If none is missing, nothing is locked: another process may be writing, however long it takes.

    Raises:
        DatabaseBusy: another process kept it locked for longer than `wait_seconds`; it may be migrating it.
        DatabaseNewer: the database knows a migration this code does not; nothing is touched.
        DatabaseUnusable: it cannot be opened, read or written, or belongs to another program.
    """
    migrations = list_migrations() if migrations is None else migrations
    try:
        make_folder(path.parent)
        refuse_newer(path, migrations)
        _refuse_foreign(path)
        path.touch(mode=0o600)
        with closing(sqlite3.connect(path, isolation_level=None, timeout=wait_seconds)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            apply_all(connection, migrations)
        path.chmod(0o600)
    except (sqlite3.Error, OSError) as error:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            message = f"The database {path} is locked by another process."
            raise DatabaseBusy(message) from error
        reason = error.strerror if isinstance(error, OSError) else str(error)
        message = f"The database {path} cannot be used: {reason}. Check that the folder exists and can be written to."
        raise DatabaseUnusable(message) from error
    return _find_newest(migrations)


def apply_all(connection: sqlite3.Connection, migrations: list[Migration]) -> int:
    """Apply the missing migrations over an open connection and return the version reached.

    Raises:
        sqlite3.Error: a migration cannot be applied; those before it were.
    """
    connection.create_function("prepare_titles", 5, prepare_titles, deterministic=True)
    connection.execute(_MIGRATIONS_TABLE)
    for migration in migrations:
        _apply(connection, migration)
    return _find_newest(migrations)


def _find_newest(migrations: list[Migration]) -> int:
    return migrations[-1].version if migrations else 0


def refuse_newer(path: Path, migrations: list[Migration]) -> None:
    """Raise if the database is newer than this code, without changing anything.

    Raises:
        DatabaseNewer: the database knows a migration this code does not.
        sqlite3.Error: it cannot be read.
    """
    known = read_schema_version(path)
    if known > _find_newest(migrations):
        message = (
            f"The database {path} has schema {known}, this version of plex-companion knows {_find_newest(migrations)}: "
            "use a newer plex-companion, or name another file with --database."
        )
        raise DatabaseNewer(message)


def _refuse_foreign(path: Path) -> None:
    """Raise if the database belongs to another program, such as Plex itself."""
    if not path.exists():
        return
    with closing(_open_read_only(path)) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    if tables and "migrations" not in tables:
        raise DatabaseUnusable(f"The database {path} belongs to another program. Name another file with --database.")


def is_older(path: Path) -> bool:
    """Return whether the database was written by an older version of this program."""
    return 0 < read_schema_version(path) < _find_newest(list_migrations())


def read_schema_version(path: Path) -> int:
    """Return the last migration applied to a database; 0 if it has none or does not exist.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    if not path.exists():
        return 0
    with closing(_open_read_only(path)) as connection:
        return _read_version(connection)


def _open_read_only(path: Path) -> sqlite3.Connection:
    """Open a database for reading: a connection that may write would checkpoint a log left by a crash."""
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=10)


def _read_version(connection: sqlite3.Connection) -> int:
    tables = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'migrations'").fetchone()[0]
    if not tables:
        return 0
    version: int = connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()[0]
    return version


def _apply(connection: sqlite3.Connection, migration: Migration) -> None:
    """Apply a migration and record it in one transaction: a file that fails halfway leaves nothing behind."""
    if migration.version <= _read_version(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    if migration.version > _read_version(
        connection
    ):  # checked again under the lock: another process may have been faster
        for statement in _split_statements(migration.sql):
            connection.execute(statement)
        record = "INSERT INTO migrations VALUES (:version, :name, datetime('now'))"
        connection.execute(record, {"version": migration.version, "name": migration.name})
    connection.execute("COMMIT")  # if it is not reached, closing the connection rolls back


def _split_statements(sql: str) -> Iterator[str]:
    """Yield the statements one by one: `executescript` would commit the open transaction first."""
    statement = ""
    for part in sql.split(";"):
        statement += f"{part};"
        if sqlite3.complete_statement(statement):  # else the semicolon is in a string or a comment
            yield statement
            statement = ""
