"""Three transports, two eras: somebody presses pause, and whoever subscribed is told and reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from e2e_home import ERAS, TRANSPORTS, body, home, known, subscribed, transport

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_a_subscriber_is_told_of_a_pause_and_reads_it(kind: str, era: str, tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        session = it.demo.start()
        uri = f"plex://sessions/{session.key}"
        async with subscribed(transport(kind, it, tmp_path), era, "plex://sessions", uri) as (client, ear):
            await known(
                client,
                uri.removesuffix(f"/{session.key}"),
                lambda found: found["count"] == 1 and found["sessions"][0]["title"],
            )
            before = ear.told.count("plex://sessions")
            it.demo.pause(session)
            await ear.until("plex://sessions", before)
            found = await known(client, "plex://sessions", lambda found: found["sessions"][0]["state"] == "paused", ear)
            assert found["connection"]["state"] == "live"
            one = await body(client, uri)
            assert one["session"]["title"] == session.item.title
            assert one["session"]["state"] == "paused"
        await it.left()


@pytest.mark.parametrize("era", ERAS)
async def test_what_is_read_after_a_notification_is_what_caused_it(era: str, tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        session = it.demo.start()
        async with subscribed(f"{it.url}/mcp", era, "plex://sessions") as (client, ear):
            await known(
                client, "plex://sessions", lambda found: found["count"] == 1 and found["sessions"][0]["user"]["id"]
            )
            for state, press in (("paused", it.demo.pause), ("playing", it.demo.resume)) * 5:
                count = ear.told.count("plex://sessions")
                press(session)
                await ear.until("plex://sessions", count)
                assert (await body(client, "plex://sessions"))["sessions"][0]["state"] == state
        await it.left()


@pytest.mark.parametrize("era", ERAS)
async def test_a_session_that_ends_is_gone_from_the_list_and_stands_in_history(era: str, tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        session = it.demo.start()
        async with subscribed(f"{it.url}/mcp", era, "plex://sessions", "plex://history") as (client, ear):
            await known(
                client, "plex://sessions", lambda found: found["count"] == 1 and found["sessions"][0]["user"]["id"]
            )
            it.demo.stop(session)
            await known(client, "plex://sessions", lambda found: found["count"] == 0, ear)
            history = await known(client, "plex://history", lambda found: found["plays"][0]["ended_at"], ear)
            assert history["plays"][0]["ended_by"] == "stopped"
            listed = {str(one.uri) for one in (await client.list_resources()).resources}
            assert f"plex://sessions/{session.key}" not in listed
            assert "plex://sessions" in listed
