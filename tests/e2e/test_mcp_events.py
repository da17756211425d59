"""MCP Events before clients of the SDK: listed, polled and pushed on every transport, with the codes of the draft."""

from __future__ import annotations

import json
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import jsonschema  # type: ignore[import-untyped]  # the SDK brings it, without stubs
import pytest
from mcp import Client
from mcp.client.stdio import stdio_client
from mcp.shared.exceptions import MCPError
from mcp_types import METHOD_NOT_FOUND, EmptyResult, Request
from support.application import LEGACY, MODERN, home, program
from support.deadlines import HANG_SECONDS
from support.event_clients import SUBSCRIPTION, EventsClient, events_client
from support.sse import open_sse

from plex_companion.demo import open_demo
from plex_companion.occurrences.declare import OCCURRENCE_TYPES
from plex_companion.server.mcp.build import build_server
from plex_companion.server.mcp.companion_interface import ToolCallTimer, build_server_interface
from plex_companion.server.mcp.event_methods.extension import EventMethods
from plex_companion.server.mcp.notifier import Notifier

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from support.application import Home

    from plex_companion.demo.sessions import DemoSession

EVENTS_PAGE = Path(__file__).parents[2] / "docs" / "events.md"
ACCEPT = "application/json, text/event-stream"
STARTED, PAUSED, RESUMED = "play.started", "play.paused", "play.resumed"


async def starting(it: Home) -> DemoSession:
    """A play whose start is an occurrence by now."""
    session = it.demo.start()
    await it.until(lambda: it.sessions)
    await until_occurred(it, STARTED)
    return session


async def until_occurred(it: Home, name: str, count: int = 1) -> None:
    """Wait until there are so many occurrences of a type."""
    companion = it.application.companion
    sql = "SELECT count(*) FROM occurrences WHERE type = ?"
    with anyio.fail_after(HANG_SECONDS):
        while True:
            committed = companion.live.prepare_wait()
            ((found,),) = await companion.cache.reader.execute_fetchall(sql, (name,))
            if found >= count:
                return
            await committed.wait()


async def prune_all(it: Home) -> None:
    """Delete every occurrence, as retention does."""
    await it.application.companion.cache.transact(lambda connection: connection.execute("DELETE FROM occurrences"))


@asynccontextmanager
async def in_process(it: Home, **limits: Any) -> AsyncIterator[tuple[EventsClient, EventMethods]]:
    """A client of a server of its own over the companion's occurrences, with these limits."""
    companion = it.application.companion
    events = EventMethods(companion, companion.occurrence_feed, **limits)
    interface = build_server_interface(companion, [], ToolCallTimer(), [events])
    async with events_client(build_server(interface, Notifier(()))) as client:
        yield client, events


async def discover(web: httpx2.AsyncClient, it: Home) -> dict[str, Any]:
    """The capabilities as they are on the wire: the SDK's client drops what it does not know."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    headers = {"mcp-protocol-version": MODERN, "mcp-method": "server/discover", "accept": ACCEPT}
    request = {"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": meta}}
    answer = await web.post(f"{it.url}/mcp", headers=headers, json=request)
    found: dict[str, Any] = answer.raise_for_status().json()["result"]["capabilities"]
    return found


async def test_every_type_is_listed_with_its_schemas(tmp_path: Path) -> None:
    async with home(tmp_path) as it, events_client(f"{it.url}/mcp") as client:
        listed = (await client.request("events/list"))["events"]
        assert [one["name"] for one in listed] == [*OCCURRENCE_TYPES]
        for one in listed:
            assert one["delivery"] == ["poll", "push"]
            for schema in (one["inputSchema"], one["payloadSchema"]):
                assert schema["type"] == "object"
                jsonschema.Draft202012Validator.check_schema(schema)
        assert await client.refused("events/list", cursor="page-2") == (-32602, {"argument": "cursor"})


async def test_events_are_advertised_in_both_places_and_to_the_modern_era_alone(tmp_path: Path) -> None:
    async with home(tmp_path) as it, httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        found = await discover(web, it)
        assert found["extensions"]["io.modelcontextprotocol/events"] == {"listChanged": False}
        assert found["events"] == {}
        async with Client(f"{it.url}/mcp", mode=LEGACY) as client:
            request: Request[Any, Any] = Request(method="events/list", params=None)
            with pytest.raises(MCPError) as refused:
                await client.session.send_request(request, EmptyResult)
            assert refused.value.error.code == METHOD_NOT_FOUND


async def test_a_client_that_polls_gets_each_event_once_in_order_and_nothing_from_before(tmp_path: Path) -> None:
    async with home(tmp_path) as it, events_client(f"{it.url}/mcp") as client:
        session = await starting(it)
        now = await client.request("events/poll", name=PAUSED, arguments={})
        assert (now["events"], now["truncated"], now["hasMore"]) == ([], False, False)
        assert now["nextPollMs"] >= 1_000
        for count in (1, 2, 3):
            it.demo.pause(session)
            await until_occurred(it, PAUSED, count)
            it.demo.resume(session)
            await until_occurred(it, RESUMED, count)
        first = await client.request("events/poll", name=PAUSED, arguments={}, cursor=now["cursor"], maxEvents=2)
        assert (len(first["events"]), first["hasMore"]) == (2, True)
        rest = await client.request("events/poll", name=PAUSED, arguments={}, cursor=first["cursor"])
        assert (len(rest["events"]), rest["hasMore"]) == (1, False)
        ids = [one["eventId"] for one in (*first["events"], *rest["events"])]
        assert len(set(ids)) == 3
        for one in (*first["events"], *rest["events"]):
            assert (one["name"], "cursor" in one) == (PAUSED, False)
            assert one["timestamp"].endswith("Z")
            jsonschema.validate(one["data"], OCCURRENCE_TYPES[PAUSED].data_schema)
        again = await client.request("events/poll", name=PAUSED, cursor=rest["cursor"])
        assert again["events"] == []


async def test_a_filter_chooses_and_the_cursor_moves_on_where_nothing_matches(tmp_path: Path) -> None:
    async with home(tmp_path) as it, events_client(f"{it.url}/mcp") as client:
        before = (await client.request("events/poll", name=STARTED))["cursor"]
        session = await starting(it)
        for user, count in ((session.user.name, 1), (session.user.name.upper(), 1), ("Somebody Else", 0)):
            found = await client.request("events/poll", name=STARTED, arguments={"user": user}, cursor=before)
            assert len(found["events"]) == count
            assert found["cursor"] != before


async def test_what_is_pruned_too_old_or_of_another_database_is_truncated_and_never_an_error(tmp_path: Path) -> None:
    async with home(tmp_path) as it, events_client(f"{it.url}/mcp") as client:
        before = (await client.request("events/poll", name=STARTED))["cursor"]
        session = await starting(it)
        aged = await client.request("events/poll", name=STARTED, cursor=before, maxAgeMs=0)
        assert (aged["events"], aged["truncated"]) == ([], True)
        young = await client.request("events/poll", name=STARTED, cursor=before, maxAgeMs=3_600_000)
        assert (len(young["events"]), young["truncated"]) == (1, False)
        alone = await client.request("events/poll", name=STARTED, maxAgeMs=0)
        assert (alone["events"], alone["truncated"]) == ([], False)
        foreign = await client.request("events/poll", name=STARTED, cursor="00000000-1")
        assert (foreign["events"], foreign["truncated"]) == ([], True)
        it.demo.pause(session)
        await until_occurred(it, PAUSED)
        await prune_all(it)
        it.demo.resume(session)
        await until_occurred(it, RESUMED)
        it.demo.pause(session)
        await until_occurred(it, PAUSED)
        gone = await client.request("events/poll", name=PAUSED, cursor=foreign["cursor"])
        assert (len(gone["events"]), gone["truncated"]) == (1, True)
        after = await client.request("events/poll", name=PAUSED, cursor=gone["cursor"])
        assert (after["events"], after["truncated"]) == ([], False)


REFUSED: list[tuple[dict[str, Any], int, Any]] = [
    ({"name": "play.exploded"}, -32023, {"kind": "event"}),
    ({"name": ""}, -32023, {"kind": "event"}),
    ({"name": STARTED, "arguments": {"colour": "red"}}, -32602, {"argument": "arguments.colour"}),
    ({"name": STARTED, "arguments": {"user": 5}}, -32602, {"argument": "arguments.user"}),
    ({"name": STARTED, "arguments": {"user": "x" * 301}}, -32602, {"argument": "arguments.user"}),
    ({"name": STARTED, "cursor": "garbage"}, -32602, {"argument": "cursor"}),
    ({"name": STARTED, "cursor": "00000000-" + "9" * 40}, -32602, {"argument": "cursor"}),
    ({"name": STARTED, "maxAgeMs": -1}, -32602, {"argument": "maxAgeMs"}),
]
MALFORMED: list[dict[str, Any]] = [
    {},
    {"name": 5},
    {"name": STARTED, "arguments": []},
    {"name": STARTED, "cursor": 5},
    {"name": STARTED, "maxAgeMs": "5"},
    {"name": STARTED, "maxAgeMs": 1.5},
]


async def test_bad_requests_get_the_codes_of_the_draft_and_open_no_stream(tmp_path: Path) -> None:
    async with home(tmp_path) as it, events_client(f"{it.url}/mcp") as client:
        for method in ("events/poll", "events/stream"):
            for params, code, data in REFUSED:
                assert await client.refused(method, **params) == (code, data), params
            for params in MALFORMED:
                assert (await client.refused(method, **params))[0] == -32602, params
        assert await client.refused("events/poll", name=STARTED, maxEvents=0) == (-32602, {"argument": "maxEvents"})
        assert client.extension.frames == []
        webhook = {"mode": "webhook", "url": "https://hooks.example/x", "secret": "whsec_"}
        off = (-32026, {"feature": "deliveryMode", "value": "webhook"})
        assert await client.refused("events/subscribe", name=STARTED, delivery=webhook) == off


@pytest.mark.parametrize("transport", ["http", "sse", "memory"])
async def test_a_stream_begins_with_active_and_carries_what_happens_from_then_on(
    tmp_path: Path, transport: str
) -> None:
    async with home(tmp_path) as it:
        ways = {"http": f"{it.url}/mcp", "sse": open_sse(f"{it.url}/sse"), "memory": it.application.server}
        target: Any = ways[transport]
        session = await starting(it)
        async with events_client(target) as client, client.stream(PAUSED, arguments={"user": session.user.name}) as got:
            (active,) = got.frames
            assert (active.kind, active.params["truncated"]) == ("active", False)
            for count in (1, 2):
                it.demo.pause(session)
                await until_occurred(it, PAUSED, count)
                it.demo.resume(session)
                await until_occurred(it, RESUMED, count)
            first, second = await got.until("event", 2)
            assert {frame.subscription for frame in got.frames} == {active.subscription}
            assert first.params["cursor"] < second.params["cursor"]
            polled = await client.request("events/poll", name=PAUSED, cursor=active.params["cursor"])
            assert [one["eventId"] for one in polled["events"]] == [first.params["eventId"], second.params["eventId"]]
            jsonschema.validate(first.params["data"], OCCURRENCE_TYPES[PAUSED].data_schema)
        await it.left()


async def test_a_stream_with_a_cursor_begins_with_what_was_missed(tmp_path: Path) -> None:
    async with home(tmp_path) as it, events_client(f"{it.url}/mcp") as client:
        before = (await client.request("events/poll", name=STARTED))["cursor"]
        await starting(it)
        async with client.stream(STARTED, cursor=before) as got:
            assert (await got.until("event"))[0].params["name"] == STARTED
            assert got.frames[0].params == {**got.frames[0].params, "cursor": before, "truncated": False}


async def test_a_stream_whose_cursor_is_older_than_what_is_kept_begins_truncated(tmp_path: Path) -> None:
    async with home(tmp_path) as it, events_client(f"{it.url}/mcp") as client:
        before = (await client.request("events/poll", name=STARTED))["cursor"]
        await starting(it)
        await prune_all(it)
        async with client.stream(STARTED, cursor=before) as got:
            assert (got.frames[0].kind, got.frames[0].params["truncated"]) == ("active", True)


async def test_a_quiet_stream_has_heartbeats_with_the_cursor_that_was_checked(tmp_path: Path) -> None:
    async with (
        home(tmp_path) as it,
        in_process(it, heartbeat_seconds=0.05) as (client, _),
        client.stream(PAUSED) as got,
    ):
        begun = got.frames[0].params["cursor"]
        assert (await got.until("heartbeat"))[0].params["cursor"] == begun
        await starting(it)
        with anyio.fail_after(HANG_SECONDS):
            while got.of("heartbeat")[-1].params["cursor"] == begun:
                await got.until("heartbeat", len(got.of("heartbeat")) + 1)
        assert got.of("event") == []


async def test_a_gap_amid_a_stream_is_active_once_more(tmp_path: Path) -> None:
    async with home(tmp_path) as it, in_process(it) as (client, _), client.stream(PAUSED) as got:
        companion = it.application.companion

        def skip_two(connection: Any) -> None:
            for _ in range(2):
                connection.execute(
                    "INSERT INTO occurrences (server, at, type, inferred, data) "
                    "SELECT machine_identifier, 0, 'play.paused', 0, '{}' FROM servers"
                )
            connection.execute("DELETE FROM occurrences")

        await companion.cache.transact(skip_two)
        _, again = await got.until("active", 2)
        assert again.params["truncated"] is True
        session = await starting(it)
        it.demo.pause(session)
        await got.until("event")


async def test_streams_end_with_the_reason_and_a_result_when_the_server_closes(tmp_path: Path) -> None:
    results: list[dict[str, Any]] = []
    async with (
        home(tmp_path) as it,
        events_client(f"{it.url}/mcp") as client,
        anyio.create_task_group() as tasks,
    ):

        async def stream() -> None:
            results.append(await client.request("events/stream", name=PAUSED))

        tasks.start_soon(stream)
        (active,) = await client.extension.until("active")
        it.application.notifier.close()
        (terminated,) = await client.extension.until("terminated")
        assert terminated.params["error"]["code"] == -32603
    assert results[0]["_meta"][SUBSCRIPTION] == active.subscription


async def test_one_caller_has_so_many_streams_and_they_are_free_again_when_it_leaves(tmp_path: Path) -> None:
    async with home(tmp_path) as it, in_process(it, most_streams=1) as (client, events):
        async with client.stream(PAUSED):
            assert await client.refused("events/stream", name=PAUSED) == (-32025, {"limit": "streams", "max": 1})
        with anyio.fail_after(HANG_SECONDS):
            while len(events.streams):  # noqa: ASYNC110 - leaving has no event to wait for
                await anyio.sleep(0.01)
        client.extension.frames.clear()
        async with client.stream(PAUSED):
            assert len(events.streams) == 1


@pytest.mark.slow
async def test_events_are_polled_and_pushed_over_standard_input_and_output(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo, events_client(stdio_client(program(demo, tmp_path))) as client:
        listed = (await client.request("events/list"))["events"]
        assert {mode for one in listed for mode in one["delivery"]} == {"poll", "push"}
        before = (await client.request("events/poll", name=STARTED))["cursor"]
        async with client.stream(STARTED) as got:
            await _until_connected(client)
            demo.start()
            (pushed,) = await got.until("event")
        polled = await client.request("events/poll", name=STARTED, cursor=before)
        assert [one["eventId"] for one in polled["events"]] == [pushed.params["eventId"]]


async def _until_connected(client: EventsClient) -> None:
    with anyio.fail_after(HANG_SECONDS):
        while True:
            (contents,) = (await client.client.read_resource("plex://sessions")).contents
            if json.loads(contents.text)["connection"]["state"] == "live":  # type: ignore[union-attr]  # it is text
                return
            await anyio.sleep(0.02)


def _example(fence: str) -> str:
    text = EVENTS_PAGE.read_text(encoding="utf-8").partition("## MCP Events")[2]
    found = re.search(rf"```{fence}\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1]


async def test_the_python_of_the_documentation_prints_what_happens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {}
    exec(_example("python").replace('["nextPollMs"] / 1000', '["nextPollMs"] / 1e6'), names)  # noqa: S102 - our own page
    async with home(tmp_path) as it, anyio.create_task_group() as tasks:
        tasks.start_soon(names["follow"], f"{it.url}/mcp", STARTED)
        session = it.demo.start()
        printed = ""
        with anyio.fail_after(HANG_SECONDS):
            while STARTED not in printed:
                await it.application.companion.live.wait_for_commit()
                it.demo.stop(session)
                session = it.demo.start()
                printed += capsys.readouterr().out
        tasks.cancel_scope.cancel()


async def test_the_curl_of_the_documentation_opens_a_stream(tmp_path: Path) -> None:
    shown = _example("sh")
    headers = dict(part.split(": ", 1) for part in re.findall(r"-H '([^']+)'", shown))
    body = re.search(r"-d '(.*)'", shown, re.DOTALL)
    assert body
    async with (
        home(tmp_path) as it,
        httpx2.AsyncClient(timeout=HANG_SECONDS) as web,
        anyio.create_task_group() as tasks,
    ):
        async with web.stream("POST", f"{it.url}/mcp", content=body[1], headers=headers, timeout=None) as response:
            lines = response.aiter_lines()
            with anyio.fail_after(HANG_SECONDS):
                while '"notifications/events/active"' not in await anext(lines):
                    pass
                it.demo.start()
                while '"notifications/events/event"' not in await anext(lines):
                    pass
        tasks.cancel_scope.cancel()
