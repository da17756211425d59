"""`/api/…`: the resources as plain JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from e2e_home import STEADY, Home, home

from plex_companion.dashboard.api import path_of
from plex_companion.resources import RESOURCES, existing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    async with home(tmp_path_factory.mktemp("api"), patience=STEADY) as running:
        running.demo.start(running.demo.movie(1), transcode=True)
        await running.until(lambda: running.sessions)
        yield running


async def get(it: Home, path: str, **params: str) -> tuple[int, dict[str, Any]]:
    async with httpx2.AsyncClient() as web:
        answer = await web.get(f"{it.url}{path}", params=params)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code, answer.json()


async def test_the_index_lists_a_path_for_every_resource(it: Home) -> None:
    _, body = await get(it, "/api/")
    assert [one["path"] for one in body["resources"]] == [path_of(resource) for resource in RESOURCES]


async def test_every_resource_that_exists_answers_with_its_envelope(it: Home) -> None:
    for _, uri, _ in existing(it.application.companion):
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
    _, body = await get(it, "/api/alerts", cursor="1")
    assert body["alerts"] == []


@pytest.mark.parametrize(("path", "cursor"), [("/api/alerts", "x"), ("/api/alerts", "9" * 30), ("/api/sessions", "1")])
async def test_a_cursor_that_cannot_be_one_is_refused(it: Home, path: str, cursor: str) -> None:
    status, body = await get(it, path, cursor=cursor)
    assert (status, body["code"], body["argument"]) == (400, "invalid", "cursor")
