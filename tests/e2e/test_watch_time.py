"""Watch time is one number: measured where a play was heard, estimated where Plex's history alone knows it, the same everywhere."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp import Client
from support.application import Home, body, home, settings_for
from support.deadlines import HANG_SECONDS

from plex_companion.commands.reports.archive import open_archive
from plex_companion.commands.reports.queries import ReportQuery, fetch_answer
from plex_companion.demo import load_household, open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HOUR_MS = 3_600_000
ADA, KIT = "1", "501"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    """Three films of one, two and three hours: the first two are in Plex's history, the third was heard from start to end."""
    folder, now = tmp_path_factory.mktemp("watched"), int(time.time())
    films = [
        {"rating_key": str(hours), "title": f"Film {hours}", "duration_seconds": hours * 3600, "added_at": now - 90_000}
        for hours in (1, 2, 3)
    ]
    rows = [{"rating_key": "1", "viewed_at": now - 50_000, "user": 1}, {"rating_key": "2", "viewed_at": now - 40_000, "user": 501},
            {"rating_key": "2", "viewed_at": now - 30_000, "user": 1}]  # fmt: skip
    users = [{"id": 1, "name": "Ada", "token": "ada"}, {"id": 501, "name": "Kit", "token": "kit"}]
    file = folder / "home.json"
    file.write_text(
        json.dumps({"sections": [{"title": "Films", "type": "movie", "items": films}], "users": users, "history": rows})
    )
    async with open_demo(alive=False, household=load_household(file)) as demo, home(folder, demo=demo) as running:
        session = demo.start("3", player=1)
        await running.until(lambda: running.sessions and running.sessions[session.key].user)
        demo.seek(session, 3 * HOUR_MS - 1_000)
        await running.until(lambda: running.sessions[session.key].view_offset_ms > HOUR_MS)
        demo.stop(session)
        await running.until(lambda: not running.sessions)
        cache = running.application.companion.cache
        linked = "SELECT count(*) FROM plays WHERE history_key IS NOT NULL"
        while True:
            ((count,),) = await cache.reader.execute_fetchall(linked)
            if count == len(demo.state.history):
                break
            await running.application.companion.live.wait_for_commit()
        yield running


@pytest.fixture(scope="module")
async def client(it: Home) -> AsyncIterator[Client]:
    async with Client(it.application.server) as opened:
        yield opened


async def ask(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(tool, arguments)
    assert not answer.is_error, answer.content
    return answer.structured_content or {}


async def test_an_imported_play_counts_with_the_length_of_its_item_and_a_heard_one_as_measured(client: Client) -> None:
    plays = (await ask(client, "history_query"))["plays"]
    assert {play["title"]: play["estimated"] for play in plays} == {"Film 1": True, "Film 2": True, "Film 3": False}
    assert [play["watched_ms"] for play in plays if play["title"] == "Film 1"] == [HOUR_MS]
    assert [play["watched_ms"] for play in plays if play["title"] == "Film 2"] == [2 * HOUR_MS] * 2


async def test_a_play_that_was_heard_and_is_in_plexs_history_counts_once(client: Client) -> None:
    (play,) = (await ask(client, "history_query", title="Film 3"))["plays"]
    assert (play["estimated"], play["history_key"] is not None) == (False, True)
    assert play["watched_ms"] < HOUR_MS
    one = (await ask(client, "play_get", id=play["id"]))["play"]
    assert (one["watched_ms"], one["estimated"]) == (play["watched_ms"], False)


@pytest.mark.parametrize("by", ["user", "title", "library", "platform", "day", "hour"])
async def test_every_count_sums_the_same_watch_time(client: Client, by: str) -> None:
    plays = (await ask(client, "history_query"))["plays"]
    stats = await ask(client, "history_stats", period="7d", by=by, limit=100)
    assert (stats["plays"], stats["timed"]) == (4, 4)
    assert (stats["watched_ms"], stats["estimated_ms"]) == (sum(play["watched_ms"] for play in plays), 5 * HOUR_MS)
    for name in ("plays", "watched_ms", "estimated_ms"):
        assert sum(entry[name] for entry in stats["entries"]) == stats[name]


async def test_tools_pages_and_commands_agree_about_every_user(it: Home, client: Client, tmp_path: Path) -> None:
    by_user = {entry["id"]: entry for entry in (await ask(client, "history_stats", period="7d", by="user"))["entries"]}
    users = {
        str(one["user_id"]): one
        for one in (await ask(client, "user_get_statistics", time_period="last_7_days"))["users"]
    }
    digest = (await ask(client, "what_happened", since="7d"))["plays"]
    query = ReportQuery("stats", since="7d", by="user")
    async with open_archive(
        settings_for(it.demo, tmp_path, database=it.application.companion.settings.database), demo=False
    ) as archive:
        report = {entry["id"]: entry for entry in (await fetch_answer(archive, query))["entries"]}
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        pages = {id_: (await web.get(f"{it.url}/api/history/{id_}")).json()["plays"] for id_ in (ADA, KIT)}
    for id_ in (ADA, KIT):
        watched, estimated = by_user[id_]["watched_ms"], by_user[id_]["estimated_ms"]
        assert (report[id_]["watched_ms"], report[id_]["estimated_ms"]) == (watched, estimated)
        assert (users[id_]["total_duration"], users[id_]["estimated_duration"]) == (watched // 1000, estimated // 1000)
        assert sum(play["watched_ms"] for play in pages[id_]) == watched
        assert sum(play["watched_ms"] for play in pages[id_] if play["estimated"]) == estimated
        assert sum(one["watched_ms"] for one in digest["entries"] if one["user"]["id"] == id_) == watched
        assert (await body(client, f"plex://history/{id_}"))["plays"] == pages[id_]
    assert (digest["watched_ms"], digest["estimated_ms"]) == (
        sum(one["watched_ms"] for one in by_user.values()), sum(one["estimated_ms"] for one in by_user.values()),
    )  # fmt: skip


async def test_the_page_says_that_watch_time_is_estimated(it: Home) -> None:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        page = (await web.get(f"{it.url}/")).text
    assert "about 3 h" in page
    assert "about 2 h" in page
