"""The pages of plays, items and people."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx2
import pytest
from starlette.applications import Starlette
from support.recorded_plays import DAY, HOUR, NOW, SERVER, Past, episode, imported, past, running, seen

from plex_companion.catalogue.item_pages import find_stops
from plex_companion.dashboard.mount import build_routes
from plex_companion.dashboard.play_words import build_timeline
from plex_companion.history.user_pages import count_users

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HOSTILE = '<script>window.hit=1</script> \u202e"quoted"'


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def mark(number: int, minutes: int, kind: str, **detail: Any) -> dict[str, Any]:
    """An event of play 1."""
    return {
        "id": number, "server": SERVER, "play_id": 1, "at": NOW - 2 * HOUR + minutes * 60_000, "kind": kind,
        "view_offset_ms": minutes * 60_000, "detail": json.dumps(detail),
    }  # fmt: skip


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Past]:
    plays = [
        seen(1, NOW - 2 * HOUR, title=HOSTILE, decision="transcode", user_id="2", user_name="Ben"),
        seen(
            2, NOW - DAY, **episode("The Shed", 1, 2), grandparent_rating_key="900", user_id="3", user_name="Zo\u00eb"
        ),
        imported(3, NOW - 3 * DAY),
        running(4, NOW - HOUR, title="Going On"),
        seen(5, NOW - 40 * DAY),
        seen(6, NOW - 50 * DAY, user_id="3", user_name="Zo\u00eb"),
    ]
    marks = [
        mark(1, 0, "started", state="playing"), mark(2, 10, "paused"), mark(3, 12, "resumed", after="paused"),
        mark(4, 20, "seeked", from_ms=1_200_000, to_ms=1_800_000), mark(5, 30, "buffering"),
        mark(6, 31, "decision", **{"from": "direct play", "to": "transcode", "changed": {"height": [1080, 720]}}),
        mark(7, 60, "ended", by="stopped"),
    ]  # fmt: skip
    async with past(tmp_path_factory.mktemp("details"), plays=plays, play_marks=marks) as recorded:
        yield recorded


async def get(it: Past, path: str, accept: str = "text/html") -> httpx2.Response:
    transport = httpx2.ASGITransport(app=Starlette(routes=build_routes(it.companion)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as web:
        return await web.get(path, headers={"accept": accept})


async def test_a_play_shows_its_timeline_from_start_to_end(it: Past) -> None:
    page = (await get(it, "/plays/1")).text
    said = re.findall(r"<li><svg.*?<p>(.*?)</p>", page, re.DOTALL)
    assert said == [
        "Began", "Pause", "Went on", "Jumped from 20:00 to 30:00", "The player had to wait for data",
        "Changed from direct play to transcode", "Stopped",
    ]  # fmt: skip
    assert "Height: 1080 → 720" in page
    assert "<script>window" not in page
    assert 'href="/users/2"' in page


async def test_the_play_of_an_episode_leads_to_its_show(it: Past) -> None:
    assert 'href="/items/900">The whole show' in (await get(it, "/plays/2")).text
    assert "The whole show" not in (await get(it, "/plays/1")).text


async def test_a_play_known_from_plex_alone_says_that_nothing_of_it_was_observed(it: Past) -> None:
    page = (await get(it, "/plays/3")).text.replace("&#39;", "'")
    assert "as Plex counted it" in page
    assert "nothing of it was observed" in page


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/plays/999", 404),
        ("/plays/x", 400),
        (f"/plays/{'9' * 40}", 400),
        ("/items/999999", 404),
        ("/items/x", 400),
        ("/users/nobody", 404),
        ("/users/elsewhere/1", 404),
    ],
)
async def test_what_does_not_exist_is_a_page_for_people_and_json_for_programs(it: Past, path: str, status: int) -> None:
    page = await get(it, path)
    assert page.status_code == status
    assert "<h1>" in page.text
    assert "history_query" not in page.text
    body = await get(it, path, "*/*")
    assert body.status_code == status
    assert body.json()["code"] in {"not_found", "invalid"}


async def test_an_item_shows_who_played_it_and_where_they_stopped(it: Past) -> None:
    page = (await get(it, "/items/7001")).text
    assert page.count('<li class="play">') == 3
    assert re.findall(r'href="/plays/(\d+)"><bdi>Zo.</bdi>', page) == ["6"], "where people stopped"
    assert "The Lamp" in page


async def test_a_server_in_the_address_is_known_by_its_id_and_its_name_leads_there(it: Past) -> None:
    assert (await get(it, f"/users/{SERVER}/2")).status_code == 200
    server = it.companion.state.server
    assert server is not None
    named = await get(it, f"/users/{quote(server.name or '')}/2")
    assert (named.status_code, named.headers["location"]) == (303, f"/users/{SERVER}/2")


async def test_people_are_listed_with_what_history_stats_counts(it: Past) -> None:
    for period in ("all", "7d", "today"):
        counted = await count_users(it.companion, period)
        stats = await it.well("history_stats", by="user", period=period)
        ours = {entry["id"]: (entry["plays"], entry["watched_ms"]) for entry in counted if entry["plays"]}
        assert ours == {entry["id"]: (entry["plays"], entry["watched_ms"]) for entry in stats["entries"]}
    page = (await get(it, "/users")).text
    assert page.index(">Ada<") < page.index(">Ben<")
    assert "Figures of all time" in page
    assert "Figures of last 7 days" in (await get(it, "/users?period=7d")).text


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("period=soon", "period"),
        ("page=99", "ends before this page"),
        ("page=x", "people with"),
        ("period=-5d", "period"),
    ],
)
async def test_a_list_of_people_that_is_empty_says_why(it: Past, query: str, sentence: str) -> None:
    answer = await get(it, f"/users?{query}")
    assert answer.status_code == 200
    assert sentence in answer.text


async def test_a_person_has_players_hours_and_last_plays(it: Past) -> None:
    page = (await get(it, "/users/1")).text
    assert "Favourite hours" in page
    assert ">Lamp<" in page
    assert "Going On" in page
    assert "not known to have ended" in page
    assert '<data value="3" data-number>3</data>' in page
    assert "the figures" not in (await get(it, "/users/1?period=nonsense")).text


async def test_the_name_of_a_person_leads_to_the_page(it: Past) -> None:
    answer = await get(it, "/users/ben")
    assert (answer.status_code, answer.headers["location"]) == (303, "/users/2")


def test_an_unknown_event_is_still_shown() -> None:
    (entry,) = build_timeline([{"at": "2026-11-22T17:00:00Z", "kind": "rewound", "view_offset_ms": None, "detail": {}}])
    assert (entry.words, entry.position) == ("Rewound", "")


def test_where_people_stopped_is_their_last_play_unless_it_came_to_the_end() -> None:
    plays = [
        {"user_id": who, "user_name": who, "ended_at": 1, "view_offset_ms": percent, "duration_ms": 100}
        for who, percent in (("a", 40), ("b", 97), ("a", 80), ("b", 10))
    ]
    assert [(play["user_id"], play["view_offset_ms"]) for play in find_stops(plays)] == [("a", 40)]
