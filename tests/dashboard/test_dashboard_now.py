"""What the first page does: it stops streams, it hangs on a wall, and it lists what Plex added."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from support.application import Home, home
from support.deadlines import HANG_SECONDS

from plex_companion.cache.queries.read import read_newest_events
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

TERMINATE = "/status/sessions/terminate"
HTML = "text/html,application/xhtml+xml"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    """A companion that may change Plex."""
    async with home(tmp_path_factory.mktemp("now"), read_only=False) as running:
        yield running


async def get(it: Home, path: str) -> str:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        return (await web.get(f"{it.url}{path}")).text


async def post(it: Home, path: str, message: str = "", **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        return await web.post(
            f"{it.url}{path}", data={"message": message}, headers={"origin": it.url, "accept": HTML, **headers}
        )


async def start_stream(it: Home) -> str:
    """Start a stream, wait until Plex has listed it, and return the address of its stop form."""
    it.demo.start(it.demo.get_movie(2))
    await it.until(lambda: any(one.listed for one in it.sessions.values()))
    (session,) = it.sessions.values()
    return f"/streams/{session.play_id}/stop"


async def test_a_stopped_stream_is_ended_by_plex_with_the_message_and_noted_in_the_journal(it: Home) -> None:
    path = await start_stream(it)
    assert f'action="{path}"' in await get(it, "/")
    it.demo.requests.clear()
    answer = await post(it, path, "Dinner is ready")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert it.demo.requests.count(TERMINATE) == 1
    (asked,) = [path for _, path in it.demo.requests.log if path.startswith(TERMINATE)]
    assert parse_qs(urlsplit(asked).query)["reason"] == ["Dinner is ready"]
    await it.until(lambda: not it.sessions)
    (entry,) = await read_newest_events(it.application.companion.cache, 1, ["audit"])
    assert '"stop_stream"' in entry["payload"]
    assert '"done"' in entry["payload"]


async def test_a_stream_that_has_ended_cannot_be_stopped(it: Home) -> None:
    answer = await post(it, "/streams/987654/stop")
    assert answer.status_code == 404
    assert "has ended already" in answer.text
    assert "<nav" in answer.text, "a page in the frame of all"


@pytest.mark.parametrize(
    "headers",
    [{"origin": "https://evil.test"}, {"origin": "http://127.0.0.1:9"}, {"sec-fetch-site": "cross-site"}],
    ids=str,
)
async def test_a_page_of_another_origin_stops_nothing(it: Home, headers: dict[str, str]) -> None:
    path = await start_stream(it)
    it.demo.requests.clear()
    assert (await post(it, path, **headers)).status_code == 403
    assert it.demo.requests.count(TERMINATE) == 0
    await post(it, path)
    await it.until(lambda: not it.sessions)


async def test_the_wall_display_has_no_forms_and_no_navigation(it: Home) -> None:
    path = await start_stream(it)
    page = await get(it, "/?kiosk")
    assert it.demo.get_movie(2).title in page
    assert 'class="kiosk"' in page
    for tag in ("<form", "<button", "<nav", "<input"):
        assert tag not in page
    await post(it, path)
    await it.until(lambda: not it.sessions)


async def test_what_plex_added_is_there_from_the_first_minute(it: Home) -> None:
    newest = max(it.demo.state.list_kind("movie"), key=lambda film: film.added_at)
    assert newest.title in await get(it, "/")


async def test_nothing_is_stopped_while_read_only(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo, home(tmp_path, demo=demo) as it:
        path = await start_stream(it)
        assert path not in await get(it, "/")
        demo.requests.clear()
        answer = await post(it, path, accept="*/*")
        assert (answer.status_code, answer.json()["code"]) == (403, "read_only")
        assert demo.requests.count(TERMINATE) == 0


async def test_a_page_that_can_stop_nothing_says_which_setting_allows_it(it: Home, tmp_path: Path) -> None:
    hint = "Streams can't be stopped from here"
    assert hint not in await get(it, "/")
    async with home(tmp_path) as read_only:
        assert hint in await get(read_only, "/")
        assert hint not in await get(read_only, "/?kiosk")
        assert '<tr id="READ_ONLY_MODE">' in await get(read_only, "/settings?setting=READ_ONLY_MODE")
