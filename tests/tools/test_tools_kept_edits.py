"""What is edited, searched for and counted, seen again through what Plex itself makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest
from support.deadlines import HANG_SECONDS
from support.tools import tools_home

if TYPE_CHECKING:
    from pathlib import Path

    from support.tools import Tools

    from plex_companion.demo.household.model import DemoCollection


def rainy(tools: Tools) -> DemoCollection:
    return next(row for row in tools.demo.state.collections.values() if row.title == "Rainy Sundays")


async def test_edits_of_a_collection_stay_and_lock_their_fields(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        row = rainy(tools)
        await tools.well("collection_edit", collection_id=row.key, new_sort_title="Aaa", new_content_rating="PG")
        assert (row.title_sort, row.content_rating, row.locked) == ("Aaa", "PG", {"titleSort", "contentRating"})
        await tools.well("collection_edit", collection_id=row.key, add_labels=["wet"])
        assert (row.labels, "label" in row.locked) == (("wet",), True)
        listed = await tools.well("collection_list", library_name="Films")
        assert listed["collections"][0]["title"] == "Rainy Sundays"


@pytest.mark.parametrize(("kind", "library"), [("movie", "Films"), ("show", "Series")])
async def test_an_edited_release_date_is_the_one_that_filters_find(tmp_path: Path, kind: str, library: str) -> None:
    async with tools_home(tmp_path) as tools:
        item = tools.demo.state.list_section("1" if kind == "movie" else "2", kind)[3]
        await tools.well("media_edit_metadata", media_id=item.key, new_release_date="1931-05-06")
        assert "originallyAvailableAt" in item.locked
        filters = {f"{kind}.originallyAvailableAt>>": "1931-05-05", f"{kind}.originallyAvailableAt<<": "1931-05-07"}
        given = {"playlist_title": "Old", "library_name": library, "libtype": kind, "filters": filters}
        body = await tools.well("playlist_create_smart", **given)
        expected = {int(leaf.key) for leaf in tools.demo.state.list_leaves(item.key)}
        assert {row["rating_key"] for row in body["items"]} == expected


async def test_a_tag_that_a_search_finds_is_not_listed_as_an_item(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        film = tools.demo.state.list_section("1", "movie")[0]
        for tag in (film.tags["Genre"][0], film.tags["Director"][0], next(iter(film.roles))):
            found = await tools.well("media_search", query=tag)
            rows = [row for rows in found["results_by_type"].values() for row in rows]
            assert all(str(row["rating_key"]) in tools.demo.state.items for row in rows), tag


async def test_a_library_counts_its_items_and_not_its_collections(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        films = tools.demo.state.list_section("1", "movie")
        rainy(tools).mode = 1  # the collection is shown instead of its items
        details = await tools.well("library_get_details", library_name="Films")
        contents = await tools.well("library_get_contents", library_name="Films", limit=200)
        assert details["totalItems"] == len(films)
        assert {int(row["rating_key"]) for row in contents["items"]} == {int(film.key) for film in films}


async def test_a_pin_that_the_owner_sets_is_asked_for_and_no_longer_when_it_is_taken_away(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        pip = next(user for user in tools.demo.state.users.values() if user.name == "Pip")
        path = f"{tools.demo.url}/api/v2/home/users/restricted/{pip.cloud_id}"
        async with httpx2.AsyncClient(headers={"X-Plex-Token": tools.demo.token}, timeout=HANG_SECONDS) as plex_tv:
            assert (await plex_tv.post(f"{path}?pin=4321")).is_success
            for wrong in ({}, {"pin": "1234"}):
                error = await tools.refused("watchlist_list", username="Pip", **wrong)
                assert "PIN" in error["message"]
                assert "4321" not in str(error)
            await tools.well("watchlist_list", username="Pip", pin="4321")
            assert (await plex_tv.post(f"{path}?removePin=1")).is_success
        await tools.well("watchlist_list", username="Pip")
