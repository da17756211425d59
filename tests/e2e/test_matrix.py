"""Three transports, two eras: somebody presses pause, and whoever subscribed is told and reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.application import ERAS, TRANSPORTS, body, home, known, subscribed, transport

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def has_state(state: str) -> Callable[[dict[str, Any]], object]:
    return lambda found: found["sessions"][0]["state"] == state


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_a_subscriber_is_told_of_a_pause_and_reads_it(kind: str, era: str, tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        session = it.demo.start()
        uri = f"plex://sessions/{session.key}"
        async with subscribed(transport(kind, it, tmp_path), era, "plex://sessions", uri) as (client, updates):
            await known(
                client,
                uri.removesuffix(f"/{session.key}"),
                lambda found: found["count"] == 1 and found["sessions"][0]["title"],
            )
            before = updates.uris.count("plex://sessions")
            it.demo.pause(session)
            await updates.until("plex://sessions", before)
            found = await known(
                client, "plex://sessions", lambda found: found["sessions"][0]["state"] == "paused", updates
            )
            assert found["connection"]["state"] == "live"
            one = await body(client, uri)
            assert one["session"]["title"] == session.item.title
            assert one["session"]["state"] == "paused"
        await it.left()


@pytest.mark.parametrize("era", ERAS)
async def test_every_change_of_state_is_followed_by_a_notification_after_which_it_can_be_read(
    era: str, tmp_path: Path
) -> None:
    async with home(tmp_path) as it:
        session = it.demo.start()
        async with subscribed(f"{it.url}/mcp", era, "plex://sessions") as (client, updates):
            await known(client, "plex://sessions", lambda found: found["count"] == 1, updates)
            for state, press in (("paused", it.demo.pause), ("playing", it.demo.resume)) * 5:
                press(session)
                # Reads again only when told to: a change without a notification would wait for ever.
                await known(client, "plex://sessions", has_state(state), updates)
        await it.left()


@pytest.mark.parametrize("era", ERAS)
async def test_a_session_that_ends_is_gone_from_the_list_and_stands_in_history(era: str, tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        session = it.demo.start()
        async with subscribed(f"{it.url}/mcp", era, "plex://sessions", "plex://history") as (client, updates):
            await known(
                client, "plex://sessions", lambda found: found["count"] == 1 and found["sessions"][0]["user"]["id"]
            )
            it.demo.stop(session)
            await known(client, "plex://sessions", lambda found: found["count"] == 0, updates)
            history = await known(client, "plex://history", lambda found: found["plays"][0]["ended_at"], updates)
            assert history["plays"][0]["ended_by"] == "stopped"
            listed = {str(one.uri) for one in (await client.list_resources()).resources}
            assert f"plex://sessions/{session.key}" not in listed
            assert "plex://sessions" in listed
