"""`/events`: the journal as an event stream, replayed from where a client last was."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from support.application import Home, home
from support.deadlines import HANG_SECONDS

from plex_companion.cache.queries.read import read_last_event_id

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Feed:
    """What an EventSource would hand to a page."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def next(self) -> tuple[str | None, dict[str, Any]]:
        """The next message: its id and its JSON."""
        seen: str | None = None
        with anyio.fail_after(HANG_SECONDS):
            async for line in self._lines:
                if line.startswith("id: "):
                    seen = line.removeprefix("id: ")
                if line.startswith("data: "):
                    return seen, json.loads(line.removeprefix("data: "))
        message = "the stream ended"
        raise AssertionError(message)


@asynccontextmanager
async def listening(it: Home, query: str = "", **headers: str) -> AsyncIterator[Feed]:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        httpx2.AsyncClient(timeout=HANG_SECONDS) as web,
        web.stream("GET", f"{it.url}/events{query}", headers=given) as response,
    ):
        yield Feed(response)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    folder: Path = tmp_path_factory.mktemp("feed")
    async with home(folder) as running:
        yield running


async def journal(it: Home) -> int:
    return await read_last_event_id(it.application.companion.cache)


async def written(it: Home, event: int) -> None:
    """Wait until that event is in the journal."""
    with anyio.fail_after(HANG_SECONDS):
        while True:
            changed = it.application.companion.live.prepare_wait()
            if await journal(it) >= event:
                return
            await changed.wait()


async def test_an_event_reaches_the_stream_as_json_under_its_id(it: Home) -> None:
    async with listening(it, "?types=playing") as feed:
        assert feed.response.headers["content-type"].startswith("text/event-stream")
        session = it.demo.start()
        seen, event = await feed.next()
        assert (event["type"], event["subject"], event["id"]) == ("playing", session.key, seen)
        assert event["payload"]["sessionKey"] == session.key
        it.demo.stop(session)
        await feed.next()


async def test_thousands_of_types_cost_no_more_than_few(it: Home) -> None:
    many = ",".join(f"t{number}" for number in range(9_000))
    async with listening(it, f"?types={many},playing") as feed:
        session = it.demo.start()
        _, event = await feed.next()
        assert (event["type"], event["subject"]) == ("playing", session.key)
        it.demo.stop(session)
        await feed.next()


async def test_last_event_id_replays_what_was_missed_once_each_and_then_goes_on(it: Home) -> None:
    before = await journal(it)
    session = it.demo.start()
    it.demo.pause(session)
    await written(it, before + 2)
    async with listening(it, "?types=playing", Last_Event_ID=str(before)) as feed:
        answer = [await feed.next(), await feed.next()]
        it.demo.stop(session)
        answer.append(await feed.next())
    assert [event["payload"]["state"] for _, event in answer] == ["playing", "paused", "stopped"]
    ids = [int(seen or 0) for seen, _ in answer]
    assert ids == sorted(set(ids))
    assert ids[0] > before


async def test_since_0_tells_everything_there_is(it: Home) -> None:
    async with listening(it, "?since=0") as feed:
        seen, event = await feed.next()
        assert (seen, event["type"], event["subject"]) == ("1", "connection", "live")


@pytest.mark.parametrize("since", ["1h", "yesterday", "2001-01-01"])
async def test_since_a_time_tells_what_was_heard_from_then_on(it: Home, since: str) -> None:
    async with listening(it, f"?since={since}") as feed:
        assert (await feed.next())[0] == "1"


@pytest.mark.parametrize("since", ["99999999999", "someday", "-1", "1.5", "9" * 40, "٣"])
async def test_a_since_that_is_no_cursor_is_refused_with_what_to_try(it: Home, since: str) -> None:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        response = await web.get(f"{it.url}/events", params={"since": since})
    assert response.status_code == 400
    answer = response.json()
    assert (answer["code"], answer["argument"]) == ("invalid", "since")
    assert "newest event is" in answer["message"]


async def test_a_last_event_id_of_another_database_is_said_and_the_stream_begins_now(it: Home) -> None:
    async with listening(it, "?types=playing", Last_Event_ID="99999999999") as feed:
        seen, event = await feed.next()
        assert (seen, event["type"]) == (None, "gap")
        assert (await feed.next())[1]["type"] == "state"
        session = it.demo.start()
        assert (await feed.next())[1]["type"] == "playing"
        it.demo.stop(session)
        await feed.next()


async def test_events_that_were_pruned_unread_are_told_as_a_gap_and_then_what_is_so_now(tmp_path: Path) -> None:
    async with home(tmp_path) as it:  # of its own: others read from the first event on
        it.demo.stop(it.demo.start())
        await written(it, 3)
        cache = it.application.companion.cache
        newest = await journal(it)
        await cache.writer.execute("DELETE FROM events WHERE id < :newest", {"newest": newest})
        async with listening(it, "?since=1") as feed:
            assert (await feed.next())[1]["type"] == "gap"
            now = (await feed.next())[1]
            assert now["type"] == "state"
            assert {"connection", "sessions", "count"} <= now["payload"].keys()
            seen, _ = await feed.next()
            assert int(seen or 0) >= newest
