"""The tables of a chronicle in PostgreSQL, and every statement about them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from psycopg import sql

from plex_companion.cache.forwarded_events import StoredEvent
from plex_companion.chronicle.postgres_session import StatementRefused
from plex_companion.errors import SettingsError, StartError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plex_companion.chronicle.postgres_session import Backend, PostgresSession

FORMAT = 1
"""The format of these tables."""
PAGE = 200
"""Entries read at once."""


class LogRow(NamedTuple):
    """One row of the log."""

    number: int
    at: int
    """When it was appended, by PostgreSQL's clock, in milliseconds since 1970."""
    name: str
    """Random: an entry whose answer was lost is recognized by it."""
    body: bytes


@dataclass(frozen=True, slots=True)
class About:
    """What a chronicle says of itself."""

    format: int
    identity: str
    """The identity of everybody's database."""
    base: int
    """The number of the database that the chronicle began with: its first entry has the next one."""
    links: Mapping[str, str | None] = field(default_factory=dict)
    """The machine identifiers of the servers, by the digests of their addresses."""


class Bounds(NamedTuple):
    """The numbers of the oldest entry and of the newest. In a log without entries, the oldest is the one to come."""

    first: int
    last: int


class ChronicleLog:
    """The statements, for the schema of one group. Each is one transaction of one session."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.lock_key = int.from_bytes(hashlib.sha256(f"plex-companion:{group}".encode()).digest()[:8], signed=True)
        names = ("about", "chronicle", "forwarded")
        self._tables = {name: sql.Identifier(group, name) for name in names}
        self._channel = f"plex_companion:{group}"[:63]

    def _build(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(**self._tables, schema=sql.Identifier(self.group))

    async def read_about(self, session: PostgresSession) -> About | None:
        """Return what the chronicle says of itself; `None` if there is none yet.

        Raises:
            StartError: a newer version wrote it.
            SettingsError: the schema is another program's.
        """
        names = await session.execute(_TABLES, (self.group,))
        if not names:
            return None
        try:
            found = await session.execute(self._build("SELECT program, format FROM {about}"))
        except StatementRefused:
            found = []
        if not found or found[0][0] != _PROGRAM:
            message = (
                f"The schema {self.group} in PostgreSQL is another program's. Name another one in "
                "PLEX_COMPANION_CHRONICLE_GROUP, or another database in PLEX_COMPANION_CHRONICLE."
            )
            raise SettingsError(message)
        if found[0][1] > FORMAT:
            message = (
                f"A newer plex-companion wrote the chronicle {self.group} (format {found[0][1]}, this one knows {FORMAT}). "
                "Update this one."
            )
            raise StartError(message)
        (row,) = await session.execute(self._build("SELECT format, identity, base, links FROM {about}"))
        return About(row[0], row[1], row[2], row[3])

    async def create(self, session: PostgresSession, about: About) -> None:
        """Create the tables in one transaction. The caller holds the lock.

        Raises:
            SettingsError: this user may not.
        """
        values = (_PROGRAM, about.format, about.identity, about.base, json.dumps(about.links))
        literals = [sql.Literal(value) for value in values]
        ((exists,),) = await session.execute(_EXISTS, (self.group,))
        schema = self._build("" if exists else "CREATE SCHEMA {schema};")  # creating one takes a right on the database
        insert = sql.SQL(_INSERT_ABOUT).format(*literals, **self._tables)
        try:
            await session.execute(schema + self._build(_CREATE) + insert)
        except StatementRefused as error:
            message = f"The chronicle {self.group} cannot be created. {error}. The user needs CREATE on the database."
            raise SettingsError(message) from error

    async def write_links(self, session: PostgresSession, links: Mapping[str, str | None]) -> None:
        """Record the servers of the leader."""
        await session.execute(self._build("UPDATE {about} SET links = %s::jsonb"), (json.dumps(links),))

    async def try_lock(self, session: PostgresSession) -> bool:
        """Acquire the lock of the leader for this session, unless another session holds it."""
        ((acquired,),) = await session.execute(sql.SQL("SELECT pg_try_advisory_lock(%s)"), (self.lock_key,))
        return bool(acquired)

    async def is_led(self, session: PostgresSession) -> bool:
        """Return whether any session holds the lock of the leader."""
        ((held,),) = await session.execute(_IS_LOCKED, (self.lock_key, self.lock_key))
        return bool(held)

    async def end_session(self, session: PostgresSession, backend: Backend) -> None:
        """Have PostgreSQL end another session of this user that was lost, so that its lock is freed."""
        await session.execute(_END_SESSION, (backend.pid, backend.started))

    async def read_clock(self, session: PostgresSession) -> int:
        """Return PostgreSQL's wall clock in milliseconds since 1970."""
        ((at,),) = await session.execute(sql.SQL("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"))
        return int(at)

    async def listen(self, session: PostgresSession) -> None:
        """Have the session be woken by every new entry."""
        await session.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))

    async def read_bounds(self, session: PostgresSession) -> Bounds:
        """Return the numbers of the oldest entry and of the newest."""
        ((base, first, last),) = await session.execute(self._build(_BOUNDS))
        return Bounds(base + 1 if first is None else first, base if last is None else last)

    async def read_after(self, session: PostgresSession, number: int, most: int = PAGE) -> list[LogRow]:
        """Return entries after a number, oldest first."""
        rows = await session.execute(self._build(_READ_AFTER), (number, most), binary=True)
        return [LogRow(*row) for row in rows]

    async def append(
        self, session: PostgresSession, number: int, name: str, body: bytes, handled: Sequence[int] = ()
    ) -> None:
        """Append an entry, mark forwarded events as handled by it, and wake who waits, in one transaction.

        Raises:
            NumberTaken: there is an entry of this number.
            StatementRefused: nothing was written.
            SessionLost: the entry may have been written.
        """
        statement = self._build(_APPEND_AND_HANDLE if handled else _APPEND)
        values = {"number": number, "name": name, "body": body, "channel": self._channel, "handled": list(handled)}
        await session.execute(statement, values)

    async def forward(self, session: PostgresSession, events: Mapping[str, StoredEvent]) -> None:
        """Write events by name for the leader. One whose name is known is not written again."""
        rows = [(name, one.at, one.kind, one.body, one.link) for name, one in events.items()]
        await session.execute(self._build(_FORWARD), [list(column) for column in zip(*rows, strict=True)])

    async def read_forwarded(self, session: PostgresSession, most: int = PAGE) -> list[StoredEvent]:
        """Return events that were forwarded and that no entry has handled, oldest first.

        Transactions that run side by side may commit in another order than that of their ids, so it is all of them, not
        those after the last one known.
        """
        return [StoredEvent(*row) for row in await session.execute(self._build(_READ_FORWARDED), (most,))]

    async def prune(self, session: PostgresSession, hours: float) -> None:
        """Delete entries older than this, but never the newest, and what is left of forwarded events that were handled."""
        await session.execute(self._build(_PRUNE), {"hours": hours})


_PROGRAM = "plex-companion"
_TABLES = sql.SQL("""
    SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f') AND relnamespace = to_regnamespace(quote_ident(%s))
""")
_EXISTS = sql.SQL("SELECT to_regnamespace(quote_ident(%s)) IS NOT NULL")
_CREATE = """
    CREATE TABLE {about} (
        id integer PRIMARY KEY DEFAULT 1 CHECK (id = 1),
        program text NOT NULL,
        format integer NOT NULL,
        identity text NOT NULL,
        base bigint NOT NULL,
        links jsonb NOT NULL
    );
    CREATE TABLE {chronicle} (
        number bigint PRIMARY KEY,
        at timestamptz NOT NULL DEFAULT clock_timestamp(),
        name text NOT NULL UNIQUE,
        body bytea NOT NULL
    );
    ALTER TABLE {chronicle} ALTER COLUMN body SET STORAGE EXTERNAL;
    CREATE INDEX ON {chronicle} (at);
    CREATE TABLE {forwarded} (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name text NOT NULL UNIQUE,
        at bigint NOT NULL,
        kind text NOT NULL,
        link text,
        body text NOT NULL,
        entry bigint
    );
    CREATE INDEX ON {forwarded} (id) WHERE entry IS NULL;
"""
_INSERT_ABOUT = "INSERT INTO {about} (program, format, identity, base, links) VALUES ({}, {}, {}, {}, {})"
_BOUNDS = "SELECT base, (SELECT min(number) FROM {chronicle}), (SELECT max(number) FROM {chronicle}) FROM {about}"
_READ_AFTER = """
    SELECT number, (extract(epoch FROM at) * 1000)::bigint, name, body FROM {chronicle} WHERE number > %s
    ORDER BY number LIMIT %s
"""
_APPEND = """
    INSERT INTO {chronicle} (number, name, body) VALUES (%(number)s, %(name)s, %(body)s)
    RETURNING pg_notify(%(channel)s, %(number)s::text)
"""
_APPEND_AND_HANDLE = """
    WITH handled AS (UPDATE {forwarded} SET entry = %(number)s, body = '' WHERE id = ANY (%(handled)s::bigint[]))
    INSERT INTO {chronicle} (number, name, body) VALUES (%(number)s, %(name)s, %(body)s)
    RETURNING pg_notify(%(channel)s, %(number)s::text)
"""
_FORWARD = """
    INSERT INTO {forwarded} (name, at, kind, body, link)
    SELECT * FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::text[], %s::text[])
    ON CONFLICT (name) DO NOTHING
"""
_READ_FORWARDED = "SELECT id, at, kind, body, link FROM {forwarded} WHERE entry IS NULL ORDER BY id LIMIT %s"
_PRUNE = """
    WITH old AS (
        DELETE FROM {chronicle} WHERE at < now() - make_interval(secs => %(hours)s * 3600)
        AND number < (SELECT max(number) FROM {chronicle})
        RETURNING number
    )
    DELETE FROM {forwarded} WHERE entry IN (SELECT number FROM old)
"""
_IS_LOCKED = sql.SQL("""
    SELECT EXISTS (
        SELECT FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND classid = ((%s::bigint >> 32) & 4294967295)::oid AND objid = (%s::bigint & 4294967295)::oid
    )
""")
_END_SESSION = sql.SQL("""
    SELECT pg_terminate_backend(pid, 1000) FROM pg_stat_activity
    WHERE pid = %s AND backend_start = %s AND usename = current_user AND pid <> pg_backend_pid()
""")
