"""A transaction of the leader: writes that every machine repeats, then rows of this database alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plex_companion.cache.leadership import RemoteId, TouchedUris
from plex_companion.cache.replication.entry import Entry

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from plex_companion.cache.leadership import LeaderCommit
    from plex_companion.cache.replication.named_write import WriteCall


@dataclass(slots=True)
class Transaction:
    """One transaction. If it fails, it may be run again, and then writes the same."""

    at: int
    list_calls: Callable[[], Sequence[WriteCall]]
    """Lists the writes; called once, in the writer's thread, since there may be thousands."""
    commit: LeaderCommit | None = None
    term: int | None = None
    """The term of the leader, once it has run with a commit."""
    results: Sequence[object] = ()
    """What each write returned."""
    _entry: Entry | None = field(default=None, repr=False)

    @property
    def local_ids(self) -> tuple[int, ...]:
        """The events of other processes on this database whose changes it writes."""
        received = self.commit.received_ids if self.commit else ()
        return tuple(one for one in received if not isinstance(one, RemoteId))

    @property
    def remote_ids(self) -> tuple[int, ...]:
        """The events of other machines whose changes it writes."""
        received = self.commit.received_ids if self.commit is not None else ()
        return tuple(int(one) for one in received if isinstance(one, RemoteId))

    def run(self, connection: sqlite3.Connection) -> Entry:
        """Run the writes, and return them as an entry.

        Raises:
            LeadershipLost: another process has begun a term; nothing was written.
        """
        self.term = self.commit.check_term(connection) if self.commit is not None else None
        self._entry = self._entry or self._build_entry()
        self.results = self._entry.run(connection)
        return self._entry

    def _build_entry(self) -> Entry:
        calls, commit = self.list_calls(), self.commit
        if commit is None:
            return Entry(self.at, calls, TouchedUris())
        counters = commit.status.counters if commit.status else None
        return Entry(self.at, [*calls, *commit.list_calls()], commit.touched, counters)

    def finish(self, connection: sqlite3.Connection) -> None:
        """Write the rows of this database alone; call it last."""
        if self.commit is not None and self.term is not None:
            self.commit.write(connection, self.term)

    def run_alone(self, connection: sqlite3.Connection) -> None:
        """Run all of it, on a database that shares no log."""
        self.run(connection)
        self.finish(connection)
