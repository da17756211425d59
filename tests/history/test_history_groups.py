"""Plays grouped by title: read again only where something changed, and then as if nothing had been kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.recorded_plays import DAY, NOW, SERVER, Row, episode, imported, seen, write

from plex_companion.cache.database import open_cache
from plex_companion.cache.figure_cache import FigureCache
from plex_companion.cache.queries.counts import Counts, count_plays_by
from plex_companion.cache.queries.grouping import KEPT_MS, PlayGroup, group_plays, rank_groups
from plex_companion.times import Window

if TYPE_CHECKING:
    from pathlib import Path

    from plex_companion.cache.database import Cache

KEPT = Window(NOW - 80 * DAY, NOW)
WHOLE = Window(NOW - KEPT_MS - DAY, NOW)
"""It has the same plays, and is too long to be kept."""
CHANGES = (
    "DELETE FROM plays WHERE id % 7 = 3",
    "UPDATE plays SET title = 'The Renamed' WHERE id = 5",
    "UPDATE plays SET guid = 'plex://movie/' || (id % 3) WHERE type = 'movie' AND id < 60",
    "UPDATE plays SET grandparent_guid = 'plex://show/9', grandparent_title = 'Harbours' WHERE type = 'episode' AND id > 40",
    "UPDATE plays SET grandparent_rating_key = '77' WHERE type = 'episode' AND id < 20",
    "UPDATE plays SET rating_key = NULL WHERE id IN (9, 30)",
    "UPDATE plays SET type = 'clip', year = 1999 WHERE id IN (11, 12)",
    "UPDATE plays SET started_at = started_at - 3000000000 WHERE id < 20",
    "UPDATE plays SET watched_ms = 1 WHERE id = 70",
)


def build_plays() -> list[Row]:
    """Build plays of ten films and two shows over 76 days; of some, nothing but the title is known."""
    plays = []
    for n in range(1, 150):
        what: Row = {"title": f"Film {n % 10}", "guid": f"plex://movie/{n % 10}", "rating_key": str(n % 20)}
        if n % 4 == 0:
            what = episode(f"Harbour {n % 8}", 1, n)
        if n % 15 == 0:
            what = {"title": f"Film {n % 10}", "guid": None, "rating_key": None}
        plays.append((imported if n % 3 else seen)(n, NOW - n * DAY // 2, **what))
    return plays


async def compare_groups(cache: Cache) -> list[PlayGroup]:
    """Compare what is kept with what is read as a whole, and return it."""
    kept, whole = rank_groups(await group_plays(cache, KEPT)), rank_groups(await group_plays(cache, WHOLE))
    assert kept == whole
    assert rank_groups(await group_plays(cache, KEPT, server=SERVER)) == whole
    return kept


@pytest.mark.parametrize("change", CHANGES)
async def test_groups_that_are_kept_are_right_after_a_change(tmp_path: Path, change: str) -> None:
    async with open_cache(write(tmp_path / "cache.sqlite3", plays=build_plays())) as cache:
        before = await compare_groups(cache)
        assert await compare_groups(cache) == before, "asking does not change them"
        async with cache.hold_writer() as writer:
            await writer.execute(change)
        assert await compare_groups(cache) != before


@pytest.mark.parametrize("change", CHANGES)
async def test_a_ranking_that_is_kept_is_right_after_a_change_and_as_its_window_moves(
    tmp_path: Path, change: str
) -> None:
    async with open_cache(write(tmp_path / "cache.sqlite3", plays=build_plays())) as cache:
        for days in range(-3, 4):
            await compare_ranking(cache, Window(KEPT.since + days * DAY // 2, KEPT.until + days * DAY // 2))
        before = await compare_ranking(cache, KEPT)
        async with cache.hold_writer() as writer:
            await writer.execute(change)
        assert await compare_ranking(cache, KEPT) != before


async def compare_ranking(cache: Cache, window: Window) -> Counts:
    """Compare what is kept with what is counted without anything kept, and return it."""
    kept = await count_plays_by(cache, "title", window)
    assert await count_plays_by(cache, "title", window) is kept
    figures, cache.figures = cache.figures, FigureCache()
    assert kept == await count_plays_by(cache, "title", window)
    cache.figures = figures
    return kept
