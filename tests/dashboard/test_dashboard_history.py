"""The history as a page and as files: filters, totals, addresses, and what it says when it finds nothing."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import httpx2
import pytest
from starlette.applications import Starlette
from support.recorded_plays import DAY, HOUR, NOW, Past, episode, imported, past, running, seen

from plex_companion.dashboard.mount import build_routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HTML = {"accept": "text/html"}
HOSTILE = "<b>=cmd|' /C calc'!A0</b>"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Past]:
    """Seventy plays: films of Ada's by day, a resumed one of Ben's, and one of each other kind."""
    films = [seen(number, NOW - number * DAY, title=f"Film {number}") for number in range(1, 61)]
    resumed = [
        seen(60 + number, NOW - number * 2 * HOUR, title="Long One", user_id="2", user_name="Ben")
        for number in (1, 2, 3)
    ]
    others = [
        seen(71, NOW - 5 * HOUR, **episode("The Shed", 1, 2), decision="transcode", user_id="3", user_name="Zo\u00eb"),
        seen(72, NOW - 6 * HOUR, title=HOSTILE, client_identifier="tv", player_title="Bedroom TV"),
        imported(73, NOW - 7 * HOUR, title="=1+1"),
        running(74, NOW - HOUR, title="Going On"),
    ]  # fmt: skip
    async with past(tmp_path_factory.mktemp("history"), plays=[*films, *resumed, *others]) as recorded:
        yield recorded


async def get(it: Past, path: str, **headers: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=Starlette(routes=build_routes(it.companion)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as web:
        return await web.get(path, headers={**HTML, **headers})


def list_titles(html: str) -> list[str]:
    return re.findall(r'class="title" href="/plays/\d+"><bdi>(.*?)</bdi>', html)


async def test_the_newest_fifty_plays_stand_on_the_first_page_and_the_rest_on_the_next(it: Past) -> None:
    first = await get(it, "/history")
    assert first.status_code == 200
    assert '<data value="67" data-number>67</data> plays' in first.text
    titles = list_titles(first.text)
    assert titles[0] == "Going On"
    assert titles.count("Long One") == 1
    (following,) = re.findall(r'<a href="(/history\?[^"]*)" rel="next"', first.text)
    second = await get(it, following.replace("&amp;", "&"))
    assert 'rel="next"' not in second.text
    assert 'rel="first"' in second.text
    whole = titles + list_titles(second.text)
    assert len(whole) == len(set(whole)) == 65


async def test_a_resumed_play_is_one_row_with_its_parts_that_leads_to_the_newest(it: Past) -> None:
    page = (await get(it, "/history?user=Ben")).text
    assert list_titles(page) == ["Long One"]
    assert '<data value="3" data-number>3</data> parts' in page
    assert 'href="/plays/61"' in page
    assert '<data value="3" data-number>3</data> plays' in page, "the total counts plays"


@pytest.mark.parametrize(
    ("filters", "titles"),
    [
        ({"user": "zoe"}, ["The Shed"]),
        ({"title": "film 7"}, ["Film 7"]),
        ({"library": "Shows"}, ["The Shed"]),
        ({"type": "Episode"}, ["The Shed"]),
        ({"player": "bedroom tv"}, ["&lt;b&gt;=cmd|&#39; /C calc&#39;!A0&lt;/b&gt;"]),
        ({"player": "tv"}, ["&lt;b&gt;=cmd|&#39; /C calc&#39;!A0&lt;/b&gt;"]),
        ({"decision": "transcode"}, ["The Shed"]),
        ({"decision": "transcode", "user": "Zo\u00eb", "type": "episode", "since": "1d"}, ["The Shed"]),
        ({"since": "2026-11-20", "until": "2026-11-20"}, ["Film 2"]),
    ],
    ids=str,
)
async def test_every_filter_selects_by_itself_and_together(
    it: Past, filters: dict[str, str], titles: list[str]
) -> None:
    page = (await get(it, f"/history?{urlencode(filters)}")).text
    assert list_titles(page) == titles


def list_periods(html: str) -> dict[str, str | None]:
    """The periods to choose from, each with its address; the chosen one has none."""
    (found,) = re.findall(r'aria-label="Periods"><ul>(.*?)</ul>', html)
    links = re.findall(r'<li>(?:<a href="([^"]*)">|<strong aria-current="true">)(.*?)</', found)
    return {label: url.replace("&amp;", "&") or None for url, label in links}


async def test_periods_are_one_click_away_and_keep_the_other_filters(it: Past) -> None:
    whole = list_periods((await get(it, "/history?user=ada&since=5h")).text)
    assert list(whole) == [
        "Today", "Yesterday", "Last 7 days", "Last 30 days", "Last 90 days", "Last year", "All time",
        "November 2026", "October 2026",
    ]  # fmt: skip
    assert whole["October 2026"] == "/history?user=ada&since=2026-10-01&until=2026-10-31"
    assert list_periods((await get(it, str(whole["October 2026"]))).text)["October 2026"] is None
    assert whole["All time"] == "/history?user=ada"
    assert whole["Yesterday"] == "/history?user=ada&since=yesterday&until=yesterday"
    page = (await get(it, str(whole["Yesterday"]))).text
    assert list_titles(page) == ["Film 1"]
    assert list_periods(page)["Yesterday"] is None
    assert list_periods((await get(it, "/history")).text)["All time"] is None


async def test_a_time_that_cannot_be_read_is_marked_in_the_form(it: Past) -> None:
    page = (await get(it, "/history?since=31.2.&until=today")).text
    assert re.findall(r'name="(\w+)"[^>]*aria-invalid', page) == ["since"]
    assert "No plays found" not in page


@pytest.mark.parametrize(
    ("filters", "sentence"),
    [
        ({"user": "nobody at all"}, "Unknown user"),
        ({"library": "Nowhere"}, "Unknown library"),
        ({"player": "Toaster"}, "Unknown player"),
        ({"type": "opera"}, "There is no type"),
        ({"decision": "by post"}, "There is no decision"),
        ({"since": "the day before"}, "“From” can't be read: “the day before” is no day"),
        ({"until": "<b>"}, "“Until” can't be read: “&lt;b&gt;” is no day"),
        (
            {"since": "2026-02-02", "until": "2026-02-01"},
            "“Until” ends before “From” begins: “2026-02-02” to “2026-02-01”",
        ),
        ({"title": "!!!"}, "contains no word"),
        ({"title": "Never Played"}, "Nothing that was played fits"),
        ({"since": "2030-01-01"}, "“From” is in the future: “2030-01-01”"),
        ({"decision": "direct stream", "since": "1d"}, "Plex doesn't keep how they were delivered"),
        ({"cursor": "bogus"}, "is not a cursor"),
        ({"user": "x" * 3000}, "Unknown user"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_what_fits_nothing_is_a_page_that_says_so(it: Past, filters: dict[str, str], sentence: str) -> None:
    answer = await get(it, f"/history?{urlencode(filters)}")
    assert answer.status_code == 200
    assert list_titles(answer.text) == []
    assert sentence in answer.text.replace("&#39;", "'")


async def test_a_form_of_empty_fields_filters_nothing(it: Past) -> None:
    page = (await get(it, "/history?user=&title=&library=&type=&player=&decision=&since=&until=")).text
    assert len(list_titles(page)) > 40


async def test_the_exports_hold_every_play_of_the_filter_by_itself(it: Past) -> None:
    answer = await get(it, "/history/export.csv?user=Ben")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    rows = [*csv.DictReader(io.StringIO(answer.text))]
    assert [row["id"] for row in rows] == ["61", "62", "63"]
    assert {row["user"] for row in rows} == {"Ben"}
    body = (await get(it, "/history/export.json")).json()
    assert (body["count"], body["more"], len(body["plays"])) == (67, False, 67)


async def test_no_cell_of_the_csv_is_a_formula(it: Past) -> None:
    rows = [*csv.DictReader(io.StringIO((await get(it, "/history/export.csv?title=1")).text))]
    titles = [row["title"] for row in rows]
    assert "'=1+1" in titles
    assert not [title for title in titles if title.startswith("=")]


async def test_an_export_of_nonsense_is_an_error(it: Past) -> None:
    answer = await get(it, "/history/export.json?user=nobody+at+all", accept="*/*")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_play_that_goes_on_is_not_said_to_go_on_while_plex_is_away(it: Past) -> None:
    page = (await get(it, "/history")).text
    assert "not known to have ended" in page


async def test_the_tool_has_the_filters_of_the_page(it: Past) -> None:
    found = await it.well("history_query", type="episode", player="Lamp", decision="transcode")
    assert [play["id"] for play in found["plays"]] == ["71"]
    error = await it.refused("history_query", type="opera")
    assert error["code"] == "invalid"
