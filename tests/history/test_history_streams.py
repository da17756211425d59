"""The most streams at once, against a straightforward recount."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from support.recorded_plays import DAY, HOUR, NOW, Row, imported, running, seen, write

from plex_companion.cache.database import open_cache
from plex_companion.cache.queries.play_blocks import BLOCK_MS, list_parts
from plex_companion.cache.queries.streams import MostStreams, count_streams, find_most_streams
from plex_companion.times import Window

if TYPE_CHECKING:
    from pathlib import Path

WINDOWS = (
    Window(0, NOW),
    Window(NOW - 30 * DAY, NOW),
    Window(NOW - 2 * HOUR, NOW),
    Window(NOW - 9 * DAY, NOW - 8 * DAY),
)


def recount(rows: list[Row], window: Window) -> int:
    """Count the streams at each beginning, and at the beginning of the window."""
    spans = [
        (row["started_at"], row["ended_at"] if row["ended_at"] is not None else window.until + 1)
        for row in rows
        if row["ended_by"] != "imported"
    ]
    moments = [window.since, *(start for start, _ in spans if window.since <= start <= window.until)]
    counts: list[int] = [sum(start <= at < end for start, end in spans) for at in moments]
    return max(counts)


async def test_the_most_streams_at_once_are_those_of_a_recount(tmp_path: Path) -> None:
    rng = random.Random(5)  # noqa: S311 - invented
    rows = []
    for number in range(1, 600):
        at = NOW - rng.randrange(90 * DAY)
        make = rng.choice((seen, seen, imported))
        ended = {} if make is imported else {"ended_at": at + rng.randrange(1, 30 * HOUR)}
        rows.append(make(number, at, **ended))
    rows.append(running(600, NOW - HOUR))
    async with open_cache(write(tmp_path / "cache.sqlite3", plays=rows)) as cache:
        for _ in range(2):
            for window in WINDOWS:
                assert (await find_most_streams(cache, window)).streams == recount(rows, window)


@pytest.mark.parametrize(
    ("spans", "most"),
    [
        ([], MostStreams()),
        ([(1, 2)], MostStreams(1, 1)),
        ([(1, 2), (2, 3)], MostStreams(1, 1)),
        ([(1, 9), (2, 3), (3, 4)], MostStreams(2, 2)),
        ([(5, 5), (5, 6), (5, 7)], MostStreams(2, 5)),
    ],
)
def test_a_stream_that_ends_when_another_begins_is_not_at_once_with_it(
    spans: list[tuple[int, int]], most: MostStreams
) -> None:
    assert count_streams(spans) == most


@pytest.mark.parametrize(
    ("window", "kept"),
    [
        (Window(BLOCK_MS // 2 + 1, 5 * BLOCK_MS + DAY + 7), [False, True, True, True, True, True, True, False]),
        (Window(0, 2 * BLOCK_MS - 1), [True, True]),
        (Window(DAY + 5, 4 * DAY + 5), [False, True, False]),
        (Window(DAY + 5, 2 * DAY + 5), [False]),
        (Window(5, 6), [False]),
    ],
    ids=["blocks", "whole blocks", "days of one block", "no whole day", "a moment"],
)
def test_a_window_is_cut_at_blocks_and_days_without_gap_or_overlap(window: Window, kept: list[bool]) -> None:
    parts = list(list_parts(window, dict.fromkeys(range(10), 1)))
    assert [part.revision is not None for part in parts] == kept
    edges = [(part.within.since, part.within.until) for part in parts]
    assert (edges[0][0], edges[-1][1]) == (window.since, window.until)
    assert all(one[1] + 1 == other[0] for one, other in pairwise(edges))


def test_blocks_without_plays_are_left_out() -> None:
    assert [part.within.since for part in list_parts(Window(0, 9 * BLOCK_MS), {3: 1})] == [3 * BLOCK_MS, 9 * BLOCK_MS]
