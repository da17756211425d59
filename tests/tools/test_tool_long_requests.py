"""Requests do not grow with what is asked: long lists go in parts, in order, and whole or `partial` with the numbers."""

from __future__ import annotations

import time
from collections import deque
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tools import tools_home

from plex_companion.demo import Household, build_household
from plex_companion.demo.household.model import DemoPlaylist
from plex_companion.plex.query import LINE, split_values

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from support.tools import Tools

pytestmark = pytest.mark.slow


MANY = 1500
JASPER = "Jasper O'Dell"


@asynccontextmanager
async def home(folder: Path, **more: Any) -> AsyncIterator[Tools]:
    """A server that refuses request lines of more than 4 KB."""
    async with tools_home(folder, hushed=True, **more) as tools:
        tools.demo.refuse_long_paths(LINE)
        yield tools


def films(tools: Tools) -> list[str]:
    return [film.key for film in tools.demo.state.list_section("1", "movie")]


def many(tools: Tools) -> list[str]:
    """Ids of films, over and over."""
    known = films(tools)
    return [known[place % len(known)] for place in range(MANY)]


def held(tools: Tools, title: str, user: int = 1) -> list[str]:
    playlists = tools.demo.state.playlists.values()
    return [key for row in playlists if (row.title, row.user) == (title, user) for _, key in row.entries]


class Breaking(deque[tuple[str, str]]):
    """A log of requests after which the server breaks down at the third write."""

    def __init__(self, tools: Tools) -> None:
        super().__init__()
        self.tools, self.left = tools, 3

    def append(self, asked: tuple[str, str]) -> None:
        super().append(asked)
        self.left -= asked[0] in {"PUT", "POST"}
        if not self.left:
            self.tools.demo.answer_with(500)


async def test_a_playlist_of_many_items_is_created_whole_and_in_order(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        expected = many(tools)
        made = await tools.well("playlist_create", playlist_title="Everything " * 30, item_ids=expected)
        assert made["data"]["item_count"] == MANY
        assert held(tools, ("Everything " * 30).strip()) == expected


async def test_many_items_are_added_to_a_playlist_in_order(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        expected = many(tools)
        await tools.well("playlist_create", playlist_title="P", item_ids=expected[:1])
        added = await tools.well("playlist_add_to", playlist_title="P", item_ids=expected)
        assert added["total_items"] == MANY + 1
        assert held(tools, "P") == [expected[0], *expected]


async def test_a_playlist_of_many_items_is_copied_whole(tmp_path: Path) -> None:
    built = build_household(now=time.time())
    keys = [item.key for item in built.items if item.type == "movie" and item.section == "1"]
    entries = [(5000 + place, keys[place % len(keys)]) for place in range(MANY)]
    built.playlists.append(DemoPlaylist("81000", "Long", "video", 1, 1, 1, entries=entries))
    async with home(tmp_path, household=built) as tools:
        copied = await tools.well("playlist_copy_to_user", playlist_title="Long", username=JASPER)
        taken = held(tools, "Long", 90002)
        assert copied["items_copied"] == len(taken)
        seen = set(taken)
        assert taken == [key for _, key in entries if key in seen]


def with_many_films() -> Household:
    built = build_household(now=time.time())
    film = next(item for item in built.items if item.type == "movie" and item.section == "1")
    built.items += [replace(film, key=str(600_000 + place), title=f"Reel {place}") for place in range(MANY)]
    return built


async def test_a_collection_of_many_items_is_created_and_extended_whole(tmp_path: Path) -> None:
    async with home(tmp_path, household=with_many_films()) as tools:
        expected = [str(600_000 + place) for place in range(MANY)]
        made = await tools.well(
            "collection_create", collection_title="C", library_name="Films", item_ids=expected[: MANY // 2]
        )
        assert made["items_added"] == MANY // 2
        added = await tools.well("collection_add_to", collection_id=made["id"], item_ids=expected)
        assert added["total_items"] == MANY
        assert list(tools.demo.state.collections[str(made["id"])].items) == expected


async def test_a_collection_that_takes_only_some_of_many_tells_how_many(tmp_path: Path) -> None:
    async with home(tmp_path, household=with_many_films()) as tools:
        tools.demo.state.requests.log = Breaking(tools)
        expected = [str(600_000 + place) for place in range(MANY)]
        error = await tools.refused("collection_create", collection_title="C", library_name="Films", item_ids=expected)
        tools.demo.answer_with(None)
        assert (error["code"], error["items_requested"]) == ("partial", MANY)
        assert error["items_done"] == len(tools.demo.state.collections[str(error["id"])].items)


async def test_a_playlist_that_is_not_filled_to_its_end_tells_how_many_came_in(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        tools.demo.state.requests.log = Breaking(tools)
        error = await tools.refused("playlist_create", playlist_title="P", item_ids=many(tools))
        tools.demo.answer_with(None)
        assert error["code"] == "partial"
        assert error["items_done"] == len(held(tools, "P"))
        assert 0 < error["items_done"] < error["items_requested"] == MANY
        assert f"{error['items_done']} of {MANY} items are in" in error["message"]
        assert error["playlist_id"]


async def test_a_playlist_that_takes_only_some_of_many_tells_how_many(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        await tools.well("playlist_create", playlist_title="P", item_ids=films(tools)[:1])
        tools.demo.state.requests.log = Breaking(tools)
        error = await tools.refused("playlist_add_to", playlist_title="P", item_ids=many(tools))
        tools.demo.answer_with(None)
        assert (error["code"], error["items_requested"]) == ("partial", MANY)
        assert error["items_done"] == len(held(tools, "P")) - 1


async def test_an_error_lists_ten_of_many_ids_and_their_number(tmp_path: Path) -> None:
    unknown = [str(900_000 + place) for place in range(3400)]
    async with home(tmp_path) as tools:
        for tool, given in (
            ("playlist_create", {"playlist_title": "P"}),
            ("playlist_add_to", {"playlist_title": "Friday Films"}),
            ("collection_create", {"collection_title": "C", "library_name": "Films"}),
        ):
            error = await tools.refused(tool, item_ids=unknown, **given)
            assert error["code"] == "not_found"
            assert error["items_not_found"] == unknown[:10]
            assert error["items_not_found_count"] == 3400
            assert "and 3390 more" in error["message"]
            assert len(str(error)) < 2000


async def test_a_title_without_end_makes_no_request_without_end(tmp_path: Path) -> None:
    endless = "Rain \u6f22\u5b57 " * 1_000
    async with home(tmp_path) as tools:
        tools.demo.get_movie(0).title = endless.strip()
        found = await tools.well("media_get_details", media_title=endless)
        assert str(found["rating_key"]) == tools.demo.get_movie(0).key
        for tool, given in (
            ("media_search", {"query": endless}),
            ("library_get_contents", {"title": endless, "library_name": "Films"}),
            ("watchlist_search", {"query": endless}),
        ):
            assert not (await tools.ask(tool, **given)).is_error, tool
        for tool, given in (
            ("collection_edit", {"collection_title": endless}),
            ("media_delete", {"media_title": "x" * 9000}),
        ):
            assert (await tools.refused(tool, **given))["code"] in {"not_found", "invalid"}, tool


async def test_long_texts_and_many_tags_are_sent_field_by_field(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        film = tools.demo.get_movie(0)
        tags = [f"Shelf {place}" for place in range(50)]
        given = {"new_summary": "word " * 500, "new_studio": "Hall " * 300, "new_tags": tags}
        edited = await tools.well("media_edit_metadata", media_id=film.key, **given)
        assert edited["updated"]
        assert (film.summary, film.studio) == (("word " * 500).strip(), ("Hall " * 300).strip())
        assert set(tags) <= set(film.tags["Label"])
        made = await tools.well("collection_create", collection_title="C", library_name="Films", item_ids=[film.key])
        given = {"new_summary": "word " * 500, "new_sort_title": "Hall " * 300, "new_labels": tags}
        assert (await tools.well("collection_edit", collection_id=made["id"], **given))["updated"]


async def test_a_long_request_that_cannot_be_parted_is_told_in_a_sentence(tmp_path: Path) -> None:
    async with home(tmp_path) as tools:
        error = await tools.refused("media_edit_metadata", media_id=films(tools)[0], new_summary="word " * 1600)
        assert "too long for the server" in error["message"]


@pytest.mark.parametrize("title", ["", "é" * 1000])
@given(values=st.lists(st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=60)))
def test_portions_are_all_of_it_in_order_and_short(values: list[str], title: str) -> None:
    parts = split_values(values, title)
    assert [value for part in parts for value in part] == values
    assert all(parts)
    assert all(len(part) == 1 or sum(len(value.encode()) for value in part) < LINE for part in parts)
