"""Figures over long windows, put together from blocks of 14 days. A block is read again only after a play in it changed.

Days at the ends of a window are kept too: a page that asks for the last 30 days asks for the same ones until midnight.
"""

from __future__ import annotations

from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from plex_companion.cache.connections import run_read
from plex_companion.times import DAY_MS, Window

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator, Mapping

    from plex_companion.cache.database import Cache

BLOCK_MS = 14 * DAY_MS
"""As in the triggers of migration 12."""
_REVISIONS = "SELECT block, revision FROM play_revisions WHERE block BETWEEN :first AND :last"
_ENDS = """
    SELECT (SELECT min(started_at) FROM plays WHERE started_at >= :since), (SELECT max(started_at) FROM plays WHERE started_at <= :until)
"""

T = TypeVar("T")
Revision = tuple[int, int]
"""Of a block and the one before: a play may last from one into the next."""


class BlockPart(NamedTuple):
    """A part of a window; whole days of one block have a revision."""

    within: Window
    revision: Revision | None = None


async def read_blocks(
    cache: Cache,
    name: Hashable,
    window: Window,
    read: Callable[[sqlite3.Connection, Window], T],
    merge: Callable[[Iterable[T]], T],
) -> T:
    """Return what `read` finds in each part of a window, merged in order: the days of each block, and what is before and after.

    `name` tells the figures of one block apart. What is kept is never changed, so `merge` makes a new value.
    """
    generation, figures = cache.generation, cache.figures

    def read_part(connection: sqlite3.Connection, part: BlockPart) -> T:
        key = (generation, name, part.within)
        value: T | None = figures.get(key, part.revision)
        if value is None:
            value = read(connection, part.within)
            figures.put(key, part.revision, value)
        return value

    def read_whole(connection: sqlite3.Connection, parts: list[BlockPart]) -> T:
        """Read the parts with a revision, or take their sum, which is kept as well."""
        key = (generation, name, "merged", parts[0].within.since, parts[-1].within.until)
        revision = tuple(part.revision for part in parts)
        value: T | None = figures.get(key, revision)
        if value is None:
            value = merge(read_part(connection, part) for part in parts)
            figures.put(key, revision, value)
        return value

    def work(connection: sqlite3.Connection) -> T:
        found = []
        parts = list_parts(window, _read_revisions(connection, window))
        for is_kept, several in groupby(parts, lambda part: part.revision is not None):
            if is_kept:
                found.append(read_whole(connection, list(several)))
            else:
                found += [read(connection, part.within) for part in several]
        return merge(found)

    return await run_read(cache.archive, work)


async def read_kept_window(cache: Cache, name: Hashable, window: Window, read: Callable[[], Awaitable[T]]) -> T:
    """Return what `read` finds in a window, from memory until a play in its blocks changes, or one enters or leaves it.

    One window is kept for each `name` and length in days.
    """
    key = (cache.generation, name, "window", (window.until - window.since) // DAY_MS)
    revision = await run_read(cache.archive, partial(_read_window_revision, window))
    found: T | None = cache.figures.get(key, revision)
    if found is None:  # it may be newer than its revision, which then nobody has any more
        found = await read()
        cache.figures.put(key, revision, found)
    return found


def _read_window_revision(window: Window, connection: sqlite3.Connection) -> Hashable:
    ends = connection.execute(_ENDS, {"since": window.since, "until": window.until}).fetchone()
    return tuple(ends), tuple(_read_revisions(connection, window).items())


async def read_revisions(cache: Cache) -> dict[int, int]:
    """Return how often each block has changed, as far as something was ever played in it."""
    return dict(map(tuple, await cache.archive.execute_fetchall("SELECT block, revision FROM play_revisions")))


def _read_revisions(connection: sqlite3.Connection, window: Window) -> dict[int, int]:
    values = {"first": window.since // BLOCK_MS - 1, "last": window.until // BLOCK_MS}
    return dict(map(tuple, connection.execute(_REVISIONS, values)))


def list_parts(window: Window, revisions: Mapping[int, int]) -> Iterator[BlockPart]:
    """Yield the whole days of a window, those of each block in which something was played, and what is before and after them."""
    morning, midnight = -(-window.since // DAY_MS) * DAY_MS, (window.until + 1) // DAY_MS * DAY_MS
    if midnight <= morning:
        yield BlockPart(window)
        return
    yield from _list_part(window.since, morning)
    for block in sorted(revisions):
        revision = revisions.get(block - 1, 0), revisions[block]
        yield from _list_part(max(morning, block * BLOCK_MS), min(midnight, (block + 1) * BLOCK_MS), revision)
    yield from _list_part(midnight, window.until + 1)


def _list_part(since: int, end: int, revision: Revision | None = None) -> Iterator[BlockPart]:
    if since < end:
        yield BlockPart(Window(since, end - 1), revision)
