"""Listener and gateway against the demo household, which behaves as Plex is known to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from support.running_listener import listening, quickly
from support.scripted_plex import TOKEN, settings_for

from plex_companion.demo import Demo, open_demo
from plex_companion.errors import PlexStarting, PlexUnauthorized, TimedOut
from plex_companion.events import Disconnected, Playing
from plex_companion.plex.disconnects import ListenerTimeouts
from plex_companion.plex.gateway import open_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    async with open_demo(alive=False, speed=50, require_token=TOKEN) as one:
        yield one


def _username(plex: Any) -> str:
    return str(plex.myPlexAccount().username)


async def test_what_plays_is_in_the_first_snapshot_and_then_in_frames(demo: Demo) -> None:
    session = demo.start(demo.get_episode(), user=1)
    async with listening(demo.url) as output:
        snapshot = await output.live()
        assert snapshot.detail is None
        (row,) = snapshot.sessions or ()
        assert (row.session_key, row.state) == (session.key, "playing")
        assert row.item.grandparent_title is not None
        assert row.user is not None
        assert row.player is not None
        assert all(section.count is not None for section in snapshot.sections or ())
        demo.pause(session)
        event = await output.next()
        assert isinstance(event, Playing)
        assert (event.session_key, event.state) == (session.key, "paused")


async def test_a_restart_is_a_new_epoch_with_keys_from_one(demo: Demo) -> None:
    demo.start()
    async with listening(demo.url) as output:
        assert (await output.live()).epoch == 5
        await demo.restart(down=1, starting=1)
        snapshot = await output.live()
        assert snapshot.sessions == ()
        assert snapshot.epoch > 5
        assert demo.start().key == "1"
        event = await output.next()
        assert isinstance(event, Playing)
        assert event.session_key == "1"


async def test_a_reset_of_all_connections_is_survived(demo: Demo) -> None:
    async with listening(demo.url, ListenerTimeouts(closing=0.1)) as output:
        await output.live()
        demo.reset_connections()
        assert (await output.disconnected()).detail.startswith("connection ")
        assert (await output.live()).epoch == 6


async def test_a_silent_server_is_noticed(demo: Demo) -> None:
    async with listening(demo.url, ListenerTimeouts(closing=0.1, ping=0.1, pong=0.2, waits=quickly)) as output:
        await output.live()
        demo.go_silent(everything=True)
        assert await output.disconnected() == Disconnected("no pong for 0.2 s")
        demo.speak_again()
        assert (await output.live()).epoch > 5


async def test_a_revoked_token_and_its_return(demo: Demo) -> None:
    async with listening(demo.url) as output:
        await output.live()
        demo.revoke_token()
        output.refresh.request_snapshot()
        assert (await output.disconnected()).unauthorized
        demo.restore_token()
        await output.live()


async def test_a_burst_arrives_whole(demo: Demo) -> None:
    session = demo.start()
    async with listening(demo.url) as output, anyio.create_task_group() as tasks:
        await output.live()
        tasks.start_soon(demo.burst, 3000, session)
        events = [await output.next() for _ in range(3000)]
    offsets = [event.view_offset_ms or 0 for event in events if isinstance(event, Playing)]
    assert len(offsets) == 3000
    assert offsets == sorted(offsets)


async def test_its_account_calls_are_reached_without_leaving_this_machine(demo: Demo) -> None:
    async with open_gateway(settings_for(demo.url, plex_tv_url=demo.url)) as gateway:
        assert await gateway.call(_username)


async def test_its_faults_are_our_errors(demo: Demo) -> None:
    async with open_gateway(settings_for(demo.url)) as gateway:
        await gateway.call(str)
        demo.answer_with(503)
        with pytest.raises(PlexStarting):
            await gateway.call(lambda plex: plex.query("/activities"))
        demo.answer_with(None)
        demo.slow_down(2)
        with pytest.raises(TimedOut):
            await gateway.call(lambda plex: plex.query("/activities"), timeout=0.2)
        demo.slow_down(0)
        demo.revoke_token()
        with pytest.raises(PlexUnauthorized):
            await gateway.call(lambda plex: plex.query("/activities"))
