"""What the leader tells the other processes on the database: its status and the URIs it touched, in its own
transactions.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plex_companion.models import Connection

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence


class LeadershipLost(Exception):
    """Another process leads by now: nothing of this transaction was written."""


@dataclass(slots=True)
class TouchedUris:
    """The URIs that changes touch: `progress_only` ones only progressed; with `listing`, a list gained or lost a member."""

    immediate: set[str] = field(default_factory=set)
    progress_only: set[str] = field(default_factory=set)
    listing: bool = False

    def add(self, other: TouchedUris) -> None:
        """Add the URIs that other changes touch."""
        self.immediate |= other.immediate
        self.progress_only = (self.progress_only | other.progress_only) - self.immediate
        self.listing |= other.listing

    def __bool__(self) -> bool:
        """Return whether any URI or list was touched."""
        return bool(self.immediate or self.progress_only or self.listing)


NO_LEADER = 0
"""The process id of the leader when there is none."""


@dataclass(frozen=True, slots=True)
class LeaderStatus:
    """What the leader knows that no other table holds."""

    pid: int
    """`NO_LEADER` once it has ended; the rest is then what it knew last."""
    server: str | None
    connection: Connection
    sessions_read: bool
    last_event_at: int | None
    refreshed_at: int | None
    counters: dict[str, Any]

    @property
    def essential(self) -> tuple[object, ...]:
        """What the other processes must learn at once. The rest only says that data is fresher and more was counted."""
        return self.pid, self.server, self.connection, self.sessions_read


@dataclass(frozen=True, slots=True)
class Base:
    """The term, and the next id of each table, when a process loaded the state it goes on from.

    A process that hung in the middle of a transaction may commit it after another process has taken over. The ids in
    memory of the other process would then belong to other rows.
    """

    term: int
    ids: dict[str, int]

    def is_still(self, connection: sqlite3.Connection, term: int) -> bool:
        """Return whether no process has begun a term or used an id since."""
        used = dict(connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
        return term == self.term and all(used.get(table, 0) < following for table, following in self.ids.items())


@dataclass(frozen=True, slots=True)
class LeaderCommit:
    """What the leader adds to one transaction. Without a `term`, the transaction begins one: the next after the newest."""

    at: int
    term: int | None = None
    touched: TouchedUris = field(default_factory=TouchedUris)
    status: LeaderStatus | None = None
    received_ids: Sequence[int] = ()
    """Forwarded events whose changes this transaction writes; their rows are deleted with it."""
    base: Base | None = None
    """What the state was loaded from. Without a `term`, no process may have written since."""

    def __bool__(self) -> bool:
        """Return whether this is worth a transaction of its own."""
        return bool(self.touched or self.status or self.received_ids)

    def check_term(self, connection: sqlite3.Connection) -> int:
        """Return the term of this transaction.

        Locks may fail, as on a deleted file or a network disk; this check does not: `BEGIN IMMEDIATE` lets one writer
        at a time read and set the term (sqlite.org/lang_transaction.html).

        Raises:
            LeadershipLost: another process has begun a term.
        """
        row = connection.execute("SELECT term FROM listener").fetchone()
        newest = row[0] if row else 0
        if self.term is not None and self.term != newest:
            raise LeadershipLost
        if self.term is None and self.base is not None and not self.base.is_still(connection, newest):
            raise LeadershipLost
        return newest + (self.term is None)

    def write(self, connection: sqlite3.Connection, term: int) -> None:
        """Write the status, announcements and deletions; call it last in the transaction."""
        if self.status is not None:
            connection.execute(_LISTENER, {"term": term, **_build_columns(self.status)})
        if self.touched:
            connection.execute(_ANNOUNCE, {"at": self.at, **_encode_uris(self.touched)})
        if self.received_ids:
            connection.executemany(
                "DELETE FROM letters WHERE id = ?", [(forwarded_id,) for forwarded_id in self.received_ids]
            )


_NAMES = ("pid", "server", "sessions_read", "last_event_at", "refreshed_at")
_COLUMNS = ("term", *_NAMES, "state", "since_at", "epoch", "detail", "counters")
_LISTENER = (
    f"INSERT INTO listener (id, {', '.join(_COLUMNS)}) VALUES (1, {', '.join(f':{name}' for name in _COLUMNS)}) "  # noqa: S608 - our own column names
    f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS)}"
)
_ANNOUNCE = "INSERT INTO announcements (at, urgent, lazy, listing) VALUES (:at, :urgent, :lazy, :listing)"


def _build_columns(row: LeaderStatus) -> dict[str, Any]:
    link = row.connection
    return {
        **{name: getattr(row, name) for name in _NAMES},
        "state": link.state,
        "since_at": link.since_at,
        "epoch": link.epoch,
        "detail": link.detail,
        "counters": json.dumps(row.counters),
    }


def _encode_uris(touched: TouchedUris) -> dict[str, Any]:
    return {
        "urgent": json.dumps(sorted(touched.immediate)),
        "lazy": json.dumps(sorted(touched.progress_only)),
        "listing": touched.listing,
    }


def parse_status(row: sqlite3.Row) -> LeaderStatus:
    """Parse the row of the leader."""
    return LeaderStatus(
        pid=row["pid"],
        server=row["server"],
        connection=Connection(row["state"], row["since_at"], row["epoch"], row["detail"]),
        sessions_read=bool(row["sessions_read"]),
        last_event_at=row["last_event_at"],
        refreshed_at=row["refreshed_at"],
        counters=json.loads(row["counters"]),
    )


@dataclass(frozen=True, slots=True)
class Announcements:
    """What the leader announced since a process last looked."""

    last_id: int
    """The id of the newest announcement ever."""
    touched: TouchedUris
    complete: bool
    """Whether no announcement was pruned before it was read."""
    committed_at: int | None
    """When the newest announcement was written."""


def read_announcements_after(connection: sqlite3.Connection, last: int) -> Announcements:
    """Read the announcements after the id `last`, merged into one."""
    newest = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'announcements'").fetchone()
    end = int(newest[0]) if newest else 0
    rows = connection.execute("SELECT * FROM announcements WHERE id > ? ORDER BY id", (last,)).fetchall()
    touched = TouchedUris()
    for row in rows:
        touched.add(TouchedUris(set(json.loads(row["urgent"])), set(json.loads(row["lazy"])), bool(row["listing"])))
    return Announcements(end, touched, len(rows) == end - last, rows[-1]["at"] if rows else None)
