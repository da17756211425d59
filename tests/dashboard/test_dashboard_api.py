"""`/api/…`: the resources as plain JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from support.application import Home, home
from support.deadlines import HANG_SECONDS

from plex_companion.dashboard.api import build_path
from plex_companion.resources.registry import RESOURCES, list_existing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    async with home(tmp_path_factory.mktemp("api")) as running:
        running.demo.start(running.demo.get_movie(1), transcode=True)
        await running.until(lambda: running.sessions)
        yield running


async def get(it: Home, path: str, **params: str) -> tuple[int, dict[str, Any]]:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        answer = await web.get(f"{it.url}{path}", params=params)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()


async def test_the_index_lists_a_path_for_every_resource(it: Home) -> None:
    _, body = await get(it, "/api/")
    assert [one["path"] for one in body["resources"]] == [build_path(resource) for resource in RESOURCES]


async def test_every_resource_that_exists_answers_with_its_envelope(it: Home) -> None:
    for _, uri, _ in list_existing(it.application.companion):
        status, body = await get(it, f"/api/{uri.removeprefix('plex://')}")
        assert (status, body["connection"]["state"]) == (200, "live"), uri


async def test_sessions_are_what_the_resource_says(it: Home) -> None:
    _, body = await get(it, "/api/sessions")
    (session,) = body["sessions"]
    _, one = await get(it, f"/api/sessions/{session['session_key']}")
    assert one["session"]["rating_key"] == session["rating_key"]


async def test_a_member_that_is_not_there_is_404_with_what_is(it: Home) -> None:
    status, body = await get(it, "/api/sessions/4711")
    assert (status, body["code"]) == (404, "not_found")
    assert body["available"] == list(it.sessions)


async def test_alerts_go_on_from_a_cursor(it: Home) -> None:
    _, body = await get(it, "/api/alerts", cursor="0")
    assert body["alerts"] == []


async def test_history_goes_on_from_a_cursor_to_its_end(it: Home) -> None:
    cache = it.application.companion.cache
    await cache.writer.execute(
        "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 120) "
        "INSERT INTO plays (server, title, started_at, updated_at, ended_at, ended_by, live, listed, stale) "
        "SELECT (SELECT max(machine_identifier) FROM servers), 'Play ' || i, 1000 + i / 3, 1000, 1000, 'stopped', 0, 1, 0 FROM n"
    )
    seen: list[str] = []
    more: dict[str, str] = {}
    while more.get("cursor", "") is not None:
        _, body = await get(it, "/api/history", **more)
        seen += [play["id"] for play in body["plays"]]
        more = {"cursor": body["next_cursor"]}
    assert len(seen) == len(set(seen))
    ((count,),) = await cache.reader.execute_fetchall("SELECT count(*) FROM plays")
    assert len(seen) == count >= 121


@pytest.mark.parametrize(
    ("path", "cursor"),
    [
        ("/api/alerts", "x"),
        ("/api/alerts", "9" * 30),
        ("/api/history", "1"),
        ("/api/history", "x.y"),
        ("/api/sessions", "1"),
    ],
)
async def test_a_cursor_that_cannot_be_one_is_refused(it: Home, path: str, cursor: str) -> None:
    status, body = await get(it, path, cursor=cursor)
    assert (status, body["code"], body["argument"]) == (400, "invalid", "cursor")
