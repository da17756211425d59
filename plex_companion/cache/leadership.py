"""The rows that the leader writes for the other processes on the database: its status and the URIs it touched, in its own
transactions.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from plex_companion.cache.replication.named_write import execute_many
from plex_companion.models import Connection
from plex_companion.text import encode_finite

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from plex_companion.cache.replication.named_write import WriteCall


class RemoteId(int):
    """The id of an event that another machine forwarded through the log, and not through this database."""


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
    """The process that listens, and what it has counted."""

    pid: int
    """`NO_LEADER` once it has ended; the rest is then what it knew last."""
    counters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """The knowledge of the leader about the link to a server that no other table holds."""

    link: str
    """The digest of the configured address."""
    server: str | None
    connection: Connection
    sessions_read: bool
    last_event_at: int | None
    refreshed_at: int | None
    moved: int = field(default=0, compare=False)
    """Differs after every commit that changed rows of its server."""
    row: tuple[object, ...] = field(default=(), compare=False, repr=False)
    """The row that this was read from."""

    @property
    def essential(self) -> tuple[object, ...]:
        """The fields that the other processes need at once. The rest only shows that data is fresher."""
        return self.server, self.connection, self.sessions_read

    def has_moved_since(self, before: LinkStatus) -> bool:
        """Return whether rows of its server, or what it says of the connection, may have changed since."""
        return self is not before and (self.moved, self.essential) != (before.moved, before.essential)


@dataclass(frozen=True, slots=True)
class LoadPoint:
    """The term, and the next id of each table, at the moment a process loaded its state from the database.

    A process that hung in the middle of a transaction may commit it after another process has taken over. The ids in
    memory of the other process would then belong to other rows.
    """

    term: int
    ids: dict[str, int]

    def is_still(self, connection: sqlite3.Connection, term: int) -> bool:
        """Return whether no process has begun a term or used an id since."""
        used = dict(connection.execute("SELECT name, seq FROM sqlite_sequence").fetchall())
        return term == self.term and all(used.get(table, 0) < following for table, following in self.ids.items())


class LeaderCommit(Struct, frozen=True):
    """The rows that the leader adds to one transaction. Without a `term`, the transaction begins one: the next after the newest."""

    at: int
    term: int | None = None
    touched: TouchedUris = msgspec.field(default_factory=TouchedUris)
    status: LeaderStatus | None = None
    links: Sequence[LinkStatus] = ()
    """The links whose status is written."""
    moved: Collection[str] = ()
    """The links that this transaction changes rows of."""
    received_ids: Sequence[int] = ()
    """Forwarded events whose changes this transaction writes; their rows are deleted with it."""
    load_point: LoadPoint | None = None
    """When the state was loaded. Without a `term`, no process may have written since."""

    def __bool__(self) -> bool:
        """Return whether this is worth a transaction of its own."""
        return bool(self.touched or self.status or self.links or self.received_ids)

    def check_term(self, connection: sqlite3.Connection) -> int:
        """Return the term of this transaction.

        Locks may fail, as on a deleted file or a network disk; this check does not: `BEGIN IMMEDIATE` lets one writer
        at a time read and set the term (sqlite.org/lang_transaction.html).

        Raises:
            LeadershipLost: another process has begun a term.
        """
        newest = read_term(connection)
        if self.term is not None and self.term != newest:
            raise LeadershipLost
        if self.term is None and self.load_point is not None and not self.load_point.is_still(connection, newest):
            raise LeadershipLost
        return newest + (self.term is None)

    def list_calls(self) -> list[WriteCall]:
        """Return the writes of the rows of links."""
        calls = []
        if self.links:
            calls.append(LINKS.call([{"at": self.at, **_build_columns(link)} for link in self.links]))
        if self.moved:
            calls.append(LINKS_MOVED.call([(link,) for link in self.moved]))
        return calls

    def write(self, connection: sqlite3.Connection, term: int) -> None:
        """Write the status, announcements and deletions, which are this database's own; call it last in the transaction."""
        if self.status is not None:
            write_status(connection, term, self.status)
        write_announcement(connection, self.at, self.touched)
        if self.received_ids:
            connection.executemany(
                "DELETE FROM letters WHERE id = ?",
                [(one,) for one in self.received_ids if not isinstance(one, RemoteId)],
            )


def read_term(connection: sqlite3.Connection) -> int:
    """Return the newest leadership term; 0 if no process ever led."""
    row = connection.execute("SELECT term FROM listener").fetchone()
    return int(row[0]) if row else 0


def write_status(connection: sqlite3.Connection, term: int, status: LeaderStatus) -> None:
    """Write the row of the leader."""
    connection.execute(_LISTENER, {"term": term, "pid": status.pid, "counters": json.dumps(status.counters)})


def write_announcement(connection: sqlite3.Connection, at: int, touched: TouchedUris) -> None:
    """Announce touched URIs to the other processes on the database, if there are any."""
    if touched:
        connection.execute(_ANNOUNCE, {"at": at, **_encode_uris(touched)})


_LISTENER = """
    INSERT INTO listener (id, term, pid, counters) VALUES (1, :term, :pid, :counters)
    ON CONFLICT (id) DO UPDATE SET term = excluded.term, pid = excluded.pid, counters = excluded.counters
"""
_NAMES = ("link", "server", "sessions_read", "last_event_at", "refreshed_at")
_COLUMNS = (*_NAMES, "state", "since_at", "epoch", "detail")
LINKS = execute_many(
    "links",
    f"INSERT INTO links ({', '.join(_COLUMNS)}, moved) VALUES ({', '.join(f':{name}' for name in _COLUMNS)}, :at) "  # noqa: S608 - our own column names
    f"ON CONFLICT (link) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS if name != 'link')}",
)
LINKS_MOVED = execute_many("links_moved", "UPDATE links SET moved = moved + 1 WHERE link = ?")
_ANNOUNCE = "INSERT INTO announcements (at, urgent, lazy, listing) VALUES (:at, :urgent, :lazy, :listing)"


def _build_columns(row: LinkStatus) -> dict[str, Any]:
    connection = row.connection
    return {
        **{name: getattr(row, name) for name in _NAMES},
        "state": connection.state,
        "since_at": connection.since_at,
        "epoch": connection.epoch,
        "detail": connection.detail,
    }


def _encode_uris(touched: TouchedUris) -> dict[str, Any]:
    return {
        "urgent": encode_finite(sorted(touched.immediate)),
        "lazy": encode_finite(sorted(touched.progress_only)),
        "listing": touched.listing,
    }


def parse_status(row: sqlite3.Row) -> LeaderStatus:
    """Parse the row of the leader."""
    return LeaderStatus(row["pid"], json.loads(row["counters"]))


def parse_link(row: sqlite3.Row) -> LinkStatus:
    """Parse the row of a link."""
    return LinkStatus(
        link=row["link"],
        server=row["server"],
        connection=Connection(row["state"], row["since_at"], row["epoch"], row["detail"]),
        sessions_read=bool(row["sessions_read"]),
        last_event_at=row["last_event_at"],
        refreshed_at=row["refreshed_at"],
        moved=row["moved"],
        row=tuple(row),
    )


@dataclass(frozen=True, slots=True)
class Announcements:
    """The announcements of the leader since a process last read them."""

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
