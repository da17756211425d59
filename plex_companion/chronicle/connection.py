"""The connection of this process to its chronicle: opened again after it was lost, and checked each time."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from plex_companion.chronicle.append import ChronicleAway
from plex_companion.chronicle.member_status import ChronicleStatus
from plex_companion.chronicle.postgres_session import open_session
from plex_companion.chronicle.timeouts import DEFAULT_CHRONICLE_TIMEOUTS, ChronicleTimeouts

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plex_companion.chronicle.log import ChronicleLog
    from plex_companion.chronicle.postgres_session import PostgresSession

logger = logging.getLogger(__name__)


async def _accept(_: PostgresSession) -> None:
    """Accept any chronicle."""
    await anyio.lowlevel.checkpoint()


@dataclass(slots=True)
class ChronicleConnection:
    """At most one session at a time. All statements of this process, and its lock, are in it."""

    dsn: str
    log: ChronicleLog
    timeouts: ChronicleTimeouts = DEFAULT_CHRONICLE_TIMEOUTS
    check: Callable[[PostgresSession], Awaitable[None]] = _accept
    """Raises if this process must not use the chronicle."""
    status: ChronicleStatus = field(default_factory=ChronicleStatus)
    opened: int = 0
    """How many sessions there were."""
    opened_at: float = 0.0
    """When the session was opened, by the clock of the event loop."""
    _session: PostgresSession | None = None
    _opening: anyio.Lock = field(default_factory=anyio.Lock)

    @property
    def session(self) -> PostgresSession | None:
        """The session, if there is one that is not known to be lost."""
        return self._session if self._session is not None and self._session.is_open else None

    async def open(self) -> PostgresSession:
        """Return the session; open one if there is none.

        Raises:
            ChronicleAway: PostgreSQL cannot be reached now.
            SettingsError, StartError: it cannot be used; waiting does not help.
        """
        async with self._opening:
            if self.session is not None:
                return self.session
            await self.close()
            try:
                self._session = await self._open()
            except ChronicleAway as error:
                self.report(str(error))
                raise
            self.report(None)
            return self._session

    async def _open(self) -> PostgresSession:
        session = await open_session(self.dsn, self.log.group, self.timeouts)
        try:
            await self.check(session)
            await self.log.listen(session)
        except BaseException:
            await session.close()
            raise
        self.opened, self.opened_at = self.opened + 1, anyio.current_time()
        return session

    def report(self, problem: str | None) -> None:
        """Record why the chronicle cannot be used, or that it can; log it once."""
        if problem != self.status.problem:
            self.status.problem = problem
            if problem:
                logger.warning("The chronicle cannot be used: %s", problem)
            else:
                logger.info("The chronicle can be used")

    async def close(self) -> None:
        """Close the session; PostgreSQL frees its lock."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
