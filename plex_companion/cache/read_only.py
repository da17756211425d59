"""Opens the database of a companion that may or may not be running, for reading only."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.cache.connections import open_connection
from plex_companion.cache.database import Cache
from plex_companion.cache.leadership import NO_LEADER, parse_link
from plex_companion.cache.lock import open_lock
from plex_companion.cache.migrate import list_migrations, read_schema_version, refuse_newer
from plex_companion.cache.queries.title_words import CREATE_VOCABULARY
from plex_companion.errors import DatabaseUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from plex_companion.models import Connection, Moment

LONGEST_BEAT_MS = 30_000
"""A process that listens touches its lock every two seconds, and is replaced when it did not for so long."""


@asynccontextmanager
async def open_read_only(path: Path) -> AsyncIterator[Cache]:
    """Open the database as it is. Nothing can be written through this connection, and no lock is taken.

    Raises:
        DatabaseUnusable: it does not exist, cannot be read, or no companion of this version has opened it yet.
        DatabaseNewer: a newer plex-companion wrote it.
    """
    schema = _read_schema(path)
    async with open_connection(path, read_only=True) as connection:
        connection.row_factory = sqlite3.Row
        await connection.execute(CREATE_VOCABULARY)
        await connection.execute("PRAGMA query_only = ON")
        yield Cache(path, schema, writer=connection, reader=connection, archive=connection)


def _read_schema(path: Path) -> int:
    try:
        refuse_newer(path, list_migrations())
        schema = read_schema_version(path)
    except sqlite3.Error as error:
        message = (
            f"The database {path} cannot be read: {error}. Is it a database of plex-companion, and may you read it?"
        )
        raise DatabaseUnusable(message) from error
    known = list_migrations()[-1].version
    if schema < known:
        message = (
            f"The database {path} has schema {schema}, this version needs {known}: start plex-companion on it once "
            "(plex-companion serve), which migrates it."
        )
        raise DatabaseUnusable(message)
    return schema


async def list_link_ids(cache: Cache) -> list[str]:
    """Return the links of the process that listens, or that did last, by the names of their servers."""
    sql = "SELECT link FROM links LEFT JOIN servers ON machine_identifier = server ORDER BY name, link"
    return [row["link"] for row in await cache.reader.execute_fetchall(sql)]


@dataclass(frozen=True, slots=True)
class ListenerSeen:
    """The process that listens, as another process sees it in the database."""

    is_running: bool
    """Whether there is one now, connected or not."""
    live_since: Mapping[str | None, int]
    """Since when it has been connected, by machine identifier of the server."""
    connections: Mapping[str, Connection]
    """By link, the connection as it was committed last."""


async def read_listener(cache: Cache, now: Moment, silent_ms: int) -> ListenerSeen:
    """Return what the process that listens has committed about itself and its connections.

    A process that ends records it. One that was killed cannot, so a connection counts as long as its last confirmation is
    within `silent_ms` of now, and a process without any as long as it touches the lock.
    """
    sql = "SELECT links.*, pid FROM links, listener ORDER BY link"
    rows = await cache.reader.execute_fetchall(sql)
    running = [parse_link(row) for row in rows if row["pid"] != NO_LEADER]
    live = {
        link.server: link.connection.since_at
        for link in running
        if link.connection.state == "live" and abs(now.at - (link.refreshed_at or 0)) <= silent_ms
    }
    with open_lock(cache.path) as lock:
        beat = lock.last_beat()
    touched = beat is not None and abs(now.at - beat // 1_000_000) <= LONGEST_BEAT_MS
    return ListenerSeen(bool(live) or (bool(running) and touched), live, {one.link: one.connection for one in running})
