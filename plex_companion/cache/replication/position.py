"""How far a database has applied the log."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3

EMPTY, AS_IT_WAS = 0, 1
"""The position of a file in which nothing was ever written, and of one that had rows before the log began. So the first entry
of a log that begins with rows is 2, and a new file misses the entry before it."""


class Position(NamedTuple):
    """The last entry that was applied."""

    number: int
    digest: str | None
    """Of the entry's body; `None` where no entry was applied yet."""


class DatabaseStanding(NamedTuple):
    """What a database says of itself to a log."""

    identity: str
    position: Position
    has_rows: bool

    @property
    def is_new(self) -> bool:
        """Whether it has neither rows of its own nor any entry, so that it can become part of any log."""
        return self.position.number == EMPTY and not self.has_rows


def compute_digest(body: bytes) -> str:
    """Return the digest by which an entry is told from another one with its number."""
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def read_position(connection: sqlite3.Connection) -> Position:
    """Read the position of a database."""
    number, digest = connection.execute("SELECT number, digest FROM chronicle_position").fetchone()
    return Position(number, digest)


def write_position(connection: sqlite3.Connection, position: Position) -> None:
    """Write the position; call it in the transaction of the entry."""
    connection.execute("UPDATE chronicle_position SET number = ?, digest = ?", position)


def begin_log(connection: sqlite3.Connection) -> Position:
    """Return where a log begins that this database is the first to write to, and record it."""
    if (position := read_position(connection)).number == EMPTY and _has_rows(connection):
        position = Position(AS_IT_WAS, None)
        write_position(connection, position)
    return position


def _has_rows(connection: sqlite3.Connection) -> bool:
    """Return whether anything was written since the database was created."""
    sql = "SELECT EXISTS (SELECT 1 FROM servers WHERE machine_identifier <> 'unknown') OR EXISTS (SELECT 1 FROM links)"
    return bool(connection.execute(sql).fetchone()[0])


def read_standing(connection: sqlite3.Connection) -> DatabaseStanding:
    """Read what decides whether a database fits a log."""
    (identity,) = connection.execute("SELECT value FROM about WHERE name = 'database'").fetchone()
    return DatabaseStanding(identity, read_position(connection), has_rows=_has_rows(connection))


def join_log(connection: sqlite3.Connection, identity: str) -> None:
    """Give a new database the identity that all databases of a log share."""
    connection.execute("UPDATE about SET value = ? WHERE name = 'database'", (identity,))
