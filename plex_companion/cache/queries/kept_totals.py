"""How many plays a filter selects, kept in memory by block of 14 days. A block is counted again only after a play in it changed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from plex_companion.cache.queries.play_blocks import BLOCK_MS
from plex_companion.cache.queries.plays import PlayFilter, count_plays_page
from plex_companion.times import Window

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.cache.figure_cache import FigureCache

_REVISIONS = "SELECT block, revision FROM play_revisions"

Totals = dict[int, tuple[int, int]]
"""By block: its revision, and the plays in it."""


def count_plays_kept(connection: sqlite3.Connection, figures: FigureCache, generation: int, filters: PlayFilter) -> int:
    """Count as `count_plays_page` does, in a transaction. Only changed blocks are read where blocks have a revision for that."""
    if not _is_kept(filters):
        return count_plays_page(connection, filters)
    key = (generation, "total", filters)
    before: Totals = figures.get(key, None) or {}
    counted: Totals = {}
    for block, revision in connection.execute(_REVISIONS):
        known = before.get(block)
        if known is None or known[0] != revision:
            known = revision, count_plays_page(connection, replace(filters, window=_find_window(block)))
        counted[block] = known
    figures.put(key, None, counted)
    return sum(plays for _, plays in counted.values())


def _is_kept(filters: PlayFilter) -> bool:
    """Return whether the count can be kept: revisions of blocks do not tell when a type, a player or a year changed."""
    compared = PlayFilter(filters.user_id, filters.library_id, servers=filters.servers, decision=filters.decision)
    return filters.is_counted and filters == compared


def _find_window(block: int) -> Window:
    return Window(block * BLOCK_MS, (block + 1) * BLOCK_MS - 1)
