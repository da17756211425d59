"""A start says whether its user has a new player, as the plays say that are there when it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.frames import START, listed
from support.occurrences import OccurrenceStory

from plex_companion.cache.database import Cache, open_cache
from plex_companion.changes.kinds import PlaysImported
from plex_companion.models import ImportedPlay, Item, Player, User
from plex_companion.occurrences.reading import read_occurrences

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

ADA, BEN = User("1", "Ada"), User("2", "Ben")


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[Cache]:
    async with open_cache(tmp_path / "cache.sqlite3", backups=0) as opened:
        yield opened


class Household:
    """A story that is written as it is told."""

    def __init__(self, cache: Cache) -> None:
        self._cache, self._story, self._written = cache, OccurrenceStory(), 0

    async def count(self, play: ImportedPlay) -> None:
        """Plex's history has a play."""
        self._story.state.ids.play = play.play_id + 1
        await self._cache.write([PlaysImported((play,), None)], "den-0001", START)

    async def play(self, *sessions: tuple[User | None, str | None]) -> None:
        """Plex lists these users on these players, and nobody else."""
        rows = [
            listed(str(number), client=client, user=user)
            for number, (user, client) in enumerate(sessions, self._written + 1)
        ]
        self._story.after(60).look(*rows)
        self._written += len(rows)
        changes, self._story.changes = self._story.changes, []
        await self._cache.write(changes, "unknown", START)

    async def list_answers(self) -> list[Any]:
        """What each start says, in their order."""
        page = await read_occurrences(self._cache, None, types=["play.started"])
        return [one["data"]["first_on_player"] for one in page.occurrences]


async def test_the_first_play_of_a_user_on_a_player_says_so_and_no_later_one_does(cache: Cache) -> None:
    household = Household(cache)
    for session in ((ADA, "lamp"), (ADA, "lamp"), (BEN, "lamp"), (ADA, "stove"), (BEN, "lamp")):
        await household.play(session)
    assert await household.list_answers() == [True, False, True, True, False]


async def test_plays_that_begin_at_once_know_of_each_other(cache: Cache) -> None:
    household = Household(cache)
    await household.play((ADA, "lamp"), (BEN, "stove"))
    assert await household.list_answers() == [True, True]
    await household.play((BEN, "lamp"), (ADA, "stove"), (ADA, "stove"), (ADA, "lamp"))
    assert await household.list_answers() == [True, True, True, True, False, False]


async def test_without_a_user_or_a_player_nothing_is_said(cache: Cache) -> None:
    household = Household(cache)
    await household.play((None, "lamp"), (ADA, None))
    assert await household.list_answers() == [None, None]


async def test_what_plex_has_counted_before_is_known(cache: Cache) -> None:
    household = Household(cache)
    await household.play()
    await household.count(ImportedPlay(7, "/history/1", START - 1, Item("7001", type="movie"), ADA, Player("lamp")))
    await household.play((ADA, "lamp"), (BEN, "lamp"))
    assert await household.list_answers() == [False, True]


async def test_nothing_else_than_a_start_says_it(cache: Cache) -> None:
    household = Household(cache)
    await household.play((ADA, "lamp"))
    await household.play()
    page = await read_occurrences(cache, None)
    assert [(one["type"], "first_on_player" in one["data"]) for one in page.occurrences] == [
        ("play.started", True),
        ("play.stopped", False),
    ]
