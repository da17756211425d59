"""Figures that are read again only after something changed that they depend on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Literal, TypeVar

from plex_companion.cache.connections import run_read

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Hashable

    from plex_companion.cache.database import Cache

Subject = Literal["catalogue", "finishes"]
"""The rows of the catalogue; which plays there are, when they ended, and which of them Plex counted."""
_REVISIONS = "SELECT subject, revision FROM figure_revisions WHERE subject IN (SELECT value FROM json_each(?))"

T = TypeVar("T")


async def read_kept_figures(
    cache: Cache, name: Hashable, subjects: tuple[Subject, ...], read: Callable[[sqlite3.Connection], T]
) -> T:
    """Return what `read` finds, from memory as long as none of the subjects changes. `name` tells figures apart."""

    def work(connection: sqlite3.Connection) -> T:
        return select_kept_figures(cache, connection, name, subjects, read)

    return await run_read(cache.archive, work)


def select_kept_figures(
    cache: Cache,
    connection: sqlite3.Connection,
    name: Hashable,
    subjects: tuple[Subject, ...],
    read: Callable[[sqlite3.Connection], T],
) -> T:
    """Return what `read_kept_figures` does, in a transaction of the thread of the database."""
    key = (cache.generation, name)
    revision = tuple(map(tuple, connection.execute(_REVISIONS, (json.dumps(subjects),))))
    kept: T | None = cache.figures.get(key, revision)
    if kept is None:
        kept = read(connection)
        if len(revision) == len(subjects):
            cache.figures.put(key, revision, kept)
    return kept
