"""A canary token, a canary e-mail address: looked for in everything that leaves the program."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import Client
from mcp.client.stdio import stdio_client
from mcp_types import PromptReference
from support.application import LEGACY, body, program
from support.deadlines import HANG_SECONDS

from plex_companion.demo import open_demo
from plex_companion.text import LONGEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mcp_types import Tool

    from plex_companion.demo import Demo

pytestmark = pytest.mark.slow

TOKEN = "canary-Tok3n-4815162342"
EMAIL = "canary.person@example.org"
ADDRESS = "203.0.113.77"
WEBHOOK = "canary-hook-2342"
WEBHOOK_KEY = "canary-key-161803398"
BROKER = "canary-broker-1414"
ARGUMENTS: dict[str, dict[str, Any]] = {
    "events_wait": {"timeout": 0},
    "server_get_alerts": {"since": 0},
    "media_edit_metadata": {"media_id": "1", "new_summary": "new"},
    "media_set_watched_status": {"media_id": "1", "watched": True},
    "playlist_create": {"playlist_title": "new", "item_titles": ["x"]},
    "client_control_playback": {"client_name": "demo-study-htpc", "action": "pause"},
    "client_navigate": {"client_name": "demo-study-htpc", "action": "home"},
    "watchlist_add": {"guid": "plex://movie/1"},
    "watchlist_remove": {"guid": "plex://movie/1"},
}
"""Where an argument that is filled in by its type would not get far."""


def _filled(schema: dict[str, Any]) -> dict[str, Any]:
    """What a tool insists on, and an id or title where it takes one."""
    properties = schema.get("properties", {})
    ids = {"media_id": 1, "playlist_id": 1, "collection_id": 1, "rating_key": 1, "username": EMAIL}
    return dict.fromkeys(schema.get("required", ()), "1") | {n: v for n, v in ids.items() if n in properties}


async def _everything(client: Client) -> str:
    """Every tool's answer, every resource, every prompt and all that is proposed for it, as one text."""
    said: list[str] = []

    async def call(tool: Tool) -> None:
        answer = await client.call_tool(tool.name, ARGUMENTS.get(tool.name, _filled(tool.input_schema)))
        said.append(answer.model_dump_json())

    async with anyio.create_task_group() as tasks:
        for tool in (await client.list_tools()).tools:
            tasks.start_soon(call, tool)
    resources = (await client.list_resources()).resources
    listed = [str(one.uri) for one in resources if one.mime_type == "application/json"]  # skills are files of ours
    bodies = [json.dumps(await body(client, uri), ensure_ascii=False) for uri in listed]
    reported = []
    for prompt in (await client.list_prompts()).prompts:
        names = [one.name for one in prompt.arguments or ()]
        reported.append((await client.get_prompt(prompt.name, dict.fromkeys(names, "1"))).model_dump_json())
        for name in names:
            typed = await client.complete(PromptReference(name=prompt.name), {"name": name, "value": ""})
            reported.append(typed.model_dump_json())
    return "\n".join(said + listed + bodies + reported)


def _poison(demo: Demo) -> None:
    """A household full of what must not be shown, and frames that carry it."""
    for key, user in list(demo.state.users.items()):
        demo.state.users[key] = replace(user, name=EMAIL, email=EMAIL)
    for identifier, player in list(demo.state.players.items()):
        demo.state.players[identifier] = replace(player, address=ADDRESS)
    demo.start(transcode=True)
    setting = {"id": "PlexOnlineToken", "type": "text", "value": TOKEN}
    entries = {
        "preference": ("Setting", setting),
        "progress": ("ProgressNotification", {"message": f"as {EMAIL} {TOKEN}"}),
    }
    for kind, (name, entry) in entries.items():
        demo.send_raw(json.dumps({"NotificationContainer": {"type": kind, "size": 1, name: [entry]}}))
    for secret in (TOKEN, EMAIL, ADDRESS):
        long = "word " * 2_000
        message = f"{long[: LONGEST - len(secret) + 3]} {secret} and more"  # the cut goes through it
        answer = {"type": "progress", "size": 1, "ProgressNotification": [{"message": message}]}
        demo.send_raw(json.dumps({"NotificationContainer": answer}))


async def _ready(client: Client) -> None:
    with anyio.fail_after(HANG_SECONDS):
        while True:
            found = await body(client, "plex://sessions")
            events = await body(client, "plex://events")
            kinds = {event["type"] for event in events["events"]}
            if found["count"] and found["sessions"][0]["user"]["id"] and "progress" in kinds:
                return
            await anyio.sleep(0.05)


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


TROUBLES: dict[str, Callable[[Demo], None]] = {
    "well": lambda _: None,
    "401": lambda demo: demo.revoke_token(),
    "403": lambda demo: demo.answer_with(403),
    "429": lambda demo: demo.answer_with(429),
    "498": lambda demo: demo.answer_with(498),
    "500": lambda demo: demo.answer_with(500),
    "503": lambda demo: demo.answer_with(503),
    "slow": lambda demo: demo.slow_down(30),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_token_email_and_address_leave_the_program_nowhere(trouble: str, tmp_path: Path) -> None:
    async with open_demo(alive=False, require_token=TOKEN) as demo:
        environment = {
            "READ_ONLY_MODE": "false",
            "PLEX_COMPANION_LOG_LEVEL": "debug",
            "PLEX_COMPANION_PLEX_TIMEOUT_SECONDS": "1",
            "PLEX_COMPANION_WEBHOOK_URLS": f"http://127.0.0.1:1/{WEBHOOK}",
            "PLEX_COMPANION_WEBHOOK_SECRET": WEBHOOK_KEY,
            "PLEX_COMPANION_MQTT_URL": f"mqtt://house:{BROKER}@127.0.0.1:1",
        }
        started = program(demo, tmp_path)
        started = started.model_copy(update={"env": {**(started.env or {}), **environment}})
        with (tmp_path / "log").open("w+") as log:
            async with Client(stdio_client(started, errlog=log), mode=LEGACY) as client:
                with anyio.fail_after(HANG_SECONDS):
                    while (await body(client, "plex://sessions"))["connection"]["state"] != "live":  # noqa: ASYNC110 - another process
                        await anyio.sleep(0.05)
                _poison(demo)
                await _ready(client)
                TROUBLES[trouble](demo)
                said = await _everything(client)
                if trouble != "slow":
                    demo.reset_connections(websockets_only=True)
                    said += await _everything(client)
            log.seek(0)
            said += log.read()
    files = _files(tmp_path)
    assert any(name.endswith(".sqlite3") for name in files)
    halves = (TOKEN[:-5], EMAIL[:-5], ADDRESS[:-4])
    for secret in (TOKEN, EMAIL, ADDRESS, WEBHOOK, WEBHOOK_KEY, BROKER, *halves):
        assert secret not in said
        assert [name for name, content in files.items() if secret.encode() in content] == []
