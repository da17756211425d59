"""The first reading of the libraries, and what may go wrong meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.catalogue import TOKEN, CatalogueHome, catalogue_home

from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from pathlib import Path


async def assert_nothing_is_doubled(home: CatalogueHome) -> None:
    doubled = await home.rows("SELECT rating_key FROM items GROUP BY server, rating_key HAVING count(*) > 1")
    assert doubled == []
    await home.application.companion.cache.writer.execute(
        "INSERT INTO item_words (item_words) VALUES ('integrity-check')"
    )


async def test_everything_is_read_in_few_requests_one_at_a_time(tmp_path: Path) -> None:
    async with catalogue_home(tmp_path) as home:
        await home.until_as_plex()
        status = await home.status()
        assert status["items"] == status["total"] == len(home.there())
        assert status["detail"] is None
        assert home.demo.requests.most_open_listings <= 2
        await assert_nothing_is_doubled(home)
        said = await home.tools.well("companion_status")
        assert said["catalogue"]["complete"]


@pytest.mark.parametrize(("kind", "skip"), [("fail", 0), ("short", 3), ("shrink", 0), ("shrink", 9), ("repeat", 3)])
async def test_pages_that_fail_shrink_or_repeat_lose_nothing_and_double_nothing(
    tmp_path: Path, kind: str, skip: int
) -> None:
    async with open_demo(alive=False, require_token=TOKEN) as demo:
        demo.break_pages(kind, skip=skip, times=4)
        async with catalogue_home(tmp_path, demo=demo) as home:
            await home.until_as_plex()
            await assert_nothing_is_doubled(home)


async def test_a_page_that_cannot_be_read_is_named_and_the_rest_is_there(tmp_path: Path) -> None:
    async with open_demo(alive=False, require_token=TOKEN) as demo:
        demo.break_pages("fail", times=10_000)
        async with catalogue_home(tmp_path, demo=demo) as home:

            async def is_named() -> bool:
                status = await home.status()
                return not status["complete"] and "could not be read" in (status["detail"] or "")

            await home.until(is_named)
            demo.break_pages(None)
            await home.until_as_plex()
            assert (await home.status())["detail"] is None


async def test_items_without_title_size_or_year_and_twins_of_one_guid_are_kept(tmp_path: Path) -> None:
    async with open_demo(alive=False, require_token=TOKEN) as demo:
        film, bare = demo.get_movie(0), demo.get_movie(1)
        twin = demo.copy_item(film.key)
        demo.strip_item(bare.key, "title", "year", "size")
        async with catalogue_home(tmp_path, demo=demo) as home:
            await home.until_complete()
            guids = await home.rows("SELECT rating_key FROM items WHERE guid = :guid", guid=film.guid)
            assert {(film.key,), (twin.key,)} <= set(guids)
            (row,) = await home.rows("SELECT title, size_bytes FROM items WHERE rating_key = :key", key=bare.key)
            assert row == ("", None)


async def test_a_restart_goes_on_and_reads_no_library_again(tmp_path: Path) -> None:
    async with open_demo(alive=False, require_token=TOKEN) as demo:
        async with catalogue_home(tmp_path, demo=demo) as home:
            await home.until_as_plex()
        demo.requests.clear()
        async with catalogue_home(tmp_path, demo=demo) as home:
            assert (await home.status())["complete"]
            asked = await home.rows("SELECT count(*) FROM catalogue_sections")
            await home.tools.until(lambda: demo.requests.count("/library/sections/") > 3 * asked[0][0])
            await home.until_as_plex()


async def test_without_the_catalogue_nothing_is_read(tmp_path: Path) -> None:
    async with catalogue_home(tmp_path, catalogue="false") as home:
        await home.tools.until(lambda: home.application.companion.is_live)
        answer = await home.tools.well("catalogue_search")
        assert answer["items"] == []
        assert answer["catalogue"] == {"items": 0, "total": None, "complete": False, "as_of": None, "detail": None}
