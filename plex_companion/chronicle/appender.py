"""Appends the entries of the leader, each exactly once, and keeps the session that its lock depends on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import anyio

from plex_companion.cache.leadership import LeadershipLost
from plex_companion.chronicle.append import ChronicleAway, LeadershipUncertain
from plex_companion.chronicle.postgres_session import NumberTaken, SessionLost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from plex_companion.cache.replication.entry import EncodedEntry
    from plex_companion.chronicle.connection import ChronicleConnection
    from plex_companion.chronicle.log import LogRow
    from plex_companion.chronicle.postgres_session import PostgresSession


@dataclass(slots=True)
class SentEntry:
    """An entry that was sent and whose answer is lost."""

    name: str
    is_appended: bool = False
    """Whether it was found in the chronicle since."""


class Appender:
    """The leader's side of a chronicle; an `Append`. The session holds the lock when it is created."""

    def __init__(self, connection: ChronicleConnection, session: PostgresSession, last: int) -> None:
        self._connection, self._log, self._timeouts = connection, connection.log, connection.timeouts
        self._session: PostgresSession | None = session
        self._backend = session.backend
        self._sent: SentEntry | None = None
        self._newest: str | None = None
        """The name of the newest entry, once it was appended here."""
        self._one_at_a_time = anyio.Lock()
        self.last = last
        """The number of the newest entry."""
        self.answered_at = session.answered_at
        """When the last statement that was answered began: from then on the lock is certain for `idle` seconds."""

    @property
    def session(self) -> PostgresSession | None:
        """The session that holds the lock, if it is not known to be lost."""
        return self._session if self._session is not None and self._session.is_open else None

    async def __call__(self, entry: EncodedEntry) -> int:
        """Append an entry after all others, or find it there by its name; return its number.

        Raises:
            ChronicleAway: it is not certain that the entry is in the chronicle. It must be appended again before any other.
            LeadershipLost: another machine leads by now.
        """
        async with self._one_at_a_time:
            if self._sent is not None and self._sent.name != entry.name:
                message = "the answer to another entry is lost, which must be appended again first"
                raise RuntimeError(message)
            if entry.name == self._newest:  # the database could not commit it, and it is tried again
                return self.last
            if self._sent is None or not self._sent.is_appended:
                await self._append(entry)
            self._sent, self._newest = None, entry.name
            self.last += 1
            return self.last

    async def _append(self, entry: EncodedEntry) -> None:
        session = self.session
        if session is None:
            raise ChronicleAway(self._connection.status.problem or "the connection to PostgreSQL is lost")
        try:
            await self._log.append(session, self.last + 1, entry.name, entry.body, entry.remote_ids)
        except NumberTaken:
            raise LeadershipLost from None
        except SessionLost:
            self._sent = SentEntry(entry.name)
            raise
        except ChronicleAway:  # refused: it is certain that nothing was written
            self._sent = None
            raise
        self.answered_at = session.answered_at

    async def hold(
        self, look: Callable[[PostgresSession], Awaitable[None]], resume: Callable[[], Awaitable[None]]
    ) -> NoReturn:
        """Keep the session in use, and open another one when it is lost, until another machine leads or may.

        Args:
            look: is awaited again and again with the session, which must not be idle for long.
            resume: is awaited after PostgreSQL could be reached again.

        Raises:
            LeadershipLost: another machine leads.
            LeadershipUncertain: it may.
        """
        while True:
            try:
                if self.session is None:
                    await self._return()
                    await resume()
                if session := self.session:
                    await look(session)
                    self.answered_at = max(self.answered_at, session.answered_at)
                    self._connection.report(None)
            except ChronicleAway as error:
                self._connection.report(str(error))
            if anyio.current_time() - self.answered_at > self._timeouts.idle:
                raise LeadershipUncertain
            await anyio.sleep(self._timeouts.poll if self.session else self._timeouts.retry)

    async def _return(self) -> None:
        """Open a new session and acquire the lock again.

        Raises:
            LeadershipLost: another machine has led meanwhile, or does.
        """
        async with self._one_at_a_time:  # an append that still waited for the lost session has failed now
            self._session = None
        session = await self._connection.open()
        await self._log.end_session(session, self._backend)
        if not await self._log.try_lock(session):
            await self._connection.close()
            raise LeadershipLost
        self._recognize(await self._log.read_after(session, self.last, 2))
        self._session, self._backend, self.answered_at = session, session.backend, session.answered_at

    def _recognize(self, rows: Sequence[LogRow]) -> None:
        """Find out whether the entry whose answer was lost is in the chronicle.

        Raises:
            LeadershipLost: an entry of another machine is.
        """
        if not rows:
            return
        if self._sent is None or [(row.number, row.name) for row in rows] != [(self.last + 1, self._sent.name)]:
            raise LeadershipLost
        self._sent.is_appended = True
