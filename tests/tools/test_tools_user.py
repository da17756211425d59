"""Toolset `user`."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from support.tools import Tools, tools_home

from plex_companion.demo import Household, build_household
from plex_companion.demo.household.model import ViewState

if TYPE_CHECKING:
    from pathlib import Path

OWNER, JASPER, PIP, MEI = 1, 90002, 90003, 90004
EVERY = (
    "user_search_users",
    "user_list_all_users",
    "user_get_info",
    "user_get_on_deck",
    "user_get_continue_watching",
    "user_get_watch_history",
    "user_get_statistics",
)
SEEN_BY_SOMEBODY = ("user_get_on_deck", "user_get_continue_watching")
NAMED = ("user_get_info", *SEEN_BY_SOMEBODY, "user_get_watch_history", "user_get_statistics")
OF_PLEX = tuple(tool for tool in EVERY if tool != "user_get_statistics")
"""What is asked of Plex; the statistics come out of the cache."""


def household(**views: dict[str, ViewState]) -> Household:
    """The built-in household, in which these users (by first name) are this far."""
    built = build_household(now=time.time())
    ids = {user.name.split()[0].lower(): user.id for user in built.users}
    built.views = {ids[name]: view for name, view in views.items()}
    return built


def key_of(built: Household, kind: str) -> str:
    return next(item.key for item in built.items if item.type == kind)


def begun() -> Household:
    """Pip has begun the first film (the older) and the first episode."""
    built = build_household(now=time.time())
    movie, episode = key_of(built, "movie"), key_of(built, "episode")
    return household(
        pip={movie: ViewState(offset=185_000, viewed_at=100), episode: ViewState(offset=600_000, viewed_at=200)}
    )


# -- who they are


async def test_users_are_found_by_a_part_of_a_name_with_their_libraries(tools: Tools) -> None:
    found = await tools.well("user_search_users", search_term="JASPER")
    assert tools.requests == 2
    assert found["searchTerm"] == "JASPER"
    assert found["usersFound"] == 1
    (user,) = found["users"]
    assert (user["role"], user["username"], user["title"]) == ("Home User", "Jasper O'Dell", "Jasper O'Dell")
    assert user["id"] == JASPER
    assert user["email"] == "hidden"
    assert user["libraries"] == [section.title for section in tools.demo.state.sections.values()]


async def test_the_owner_is_found_too_and_without_an_account_at_plex_tv(tools: Tools) -> None:
    found = await tools.well("user_search_users", search_term="ottilie")
    assert [user["role"] for user in found["users"]] == ["Owner"]
    assert tools.requests == 1


async def test_nobody_found_is_a_success_that_says_so(tools: Tools) -> None:
    found = await tools.well("user_search_users", search_term="xyzzy")
    assert (found["usersFound"], found["users"]) == (0, [])
    assert "xyzzy" in found["message"]


async def test_a_search_without_a_word_lists_everybody(tools: Tools) -> None:
    found = await tools.well("user_search_users")
    assert tools.requests == 2
    assert found["totalUsers"] == 4
    assert found["owner"] == {"username": "Ottilie Brandt", "email": "hidden", "title": "Ottilie Brandt"}
    assert [user["id"] for user in found["sharedUsers"]] == [JASPER, PIP, MEI]
    assert set(found["sharedUsers"][0]) == {"username", "email", "title", "id"}


async def test_all_users_are_listed_with_how_they_belong_to_the_owner(tools: Tools) -> None:
    found = await tools.well("user_list_all_users")
    assert tools.requests == 2
    assert set(found["owner"]) == {"id", "username", "email", "title", "uuid", "type", "home", "homeAdmin"}
    assert (found["owner"]["type"], found["owner"]["homeAdmin"]) == ("Owner", True)
    assert found["total_users"] == 3
    kinds = {user["title"]: user["type"] for user in found["users"]}
    assert kinds == {"Jasper O'Dell": "Home User", "Pip": "Home User (Managed)", "Mei 林": "Shared User"}
    keys = "id title username email uuid thumb home guest restricted admin protected type"
    assert {"id", "title", "type", "home"} <= found["users"][0].keys() <= set(keys.split())


async def test_addresses_are_shown_when_privacy_is_off(tmp_path: Path) -> None:
    async with tools_home(tmp_path, privacy="off") as tools:
        found = await tools.well("user_list_all_users")
        assert found["owner"]["email"] == "ottilie@example.net"
        assert [user.get("email") for user in found["users"]] == ["jasper@example.net", None, "mei@example.org"]


async def test_the_owners_information_holds_the_subscription_and_no_token(tools: Tools) -> None:
    found = await tools.well("user_get_info")
    assert tools.requests == 1
    assert (found["role"], found["username"], found["email"]) == ("Owner", "Ottilie Brandt", "hidden")
    features = ["pass", "sync", "webhooks", "premium_music_metadata", "hardware_transcoding"]
    assert found["subscription"] == {"active": True, "features": features}
    assert found["joined_at_utc"] == "2017-07-14T02:40:00.000Z"
    assert len(found["joinedAt"]) == len("2017-07-14 02:40:00")
    assert "token" not in json.dumps(found).lower()


async def test_a_users_information_holds_what_they_may_see(tools: Tools) -> None:
    found = await tools.well("user_get_info", username="mei@example.org")
    assert tools.requests == 2
    assert (found["role"], found["id"], found["email"]) == ("Shared User", MEI, "hidden")
    (server,) = found["serverAccess"]
    assert server["name"] == tools.demo.state.name
    assert server["libraries"] == [section.title for section in tools.demo.state.sections.values()]
    assert server["all_libraries"] is True


# -- what they watch


async def test_on_deck_is_the_users_own_and_says_how_far_they_are(tmp_path: Path) -> None:
    async with tools_home(tmp_path, household=begun()) as tools:
        found = await tools.well("user_get_on_deck", username="pip")
        assert tools.requests == 3
        assert (found["username"], found["count"], found["total"]) == ("Pip", 2, 2)
        episode, movie = found["items"]
        assert (episode["type"], episode["current_time"]) == ("episode", "10:00")
        assert set(episode) == {
            "type", "title", "show", "season", "progress", "current_time", "total_time", "rating_key", "view_offset_ms",
            "duration_ms",
        }  # fmt: skip
        assert (movie["type"], movie["current_time"], movie["view_offset_ms"]) == ("movie", "3:05", 185_000)
        assert movie["progress"] == round(100 * 185_000 / movie["duration_ms"], 1)
        assert movie["year"] == tools.demo.state.items[str(movie["rating_key"])].year


async def test_the_owners_deck_needs_no_plex_tv(tmp_path: Path) -> None:
    async with tools_home(tmp_path, household=begun()) as tools:
        tools.demo.answer_plex_tv_with(503)
        found = await tools.well("user_get_on_deck", username="Ottilie Brandt")
        assert tools.requests == 1
        assert (found["username"], found["count"], found["items"]) == ("Ottilie Brandt", 0, [])
        assert found["message"]


async def test_the_deck_comes_in_pages(tmp_path: Path) -> None:
    async with tools_home(tmp_path, household=begun()) as tools:
        found = await tools.well("user_get_on_deck", username="Pip", limit=1, offset=1)
        assert [item["type"] for item in found["items"]] == ["movie"]
        page = {"total": 2, "offset": 1, "limit": 1, "size": 1, "truncated": False}
        assert {name: found[name] for name in page} == page


async def test_what_was_begun_says_how_much_is_left(tmp_path: Path) -> None:
    async with tools_home(tmp_path, household=begun()) as tools:
        found = await tools.well("user_get_continue_watching", user_id=PIP, limit=1)
        assert tools.requests == 3
        assert (found["status"], found["count"]) == ("success", 1)
        (episode,) = found["items"]
        assert (episode["season"], episode["episode"]) == (1, 1)
        assert episode["ratingKey"] == episode["rating_key"]
        assert set(episode) == {
            "type", "title", "ratingKey", "show", "season", "episode", "progress", "remaining_minutes", "rating_key",
            "view_offset_ms",
        }  # fmt: skip


async def test_nothing_begun_is_a_success(tmp_path: Path) -> None:
    async with tools_home(tmp_path, household=household()) as tools:
        found = await tools.well("user_get_continue_watching")
        assert (found["count"], found["items"]) == (0, [])
        assert found["message"]
        assert tools.requests == 1


# -- what they watched


async def test_the_owners_history_is_newest_first_and_holds_each_item_once(tools: Tools) -> None:
    found = await tools.well("user_get_watch_history", limit=500)
    assert tools.requests == 2
    state = tools.demo.state
    keys = [play.rating_key for play in reversed(state.history) if play.account_id == OWNER]
    assert [str(item["rating_key"]) for item in found["items"]] == list(dict.fromkeys(keys))
    assert (found["username"], found["user_id"], found["count"]) == ("Ottilie Brandt", 1, len(set(keys)))
    assert (found["requestedLimit"], found["contentType"]) == (500, None)


async def test_a_play_names_show_season_time_and_device(tools: Tools) -> None:
    found = await tools.well("user_get_watch_history", username="Pip", content_type="show", limit=1)
    assert tools.requests == 3
    (play,) = found["items"]
    assert set(play) == {
        "type", "title", "ratingKey", "show", "season", "episodeNumber", "seasonNumber", "viewedAt", "rating_key",
        "viewed_at_utc", "history_key", "device",
    }  # fmt: skip
    assert play["type"] == "episode"
    assert found["contentType"] == "show"
    state = tools.demo.state
    row = next(row for row in state.history if f"/status/sessions/history/{row.id}" == play["history_key"])
    assert play["device"] == {player.id: player.title for player in state.players.values()}[row.device_id]


async def test_repeats_and_pages_are_given_on_request(tools: Tools) -> None:
    every = await tools.well("user_get_watch_history", limit=500, include_repeats=True)
    plays = [play for play in tools.demo.state.history if play.account_id == OWNER]
    assert every["count"] == len(plays)
    part = await tools.well("user_get_watch_history", limit=5, offset=5, include_repeats=True)
    assert part["items"] == every["items"][5:10]


async def test_a_long_history_is_looked_through_only_so_far(tmp_path: Path) -> None:
    built = build_household(now=time.time())
    movie, first = key_of(built, "movie"), built.history[0]
    built.history = [replace(first, id=n, rating_key=movie, account_id=OWNER, viewed_at=n) for n in range(1, 1201)]
    async with tools_home(tmp_path, household=built) as tools:
        found = await tools.well("user_get_watch_history", limit=10)
        assert tools.requests == 5
        assert found["count"] == 1
        assert found["message"] == "Only the newest 800 of 1200 plays were read."


async def test_no_plays_is_a_success(tmp_path: Path) -> None:
    built = build_household(now=time.time())
    built.history = []
    async with tools_home(tmp_path, household=built) as tools:
        found = await tools.well("user_get_watch_history")
        assert (found["count"], found["items"], found["message"]) == (0, [], "No plays found.")
        assert tools.requests == 1


async def test_the_row_of_a_deleted_item_stays(tmp_path: Path) -> None:
    built = build_household(now=time.time())
    row = built.history[0]
    built.history = [replace(row, id=n, rating_key="999999", account_id=OWNER) for n in (1, 2)]
    async with tools_home(tmp_path, household=built) as tools:
        found = await tools.well("user_get_watch_history")
        assert ["rating_key" in item for item in found["items"]] == [False, False]


# -- what goes wrong


@pytest.mark.parametrize("tool", NAMED)
async def test_an_unknown_user_is_not_found(tmp_path: Path, tool: str) -> None:
    async with tools_home(tmp_path) as tools:
        error = await tools.refused(tool, username="Nobody")
        assert error["code"] == "not_found"
        assert "Pip" in error["available"]


@pytest.mark.parametrize("tool", NAMED)
async def test_a_name_of_two_users_is_ambiguous(tmp_path: Path, tool: str) -> None:
    built = build_household(now=time.time())
    built.users = [replace(user, name="Pip") if user.id == JASPER else user for user in built.users]
    async with tools_home(tmp_path, household=built) as tools:
        error = await tools.refused(tool, username="pip")
        assert error["code"] == "ambiguous"
        assert [int(match["id"]) for match in error["matches"]] == [JASPER, PIP]


@pytest.mark.parametrize("tool", SEEN_BY_SOMEBODY)
async def test_somebody_without_access_sees_nothing(tmp_path: Path, tool: str) -> None:
    built = build_household(now=time.time())
    built.users = [replace(user, shared=user.id != MEI) for user in built.users]
    async with tools_home(tmp_path, household=built) as tools:
        error = await tools.refused(tool, username="mei@example.org")
        assert error["code"] == "plex_forbidden"


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("user_get_on_deck", {"limit": 0}),
        ("user_get_on_deck", {"offset": -1}),
        ("user_get_continue_watching", {"limit": 0}),
        ("user_get_continue_watching", {"user_id": "pip"}),
        ("user_get_watch_history", {"limit": -1}),
        ("user_get_watch_history", {"offset": -1}),
        ("user_get_watch_history", {"content_type": "song"}),
        ("user_get_watch_history", {"user_id": "pip"}),
        ("user_get_statistics", {"time_period": "yesterday"}),
        ("user_get_info", {"user": "Pip"}),
    ],
)
async def test_what_cannot_be_meant_is_refused_without_a_request(
    tmp_path: Path, tool: str, arguments: dict[str, Any]
) -> None:
    async with tools_home(tmp_path) as tools:
        error = await tools.refused(tool, **arguments)
        assert error["code"] == "invalid"
        assert error["argument"] in arguments
        assert tools.requests == 0


@pytest.mark.parametrize("tool", ["user_get_on_deck", "user_get_continue_watching", "user_get_watch_history"])
async def test_a_limit_over_the_cap_is_clamped(tools: Tools, tool: str) -> None:
    assert (await tools.well(tool, limit=100_000))["limit"] == 500


@pytest.mark.parametrize("tool", NAMED[1:-1])
async def test_a_starting_server_is_said_to_be_starting(tmp_path: Path, tool: str) -> None:
    async with tools_home(tmp_path) as tools:
        tools.demo.answer_with(503)
        assert (await tools.refused(tool))["code"] == "plex_starting"


@pytest.mark.parametrize("tool", NAMED[1:-1])
async def test_a_server_that_is_gone_cannot_be_reached(tmp_path: Path, tool: str) -> None:
    async with tools_home(tmp_path) as tools:
        await tools.demo.shut_down()
        assert (await tools.refused(tool))["code"] == "plex_unreachable"


@pytest.mark.parametrize("tool", OF_PLEX)
async def test_without_plex_tv_other_users_are_out_of_reach(tmp_path: Path, tool: str) -> None:
    async with tools_home(tmp_path) as tools:
        tools.demo.answer_plex_tv_with(502)
        arguments = {"username": "Pip"} if tool in NAMED else {}
        error = await tools.refused(tool, **arguments)
        assert error["code"] == "plextv_unreachable"
        assert "Tools that only use your own server still work." in error["message"]
