"""Asks the slow questions of the pages before a person does: after the start, and again when their rows have changed."""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.database import StorageError
from plex_companion.cache.queries.play_blocks import BLOCK_MS, read_revisions
from plex_companion.catalogue.disk_space.duplicates import find_library_duplicates
from plex_companion.catalogue.disk_space.library_sizes import measure_libraries, measure_quality
from plex_companion.catalogue.disk_space.neglected import find_neglected
from plex_companion.catalogue.status import describe_catalogue
from plex_companion.dashboard.pages import libraries_page, neglected_page, statistics_page
from plex_companion.dashboard.pages.digest_page import WEEK
from plex_companion.dashboard.periods import PERIODS
from plex_companion.errors import ToolError
from plex_companion.history.play_counts import count_plays
from plex_companion.history.source import find_server
from plex_companion.history.statistics import summarize_plays
from plex_companion.times import Window, parse_period

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from plex_companion.companion import Companion

    Question = Callable[[], Awaitable[object]]

logger = logging.getLogger(__name__)
WAIT_SECONDS = 30.0
"""Between two looks at what has changed."""
REST = 4
"""After each question, the task sleeps so many times as long as the question took."""
MOST_REST_SECONDS = 5.0
SPAN = 8
"""Blocks of plays that are asked about at once."""


async def prepare_figures(companion: Companion) -> None:
    """Keep the figures of the pages in memory, forever."""
    known: dict[int, int] = {}
    while True:
        try:
            await prepare_changed_figures(companion, known)
        except (StorageError, ToolError, ValueError):  # the last is what aiosqlite raises of a closed connection
            logger.debug("The figures of the pages could not be counted ahead", exc_info=True)
        await anyio.sleep(WAIT_SECONDS)


async def prepare_changed_figures(companion: Companion, known: dict[int, int], rest: float = REST) -> None:
    """Ask whatever has another answer now. Each question takes milliseconds, for a large library 0.1 s.

    `known` holds the revisions of the blocks of plays that were asked about, and is brought up to date.
    """
    async for ask in _list_questions(companion, known):
        began = time.perf_counter()
        await ask()
        await anyio.sleep(min(MOST_REST_SECONDS, (time.perf_counter() - began) * rest))


async def _list_questions(companion: Companion, known: dict[int, int]) -> AsyncIterator[Question]:
    revisions = await read_revisions(companion.cache)
    newest = max(revisions, default=0)  # it changes while somebody watches, and is read in milliseconds
    changed = {block // SPAN for block in revisions if block != newest and known.get(block) != revisions[block]}
    for ask in _list_plays_questions(companion, sorted(changed, reverse=True)):
        yield ask
    known.update(revisions)
    for one in companion.each:
        if find_server(one) is not None and (await describe_catalogue(one))["complete"]:
            async for ask in _list_catalogue_questions(one):
                yield ask


def _list_plays_questions(companion: Companion, spans: Iterable[int]) -> list[Question]:
    """Return the questions about plays: first one for each span, so that none takes long, then those of the pages."""
    if not spans:
        return []
    ask = partial(summarize_plays, companion, zone=companion.zone, most=statistics_page.SHOWN)
    parts = [Window(span * SPAN * BLOCK_MS, (span + 1) * SPAN * BLOCK_MS - 1) for span in spans]
    windows = {text: parse_period(text, companion.now_ms, companion.zone) for text, _ in PERIODS}
    titles = [partial(count_plays, companion, "title", windows[text], 1) for text in (WEEK, statistics_page.DEFAULT)]
    return [*(partial(ask, window) for window in (*parts, *windows.values())), *titles]


async def _list_catalogue_questions(one: Companion) -> AsyncIterator[Question]:
    """Yield the questions about the libraries of a server."""
    yield partial(measure_libraries, one)
    yield partial(find_neglected, one, neglected_page.DEFAULT_DAYS, None, neglected_page.SHOWN, hourly=True)
    for library in (await measure_libraries(one)).libraries:
        id_, shown = library["id"], libraries_page.SHOWN
        yield partial(measure_quality, one, id_)
        yield partial(find_neglected, one, libraries_page.DAYS, id_, shown, hourly=True)
        yield partial(find_library_duplicates, one, id_, shown, None)
