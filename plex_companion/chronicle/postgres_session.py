"""One connection to PostgreSQL, and what its failures mean."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import psycopg
from psycopg import AsyncConnection, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import UniqueViolation

from plex_companion.chronicle.append import ChronicleAway
from plex_companion.errors import ChronicleRefused
from plex_companion.setting_values import LAST_PORT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from plex_companion.chronicle.timeouts import ChronicleTimeouts


OLDEST_VERSION = 140_000
"""PostgreSQL 14 was the first with `idle_session_timeout`."""
REFUSALS = {
    "password authentication failed": "refuses the password",
    "no password supplied": "requires a password",
    "no pg_hba.conf entry": "does not let this user in from here (pg_hba.conf)",
    "certificate file": "has a certificate that is named in the address and cannot be read",
    "role ": "does not know the user",
    "permission denied for database": "does not let this user into the database",
    "does not exist": "does not have the database",
    "does not support SSL": "does not support TLS, which the address requires",
    "certificate verify failed": "has a certificate that is not trusted",
}
"""What a server says that will not change by waiting, by a part of its words. The first match counts."""
FAILURES = {
    "refused": "refuses connections",
    "resolve host": "has a host name that is not known",
    "starting up": "is starting",
    "shutting down": "is shutting down",
    "recovery": "is recovering or a standby, which cannot be written",
    "read-write": "is a standby, which cannot be written",
    "too many": "has no connection left",
    "timeout": "does not answer",
}
"""What may pass by itself. libpq's own words hold addresses."""


_NO_ADDRESS = (
    "PLEX_COMPANION_CHRONICLE is not the address of a PostgreSQL database, such as "
    "postgresql://user:password@host:5432/database."
)
_SET = sql.SQL("SELECT set_config(%s, %s, false)")
_SYNCHRONOUS = sql.SQL(
    "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'"
)
_WHO = sql.SQL("SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()")


class SessionLost(ChronicleAway):
    """The session has ended, and with it its lock. Whether its last statement was carried out is not known."""


class StatementRefused(ChronicleAway):
    """PostgreSQL refused a statement, for example because its disk is full: nothing of it was carried out."""


class NumberTaken(StatementRefused):
    """There is a row with this key already."""


@dataclass(frozen=True, slots=True)
class Backend:
    """The process of PostgreSQL that serves a session. Process ids are used again, so its start tells them apart."""

    pid: int
    started: Any


class PostgresSession:
    """An open connection in autocommit mode: each statement is a transaction. Statements run one after the other."""

    def __init__(self, connection: AsyncConnection[tuple[Any, ...]], timeouts: ChronicleTimeouts) -> None:
        self._connection, self._timeouts = connection, timeouts
        self.backend = Backend(0, None)
        self.answered_at = anyio.current_time()
        """When the last statement that was answered began."""

    @property
    def is_open(self) -> bool:
        """Whether the connection is not known to be lost."""
        return not self._connection.closed

    async def execute(
        self,
        statement: sql.SQL | sql.Composed,
        parameters: Sequence[Any] | Mapping[str, Any] = (),
        *,
        binary: bool = False,
    ) -> list[tuple[Any, ...]]:
        """Run one statement to its end, whether the caller is cancelled or not, and return its rows.

        `binary` has PostgreSQL send the rows in its binary format: in the other one, bytes take twice their length.

        Raises:
            StatementRefused: nothing of it was carried out; `NumberTaken` if its key is taken.
            SessionLost: it may have been.
        """
        began = anyio.current_time()
        try:
            with anyio.CancelScope(shield=True), self._limit_time():
                cursor = await self._connection.execute(statement, parameters or None, binary=binary)
                rows = await cursor.fetchall() if cursor.description else []
        except psycopg.Error as error:
            raise await self._translate(error) from error
        self.answered_at = began
        return rows

    async def _translate(self, error: psycopg.Error) -> ChronicleAway:
        if self.is_open and error.sqlstate is not None:
            kind = NumberTaken if isinstance(error, UniqueViolation) else StatementRefused
            return kind(f"PostgreSQL refuses: {error.diag.message_primary}")
        await self.close()
        return SessionLost("the connection to PostgreSQL is lost")

    async def wait_for_notice(self, seconds: float) -> bool:
        """Wait until a channel that is listened to gets a notice; return whether it did in time.

        Raises:
            SessionLost: the connection is lost.
        """
        try:
            async with aclosing(self._connection.notifies(timeout=seconds, stop_after=1)) as notices:
                return [notice async for notice in notices] != []
        except psycopg.Error as error:
            raise await self._translate(error) from error

    @contextmanager
    def _limit_time(self) -> Iterator[None]:
        timer = asyncio.get_running_loop().call_later(self._timeouts.statement, self.cut)
        try:
            yield
        finally:
            timer.cancel()

    def cut(self) -> None:
        """End the connection at once, without a word to PostgreSQL: what waits for an answer fails.

        Cancelling psycopg's call would wait for PostgreSQL, which may hang.
        """
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self._connection.fileno())) as wire:
            wire.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        """Close the connection; PostgreSQL frees its lock."""
        with anyio.CancelScope(shield=True):
            await self._connection.close()


def parse_address(dsn: str) -> dict[str, Any]:
    """Return the parts of a connection string.

    Raises:
        ChronicleRefused: it is none.
    """
    try:
        parts = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        raise ChronicleRefused(_NO_ADDRESS) from None
    ports = str(parts.get("port", "")).split(",")
    if not all(port == "" or (port.isdigit() and 0 < int(port) <= LAST_PORT) for port in ports):
        raise ChronicleRefused(_NO_ADDRESS)
    return parts


async def open_session(dsn: str, group: str, timeouts: ChronicleTimeouts) -> PostgresSession:
    """Connect to PostgreSQL.

    Raises:
        ChronicleAway: it cannot be reached now.
        ChronicleRefused: it refuses the user, the password or the database, or is too old.
    """
    given = parse_address(dsn)
    ours = {
        "application_name": f"plex-companion {group}",
        "connect_timeout": max(2, round(timeouts.connect)),
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": round(timeouts.idle * 1000),
    }
    try:
        with anyio.fail_after(timeouts.connect):
            connection = await AsyncConnection.connect(make_conninfo("", **{**ours, **given}), autocommit=True)
    except TimeoutError:
        raise ChronicleAway("PostgreSQL does not answer") from None
    except (psycopg.Error, OSError) as error:
        raise _translate_failure(str(error)) from None  # libpq's words hold the address
    session = PostgresSession(connection, timeouts)
    try:
        await _set_up(session, connection.info.server_version, timeouts)
    except BaseException:
        await session.close()
        raise
    return session


def _translate_failure(words: str) -> ChronicleAway | ChronicleRefused:
    if "connection is bad: invalid" in words:  # an option has a value that is none
        return ChronicleRefused(_NO_ADDRESS)
    for sign, meaning in REFUSALS.items():
        if sign in words:
            return ChronicleRefused(f"PostgreSQL {meaning}. Check PLEX_COMPANION_CHRONICLE.")
    meaning = next((meaning for sign, meaning in FAILURES.items() if sign in words), "cannot be reached")
    return ChronicleAway(f"PostgreSQL {meaning}")


async def _set_up(session: PostgresSession, version: int, timeouts: ChronicleTimeouts) -> None:
    """Set the session's timeouts, and have every commit reach the disk before it is answered."""
    if version < OLDEST_VERSION:
        message = f"PostgreSQL {version // 10_000} is too old for a chronicle: version 14 or newer is needed."
        raise ChronicleRefused(message)
    settings = {
        "idle_session_timeout": f"{timeouts.idle * 1000:.0f}ms",
        "statement_timeout": f"{timeouts.statement * 1000:.0f}ms",
        "lock_timeout": f"{timeouts.statement * 1000:.0f}ms",
        "default_transaction_isolation": "read committed",
        "client_encoding": "UTF8",
    }
    for name, value in settings.items():
        await session.execute(_SET, (name, value))
    await session.execute(_SYNCHRONOUS)
    (found,) = await session.execute(_WHO)
    session.backend = Backend(*found)
