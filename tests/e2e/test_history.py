"""The past of a real companion: told as it grows, and answered after a restart with Plex switched off."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client
from support.application import ERAS, FAST, Home, body, home, known, settings_for, subscribed, transport

from plex_companion.app import open_application
from plex_companion.demo import open_demo
from plex_companion.tools.run import compact_rows

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("era", ERAS)
async def test_a_subscriber_of_a_play_is_told_of_its_turns_and_reads_its_course(era: str, tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        session = it.demo.start()
        await it.until(lambda: is_known(it, session.key))
        uri = f"plex://plays/{it.sessions[session.key].play_id}"
        async with subscribed(transport("http", it, tmp_path), era, uri) as (client, updates):
            listed = {str(one.uri) for one in (await client.list_resources()).resources}
            assert uri in listed
            it.demo.pause(session)
            paused = await known(
                client, uri, lambda read: "paused" in [mark["kind"] for mark in read["marks"]], updates
            )
            assert (paused["state"], paused["play"]["ended_at"]) == ("paused", None)
            it.demo.stop(session)
            ended = await known(client, uri, lambda read: read["play"]["ended_by"] == "stopped", updates)
            assert ended["state"] is None
            assert [mark["kind"] for mark in ended["marks"]][:2] == ["started", "paused"]
            listed = {str(one.uri) for one in (await client.list_resources()).resources}
            assert uri not in listed, "it can be read for ever, but it is over"


def is_known(it: Home, key: str) -> bool:
    return key in it.sessions and it.sessions[key].user is not None


def is_over(it: Home, key: str) -> bool:
    return key not in it.sessions


async def asked(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    reported: dict[str, Any] = answer.structured_content or {}
    assert reported == json.loads(answer.content[0].text)  # type: ignore[union-attr]  # every tool answers with a text
    return reported


async def test_after_a_restart_with_plex_switched_off_every_question_is_answered(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo:
        async with home(tmp_path, demo=demo) as it, Client(f"{it.url}/mcp") as client:
            for number in range(3):
                session = demo.start(player=number)
                await it.until(partial(is_known, it, session.key))
                if number:
                    demo.stop(session)
                    await it.until(partial(is_over, it, session.key))
            await it.until(lambda: it.application.companion.state.history.complete)
            before = await asked(client, "history_query")
            counts = await asked(client, "history_stats", period="1h")
            assert len(before["plays"]) >= 3
        await demo.shut_down()
        settings = settings_for(demo, tmp_path)
        async with open_application(settings, timeouts=FAST) as application, Client(application.server) as client:
            after = await asked(client, "history_query")
            assert after["connection"]["state"] != "live"
            assert [play["id"] for play in after["plays"]] == [play["id"] for play in before["plays"]]
            again = await asked(client, "history_stats", period="1h")
            assert (again["plays"], again["timed"]) == (counts["plays"], counts["timed"])
            one = await asked(client, "play_get", id=after["plays"][0]["id"])
            assert compact_rows({"plays": [one["play"]]})["plays"] == after["plays"][:1]
            digest = await asked(client, "what_happened", since="1h")
            assert digest["plays"]["total"] == counts["plays"]
            assert digest["outages"]["entries"][0]["until"] is None
            assert any("is disconnected" in note for note in digest["notes"])
            changes = await asked(client, "library_changes", since="1h")
            assert changes["new"]["items"] == 0
            read = await body(client, "plex://history")
            assert compact_rows(read)["plays"][: len(after["plays"])] == after["plays"]
