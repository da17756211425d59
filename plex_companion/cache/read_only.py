"""Opens the database of a companion that may or may not be running, for reading only."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from plex_companion.cache.connections import open_connection
from plex_companion.cache.database import Cache
from plex_companion.cache.leadership import NO_LEADER
from plex_companion.cache.migrate import list_migrations, read_schema_version, refuse_newer
from plex_companion.cache.queries.title_words import CREATE_VOCABULARY
from plex_companion.errors import DatabaseUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from plex_companion.models import Moment


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


async def read_live_since(cache: Cache, now: Moment, silent_ms: int) -> dict[str | None, int]:
    """Return since when another process has been connected to Plex, by machine identifier of the server.

    A process that ends records it. One that was killed cannot, so the leader's last confirmation must be within
    `silent_ms` of now.
    """
    sql = (
        "SELECT server, since_at FROM links, listener "
        "WHERE pid <> :nobody AND state = 'live' AND refreshed_at BETWEEN :least AND :most"
    )
    bounds = {"nobody": NO_LEADER, "least": now.at - silent_ms, "most": now.at + silent_ms}
    return {row["server"]: row["since_at"] for row in await cache.reader.execute_fetchall(sql, bounds)}
