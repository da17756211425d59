"""Plays that were resumed are one row, and no play is lost or shown twice between two pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.recorded_plays import NOW, past, seen

from plex_companion.history.play_pages import PlayQuery
from plex_companion.history.resumed_plays import group_resumed, list_resumed_plays
from plex_companion.times import HOUR_MS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def row(hours: float, length: float = 1.0, **more: Any) -> dict[str, Any]:
    """A play that began so many hours ago."""
    at = NOW - int(hours * HOUR_MS)
    return {
        "server": "den", "guid": "plex://movie/1", "rating_key": "1", "title": "Film", "grandparent_title": None, "user_id": "1",
        "user_name": "Ada", "client_identifier": "tv", "player_title": "TV", "started_at": at,
        "ended_at": at + int(length * HOUR_MS), **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "groups"),
    [
        ([row(2), row(15)], [[0, 1]]),
        ([row(2), row(15.1)], [[0], [1]]),
        ([row(2), row(3, user_id="2"), row(4)], [[0, 2], [1]]),
        ([row(2), row(3, client_identifier="phone")], [[0], [1]]),
        ([row(2), row(3, guid="plex://movie/2")], [[0], [1]]),
        ([row(2), row(14), row(26), row(50)], [[0, 1, 2], [3]]),
        ([], []),
    ],
    ids=["resumed", "too late", "another user", "another player", "another film", "a chain", "nothing"],
)
def test_plays_begun_within_twelve_hours_of_the_last_end_are_one(
    rows: list[dict[str, Any]], groups: list[list[int]]
) -> None:
    assert group_resumed(rows) == groups


async def test_pages_hold_every_play_once_and_the_total_counts_plays(tmp_path: Path) -> None:
    rows = [seen(number, NOW - number * HOUR_MS, title=f"Film {number // 3}") for number in range(1, 61)]
    async with past(tmp_path, plays=rows) as it:
        found: list[str] = []
        heads, cursor = 0, None
        while True:
            page = await list_resumed_plays(it.companion, PlayQuery(), 10, cursor)
            assert (page["total"], page["more_than"]) == (60, False)
            assert len(page["groups"]) <= 10
            heads += len(page["groups"])
            found += [page["plays"][place]["id"] for group in page["groups"] for place in group]
            cursor = page["next_cursor"]
            if cursor is None:
                break
    assert sorted(map(int, found)) == list(range(1, 61))
    assert heads == 21
