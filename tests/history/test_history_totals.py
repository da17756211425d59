"""How many plays a page of the history stands for: counted once, and again where something changed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from support.recorded_plays import DAY, NOW, SERVER, imported, seen, write

from plex_companion.cache.connections import run_read
from plex_companion.cache.database import open_cache
from plex_companion.cache.queries.kept_totals import count_plays_kept
from plex_companion.cache.queries.plays import PlayFilter, count_plays_page
from plex_companion.times import Window

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from plex_companion.cache.database import Cache

FILTERS = (
    PlayFilter(),
    PlayFilter("1"),
    PlayFilter("9"),
    PlayFilter(library_id="1"),
    PlayFilter(decision="transcode"),
    PlayFilter(servers=(SERVER,)),
    PlayFilter(type="movie"),
    PlayFilter("1", decision="transcode"),
    PlayFilter("1", window=Window(NOW - 30 * DAY, NOW)),
    PlayFilter(words='"film"'),
)
CHANGES = (
    "DELETE FROM plays WHERE id % 7 = 3",
    "UPDATE plays SET user_id = '1' WHERE id = 5",
    "UPDATE plays SET decision = 'transcode' WHERE id IN (4, 50)",
    "UPDATE plays SET library_id = '7', library = 'Shorts' WHERE id < 20",
    "UPDATE plays SET started_at = started_at - 3000000000 WHERE id = 12",
    "UPDATE plays SET server = 'cabin-0002' WHERE id = 13",
    "UPDATE plays SET type = 'episode' WHERE id < 40",
)


async def count_twice(cache: Cache) -> list[tuple[int, int]]:
    """Count by every filter, with the figures in memory and without."""

    def count(connection: sqlite3.Connection) -> list[tuple[int, int]]:
        kept = partial(count_plays_kept, connection, cache.figures, cache.generation)
        return [(kept(one), count_plays_page(connection, one)) for one in FILTERS]

    return await run_read(cache.archive, count)


async def test_a_total_that_is_kept_is_right_after_every_change(tmp_path: Path) -> None:
    rows = [
        (imported if n % 3 else seen)(n, NOW - n * DAY, user_id=str(n % 4 + 1), title=f"Film {n}")
        for n in range(1, 200)
    ]
    async with open_cache(write(tmp_path / "cache.sqlite3", plays=rows)) as cache:
        await cache.writer.execute("INSERT INTO servers VALUES ('cabin-0002', 'Cabin', NULL, NULL, NULL, 1, 1)")
        before = await count_twice(cache)
        assert [kept for kept, _ in before] == [counted for _, counted in before]
        for sql in CHANGES:
            await cache.writer.execute(sql)
            after = await count_twice(cache)
            assert [kept for kept, _ in after] == [counted for _, counted in after], sql
            assert after != before, sql
            before = after


@pytest.mark.parametrize("filters", [PlayFilter(), PlayFilter("1")])
async def test_a_total_is_not_counted_again_while_nothing_changes(tmp_path: Path, filters: PlayFilter) -> None:
    rows = [seen(n, NOW - n * DAY, user_id="1") for n in range(1, 60)]
    async with open_cache(write(tmp_path / "cache.sqlite3", plays=rows)) as cache:
        count = partial(count_plays_kept, figures=cache.figures, generation=cache.generation, filters=filters)
        assert await run_read(cache.archive, count) == 59
        asked: list[str] = []
        await cache.archive.set_trace_callback(asked.append)
        assert await run_read(cache.archive, count) == 59
        await cache.archive.set_trace_callback(None)  # type: ignore[arg-type]  # what sqlite3 wants
    assert not [sql for sql in asked if "FROM plays " in sql]
