"""Plex goes away and comes back: what was known stays readable, says how old it is, and nothing is merged."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest
from support.application import ERAS, MODERN, QUICK_PINGS, body, home, known, settings_for, subscribed
from support.deadlines import HANG_SECONDS

from plex_companion.app import open_application
from plex_companion.cache.connections import run_in_thread
from plex_companion.cache.queries.plays import PlayFilter, read_plays_page
from plex_companion.cache.queries.read import read_newest_alerts, read_newest_events
from plex_companion.demo import open_demo
from plex_companion.plex.disconnects import DEFAULT_TIMEOUTS

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("era", ERAS)
async def test_a_closed_connection_is_shown(era: str, tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        it.demo.start()
        async with subscribed(f"{it.url}/mcp", era, "plex://sessions") as (client, updates):
            await known(client, "plex://sessions", lambda found: found["count"] == 1 and found["sessions"][0]["title"])
            await it.demo.shut_down()
            with anyio.fail_after(HANG_SECONDS):
                found = await known(
                    client, "plex://sessions", lambda found: found["connection"]["state"] == "down", updates
                )
            assert found["count"] == 1
            assert found["sessions"][0]["stale"]
            assert found["connection"]["detail"]


async def test_a_silent_peer_is_noticed_within_25_seconds_by_pings(tmp_path: Path) -> None:
    assert DEFAULT_TIMEOUTS.ping + DEFAULT_TIMEOUTS.pong <= 25
    async with home(tmp_path, timeouts=QUICK_PINGS) as it:
        it.demo.start()
        async with subscribed(f"{it.url}/mcp", MODERN, "plex://sessions") as (client, updates):
            await known(client, "plex://sessions", lambda found: found["count"] == 1)
            it.demo.go_silent(everything=True)
            found = await known(
                client, "plex://sessions", lambda found: found["connection"]["state"] != "live", updates
            )
            assert found["count"] == 1
            it.demo.speak_again()
            await known(client, "plex://sessions", lambda found: found["connection"]["state"] == "live", updates)


async def test_after_a_restart_with_keys_from_1_nothing_is_merged_or_left_playing(tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        first = it.demo.start(it.demo.get_movie(0), player=0)
        it.demo.start(it.demo.get_movie(1), player=1, user=1)
        await it.until(lambda: len(it.sessions) == 2 and all(one.listed for one in it.sessions.values()))
        await it.demo.shut_down()
        await it.until(lambda: not it.application.companion.is_live)
        await it.demo.reopen()
        again = it.demo.start(it.demo.get_movie(2), player=2, user=2)
        assert again.key == first.key
        await it.until(lambda: it.application.companion.is_live and len(it.sessions) == 1 and it.sessions["1"].listed)
        assert it.sessions["1"].item.title == it.demo.get_movie(2).title
        read = partial(read_plays_page, filters=PlayFilter(), limit=10)
        rows = await run_in_thread(it.application.companion.cache.archive, read)
        plays = {row["title"]: row for row in rows}
        assert plays[it.demo.get_movie(0).title]["ended_by"] == "inferred"
        assert plays[it.demo.get_movie(1).title]["ended_by"] == "inferred"
        assert plays[it.demo.get_movie(2).title]["ended_at"] is None
        assert plays[it.demo.get_movie(0).title]["ended_at"] <= plays[it.demo.get_movie(2).title]["started_at"]


async def test_a_session_goes_on_across_a_lost_connection_when_everything_fits(tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        session = it.demo.start()
        await it.until(lambda: it.sessions and it.sessions[session.key].listed)
        play = it.sessions[session.key].play_id
        it.demo.reset_connections(websockets_only=True)
        await it.until(
            lambda: it.application.companion.state.connection.epoch == 2 and not it.sessions[session.key].stale
        )
        assert it.sessions[session.key].play_id == play
        kinds = {alert.kind for alert in await read_newest_alerts(it.application.companion.cache, 10)}
        assert "connection_lost" in kinds


async def test_a_revoked_token_says_unauthorized_and_the_cache_is_still_served(tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        it.demo.start()
        await it.until(lambda: it.sessions)
        it.demo.revoke_token()
        it.demo.reset_connections(websockets_only=True)
        await it.until(lambda: it.application.companion.state.connection.state == "unauthorized")
        async with subscribed(f"{it.url}/mcp", MODERN, "plex://alerts") as (client, _):
            assert (await body(client, "plex://sessions"))["count"] == 1
            alerts = (await body(client, "plex://alerts"))["alerts"]
            assert [one["kind"] for one in alerts if one["resolved_at"] is None] == ["unauthorized"]
            it.demo.restore_token()
            await it.live()
            alerts = (await body(client, "plex://alerts"))["alerts"]
            assert [one["kind"] for one in alerts if one["resolved_at"] is None] == []


async def test_with_plex_down_at_start_everything_is_served_as_offline_until_it_appears(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo:
        await demo.shut_down()
        settings = settings_for(demo, tmp_path)
        from support.application import FAST  # noqa: PLC0415 - the one test that opens the application itself

        async with open_application(settings, timeouts=FAST) as application:
            companion = application.companion
            with anyio.fail_after(HANG_SECONDS):
                while companion.state.connection.detail is None:
                    await companion.live.wait_for_commit()
            assert companion.state.connection.state == "offline"
            assert (await application.server.list_tools())[0].name
            await demo.reopen()
            with anyio.fail_after(HANG_SECONDS):
                while not companion.is_live:
                    await companion.live.wait_for_commit()


async def test_what_was_known_is_served_by_the_next_process_while_plex_is_away(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo:
        async with home(tmp_path, demo=demo) as it:
            demo.start()
            await it.until(lambda: it.sessions and it.sessions["1"].listed)
        await demo.shut_down()
        async with open_application(settings_for(demo, tmp_path)) as application:
            state = application.companion.state
            assert state.connection.state == "offline"
            assert state.sessions["1"].item.title == demo.get_movie(0).title
            assert state.sessions["1"].stale
            assert [section.title for section in state.sections]


async def test_the_time_between_two_runs_is_told_as_an_outage(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo:
        async with home(tmp_path, demo=demo) as it:
            demo.stop(demo.start())
            await it.until(lambda: it.application.companion.state.last_event_at)
        async with home(tmp_path, demo=demo) as it:
            (row,) = await read_newest_events(it.application.companion.cache, 1, ["connection"])
            assert row["subject"] == "live"
            assert json.loads(row["payload"])["blind_ms"] >= 0
