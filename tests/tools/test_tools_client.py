"""Players: who is there, what they play, and what they can be told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.tools import tools_home

if TYPE_CHECKING:
    from pathlib import Path

    from support.tools import Tools

ANDROID, HTPC = "demo-livingroom-stb", "demo-study-htpc"
WRITES: dict[str, dict[str, Any]] = {
    "client_control_playback": {"client_name": "x", "action": "play"},
    "client_navigate": {"client_name": "x", "action": "home"},
    "client_set_streams": {"client_name": "x", "audio_stream_id": 1},
    "client_start_playback": {"client_name": "x", "rating_key": 1},
}


async def _play(tools: Tools, identifier: str = HTPC, **more: Any) -> Any:
    """Something plays on this player, and the companion has heard who and what."""
    player = next(n for n, one in enumerate(tools.demo.state.players.values()) if one.client_identifier == identifier)
    session = tools.demo.start(player=player, **more)

    def seen() -> bool:
        known = tools.application.companion.state.sessions.get(session.key)
        return known is not None and known.listed

    await tools.until(seen)
    return session


async def test_the_list_puts_those_that_are_there_first_and_names_what_they_play(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        session = await _play(tools)
        body = await tools.well("client_list")
        assert tools.requests <= 3
        assert body["count"] == len(body["clients"])
        online = [client["online"] for client in body["clients"]]
        assert online == sorted(online, reverse=True)
        playing = next(client for client in body["clients"] if client["machineIdentifier"] == HTPC)
        assert playing["active"]
        assert playing["state"] == "playing"
        assert session.item.title in playing["nowPlaying"]
        assert playing["session_key"] == int(session.key)
        assert playing["address"] == "hidden"
        assert playing["controllable"]


async def test_the_list_can_be_brief_and_of_the_active_ones_only(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        assert (await tools.well("client_list", active_only=True))["clients"] == []
        await _play(tools)
        body = await tools.well("client_list", active_only=True, include_details=False)
        (client,) = body["clients"]
        assert set(client) == {"machineIdentifier", "name", "online", "active", "rating_key"}


async def test_without_plex_tv_the_list_has_those_the_server_knows_and_a_note(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        tools.demo.answer_plex_tv_with(503)
        body = await tools.well("client_list")
        assert {ANDROID, HTPC} <= {client["machineIdentifier"] for client in body["clients"]}
        assert "plex.tv" in body["note"]


async def test_active_clients_cost_no_request_while_plex_is_heard(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        assert (await tools.well("client_get_active"))["count"] == 0
        await _play(tools, transcode=True)
        body = await tools.well("client_get_active")
        assert tools.requests == 0
        assert body["source"] == "cache"
        assert body["connection"]["state"] == "live"
        (client,) = body["active_clients"]
        assert client["machine_identifier"] == HTPC
        assert client["transcoding"]
        assert client["media"]["title"] == tools.demo.get_movie().title


async def test_details_name_what_a_player_obeyed_and_refused(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        await tools.ask("client_control_playback", client_name=HTPC, action="pause")  # nothing plays: refused
        body = await tools.well("client_get_details", client_name=HTPC)
        assert tools.requests <= 3
        assert body["client"]["commands"] == {"pause": False}
        assert not body["client"]["controllable"]
        assert body["client"]["protocolCapabilities"]


async def test_a_player_seen_only_in_a_session_is_not_called_controllable(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        tools.demo.answer_plex_tv_with(503)
        other = next(one for one in tools.demo.state.players.values() if not one.controllable)
        await _play(tools, other.client_identifier)
        body = await tools.well("client_get_details", client_name=other.title)
        assert body["client"]["controllable"] is False
        assert body["client"]["note"]


@pytest.mark.parametrize("tool", ["client_get_details", "client_get_timelines"])
async def test_a_part_of_a_name_that_fits_several_lists_them(tool: str, tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        names = [one.title for one in tools.demo.state.players.values()]
        letter = next(part for part in "aeiou" if sum(part in name.casefold() for name in names) > 1)
        said = await tools.ask(tool, client_name=letter)
        assert said.body["status"] == "multiple_matches"
        assert said.text == said.body["matches"]


@pytest.mark.parametrize(
    "tool", ["client_get_details", "client_get_timelines", "client_control_playback", "client_navigate"]
)
async def test_an_unknown_client_is_answered_with_those_there_are(tool: str, tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        more = {"client_control_playback": {"action": "play"}, "client_navigate": {"action": "home"}}.get(tool, {})
        error = await tools.refused(tool, client_name="toaster", **more)
        assert error["code"] == "not_found"
        assert error["what"] == "client"
        assert error["available"]


async def test_a_timeline_comes_from_the_session_while_one_plays(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        session = await _play(tools)
        body = await tools.well("client_get_timelines", client_name=HTPC)
        assert tools.requests <= 4
        assert body["source"] == "session"
        assert body["timeline"]["title"] == session.item.title
        assert body["timeline"]["duration"] == session.item.duration


async def test_an_idle_player_is_information_and_no_error(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        body = await tools.well("client_get_timelines", client_name=HTPC)
        assert body["status"] == "info"
        assert "client_name" in body


@pytest.mark.parametrize("identifier", [ANDROID, HTPC])
async def test_a_player_does_as_it_is_told_whatever_it_answers(identifier: str, tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        session = await _play(tools, identifier)
        body = await tools.well("client_control_playback", client_name=identifier, action="pause")
        assert tools.requests <= 5
        assert session.state == "paused"
        assert body["timeline"]["state"] == "paused"
        await tools.well("client_control_playback", client_name=identifier, action="seekTo", parameter=60_000)
        assert session.offset == 60_000
        await tools.well("client_control_playback", client_name=identifier, action="play")
        assert session.state == "playing"


async def test_unmute_returns_to_the_volume_seen_before(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        await _play(tools)
        await tools.well("client_control_playback", client_name=HTPC, action="setVolume", parameter=37)
        await tools.well("client_control_playback", client_name=HTPC, action="mute")
        assert tools.requests <= 5
        assert tools.demo.state.volumes[HTPC] == 0
        await tools.well("client_control_playback", client_name=HTPC, action="unmute")
        assert tools.demo.state.volumes[HTPC] == 37


async def test_a_player_that_cannot_be_controlled_is_stopped_by_ending_its_session(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        other = next(one for one in tools.demo.state.players.values() if not one.controllable)
        session = await _play(tools, other.client_identifier)
        error = await tools.refused("client_control_playback", client_name=other.client_identifier, action="pause")
        assert error["code"] == "client_unreachable"
        assert error["available_actions"] == ["stop"]
        body = await tools.well("client_control_playback", client_name=other.client_identifier, action="stop")
        assert body["note"]
        assert session.key not in tools.demo.sessions


@pytest.mark.parametrize(
    "arguments",
    [
        {"action": "dance"},
        {"action": "seekTo"},
        {"action": "setVolume"},
        {"action": "setVolume", "parameter": 101},
        {"action": "seekForward", "parameter": -1},
    ],
)
async def test_a_nonsense_command_is_refused_before_anything_is_asked(
    arguments: dict[str, Any], tmp_path: Path
) -> None:
    async with tools_home(tmp_path) as tools:
        error = await tools.refused("client_control_playback", client_name=HTPC, **arguments)
        assert error["code"] == "invalid"
        assert error["argument"] in {"action", "parameter"}
        assert tools.requests == 0


async def test_moves_are_sent_and_unknown_ones_named(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        body = await tools.well("client_navigate", client_name=HTPC, action="home")
        assert tools.requests <= 4
        assert body["action"] == "home"
        assert (await tools.well("client_navigate", client_id=HTPC, command="moveUp"))["status"] == "success"
        assert (await tools.refused("client_navigate", client_name=HTPC, action="fly"))["allowed"]


async def test_streams_must_be_those_of_what_plays(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        assert (await tools.refused("client_set_streams", client_name=HTPC, audio_stream_id=1))[
            "code"
        ] == "not_supported"
        session = await _play(tools)
        error = await tools.refused("client_set_streams", client_name=HTPC, audio_stream_id=999_999)
        assert error["code"] == "invalid"
        body = await tools.well(
            "client_set_streams", client_name=HTPC, audio_stream_id=error["allowed"][0], subtitle_stream_id="0"
        )
        assert tools.requests <= 5
        assert body["changes"] == {"audio_stream": int(error["allowed"][0]), "subtitle_stream": 0}
        assert session.subtitle_stream == "0"


async def test_starting_plays_the_item_on_the_player_with_a_delegation_token(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        movie = tools.demo.get_movie(3)
        body = await tools.well("client_start_playback", rating_key=movie.key, client_name=HTPC, offset=5_000)
        assert tools.requests <= 8
        assert body["media"] == {
            "title": movie.title,
            "type": "movie",
            "formatted_title": movie.title,
            "rating_key": int(movie.key),
        }
        (session,) = tools.demo.sessions.values()
        assert (session.item.key, session.offset, session.player.client_identifier) == (movie.key, 5_000, HTPC)


async def test_without_a_client_nothing_starts_and_those_online_are_listed(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        body = await tools.well("client_start_playback", rating_key=tools.demo.get_movie().key)
        assert body["status"] == "client_selection"
        assert HTPC in {client["machine_identifier"] for client in body["available_clients"]}
        assert tools.demo.sessions == {}


async def test_a_title_that_fits_only_in_part_starts_nothing(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        title = tools.demo.get_movie().title
        said = await tools.ask("client_start_playback", media_title=title[:-2], client_name=HTPC)
        assert said.body["status"] == "multiple_matches"
        assert tools.demo.sessions == {}


async def test_an_external_player_is_not_supported(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        error = await tools.refused("client_start_playback", rating_key=1, client_name=HTPC, use_external_player=True)
        assert error["code"] == "not_supported"
        assert tools.requests == 0


@pytest.mark.parametrize("tool", WRITES)
async def test_with_plex_starting_the_error_says_so_and_nothing_happens(tool: str, tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        tools.demo.answer_with(503)
        error = await tools.refused(tool, **WRITES[tool])
        assert error["code"] == "plex_starting"
