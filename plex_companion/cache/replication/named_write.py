"""Writes that have a name, so that a log can hold them without holding SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class NamedWrite:
    """A function that writes rows. What it writes depends on its arguments and on the rows in the database alone: not on
    the time, the settings, or the order of a set.
    """

    name: str
    """Stays as it is in all versions: logs and other machines know the write by it."""
    function: Callable[[sqlite3.Connection, Any], object]
    """Takes arguments that are JSON."""

    def call(self, arguments: object) -> WriteCall:
        """Return the write with its arguments."""
        return WriteCall(self, arguments)


class WriteCall(NamedTuple):
    """A named write and its arguments."""

    write: NamedWrite
    arguments: Any

    def run(self, connection: sqlite3.Connection) -> object:
        """Write the rows, and return what the function returns."""
        return self.write.function(connection, self.arguments)


def execute(name: str, *statements: str) -> NamedWrite:
    """Declare a write that executes SQL statements with one row of values."""

    def run(connection: sqlite3.Connection, row: Any) -> None:
        for sql in statements:
            connection.execute(sql, row)

    return NamedWrite(name, run)


def execute_many(name: str, sql: str) -> NamedWrite:
    """Declare a write that executes an SQL statement with each of several rows."""
    return NamedWrite(name, lambda connection, rows: connection.executemany(sql, rows))
