"""What the demo household causes is received once, with the same id, in each of the five ways there are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import jsonschema  # type: ignore[import-untyped]  # the SDK brings it, without stubs
import pytest
from mcp.client.streamable_http import streamable_http_client
from support.application import Home, home
from support.deadlines import HANG_SECONDS
from support.event_clients import SECRET, CallbackReceiver, callback_receiver, events_client

from plex_companion.demo import playback
from plex_companion.events import CataloguePage, ReceivedEvent
from plex_companion.models import LibraryCheck
from plex_companion.occurrences.declare import OCCURRENCE_TYPES
from plex_companion.occurrences.reading import read_newest_cursor, read_occurrences

if TYPE_CHECKING:
    from pathlib import Path

    from support.event_clients import EventsClient

pytestmark = pytest.mark.slow
TOKEN = "a-token-of-the-companion"
DRIVEN = 180.0
"""Groups of media close ten seconds after their last item; the rest is a margin for busy machines."""


async def enable_rule(client: EventsClient) -> None:
    """Make a rule that fires when somebody pauses."""
    action = {"action": "alert", "title": "Somebody paused", "severity": "info"}
    rule = {"name": "Pauses", "when": ["play.paused"], "then": [action]}
    for tool, arguments in (("rule_create", {"rule": rule}), ("rule_enable", {"id": "Pauses", "confirm": True})):
        assert not (await client.client.call_tool(tool, arguments)).is_error


async def cause_everything(it: Home) -> None:
    """Let the household cause every type, and wait until each is written."""
    demo = it.demo
    for item in (demo.get_movie(3), demo.get_movie(4)):
        for step in ({"mediaState": "analyzing"}, {}):
            demo.state.announce_timeline(item, 5, **step)
    demo.delete_item(demo.get_movie(5).key)
    await demo.play("scan_finished")
    await demo.play("new_device")
    await demo.play("playback_error")
    session = demo.start(player=2)
    await it.until(lambda: it.sessions.get(session.key) and it.sessions[session.key].decision)
    demo.pause(session)
    demo.resume(session)
    for _ in range(3):
        demo.buffer(session)
        demo.resume(session)
    playback.begin_transcode(demo.state, session)
    demo.move(session)
    await written(it, "play.quality_changed", "play.buffering")
    demo.move(session, 0.95 * (session.item.duration or 0) / 1_000)
    await written(it, "play.watched")
    demo.stop(session)
    await end_the_day(it)
    await demo.shut_down()
    await written(it, "connection.lost")
    demo.state.version = "9.9.9.99999-test"
    await demo.reopen()
    await written(it, *OCCURRENCE_TYPES)


async def end_the_day(it: Home) -> None:
    """Report a library as its daily comparison does, which does not on the first day of a server."""
    companion = it.application.companion
    assert companion.state.server
    checks = (LibraryCheck("1", "Films", "movie", 3, 700),)
    page = CataloguePage(1_000_000, companion.state.server.machine_identifier, checks=checks)
    await companion.event_queue.put([ReceivedEvent(page, companion.clock())])
    await written(it, "library.checked")


async def written(it: Home, *types: str) -> None:
    """Wait until each of these types was written."""
    companion = it.application.companion
    sql = "SELECT DISTINCT type FROM occurrences"
    missing = set(types)
    with anyio.move_on_after(DRIVEN):
        while missing:
            committed = companion.live.prepare_wait()
            missing -= {row[0] for row in await companion.cache.reader.execute_fetchall(sql)}
            if missing:
                await committed.wait()
    assert missing == set()


class SseReader:
    """The ids that `/events?stream=occurrences` sends."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self._more = anyio.Event()

    async def read(self, url: str, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=None) as web,
            web.stream("GET", f"{url}/events?stream=occurrences") as response,
        ):
            task_status.started()
            async for line in response.aiter_lines():
                if line.startswith("data: "):
                    self.ids.append(json.loads(line.removeprefix("data: "))["id"])
                    self._more.set()
                    self._more = anyio.Event()

    async def until(self, count: int) -> list[str]:
        with anyio.fail_after(HANG_SECONDS):
            while len(self.ids) < count:
                await self._more.wait()
        return self.ids


async def subscribe_all(client: EventsClient, hook: CallbackReceiver) -> None:
    for name in OCCURRENCE_TYPES:
        delivery = {"mode": "webhook", "url": hook.url, "secret": SECRET}
        await client.request("events/subscribe", name=name, arguments={}, delivery=delivery)


async def poll_all(client: EventsClient, cursor: str) -> list[str]:
    found: list[str] = []
    for name, declared in OCCURRENCE_TYPES.items():
        answer = await client.request("events/poll", name=name, arguments={}, cursor=cursor)
        assert (answer["truncated"], answer["hasMore"]) == (False, False)
        for event in answer["events"]:
            jsonschema.validate(event["data"], declared.data_schema)
        found += [event["eventId"] for event in answer["events"]]
    return found


async def test_each_type_is_received_once_in_each_of_the_five_ways_with_equal_ids(tmp_path: Path) -> None:
    headers = {"authorization": f"Bearer {TOKEN}"}
    webhooks: dict[str, Any] = {
        "token": TOKEN,
        "event_webhooks": True,
        "event_webhooks_loopback": True,
        "reconcile_seconds": 2,
    }
    async with (
        home(tmp_path, **webhooks) as it,
        callback_receiver() as hook,
        httpx2.AsyncClient(headers=headers, timeout=HANG_SECONDS) as web,
        events_client(streamable_http_client(f"{it.url}/mcp", http_client=web)) as client,
        anyio.create_task_group() as tasks,
    ):
        cache = it.application.companion.cache
        cursor, sse = await read_newest_cursor(cache), SseReader()
        await tasks.start(sse.read, it.url)
        for count, name in enumerate(OCCURRENCE_TYPES, 1):
            tasks.start_soon(lambda name=name: client.request("events/stream", name=name, arguments={}))  # type: ignore[misc]  # bound now
            await client.extension.until("active", count)
        await subscribe_all(client, hook)
        await enable_rule(client)
        await cause_everything(it)
        rows = (await read_occurrences(cache, cursor, None, 1_000)).occurrences
        ids = [row["id"] for row in rows]
        assert {row["type"] for row in rows} == set(OCCURRENCE_TYPES)
        assert len(set(ids)) == len(ids)
        pushed = [frame.params["eventId"] for frame in await client.extension.until("event", len(ids))]
        delivered = [one.id for one in await hook.until(len(ids))]
        tool = await client.client.call_tool("occurrences_since", {"cursor": cursor, "limit": 1_000})
        assert tool.structured_content is not None
        called = [one["id"] for one in tool.structured_content["occurrences"]]
        polled = await poll_all(client, cursor)
        assert await sse.until(len(ids)) == called == ids
        assert sorted(pushed) == sorted(delivered) == sorted(polled) == sorted(ids)
        tasks.cancel_scope.cancel()
