"""From a press on a player to the family's chat: a rule fires, and its message arrives once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from mcp import Client
from support.application import home
from support.deadlines import HANG_SECONDS
from support.outbox import chat_server

if TYPE_CHECKING:
    from pathlib import Path

RULE = {
    "name": "Paused",
    "when": ["play.paused"],
    "only_if": 'data.item.type == "movie" && streams() == 1',
    "then": [
        {
            "action": "notify",
            "targets": ["chat"],
            "title": "{data.user.name} has paused",
            "text": "{data.item.full_title} on {data.player.title}",
        }
    ],
}


async def call(client: Client, name: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(name, arguments)
    assert not answer.is_error, answer.content
    return dict(answer.structured_content or {})


async def test_a_press_on_a_player_is_told_once_in_the_chat_also_after_a_restart(tmp_path: Path) -> None:
    async with chat_server() as chat:
        target = f"chat={chat.url}"
        async with home(tmp_path, notify=target) as it, Client(f"{it.url}/mcp") as client:
            saved = await call(client, "rule_create", rule=RULE)
            await call(client, "rule_enable", id=saved["rule"]["id"], confirm=True)
            session = it.demo.start(it.demo.get_movie())
            await it.until(lambda: any(one.listed for one in it.sessions.values()))
            it.demo.pause(session)
            (got,) = await chat.until(1)
            assert got["title"] == f"{session.user.name} has paused"
            assert got["message"].startswith(session.item.title)
            assert len(got["attachments"]) == 1
            with anyio.fail_after(HANG_SECONDS):
                while True:
                    committed = it.application.companion.live.prepare_wait()
                    history = await call(client, "rule_history", id="Paused")
                    if history["deliveries"][0].get("outcome") == "delivered":
                        break
                    await committed.wait()
            assert (len(history["firings"]), len(history["deliveries"])) == (1, 1)
        async with home(tmp_path, notify=target) as it, Client(f"{it.url}/mcp") as client:
            session = it.demo.start(it.demo.get_movie())
            await it.until(lambda: any(one.listed for one in it.sessions.values()))
            it.demo.pause(session)
            await chat.until(2)
            assert (await call(client, "rule_get", id="Paused"))["status"]["fired"] == 2
