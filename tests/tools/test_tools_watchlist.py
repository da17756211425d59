"""Toolset `watchlist`."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.tools import Tools, tools_home

from plex_companion.demo import Household, build_household
from plex_companion.demo.household.model import ViewState
from plex_companion.text import redact

if TYPE_CHECKING:
    from pathlib import Path

    from plex_companion.demo.household.model import DemoItem

OWNER, JASPER, PIP, MEI = 1, 90002, 90003, 90004
NOWHERE = "plex://movie/000000000000000000000000"
STATED = {"available_on_server", "match_status", "library_items"}


def with_pin() -> Household:
    built = build_household(now=time.time())
    built.users = [replace(user, pin="4711") if user.id == JASPER else user for user in built.users]
    return built


def add_to_watchlist(tools: Tools, *items: DemoItem, user: int = OWNER) -> None:
    """These are on the list, the last one first."""
    tools.demo.watchlists[user] = [item.guid.rpartition("/")[2] for item in items]


def list_watchlist(tools: Tools, user: int = OWNER) -> list[str]:
    return list(tools.demo.watchlists.get(user, []))


def unowned(tools: Tools, **changes: Any) -> DemoItem:
    """A film that plex.tv knows and no library holds: a copy of the first one with another guid."""
    new = {"key": "999999", "guid": "plex://movie/5d77000000000000000000aa", "title": "Not Here", "external_ids": ()}
    item = replace(tools.demo.get_movie(), **{**new, **changes})
    tools.demo.unowned.append(item)
    return item


def show_of(tools: Tools) -> DemoItem:
    return tools.demo.state.list_kind("show")[0]


# -- the list


async def test_the_owners_list_says_what_the_server_has_and_how_far_it_was_watched(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        movie, show, state = tools.demo.get_movie(), show_of(tools), tools.demo.state
        state.views = {OWNER: {movie.key: ViewState(offset=movie.duration // 2 if movie.duration else 0)}}
        state.get_own_view(state.owner, state.list_leaves(show.key)[0].key).count = 1
        add_to_watchlist(tools, movie, show)
        found = await tools.well("watchlist_list")
        assert tools.requests == 3
        assert {name: found[name] for name in ("totalItems", "offset", "limit", "size")} == {
            "totalItems": 2, "offset": 0, "limit": 50, "size": 2,
        }  # fmt: skip
        first, second = found["items"]
        assert (first["guid"], first["type"], first["match_status"]) == (show.guid, "show", "matched")
        assert first["library_items"] == [
            {
                "media_id": int(show.key),
                "rating_key": int(show.key),
                "library": state.sections[show.section].title,
                "watched": False,
                "watch_status": "partial",
                "watched_episode_count": 1,
                "episode_count": len(state.list_leaves(show.key)),
            }
        ]
        (here,) = second["library_items"]
        assert second["available_on_server"] is True
        assert (here["view_count"], here["in_progress"], here["progress_percent"]) == (0, True, 50.0)
        assert (here["watched"], here["watch_status"], here["media_id"]) == (False, "partial", int(movie.key))
        assert (second["title"], second["year"], second["duration_ms"]) == (movie.title, movie.year, movie.duration)


async def test_without_state_the_server_is_not_asked(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        add_to_watchlist(tools, tools.demo.get_movie())
        tools.demo.answer_with(503)
        found = await tools.well("watchlist_list", include_state=False)
        assert tools.requests == 1
        assert not STATED & set(found["items"][0])


async def test_a_title_the_server_lacks_is_not_found_and_never_said_to_be_absent(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        add_to_watchlist(tools, tools.demo.get_movie(), unowned(tools))
        lacking, had = (await tools.well("watchlist_list"))["items"]
        assert tools.requests == 1 + 1 + 1
        assert (lacking["match_status"], lacking["available_on_server"]) == ("not_found", None)
        assert lacking["library_items"] == []
        assert had["match_status"] == "matched"


async def test_a_title_of_another_agent_is_matched_by_its_ids_elsewhere(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        movie = tools.demo.get_movie()
        add_to_watchlist(tools, unowned(tools, title=movie.title, external_ids=("imdb://tt0000001",)))
        movie.external_ids = ("imdb://tt0000001", "tmdb://2")
        (item,) = (await tools.well("watchlist_list"))["items"]
        assert [here["media_id"] for here in item["library_items"]] == [int(movie.key)]


async def test_a_namesake_is_not_taken_for_the_title(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        add_to_watchlist(tools, unowned(tools, title=tools.demo.get_movie().title))
        assert (await tools.well("watchlist_list"))["items"][0]["match_status"] == "not_found"


@pytest.mark.parametrize("status", [503, 500, 403])
async def test_the_list_stands_while_the_server_refuses(tmp_path: Path, status: int) -> None:
    async with tools_home(tmp_path) as tools:
        add_to_watchlist(tools, tools.demo.get_movie())
        tools.demo.answer_with(status)
        (item,) = (await tools.well("watchlist_list"))["items"]
        assert (item["match_status"], item["available_on_server"]) == ("unavailable", None)
        assert item["state_error"]


async def test_the_list_comes_in_pages(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        add_to_watchlist(tools, *(tools.demo.get_movie(number) for number in range(5)))
        found = await tools.well("watchlist_list", offset=3, limit=1, include_state=False)
        assert [item["guid"] for item in found["items"]] == [tools.demo.get_movie(1).guid]
        assert (found["totalItems"], found["offset"], found["limit"], found["size"]) == (5, 3, 1, 1)


async def test_an_empty_list_is_a_success(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        found = await tools.well("watchlist_list")
        assert (found["items"], found["totalItems"], tools.requests) == ([], 0, 1)


async def test_a_profiles_list_and_state_are_its_own(tmp_path: Path) -> None:
    async with tools_home(tmp_path, household=with_pin()) as tools:
        movie, state = tools.demo.get_movie(), tools.demo.state
        state.views = {JASPER: {movie.key: ViewState(count=2)}}
        add_to_watchlist(tools, movie, user=JASPER)
        (item,) = (await tools.well("watchlist_list", home_user_id=JASPER, pin=4711))["items"]
        assert tools.requests == 2 + 1 + 1 + 1
        assert (item["library_items"][0]["view_count"], item["library_items"][0]["watched"]) == (2, True)
        assert (await tools.well("watchlist_list"))["items"] == []


# -- the search


async def test_plex_tv_is_searched_for_titles(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        item = unowned(tools, title="Harbour Lights")
        found = await tools.well("watchlist_search", query="harbour", content_type="movie")
        assert tools.requests == 1
        assert item.guid in [hit["guid"] for hit in found["items"]]
        assert found["size"] == len(found["items"])
        assert {hit["type"] for hit in found["items"]} == {"movie"}
        assert {"guid", "title", "type", "year"} <= set(found["items"][0])
        assert (await tools.well("watchlist_search", query="harbour", limit=1))["size"] == 1


async def test_nothing_found_is_a_success(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        found = await tools.well("watchlist_search", query="xyzzy")
        assert (found["items"], found["size"]) == ([], 0)
        assert "xyzzy" in found["message"]


# -- changing it


async def test_a_title_is_added_once(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        guid = tools.demo.get_movie().guid
        done = await tools.well("watchlist_add", guid=guid)
        assert done == {"status": "success", "guid": guid, "watchlisted": True, "changed": True}
        assert tools.requests == 3
        assert list_watchlist(tools) == [guid.rpartition("/")[2]]
        assert (await tools.well("watchlist_add", guid=guid))["changed"] is False
        assert tools.requests == 1


async def test_a_title_is_removed_once(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        first, second = tools.demo.get_movie(0), tools.demo.get_movie(1)
        add_to_watchlist(tools, first, second)
        done = await tools.well("watchlist_remove", guid=first.guid)
        assert done == {"status": "success", "guid": first.guid, "watchlisted": False, "changed": True}
        assert tools.requests == 3
        assert list_watchlist(tools) == [second.guid.rpartition("/")[2]]
        assert (await tools.well("watchlist_remove", guid=first.guid))["changed"] is False
        assert tools.requests == 1


@pytest.mark.parametrize(
    "who", [{"home_user_id": PIP}, {"username": "pip"}, {"username": "Mei 林", "home_user_id": PIP}]
)
async def test_a_profiles_list_is_changed_and_nobody_elses(tmp_path: Path, who: dict[str, Any]) -> None:
    async with tools_home(tmp_path) as tools:
        guid = tools.demo.get_movie().guid
        await tools.well("watchlist_add", guid=guid, **who)
        assert tools.requests == 2 + 3
        assert (list_watchlist(tools), list_watchlist(tools, PIP)) == ([], [guid.rpartition("/")[2]])


async def test_the_owner_may_be_named(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        await tools.well("watchlist_add", guid=tools.demo.get_movie().guid, username="Ottilie Brandt")
        assert len(list_watchlist(tools)) == 1
        assert tools.requests == 3


class Forgetful(list[str]):
    """A list that says yes and keeps nothing."""

    def append(self, item: str) -> None:
        """Forget it."""


async def test_an_addition_that_is_not_seen_is_not_reported_as_done(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        tools.demo.watchlists[OWNER] = Forgetful()
        error = await tools.refused("watchlist_add", guid=tools.demo.get_movie().guid)
        assert error["code"] == "not_confirmed"
        assert (error["requested"], error["found"]) == ({"watchlisted": True}, {"watchlisted": False})


# -- what goes wrong

ADD, REMOVE, LIST, SEARCH = "watchlist_add", "watchlist_remove", "watchlist_list", "watchlist_search"
ONE: dict[str, dict[str, Any]] = {
    LIST: {},
    SEARCH: {"query": "harbour"},
    ADD: {"guid": NOWHERE},
    REMOVE: {"guid": NOWHERE},
}


@pytest.mark.parametrize(
    ("tool", "arguments", "argument"),
    [
        (LIST, {"limit": 0}, "limit"),
        (LIST, {"limit": 101}, "limit"),
        (LIST, {"offset": -1}, "offset"),
        (LIST, {"home_user_id": "pip"}, "home_user_id"),
        (LIST, {"pin": "4711"}, "pin"),
        (SEARCH, {"query": " "}, "query"),
        (SEARCH, {"query": "x", "limit": 101}, "limit"),
        (SEARCH, {"query": "x", "content_type": "song"}, "content_type"),
        (SEARCH, {"query": "x", "pin": "4711"}, "pin"),
        (ADD, {"guid": "103"}, "guid"),
        (ADD, {"guid": "plex://episode/5d77"}, "guid"),
        (ADD, {"guid": "plex://movie/../../x"}, "guid"),
        (ADD, {"guid": NOWHERE, "pin": "4711"}, "pin"),
        (REMOVE, {"guid": "imdb://tt1"}, "guid"),
        (REMOVE, {"guid": NOWHERE, "home_user_id": "-1"}, "home_user_id"),
    ],
)
async def test_what_cannot_be_meant_is_refused_without_a_request(
    tmp_path: Path, tool: str, arguments: dict[str, Any], argument: str
) -> None:
    async with tools_home(tmp_path) as tools:
        error = await tools.refused(tool, **arguments)
        assert (error["code"], error["argument"]) == ("invalid", argument)
        assert "4711" not in error["message"]
        assert tools.requests == 0


@pytest.mark.parametrize("tool", [ADD, REMOVE])
async def test_a_title_that_plex_tv_does_not_know_is_not_found(tmp_path: Path, tool: str) -> None:
    async with tools_home(tmp_path) as tools:
        assert (await tools.refused(tool, guid=NOWHERE))["code"] == "not_found"
        assert tools.requests == 1
        assert list_watchlist(tools) == []


@pytest.mark.parametrize(
    ("who", "code"),
    [
        ({"username": "Nobody"}, "not_found"),
        ({"home_user_id": 4712}, "not_found"),
        ({"username": "mei@example.org"}, "plex_forbidden"),
        ({"username": "Jasper O'Dell"}, "plex_forbidden"),
        ({"username": "Jasper O'Dell", "pin": "0815"}, "plex_forbidden"),
    ],
)
async def test_who_is_no_open_profile_of_the_home_is_refused(tmp_path: Path, who: dict[str, Any], code: str) -> None:
    async with tools_home(tmp_path, household=with_pin()) as tools:
        for tool, arguments in ONE.items():
            error = await tools.refused(tool, **arguments, **who)
            assert error["code"] == code
            assert "0815" not in json.dumps(error)
        assert not any(method == "PUT" for method, _ in tools.demo.requests.log)


async def test_without_plex_tv_there_is_no_list(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        tools.demo.answer_plex_tv_with(503)
        for tool, arguments in ONE.items():
            assert (await tools.refused(tool, **arguments))["code"] == "plextv_unreachable"


async def test_the_pin_is_in_no_journal_and_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with tools_home(tmp_path, household=with_pin()) as tools:
        with caplog.at_level("DEBUG"):
            guid = tools.demo.get_movie().guid
            await tools.well("watchlist_add", guid=guid, username="jasper@example.net", pin="4711")
        written = await tools.well("events_wait", cursor=0, types=["audit"], timeout=120)
        assert "4711" not in json.dumps(written)
        assert "switch" in caplog.text
        assert "4711" not in redact(caplog.text)


@pytest.mark.parametrize(
    "body",
    [
        "{}",
        '{"MediaContainer": null}',
        '{"MediaContainer": {"SearchResults": {"id": "external"}}}',
        '{"MediaContainer": {"SearchResults": [null, {"id": "external", "SearchResult": [null, {"Metadata": []}]}]}}',
    ],
)
async def test_a_search_that_plex_tv_answers_oddly_finds_nothing(tmp_path: Path, body: str) -> None:
    async with tools_home(tmp_path) as tools:
        tools.demo.answer_plex_tv_with(200, body.encode())
        found = await tools.well("watchlist_search", query="comet")
        assert (found["items"], found["size"]) == ([], 0)
        assert "comet" in found["message"]
