"""Brings a database to the schema this code knows: plain SQL files, each in one transaction."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING

from plex_companion.errors import DatabaseNewer, DatabaseUnusable

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable
    from pathlib import Path

_FILE = re.compile(r"(\d{4})_(\w+)\.sql")
_LEDGER = """
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


def shipped() -> list[Migration]:
    """The migrations that travel with this code, oldest first: in the wheel, or at the top of a checkout."""
    folder: Traversable = resources.files("plex_companion") / "migrations"
    if not folder.is_dir():
        folder = resources.files("plex_companion") / ".." / "migrations"
    found = [(match, file) for file in folder.iterdir() if (match := _FILE.fullmatch(file.name))]
    return sorted(
        (Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")) for match, file in found),
        key=lambda migration: migration.version,
    )


def migrate(path: Path, migrations: list[Migration] | None = None) -> int:
    """Apply what is missing and return the version reached. Call before any other connection is open.

    Raises:
        DatabaseNewer: the database knows a migration this code does not; nothing is touched.
        DatabaseUnusable: it cannot be opened, read or written.
    """
    migrations = shipped() if migrations is None else migrations
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as connection:
            return _apply(connection, path, migrations)
    except (sqlite3.Error, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        message = f"The database {path} cannot be used: {reason}. Check that the folder exists and can be written to."
        raise DatabaseUnusable(message) from error


def _apply(connection: sqlite3.Connection, path: Path, migrations: list[Migration]) -> int:
    known = _version(connection)
    newest = migrations[-1].version if migrations else 0
    if known > newest:
        message = (
            f"The database {path} has schema {known}, this version of plex-companion knows {newest}: "
            "use a newer plex-companion, or name another file with --database."
        )
        raise DatabaseNewer(message)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(_LEDGER)
    for migration in migrations:
        if migration.version > known:
            _apply_one(connection, migration)
    path.chmod(0o600)
    return newest


def _version(connection: sqlite3.Connection) -> int:
    ledger = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'migrations'").fetchone()[0]
    if not ledger:
        return 0
    version: int = connection.execute("SELECT coalesce(max(version), 0) FROM migrations").fetchone()[0]
    return version


def _apply_one(connection: sqlite3.Connection, migration: Migration) -> None:
    """One script: begin, the file, its record, commit. A file that fails half-way leaves nothing of itself."""
    record = f"INSERT OR IGNORE INTO migrations VALUES ({migration.version}, '{migration.name}', datetime('now'))"  # noqa: S608 - our own file name
    try:
        connection.executescript(f"BEGIN IMMEDIATE;\n{migration.sql}\n;{record};\nCOMMIT;")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
