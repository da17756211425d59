"""Occurrences from the demo's household, as tools and the event stream give them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from mcp import Client
from support.application import Home, home
from support.deadlines import HANG_SECONDS

from plex_companion.occurrences.reading import read_newest_cursor, read_occurrences

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    folder: Path = tmp_path_factory.mktemp("occurrences")
    async with home(folder) as running:
        yield running


@pytest.fixture
async def cursor(it: Home) -> str:
    return await read_newest_cursor(it.application.companion.cache)


async def call(it: Home, tool: str, **arguments: Any) -> dict[str, Any]:
    async with Client(f"{it.url}/mcp") as client:
        answer = await client.call_tool(tool, arguments)
    found: dict[str, Any] = answer.structured_content or {}
    return found


async def committed(it: Home, cursor: str, *types: str) -> list[dict[str, Any]]:
    """What happened since the cursor, as soon as it is of these types in this order."""
    companion = it.application.companion
    with anyio.fail_after(HANG_SECONDS):
        while True:
            changed = companion.live.prepare_wait()
            found = (await read_occurrences(companion.cache, cursor)).occurrences
            if [one["type"] for one in found] == [*types]:
                return found
            await changed.wait()


async def receive(it: Home, count: int, query: str = "", **headers: str) -> list[tuple[str | None, dict[str, Any]]]:
    """The first messages of the stream: their ids and their JSON."""
    found: list[tuple[str | None, dict[str, Any]]] = []
    seen: str | None = None
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"{it.url}/events?stream=occurrences{query}"
    with anyio.fail_after(HANG_SECONDS):
        async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web, web.stream("GET", url, headers=sent) as response:
            async for line in response.aiter_lines():
                if line.startswith("id: "):
                    seen = line.removeprefix("id: ")
                elif line.startswith("data: "):
                    found.append((seen, json.loads(line.removeprefix("data: "))))
                    if len(found) == count:
                        return found
    message = "the stream ended"
    raise AssertionError(message)


async def test_a_play_is_recorded_once_by_each_way_with_equal_ids(it: Home, cursor: str) -> None:
    session = it.demo.start()
    await committed(it, cursor, "play.started")
    it.demo.pause(session)
    await committed(it, cursor, "play.started", "play.paused")
    it.demo.stop(session)
    found = await committed(it, cursor, "play.started", "play.paused", "play.stopped")
    since = await call(it, "occurrences_since", cursor=cursor)
    waited = await call(it, "occurrences_wait", cursor=cursor)
    streamed = await receive(it, 3, Last_Event_ID=cursor)
    ids = [one["id"] for one in found]
    assert since["occurrences"] == waited["occurrences"]
    assert [one["id"] for one in since["occurrences"]] == ids
    assert [row for _, row in streamed] == found
    assert [seen for seen, _ in streamed] == [one["cursor"] for one in found]
    assert since["next_cursor"] == found[-1]["cursor"]
    assert found[0]["data"]["user"]["name"]
    assert {one["data"]["server"] for one in found} == {it.application.companion.state.server.machine_identifier}  # type: ignore[union-attr]  # the companion is live


async def test_waiting_ends_as_soon_as_something_of_the_type_happens(it: Home) -> None:
    found: list[dict[str, Any]] = []

    async def wait() -> None:
        answer = await call(it, "occurrences_wait", types=["play.stopped"], cursor=cursor, timeout=120)
        found.extend(answer["occurrences"])

    cursor = await read_newest_cursor(it.application.companion.cache)
    with anyio.fail_after(HANG_SECONDS):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(wait)
            it.demo.stop(it.demo.start())
    assert [one["type"] for one in found] == ["play.stopped"]


async def test_waiting_for_nothing_ends_empty(it: Home) -> None:
    answer = await call(it, "occurrences_wait", timeout=0)
    assert (answer["occurrences"], answer["gap"]) == ([], False)


async def test_without_a_cursor_the_newest_are_recorded(it: Home, cursor: str) -> None:
    it.demo.stop(it.demo.start())
    found = await committed(it, cursor, "play.started", "play.stopped")
    answer = await call(it, "occurrences_since", limit=2)
    assert [one["id"] for one in answer["occurrences"]] == [one["id"] for one in found]


async def test_a_cursor_of_another_database_is_a_gap_and_a_fresh_cursor(it: Home, cursor: str) -> None:
    answer = await call(it, "occurrences_since", cursor="00000000-7")
    assert (answer["occurrences"], answer["gap"], answer["next_cursor"]) == ([], True, cursor)
    ((seen, message),) = await receive(it, 1, Last_Event_ID="00000000-7")
    assert (seen, message["type"], message["next_cursor"]) == (None, "gap", cursor)


async def test_a_cursor_from_the_future_of_this_database_is_a_gap(it: Home, cursor: str) -> None:
    answer = await call(it, "occurrences_since", cursor=f"{cursor.partition('-')[0]}-99999999")
    assert (answer["gap"], answer["next_cursor"]) == (True, cursor)


@pytest.mark.parametrize("arguments", [{"cursor": "soon"}, {"types": ["play.danced"]}])
async def test_what_is_no_cursor_and_no_type_is_refused(it: Home, arguments: dict[str, Any]) -> None:
    async with Client(f"{it.url}/mcp") as client:
        for tool in ("occurrences_since", "occurrences_wait"):
            answer = await client.call_tool(tool, arguments)
            assert answer.is_error
            assert "invalid" in str(answer.content)


@pytest.mark.parametrize("query", ["stream=songs", "stream=occurrences&since=soon", "stream=occurrences&types=x"])
async def test_a_stream_that_cannot_be_is_refused(it: Home, query: str) -> None:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        answer = await web.get(f"{it.url}/events?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


async def test_garbage_as_the_last_event_id_is_a_gap(it: Home) -> None:
    ((_, message),) = await receive(it, 1, Last_Event_ID="garbage")
    assert message["type"] == "gap"


async def test_since_a_time_all_that_happened_from_then_on_is_replayed(it: Home, cursor: str) -> None:
    it.demo.stop(it.demo.start())
    await committed(it, cursor, "play.started", "play.stopped")
    for since in ("0", "1h"):
        ((_, first),) = await receive(it, 1, f"&since={since}&types=play.started")
        assert first["cursor"].endswith("-1")
