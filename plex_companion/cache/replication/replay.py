"""Applies entries of the log to the database of a machine whose processes do not lead."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from plex_companion.cache.leadership import LeadershipLost, LeaderStatus, read_term, write_announcement, write_status
from plex_companion.cache.replication.answered import delete_answered
from plex_companion.cache.replication.position import Position, read_position, write_position
from plex_companion.errors import EntryMissing, EntryUnreadable

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping, Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.cache.replication.entry import Entry


class LoggedEntry(NamedTuple):
    """An entry as it is in the log."""

    position: Position
    entry: Entry


class _Applied(NamedTuple):
    term: int
    counters: Mapping[str, Any]
    position: Position


@dataclass(slots=True)
class Replay:
    """Applies entries, in a term of its own: a process of this machine that hung cannot write after it."""

    pid: int
    """The process that applies them."""
    term: int | None = None
    """`None` until the first transaction has begun a term."""
    _counters: Mapping[str, Any] = field(default_factory=dict)

    async def apply(self, cache: Cache, entries: Sequence[LoggedEntry]) -> Position:
        """Apply entries in one transaction, those apart that were applied before, and return the position reached.

        What they touched is announced to the other processes on the database.

        Raises:
            EntryMissing: the next entry is not among them; nothing was written.
            EntryUnreadable: what one of them says cannot be written; nothing was.
            LeadershipLost: another process on the database has begun a term; nothing was written.
            StorageError: nothing was written.
        """
        applied = await cache.transact(partial(self._run, entries))
        self.term, self._counters = applied.term, applied.counters
        return applied.position

    def _run(self, entries: Sequence[LoggedEntry], connection: sqlite3.Connection) -> _Applied:
        term = self._check_term(connection)
        counters, reached = self._counters, read_position(connection)
        for position, entry in entries:
            if position.number <= reached.number:
                continue
            if position.number != reached.number + 1:
                raise EntryMissing(reached.number, position.number)
            _run_entry(position.number, entry, connection)
            delete_answered(connection, entry.answered)
            write_announcement(connection, entry.at, entry.touched)
            counters, reached = entry.counters or counters, position
        if self.term is None or counters is not self._counters:
            write_status(connection, term, LeaderStatus(self.pid, dict(counters)))
        write_position(connection, reached)
        return _Applied(term, counters, reached)

    def _check_term(self, connection: sqlite3.Connection) -> int:
        newest = read_term(connection)
        if self.term not in {None, newest}:
            raise LeadershipLost
        return newest + (self.term is None)


def _run_entry(number: int, entry: Entry, connection: sqlite3.Connection) -> None:
    try:
        entry.run(connection)
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # its arguments are not those of the write
        reason = str(error) or type(error).__name__
        raise EntryUnreadable(f"Entry {number} of the chronicle cannot be applied: {reason}.", reason=reason) from error
