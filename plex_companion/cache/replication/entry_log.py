"""Commits transactions of the leader to the log that several machines share, and to its own database."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

import anyio
from msgspec.structs import replace

from plex_companion.cache.connections import run_in_thread
from plex_companion.cache.replication.answered import read_answered
from plex_companion.cache.replication.entry import EncodedEntry, EntryWaits
from plex_companion.cache.replication.position import Position, compute_digest, write_position

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiosqlite

    from plex_companion.cache.replication.entry import Append, Entry
    from plex_companion.cache.replication.transaction import Transaction


class _Attempt(NamedTuple):
    """A transaction, and the entry it became if it was encoded already."""

    transaction: Transaction
    entry: EncodedEntry | None


@dataclass(slots=True)
class EntryLog:
    """The log, as the leader writes to it.

    A transaction runs in the leader's database, is appended, and only then commits: an entry that cannot be written is
    never in the log. If the leader ends between append and commit, its database applies the entry at the next start.

    An entry whose append or commit failed may be in the log or not. It waits, and is tried again before any other, so
    that the log and the database always have the same entries in the same order.
    """

    encode: Callable[[Entry], bytes]
    append: Append
    _waiting: _Attempt | None = None

    @property
    def has_waiting(self) -> bool:
        """Whether a transaction waits to be tried again."""
        return self._waiting is not None

    def forget(self) -> None:
        """Drop the transaction that waits: this process no longer leads. If it is in the log, the log says so."""
        self._waiting = None

    async def write(self, connection: aiosqlite.Connection, transaction: Transaction) -> None:
        """Append and commit a transaction, after the one that waits.

        Raises:
            EntryWaits: it will be tried again; what it writes must not be written another time.
            StorageError: nothing was written, and it does not wait.
            LeadershipLost: nothing was written, because another process leads by now.
        """
        await self.settle(connection)
        attempt = _Attempt(transaction, None)
        try:
            await self._commit(connection, attempt)
        except sqlite3.Error as error:
            if self._waiting:
                raise EntryWaits(str(error), transaction.term) from error
            raise

    async def settle(self, connection: aiosqlite.Connection) -> None:
        """Append and commit the transaction that waits, if there is one.

        Raises:
            StorageError: it still waits.
            LeadershipLost: another process leads by now, and it is dropped.
        """
        if self._waiting is not None:
            await self._commit(connection, self._waiting)

    async def _commit(self, connection: aiosqlite.Connection, attempt: _Attempt) -> None:
        with anyio.CancelScope(shield=True):  # what is in the log must be in the database, also when the program ends
            try:
                attempt = await run_in_thread(connection, partial(self._begin, attempt))
                position = await self._append(attempt.entry) if attempt.entry else None
                await run_in_thread(connection, partial(_finish, attempt.transaction, position))
            except sqlite3.Error:
                self._waiting = attempt if attempt.entry else self._waiting
                await run_in_thread(connection, _roll_back)
                raise
            except BaseException:
                self._waiting = None
                await run_in_thread(connection, _roll_back)
                raise
            self._waiting = None

    def _begin(self, attempt: _Attempt, connection: sqlite3.Connection) -> _Attempt:
        """Run the writes in a transaction that stays open; encode them if they changed anything."""
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("SAVEPOINT writes")
        before = connection.total_changes
        entry = attempt.transaction.run(connection)
        remote_ids = attempt.transaction.remote_ids
        if attempt.entry:
            return attempt
        if not (connection.total_changes > before or entry.touched or remote_ids):
            connection.execute(
                "ROLLBACK TO writes"
            )  # an insert that did nothing may have taken ids (sqlite.org/autoinc.html)
            return attempt
        if local_ids := attempt.transaction.local_ids:
            entry = replace(entry, answered=read_answered(connection, local_ids))
        return attempt._replace(entry=EncodedEntry(uuid4().hex, self.encode(entry), remote_ids))

    async def _append(self, entry: EncodedEntry) -> Position:
        return Position(await self.append(entry), compute_digest(entry.body))


def _finish(transaction: Transaction, position: Position | None, connection: sqlite3.Connection) -> None:
    transaction.finish(connection)
    if position is not None:
        write_position(connection, position)
    connection.execute("COMMIT")


def _roll_back(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        if connection.in_transaction:
            connection.execute("ROLLBACK")
