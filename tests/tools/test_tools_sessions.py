"""Toolset `sessions`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client
from pydantic import SecretStr
from support.tools import Tools, tools_home

from plex_companion.app import open_application
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from plex_companion.demo.household.model import DemoItem

ACTIVE, HISTORY = "sessions_get_active", "sessions_get_media_playback_history"
PIP = 90003


async def playing(tools: Tools, **how: Any) -> None:
    """Somebody plays, and it was heard."""
    before = len(tools.application.companion.state.sessions)
    tools.demo.start(**how)
    await tools.until(lambda: len(tools.application.companion.state.sessions) > before)
    await tools.until(lambda: all(s.user for s in tools.application.companion.state.sessions.values()))


def played(tools: Tools, kind: str) -> DemoItem:
    """The item of this kind that was last played."""
    rows = (tools.demo.state.items[play.rating_key] for play in reversed(tools.demo.state.history))
    return next(item for item in rows if item.type == kind)


def plays_of(tools: Tools, *keys: str) -> list[str]:
    rows = sorted(tools.demo.state.history, key=lambda play: play.viewed_at, reverse=True)
    return [f"/status/sessions/history/{play.id}" for play in rows if play.rating_key in keys]


# -- who plays now


async def test_while_plex_is_heard_nothing_is_asked(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        await playing(tools)
        await playing(tools, item=tools.demo.get_episode(), user=1, player=2, transcode=True)
        found = await tools.well(ACTIVE)
        assert tools.requests == 0
        assert (found["sessions_count"], found["source"]) == (2, "cache")
        assert found["connection"]["state"] == "live"
        assert found["direct_play_count"] + found["direct_stream_count"] + found["transcode_count"] == 2
        assert found["transcode_count"] == 1


async def test_a_session_holds_what_is_needed_to_act_on_it(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        await playing(tools, item=tools.demo.get_episode(), user=2, player=4)
        (session,) = (await tools.well(ACTIVE, unused="x"))["sessions"]
        state = tools.demo.state
        live = next(iter(state.sessions.values()))
        assert (session["session_id"], session["session_uuid"]) == (1, live.id)
        assert str(session["session_key"]) == live.key
        assert str(session["rating_key"]) == live.item.key
        assert (session["user"], session["user_id"]) == ("Pip", PIP)
        assert session["player"]["ip"] == "hidden"
        show = state.items[state.items[live.item.parent or ""].parent or ""].title
        assert session["content_description"] == f"{show} - S1E1 - {live.item.title} (TV Episode)"
        assert session["transcoding"] == {"active": False, "mode": "Direct Play/Stream"}


async def test_nothing_playing_is_a_success(tools: Tools) -> None:
    found = await tools.well(ACTIVE)
    assert found["sessions"] == []
    counters = ("sessions_count", "transcode_count", "direct_play_count", "direct_stream_count")
    assert [found[name] for name in (*counters, "total_bitrate_kbps")] == [0] * 5


async def test_while_plex_is_not_heard_it_is_asked(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        companion = tools.application.companion
        tools.demo.revoke_token()
        tools.demo.reset_connections(websockets_only=True)
        await tools.until(lambda: "refused" in (companion.state.connection.detail or ""))
        tools.demo.restore_token()  # the listener waits for minutes before it tries again
        await tools.ask("server_get_info")  # a refused token costs the next call a new connection
        tools.demo.start()
        found = await tools.well(ACTIVE)
        assert tools.requests == 1
        assert (found["sessions_count"], found["source"]) == (1, "plex")
        assert found["connection"]["state"] != "live"


async def test_with_no_answer_and_nothing_known_it_is_not_claimed_that_nothing_plays(tmp_path: Path) -> None:
    given = {"plex_url": "http://127.0.0.1:9", "database": tmp_path / "cache.sqlite3"}
    settings = Settings.load(given).model_copy(update={"plex_token": SecretStr("owner-token")})
    async with open_application(settings) as application, Client(application.server) as client:
        answer = await client.call_tool(ACTIVE, {})
        assert answer.is_error
        assert json.loads(answer.content[0].text)["code"] == "plex_unreachable"  # type: ignore[union-attr]  # a text


async def test_when_plex_is_away_the_last_known_is_told_as_such(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        await playing(tools)
        await tools.demo.shut_down()
        await tools.until(lambda: not tools.application.companion.is_live)
        found = await tools.well(ACTIVE)
        assert (found["sessions_count"], found["source"]) == (1, "cache")
        assert found["connection"]["state"] != "live"


# -- who played it


async def test_the_plays_of_an_item_name_users_and_devices(tools: Tools) -> None:
    movie = played(tools, "movie")
    found = await tools.well(HISTORY, media_title=movie.title.upper())
    assert tools.requests == 4
    assert found["status"] == "success"
    assert found["media"] == {
        "media_id": int(movie.key),
        "rating_key": int(movie.key),
        "key": f"/library/metadata/{movie.key}",
        "type": "movie",
        "formatted_title": f"{movie.title} ({movie.year})",
        "title": movie.title,
        "year": movie.year,
    }
    assert [play["history_key"] for play in found["history"]] == plays_of(tools, movie.key)
    assert found["play_count"] == len(found["history"])
    first, state = found["history"][0], tools.demo.state
    assert set(first) == {
        "user", "viewed_at", "device", "viewed_at_utc", "user_id", "history_key", "rating_key", "title",
    }  # fmt: skip
    assert first["user"] == state.users[first["user_id"]].name
    assert first["device"] in {player.title for player in state.players.values()}


async def test_a_title_in_a_library_is_found_and_the_names_are_kept(tools: Tools) -> None:
    movie = played(tools, "movie")
    library = tools.demo.state.sections[movie.section].title
    await tools.well(HISTORY, media_title=movie.title, library_name=library)
    assert tools.requests <= 1 + 2 + 3
    await tools.well(HISTORY, media_id=movie.key)
    assert tools.requests == 2


@pytest.mark.parametrize("kind", ["show", "season"])
async def test_a_container_counts_the_plays_of_its_parts(tools: Tools, kind: str) -> None:
    state = tools.demo.state
    above = state.items[played(tools, "episode").parent or ""]
    container = above if kind == "season" else state.items[above.parent or ""]
    found = await tools.well(HISTORY, media_id=int(container.key), limit=500)
    keys = [leaf.key for leaf in state.list_leaves(container.key)]
    assert [play["history_key"] for play in found["history"]] == plays_of(tools, *keys)
    assert found["history"]
    assert found["media"]["type"] == kind


async def test_an_episode_is_told_with_its_show_and_season(tools: Tools) -> None:
    episode = played(tools, "episode")
    media = (await tools.well(HISTORY, media_id=episode.key))["media"]
    state = tools.demo.state
    season = state.items[episode.parent or ""]
    show = state.items[season.parent or ""]
    assert (media["show_title"], media["season_title"]) == (show.title, season.title)
    assert media["episode_title"] == episode.title
    assert media["formatted_title"] == f"{show.title} - S{season.index}E{episode.index} - {episode.title}"


async def test_one_users_plays_are_given_on_request(tools: Tools) -> None:
    state = tools.demo.state
    row = next(play for play in state.history if play.account_id == PIP)
    found = await tools.well(HISTORY, media_id=row.rating_key, username="pip")
    assert tools.requests == 5
    assert {play["user_id"] for play in found["history"]} == {PIP}


async def test_the_plays_come_in_pages(tools: Tools) -> None:
    show = tools.demo.state.list_kind("show")[0]
    whole = await tools.well(HISTORY, media_id=show.key, limit=10_000)
    part = await tools.well(HISTORY, media_id=show.key, limit=1, offset=1)
    assert whole["limit"] == 500
    assert part["history"] == whole["history"][1:2]
    assert (part["play_count"], part["total"], part["size"]) == (whole["total"], whole["total"], 1)


async def test_no_plays_is_a_success(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        state = tools.demo.state
        state.history.clear()
        state.mark_changed()
        found = await tools.well(HISTORY, media_id=tools.demo.get_movie().key)
        assert tools.requests == 2
        assert (found["play_count"], found["history"], found["message"]) == (0, [], "No plays found.")


async def test_several_items_of_a_title_are_listed_with_their_shows(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        state = tools.demo.state
        first, second = state.list_leaves(state.list_kind("show")[0].key)[:2]
        first.title = second.title = "The Same"
        state.mark_changed()
        said = await tools.ask(HISTORY, media_title="the same")
        assert said.body["status"] == "multiple_matches"
        assert said.text == said.body["matches"]
        assert [match["media_id"] for match in said.text] == [int(first.key), int(second.key)]
        assert [match["episode_number"] for match in said.text] == [1, 2]
        assert {match["show_title"] for match in said.text} == {state.list_kind("show")[0].title}
        assert all("The Same" in match["formatted_title"] for match in said.text)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({}, "invalid"),
        ({"media_title": " "}, "invalid"),
        ({"media_id": "film"}, "invalid"),
        ({"media_id": 999_999}, "not_found"),
        ({"media_title": "xyzzy"}, "not_found"),
        ({"media_title": "x", "library_name": "Attic"}, "not_found"),
        ({"media_id": 103, "username": "Nobody"}, "not_found"),
        ({"media_id": 103, "limit": 0}, "invalid"),
        ({"media_id": 103, "offset": -1}, "invalid"),
    ],
)
async def test_what_is_not_there_is_told(tmp_path: Path, arguments: dict[str, Any], code: str) -> None:
    async with tools_home(tmp_path) as tools:
        assert (await tools.refused(HISTORY, **arguments))["code"] == code


async def test_the_id_of_a_playlist_is_refused(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        playlist = next(iter(tools.demo.state.playlists))
        error = await tools.refused(HISTORY, media_id=playlist)
        assert error["code"] == "invalid"
        assert "playlist" in error["message"]


async def test_a_server_that_starts_or_is_gone_is_told(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        tools.demo.answer_with(503)
        assert (await tools.refused(HISTORY, media_id=103))["code"] == "plex_starting"
        await tools.demo.shut_down()
        assert (await tools.refused(HISTORY, media_id=103))["code"] == "plex_unreachable"
