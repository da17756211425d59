"""Kinds of alerts that a person has muted: recorded as ever, told to nobody, until they are unmuted."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from support.application import MODERN, body, home, known, settings_for, subscribed
from support.several_processes import two

from plex_companion.commands.mute import mute_kind
from plex_companion.demo import open_demo
from plex_companion.errors import SettingsError, StartError
from plex_companion.tools.mute_alerts import mute_alerts

if TYPE_CHECKING:
    from pathlib import Path

    from support.application import Home

ALERTS = "plex://alerts"


async def call(it: Home, **arguments: Any) -> dict[str, Any]:
    async with subscribed(f"{it.url}/mcp", MODERN) as (client, _):
        answer = await client.call_tool("alert_mute", arguments)
    found: dict[str, Any] = answer.structured_content or {}
    return {**found, "is_error": answer.is_error}


async def test_a_kind_is_muted_also_in_read_only_mode_and_subscribers_are_told_of_it(tmp_path: Path) -> None:
    async with home(tmp_path) as it, subscribed(f"{it.url}/mcp", MODERN, ALERTS) as (client, updates):
        listed = {tool.name: tool.annotations for tool in (await client.list_tools()).tools}
        assert listed["alert_mute"] is not None
        assert (listed["alert_mute"].read_only_hint, listed["alert_mute"].destructive_hint) == (False, False)
        before = updates.uris.count(ALERTS)
        answer = await call(it, kind="remote_access_lost")
        assert (answer["muted"], answer["muted_kinds"]) == (True, ["remote_access_lost"])
        await updates.until(ALERTS, before)
        assert (await body(client, ALERTS))["muted"] == ["remote_access_lost"]
        await it.demo.play("remote_access_lost")
        found = await known(client, ALERTS, lambda found: found["alerts"], updates)
        assert [(one["kind"], one["muted"]) for one in found["alerts"]] == [("remote_access_lost", True)]
        assert (await call(it, kind="remote_access_lost", muted=False))["muted_kinds"] == []
        found = await known(client, ALERTS, lambda found: not found["muted"], updates)
        assert [one["muted"] for one in found["alerts"]] == [False]


async def test_an_unknown_kind_is_refused_with_the_kinds_there_are(tmp_path: Path) -> None:
    async with home(tmp_path) as it, subscribed(f"{it.url}/mcp", MODERN) as (client, _):
        answer = await client.call_tool("alert_mute", {"kind": "earthquake"})
        assert answer.is_error
        assert "connection_lost" in str(answer.content)


async def test_what_is_muted_stays_so_after_a_restart(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo:
        async with home(tmp_path, demo=demo) as it:
            await call(it, kind="new_device")
        async with home(tmp_path, demo=demo) as it:
            assert set(it.application.companion.state.muted_kinds) == {"new_device"}


async def test_a_process_that_follows_mutes_for_the_one_that_listens(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo, two(demo, tmp_path) as (listener, follower):
        assert await mute_alerts(follower.companion, "New_Device", muted=True) == ["new_device"]
        await listener.until(lambda: "new_device" in listener.companion.state.muted_kinds)
        await follower.until(lambda: "new_device" in follower.companion.state.muted_kinds)


async def test_the_command_mutes_at_once_where_something_listens_and_else_for_the_next_start(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo:
        settings = settings_for(demo, tmp_path)
        said = await mute_kind(settings, "buffering", muted=True)
        assert said.endswith("as soon as plex-companion runs.")
        async with home(tmp_path, demo=demo) as it:
            await it.until(lambda: "buffering" in it.application.companion.state.muted_kinds)
            said = await mute_kind(settings, "buffering", muted=False)
            assert said == "Alerts of the kind buffering are told again."
            await it.until(lambda: not it.application.companion.state.muted_kinds)
            assert "were not muted" in await mute_kind(settings, "buffering", muted=False)
            with pytest.raises(SettingsError, match=re.escape("There is no alert kind 'earthquake'")):
                await mute_kind(settings, "earthquake", muted=True)
        with pytest.raises(StartError, match="There is no database"):
            await mute_kind(settings.model_copy(update={"database": tmp_path / "none.sqlite3"}), "storage", muted=True)
