"""The catalogue follows Plex: by events, by comparison after an outage, and when libraries come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from mcp.shared.exceptions import MCPError
from support.application import ERAS, body, subscribed
from support.catalogue import TOKEN, catalogue_home

from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.slow


async def test_added_changed_and_deleted_items_follow_by_events(tmp_path: Path) -> None:
    async with catalogue_home(tmp_path) as home:
        await home.until_as_plex()
        film = await home.demo.add_movie("A New Lamp")
        await home.until_as_plex()
        found = await home.tools.well("catalogue_search", text="new lamp")
        assert [item["rating_key"] for item in found["items"]] == [film.key]
        home.demo.delete_item(film.key)
        await home.until_as_plex()
        show = home.demo.add_show("A Whole Show", seasons=3, episodes=12)
        await home.until_as_plex()
        ((leaves, size),) = await home.rows(
            "SELECT leaf_count, size_bytes FROM items WHERE rating_key = :key", key=show.key
        )
        assert leaves == 36
        assert size > 0
        home.demo.delete_item(show.key)
        await home.until_as_plex()


async def test_a_storm_of_a_thousand_entries_costs_few_requests(tmp_path: Path) -> None:
    async with catalogue_home(tmp_path) as home:
        await home.until_as_plex()
        home.demo.requests.clear()
        touched = home.demo.touch_items("2", 1_000)
        keys = {item.key: item.updated_at * 1000 for item in touched}

        async def is_followed() -> bool:
            rows = await home.rows("SELECT rating_key, updated_at FROM items")
            return all(dict(rows)[key] == at for key, at in keys.items())

        await home.until(is_followed)
        assert home.demo.requests.count("/library/metadata/") <= 20


async def test_what_changed_while_plex_was_away_is_found_in_few_requests(tmp_path: Path) -> None:
    async with catalogue_home(tmp_path) as home:
        await home.until_as_plex()
        await home.demo.shut_down()
        await home.tools.until(lambda: not home.application.companion.is_live)
        await home.demo.add_movie("While You Were Out", extras=False)
        show = home.demo.add_show("Quiet Arrivals", announced=False)
        home.demo.delete_item(home.demo.get_movie(3).key, announced=False)
        renamed = home.demo.get_episode(0)
        renamed.title, renamed.updated_at = "Another Name", home.demo.state.now + 1
        home.demo.state.mark_changed()
        home.demo.state.scrobble(home.demo.state.owner, home.demo.get_movie(5).key)
        home.demo.requests.clear()
        await home.demo.reopen()
        await home.until_as_plex()
        listings = home.demo.requests.count("/library/sections/") + home.demo.requests.count("/library/metadata/")
        assert listings <= 60
        viewed = home.demo.get_movie(5).key

        async def is_viewed() -> bool:
            return await home.rows("SELECT view_count FROM items WHERE rating_key = :key", key=viewed) == [(1,)]

        await home.until(is_viewed)
        assert show.key in {row[0] for row in await home.kept()}


@pytest.mark.parametrize("hours", [-50, 50])
async def test_what_changed_is_found_though_the_clock_of_plex_differs(tmp_path: Path, hours: int) -> None:
    async with open_demo(alive=False, require_token=TOKEN) as demo:
        for item in demo.state.items.values():
            item.added_at, item.updated_at = item.added_at + hours * 3_600, item.updated_at + hours * 3_600
        async with catalogue_home(tmp_path, demo=demo) as home:
            await home.until_as_plex()
            await demo.shut_down()
            await home.tools.until(lambda: not home.application.companion.is_live)
            renamed = demo.get_episode(0)
            renamed.title, renamed.updated_at = "Another Name", demo.state.now + hours * 3_600 + 1
            demo.delete_item(demo.get_movie(3).key, announced=False)
            await demo.add_movie("While You Were Out", extras=False)
            await demo.reopen()
            await home.until_as_plex()
            await demo.add_movie("Another Arrival", extras=False)
            await home.until_as_plex()


async def test_reconnecting_with_nothing_new_asks_three_times_a_library_at_most(tmp_path: Path) -> None:
    async with catalogue_home(tmp_path) as home:
        await home.until_as_plex()
        await home.until_detailed()
        compared = "SELECT min(as_of) FROM catalogue_sections"
        before = await home.rows(compared)
        home.demo.requests.clear()
        home.demo.reset_connections(websockets_only=True)

        async def is_compared() -> bool:
            return await home.rows(compared) > before

        await home.until(is_compared)
        asked = [path for _, path in home.demo.requests.log if "Container-Size=16" in path]
        for section in home.demo.state.sections:
            assert sum(path.startswith(f"/library/sections/{section}/") for path in asked) <= 3
        assert home.demo.requests.count("/library/metadata/") == 0


async def test_libraries_that_are_deleted_renamed_or_added_again_follow(tmp_path: Path) -> None:
    async with catalogue_home(tmp_path) as home:
        await home.until_as_plex()
        played = "SELECT count(*) FROM plays WHERE item_id IS NOT NULL"
        linked = await home.rows(played)
        moved = home.demo.move_section("1")
        await home.until_as_plex()
        assert {row[3] for row in await home.kept() if row[1] == "movie"} >= {moved}
        assert await home.rows(played) == linked
        home.demo.rename_section(moved, "Moving Pictures")  # Plex announces no such thing
        home.demo.reset_connections(websockets_only=True)

        async def is_renamed() -> bool:
            row = await home.rows("SELECT title FROM catalogue_sections WHERE section_id = :id", id=moved)
            return row == [("Moving Pictures",)]

        await home.until(is_renamed)
        home.demo.delete_section(moved)
        home.demo.reset_connections(websockets_only=True)
        await home.until_as_plex()


async def test_nothing_is_deleted_because_pages_fail_or_shrink(tmp_path: Path) -> None:
    async with catalogue_home(tmp_path) as home:
        await home.until_as_plex()
        for kind in ("shrink", "fail", "short", "repeat"):
            before = await home.kept()
            as_of = await home.rows("SELECT min(as_of) FROM catalogue_sections")
            home.demo.break_pages(kind, times=6)
            home.demo.reset_connections(websockets_only=True)

            async def is_compared(before: list[tuple[object, ...]] = as_of) -> bool:
                return await home.rows("SELECT min(as_of) FROM catalogue_sections") > before

            await home.until(is_compared)
            home.demo.break_pages(None)
            assert await home.kept() == before, kind


async def test_a_restart_finds_what_changed_meanwhile(tmp_path: Path) -> None:
    async with open_demo(alive=False, require_token=TOKEN) as demo:
        async with catalogue_home(tmp_path, demo=demo) as home:
            await home.until_as_plex()
        film = await demo.add_movie("Overnight", extras=False)
        demo.delete_item(demo.get_movie(0).key, announced=False)
        async with catalogue_home(tmp_path, demo=demo) as home:
            await home.until_as_plex()
            assert film.key in {row[0] for row in await home.kept()}


async def test_no_path_is_kept_by_default_nor_after_privacy_was_off(tmp_path: Path) -> None:
    async with open_demo(alive=False, require_token=TOKEN) as demo:
        paths = "SELECT count(*) FROM files WHERE path IS NOT NULL"
        async with catalogue_home(tmp_path, demo=demo, privacy="off") as home:
            await home.until_as_plex()
            assert await home.rows(paths) > [(0,)]
            answer = await home.tools.well("catalogue_search", type="movie", fields=["files"], limit=1)
            assert answer["items"][0]["files"][0]["paths"]
        async with catalogue_home(tmp_path, demo=demo) as home:

            async def is_forgotten() -> bool:
                return await home.rows(paths) == [(0,)]

            await home.until(is_forgotten)
            answer = await home.tools.well("catalogue_search", type="movie", fields=["files"], limit=50)
            assert "paths" not in str(answer)


@pytest.mark.parametrize("era", ERAS)
async def test_resources_of_an_item_and_a_library_are_announced_when_they_change(tmp_path: Path, era: str) -> None:
    async with catalogue_home(tmp_path) as home:
        await home.until_as_plex()
        await home.until_detailed()
        film = home.demo.get_movie(0)
        item_uri, library_uri = f"plex://items/{film.key}", f"plex://libraries/{film.section}"
        async with subscribed(home.application.server, era, item_uri, library_uri) as (client, ear):
            item = await body(client, item_uri)
            assert (item["item"]["title"], len(item["files"])) == (film.title, len(film.media))
            library = (await body(client, library_uri))["library"]
            assert library["counts"]["movie"] == sum(
                row[1] == "movie" and row[3] == film.section for row in home.there()
            )
            assert library["newest"]
            assert library["complete"]
            home.demo.touch_items(film.section, 1_000)
            await ear.until(item_uri)
            await ear.until(library_uri)


async def test_an_item_or_a_library_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    async with catalogue_home(tmp_path) as home:
        await home.until_complete()
        for uri in ("plex://items/999999", "plex://libraries/999"):
            with pytest.raises(MCPError, match="catalogue has no"):
                await home.tools.client.read_resource(uri)
