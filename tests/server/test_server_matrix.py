"""Three transports, two eras: every client that subscribed is told, and nothing stays behind when it leaves."""

from __future__ import annotations

import json
import tempfile
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from mcp.client.stdio import stdio_client
from support.mcp_server import (
    ERAS,
    LEGACY,
    NOTHING,
    UpdateRecorder,
    connected,
    gone,
    over_stdio,
    served,
    subscribe,
    transport_to,
    unsubscribe,
    until,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from mcp import Client

pytestmark = pytest.mark.slow


everywhere = pytest.mark.parametrize("era", ERAS)
every_transport = pytest.mark.parametrize("kind", ["stdio", "sse", "http"])


@asynccontextmanager
async def _client(kind: str, era: str, *uris: str) -> AsyncIterator[tuple[Client, UpdateRecorder]]:
    """A subscribed client; afterwards the server's tables are seen to be empty."""
    if kind == "stdio":
        with tempfile.TemporaryFile("w+") as said:
            async with connected(stdio_client(over_stdio(), errlog=said), era, *uris) as pair:
                yield pair
            said.seek(0)
            assert repr(NOTHING) in said.read()
    else:
        async with served() as running:
            async with connected(transport_to(running.url, kind), era, *uris) as pair:
                yield pair
            await gone(running.notifier)


async def _level(client: Client) -> Any:
    (contents,) = (await client.read_resource("plex://lamp")).contents
    return json.loads(contents.text)["level"]  # type: ignore[union-attr]  # all resources are text


@everywhere
@every_transport
async def test_a_subscriber_is_told_and_reads_the_state_it_was_told_of(kind: str, era: str) -> None:
    async with _client(kind, era, "plex://lamp") as (client, updates):
        await client.call_tool("lamp_brighten", {"level": 3})
        await updates.until("plex://lamp")
        assert await _level(client) == 3


@everywhere
@every_transport
async def test_everybody_is_told_when_a_resource_appears(kind: str, era: str) -> None:
    async with _client(kind, era) as (client, updates):
        await client.call_tool("lamp_screw_in", {"bulb": "b1"})
        await updates.until("list")
        assert "plex://lamp/b1" in {one.uri for one in (await client.list_resources()).resources}


@everywhere
async def test_a_member_that_does_not_exist_yet_can_be_waited_for(era: str) -> None:
    async with _client("http", era, "plex://lamp/b2") as (client, updates):
        await client.call_tool("lamp_screw_in", {"bulb": "b2"})
        await updates.until("plex://lamp/b2")


@everywhere
async def test_a_client_is_told_in_its_own_spelling(era: str) -> None:
    async with _client("sse", era, "plex://lamp/a%62") as (client, updates):
        await client.call_tool("lamp_screw_in", {"bulb": "ab"})
        await updates.until("plex://lamp/a%62")


@pytest.mark.parametrize("kind", ["sse", "http"])
async def test_after_unsubscribing_nothing_is_told(kind: str) -> None:
    async with (
        served() as running,
        connected(transport_to(running.url, kind), LEGACY, "plex://lamp") as (client, updates),
    ):
        await unsubscribe(client, "plex://lamp")
        running.lamp_server.set_level(1)
        running.lamp_server.add_bulb("b")  # whoever hears of this has had the time to hear of the lamp
        await updates.until("list")
        assert updates.count("plex://lamp") == 0


async def test_clients_of_both_eras_are_told_together() -> None:
    async with served() as running:
        async with (
            connected(transport_to(running.url, "sse"), LEGACY, "plex://lamp") as (_, first),
            connected(transport_to(running.url, "http"), LEGACY, "plex://lamp") as (_, second),
            connected(transport_to(running.url, "http"), ERAS[1], "plex://lamp") as (_, third),
        ):
            await until(lambda: running.notifier.count().get_streams == 1)
            running.lamp_server.set_level(1)
            for updates in (first, second, third):
                await updates.until("plex://lamp")
        await gone(running.notifier)


async def test_subscribing_twice_counts_once() -> None:
    async with served() as running, connected(transport_to(running.url, "sse"), LEGACY, "plex://lamp") as (client, _):
        before = running.notifier.count().subscriptions
        await subscribe(client, "plex://lamp")
        assert running.notifier.count().subscriptions == before
