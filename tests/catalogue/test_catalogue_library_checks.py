"""Once a day, the comparison of a library says how large it is, and for how long nothing has happened to it."""

from __future__ import annotations

import json
from contextlib import closing
from sqlite3 import connect
from typing import TYPE_CHECKING, Any

import pytest
from support.catalogue import SOON, TOKEN, catalogue_home
from support.occurrences import OccurrenceStory, list_occurrences

from plex_companion.catalogue.disk_space.library_sizes import measure_libraries
from plex_companion.catalogue.item_updater import CatalogueTimeouts
from plex_companion.catalogue.known_rows import SectionSize
from plex_companion.catalogue.library_checks import list_due_checks
from plex_companion.demo import open_demo
from plex_companion.events import CataloguePage
from plex_companion.models import LibraryCheck, Section
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    from pathlib import Path

    from support.catalogue import CatalogueHome

FILMS, PHOTOS = Section("1", "Films", "movie", scanned_at=5), Section("4", "Photos", "photo")
CHECKS = "SELECT data FROM occurrences WHERE type = 'library.checked' ORDER BY id"


def test_a_library_is_reported_when_the_last_report_is_old_enough() -> None:
    sizes = {"1": SectionSize(3, 700, 9)}
    due = list_due_checks([FILMS, PHOTOS], sizes, {"1": 100, "4": 101}, first=0, before=100)
    assert due == [LibraryCheck("1", "Films", "movie", 3, 700, scanned_at=5, added_at=9)]


def test_a_library_of_a_new_server_is_no_news() -> None:
    assert list_due_checks([FILMS], {}, {}, first=101, before=100) == []
    assert len(list_due_checks([FILMS], {}, {}, first=100, before=100)) == 1


def test_of_photos_no_size_is_known_and_an_empty_library_is_of_size_0() -> None:
    films, photos = list_due_checks([FILMS, PHOTOS], {}, {}, first=0, before=100)
    assert (films.count, films.size_bytes) == (0, 0)
    assert (photos.count, photos.size_bytes) == (None, None)


def test_days_are_whole_and_never_negative() -> None:
    story = OccurrenceStory()
    now = story.now.at
    checks = (
        LibraryCheck("1", "Films", "movie", 3, 700, now - 7 * DAY_MS, now + 5),
        LibraryCheck("2", "Shows", "show", 3, 700, now - 7 * DAY_MS + 1, None),
    )
    assert story.state.server is not None
    found = list_occurrences(story.receive(CataloguePage(1, story.state.server.machine_identifier, checks=checks)))
    days = [(one["data"]["days_since_scan"], one["data"]["days_since_added"]) for one in found]
    assert days == [(7, 0), (6, None)]


def test_a_comparison_of_another_server_than_the_present_one_says_nothing() -> None:
    story = OccurrenceStory()
    page = CataloguePage(1, "another", checks=(LibraryCheck("1", "Films", "movie"),))
    assert list_occurrences(story.receive(page)) == []


async def read_checks(home: CatalogueHome) -> list[dict[str, Any]]:
    return [json.loads(data) for (data,) in await home.rows(CHECKS)]


async def wait_for_comparison(home: CatalogueHome) -> None:
    """Return when everything was compared once more."""
    before = await home.rows("SELECT min(as_of) FROM catalogue_sections")
    home.demo.reset_connections(websockets_only=True)

    async def is_compared() -> bool:
        return await home.rows("SELECT min(as_of) FROM catalogue_sections") > before

    await home.until(is_compared)


@pytest.mark.slow
async def test_it_is_said_of_each_library_and_not_again_after_a_restart(tmp_path: Path) -> None:
    async with open_demo(alive=False, require_token=TOKEN) as demo:
        async with catalogue_home(tmp_path, demo=demo) as home:
            await home.until_as_plex()
            await home.until_detailed()
            assert await read_checks(home) == []
        with closing(connect(tmp_path / "cache.sqlite3")) as database, database:
            database.execute("UPDATE servers SET first_seen_at = first_seen_at - ?", (DAY_MS,))
        async with catalogue_home(tmp_path, demo=demo) as home:
            libraries = (await measure_libraries(home.application.companion)).libraries

            async def is_said() -> bool:
                return len(await read_checks(home)) == len(libraries)

            await home.until(is_said)
            found = {one["library_id"]: one for one in await read_checks(home)}
            for library in libraries:
                if library["type"] != "photo":
                    check = found[library["id"]]
                    assert (check["library"], check["count"], check["size_bytes"]) == (
                        library["title"],
                        library["items"],
                        library["size_bytes"],
                    )
                    assert (check["days_since_scan"], check["library_type"]) == (0, library["type"])
        async with catalogue_home(tmp_path, demo=demo) as home:
            for _ in range(2):  # the second begins after the first has reported
                await wait_for_comparison(home)
            assert len(await read_checks(home)) == len(libraries)


@pytest.mark.slow
async def test_it_is_said_again_when_the_day_is_over(tmp_path: Path) -> None:
    short = CatalogueTimeouts(SOON.merge, SOON.settle, SOON.share, SOON.failed, SOON.again, compare=0.1)
    async with catalogue_home(tmp_path, timeouts=short) as home:
        await home.until_complete()

        async def is_said_thrice() -> bool:
            return [one["library"] for one in await read_checks(home)].count("Films") >= 3

        await home.until(is_said_thrice)
