"""From what happens in Plex to a message in a chat: rules, the outbox and Apprise together, on a whole home."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import Client
from support.application import Home, home
from support.deadlines import HANG_SECONDS
from support.outbox import chat_server

from plex_companion.cache.queries.read import read_message_status
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from pathlib import Path

    from support.outbox import ChatServer

STARTED = {
    "name": "Somebody watches",
    "when": ["play.started"],
    "then": [
        {
            "action": "notify",
            "targets": ["chat"],
            "title": "{data.user.name} is watching",
            "text": "{data.item.full_title}",
        }
    ],
}
ADDED = {
    "name": "New films",
    "when": ["media.added"],
    "then": [{"action": "notify", "targets": ["chat"], "title": "New", "text": "{data.title}"}],
}


async def enable_rule(it: Home, rule: dict[str, Any]) -> None:
    """Make a rule in conversation, with a person who agrees."""
    async with Client(f"{it.url}/mcp") as client:
        saved = await client.call_tool("rule_create", {"rule": rule})
        assert not saved.is_error, saved
        found = await client.call_tool("rule_enable", {"id": rule["name"], "confirm": True})
        assert not found.is_error, found


async def until_sent(it: Home) -> None:
    companion = it.application.companion
    with anyio.fail_after(HANG_SECONDS):
        while True:
            changed = companion.live.prepare_wait()
            status = (await read_message_status(companion.cache, ["chat"]))["chat"]
            if status.last_delivered_at is not None and not status.waiting:
                return
            await changed.wait()


async def until_waiting(it: Home) -> None:
    companion = it.application.companion
    with anyio.fail_after(HANG_SECONDS):
        while True:
            changed = companion.live.prepare_wait()
            if (await read_message_status(companion.cache, ["chat"]))["chat"].waiting:
                return
            await changed.wait()


def settings_of(chat: ChatServer) -> dict[str, Any]:
    return {"notify": f"chat={chat.url}", "timezone": "UTC"}


async def test_a_play_is_told_once_with_its_poster_also_when_the_program_restarts_in_between(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo, chat_server() as chat:
        async with home(tmp_path, demo=demo, **settings_of(chat)) as it:
            await enable_rule(it, STARTED)
            first = demo.start()
            (got,) = await chat.until(1)
            assert got["title"] == f"{first.user.name} is watching"
            assert first.item.title in got["message"]
            assert len(got["attachments"]) == 1
            await until_sent(it)
        async with home(tmp_path, demo=demo, **settings_of(chat)) as it:
            demo.start(demo.state.list_kind("movie")[1], user=1, player=1)
            await chat.until(2)
            await until_sent(it)
    assert len(chat.receiver.received) == 2
    assert chat.texts[0] != chat.texts[1]


async def test_what_the_chat_did_not_take_before_a_restart_arrives_after_it(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo, chat_server("503 Down") as chat:
        async with home(tmp_path, demo=demo, **settings_of(chat)) as it:
            await enable_rule(it, STARTED)
            watching = demo.start()
            await until_waiting(it)
        chat.receiver.answers[:] = ["200 OK"]
        async with home(tmp_path, demo=demo, **settings_of(chat)) as it:
            await until_sent(it)
    assert [one.message["title"] for one in chat.receiver.accepted] == [f"{watching.user.name} is watching"]


@pytest.mark.slow
async def test_a_mass_add_that_is_recorded_over_several_ticks_is_one_message_that_lists_everything(
    tmp_path: Path,
) -> None:
    async with (
        open_demo(alive=False, speed=1_000.0) as demo,
        chat_server() as chat,
        home(tmp_path, demo=demo, **settings_of(chat)) as it,
    ):
        await enable_rule(it, ADDED)
        for number in range(60):
            await demo.add_movie(f"Film number {number}")
        with anyio.fail_after(HANG_SECONDS):
            while len(list_films(chat)) < 60:
                await chat.receiver.until(len(chat.receiver.received) + 1)
        assert len(list_films(chat)) == len(set(list_films(chat))) == 60
        assert len(chat.receiver.received) <= 2, "at the first tick, perhaps two were ready, which are no burst yet"


def list_films(chat: ChatServer) -> list[str]:
    return [line[line.index("Film number") :] for text in chat.texts for line in text.splitlines() if "Film" in line]
