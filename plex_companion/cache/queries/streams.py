"""The most streams at once in a window."""

from __future__ import annotations

from functools import partial
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

from plex_companion.cache.queries.play_blocks import read_blocks
from plex_companion.cache.queries.servers import OF_SERVER
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from plex_companion.cache.database import Cache
    from plex_companion.times import Window

LONGEST_MS = 3 * DAY_MS
"""A play that began longer before a window than this is not looked for in it."""
_SPANS = f"""
    SELECT max(started_at, :since), coalesce(ended_at, :until + 1) FROM plays INDEXED BY plays_streams
    WHERE started_at BETWEEN :since - :longest AND :until AND ended_by IS NOT 'imported'
        AND coalesce(ended_at, :until + 1) > :since AND {OF_SERVER}
    ORDER BY started_at
"""  # noqa: S608 - our own


class MostStreams(NamedTuple):
    """The most streams at once, and when that was first; `None` if nothing was played."""

    streams: int = 0
    at: int | None = None


async def find_most_streams(cache: Cache, window: Window, server: str | None = None) -> MostStreams:
    """Return the most streams at once in a window, and when, on all servers or on one.

    Plays that are known from Plex's history alone do not count: when they began and ended is not known.
    """
    return await read_blocks(cache, ("streams", server), window, partial(_find_most, server), _choose_most)


def _choose_most(found: Iterable[MostStreams]) -> MostStreams:
    return max(found, key=lambda one: one.streams, default=MostStreams())


def _find_most(server: str | None, connection: sqlite3.Connection, within: Window) -> MostStreams:
    values = {"since": within.since, "until": within.until, "longest": LONGEST_MS, "server": server}
    return count_streams(map(tuple, connection.execute(_SPANS, values)))


def count_streams(spans: Iterable[tuple[int, int]]) -> MostStreams:
    """Return the most spans of time that overlap, and when. They come in the order in which they begin.

    A span that ends when another begins does not overlap it.
    """
    most, ends = MostStreams(), list[int]()
    for start, end in spans:
        while ends and ends[0] <= start:
            heappop(ends)
        heappush(ends, end)
        if len(ends) > most.streams:
            most = MostStreams(len(ends), start)
    return most
