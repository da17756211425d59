"""The database of a companion that may or may not be running, opened to be read and nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from plex_companion.cache.connections import open_connection
from plex_companion.cache.database import Cache
from plex_companion.cache.leadership import NO_LEADER
from plex_companion.cache.migrate import list_migrations, read_schema_version, refuse_newer
from plex_companion.errors import DatabaseUnusable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from plex_companion.models import Moment


@asynccontextmanager
async def open_read_only(path: Path) -> AsyncIterator[Cache]:
    """The database as it is, while the block runs: nothing of it can be written through this, and no lock is taken.

    Raises:
        DatabaseUnusable: it is not there, cannot be read, or no companion of this version has opened it yet.
        DatabaseNewer: a newer plex-companion wrote it.
    """
    schema = _read_schema(path)
    async with open_connection(path, read_only=True) as connection:
        connection.row_factory = sqlite3.Row
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
            f"The database {path} has schema {schema}, this version asks for {known}: start plex-companion on it once "
            "(plex-companion serve), which brings it up to date."
        )
        raise DatabaseUnusable(message)
    return schema


async def read_live_since(cache: Cache, now: Moment, silent_ms: int) -> int | None:
    """Since when another process has been hearing Plex, if one does: one that ended has said so, and one that was killed
    cannot take its word back, so it must have confirmed it within `silent_ms`.
    """
    sql = (
        "SELECT since_at FROM listener "
        "WHERE pid <> :nobody AND state = 'live' AND refreshed_at BETWEEN :least AND :most"
    )
    bounds = {"nobody": NO_LEADER, "least": now.at - silent_ms, "most": now.at + silent_ms}
    return next((row["since_at"] for row in await cache.reader.execute_fetchall(sql, bounds)), None)
