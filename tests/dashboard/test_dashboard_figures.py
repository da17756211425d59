"""The figures of the pages are in memory before anybody asks for a page, and again after a change."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from support.catalogue import TOKEN, catalogue_home

from plex_companion.cache.queries.play_blocks import BLOCK_MS, read_revisions
from plex_companion.catalogue.disk_space.library_sizes import measure_libraries, measure_quality
from plex_companion.catalogue.disk_space.neglected import find_neglected
from plex_companion.dashboard.pages.prepared_figures import prepare_changed_figures
from plex_companion.demo import open_demo
from plex_companion.history.statistics import summarize_plays
from plex_companion.times import Window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from plex_companion.companion import Companion

COUNTED = ("play_quarters", "play_days", "plays_streams", "items_sizes", "items_whole", "items_by_section CROSS JOIN")
"""What is read to count plays and items."""


@asynccontextmanager
async def imported_home(path: Path) -> AsyncIterator[Companion]:
    """Yield a companion that has read all libraries and the whole history of the demo household."""
    async with open_demo(alive=False, require_token=TOKEN) as demo, catalogue_home(path, demo=demo) as it:
        companion = it.application.companion
        await it.until_complete()

        async def is_imported() -> bool:
            return companion.state.history.complete

        await it.until(is_imported)
        yield companion


async def list_counting(companion: Companion) -> list[str]:
    """Ask what the pages ask, of all blocks but the newest, and return the statements that count."""
    found: list[str] = []
    blocks = sorted(await read_revisions(companion.cache))
    await companion.cache.archive.set_trace_callback(found.append)
    await summarize_plays(companion, Window(blocks[0] * BLOCK_MS, blocks[-1] * BLOCK_MS - 1), companion.zone, 10)
    for library in (await measure_libraries(companion)).libraries:
        await measure_quality(companion, library["id"])
    await find_neglected(companion, 365, None, 50, hourly=True)
    await companion.cache.archive.set_trace_callback(lambda _: None)
    return [sql for sql in found if any(name in sql for name in COUNTED)]


@pytest.mark.slow
async def test_what_is_prepared_is_not_counted_for_a_page_until_it_changes(tmp_path: Path) -> None:
    known: dict[int, int] = {}
    async with imported_home(tmp_path) as companion:
        await prepare_changed_figures(companion, known, rest=0)
        assert await list_counting(companion) == []
        await companion.cache.transact(lambda database: database.execute(CHANGE))
        await prepare_changed_figures(companion, known, rest=0)
        assert await list_counting(companion) == []
        await companion.cache.transact(lambda database: database.execute(CHANGE))
        assert await list_counting(companion) != [], "nothing has prepared it this time"


CHANGE = (
    "UPDATE plays SET watched_ms = coalesce(watched_ms, 0) + 1 WHERE started_at = (SELECT min(started_at) FROM plays)"
)
