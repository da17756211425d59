"""The pages of figures: statistics and libraries show what the tools answer, and bad addresses get a sentence."""

from __future__ import annotations

import re
from datetime import datetime
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp import Client
from support.application import Home, home
from support.deadlines import HANG_SECONDS
from support.recorded_plays import HOUR, NOW, past, seen

from plex_companion.catalogue.status import describe_catalogue
from plex_companion.dashboard.pages.libraries_page import build_growth
from plex_companion.dashboard.pages.statistics_page import build_ranking_panels, build_statistics_charts
from plex_companion.history.statistics import summarize_plays
from plex_companion.times import DAY_MS, Window

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HTML = "text/html,application/xhtml+xml"
_LINKS = "Not watched for a year·Duplicates"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    """A household whose history and libraries are read completely."""
    async with home(tmp_path_factory.mktemp("reports")) as running:
        companion = running.application.companion
        while not (companion.state.history.complete and (await describe_catalogue(companion))["complete"]):
            await companion.live.wait_for_commit()
        yield running


async def get(it: Home, path: str, accept: str = HTML) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        return await web.get(f"{it.url}{path}", headers={"accept": accept})


class Figures(HTMLParser):
    """The figures at the top of a page by label, and the rows of its tables: plain numbers where there are some."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.figures: dict[str, str] = {}
        self.rows: list[list[str]] = []
        self._label, self._open = "", [""]
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")
        if tag == "data":
            self._add(dict(attrs)["value"] or "")
        if tag in {"dt", "dd", "td", "th", "data"}:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._open[-1] == tag:
            self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open[-1] == "dt":
            self._label = data
        elif self._open[-1] in {"td", "th"}:
            self.rows[-1][-1] += data.strip()

    def _add(self, value: str) -> None:
        if self._open[-1] == "dd":
            self.figures[self._label] = value
        elif self._open[-1] in {"td", "th"}:
            self.rows[-1][-1] += value


@pytest.mark.parametrize("period", ["today", "7d", "30d", "1y", "all"])
async def test_the_statistics_are_those_of_history_stats(it: Home, period: str) -> None:
    page = Figures((await get(it, f"/stats?period={period}")).text)
    async with Client(it.application.server) as client:

        async def count(by: str) -> dict[str, Any]:
            answer = await client.call_tool("history_stats", {"period": period, "by": by, "limit": 500})
            return answer.structured_content or {}

        users, days, hours = await count("user"), await count("day"), await count("hour")
    if not users["plays"]:
        assert page.figures == {}
        return
    assert page.figures["plays"] == str(users["plays"])
    assert page.figures["watched"] == str(users["watched_ms"])
    assert page.figures["people"] == str(users["total_entries"])
    for entries in (days["entries"], hours["entries"]):
        for entry in entries:
            assert [entry["name"], str(entry["plays"]), str(entry["watched_ms"])] in page.rows


async def test_a_time_zone_of_its_own_moves_the_hours(it: Home) -> None:
    here, there = [
        Figures((await get(it, f"/stats?period=all&zone={zone}")).text) for zone in ("UTC", "Asia/Kathmandu")
    ]
    assert here.figures == there.figures
    assert [row for row in here.rows if row[0].endswith(":00")] != [row for row in there.rows if row[0].endswith(":00")]


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("/stats?period=fortnight", "fortnight"),
        ("/stats?period=0d", "0d"),
        ("/stats?period=%F0%9F%8D%BF", "period"),
        ("/stats?zone=Mars/Olympus", "There is no time zone"),
        ("/stats?zone=../../etc/passwd", "There is no time zone"),
        ("/stats?since=2099-01-01", "is in the future"),
        ("/stats?since=2026-02-01&until=2026-01-01", "“Until” ends before “From” begins"),
        ("/stats?period=99999999999999999999y", "period"),
        ("/stats?since=2001-01-01&until=2001-01-02", "Nothing was played in this period."),
        ("/neglected?days=soon", "“soon” is no number of days"),
        ("/neglected?days=0", "“0” is no number of days"),
        ("/neglected?days=99999999999999999999", "is no number of days"),
        ("/neglected?type=%3Cscript%3E", "is neither films nor shows"),
        ("/neglected?days=1&cursor=x", "The list has changed meanwhile"),
        ("/libraries?period=nonsense", "No plays are counted."),
        ("/libraries/1?period=nonsense", "nonsense"),
        ("/libraries/1?neglected=x&duplicates=y", "The list has changed meanwhile"),
        ("/alerts?kind=earthquake", "There is no kind"),
        ("/alerts?severity=%3Cscript%3E", "There is no severity"),
        ("/alerts?status=maybe", "There is no status"),
        ("/alerts?since=2099-01-01", "is in the future"),
        ("/alerts?until=someday", "someday"),
        ("/alerts?cursor=0", "The list ends before this page."),
        ("/alerts?cursor=-7", "This part of the list does not exist."),
        ("/alerts?cursor=99999999999999999999999", "This part of the list does not exist."),
    ],
)
async def test_what_an_address_asks_for_in_vain_gets_a_sentence(it: Home, path: str, sentence: str) -> None:
    answer = await get(it, path)
    assert answer.status_code == 200
    assert sentence in answer.text
    assert "<script>" not in answer.text


@pytest.mark.parametrize("path", ["/libraries/4711", "/libraries/x%00y", "/libraries/elsewhere/1", "/libraries/a/b/c"])
async def test_a_library_that_is_not_there_is_a_page_for_people_and_json_for_programs(it: Home, path: str) -> None:
    page, data = await get(it, path), await get(it, path, "*/*")
    assert (page.status_code, data.status_code) == (404, 404)
    assert page.headers["content-type"].startswith("text/html")
    assert data.headers["content-type"] == "application/json"


async def test_the_server_may_be_named_in_the_address_of_a_library(it: Home) -> None:
    server = it.application.companion.state.server
    assert server is not None
    plain = Figures((await get(it, "/libraries/1")).text)
    assert Figures((await get(it, f"/libraries/{server.machine_identifier}/1")).text).rows == plain.rows
    answer = await get(it, f"/libraries/{server.name}/1")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/libraries/{server.machine_identifier}/1")


@pytest.mark.parametrize("period", ["", "?period=30d"])
async def test_libraries_are_shown_with_their_sizes_and_plays_of_all_time_unless_a_period_is_given(
    it: Home, period: str
) -> None:
    page = Figures((await get(it, f"/libraries{period}")).text)
    async with Client(it.application.server) as client:
        asked = {"period": "30d" if period else "all", "by": "library"}
        plays = (await client.call_tool("history_stats", asked)).structured_content or {}
        storage = (await client.call_tool("catalogue_storage", {})).structured_content or {}
    sizes = {group["name"]: str(group["size_bytes"]) for group in storage["groups"]}
    played = {entry["name"]: [str(entry["plays"]), str(entry["watched_ms"])] for entry in plays["entries"]}
    rows = {name: row for name in sizes for row in page.rows if row[0].removesuffix(_LINKS) == name}
    assert rows.keys() == sizes.keys()
    for name, row in rows.items():
        assert row[2] == sizes[name]
        assert row[4:6] == played.get(name, ["0", "0"])
    assert ("all time" in (await get(it, f"/libraries{period}")).text) is not bool(period)


@pytest.mark.parametrize("more", ["", "&type=movie", "&type=show"])
async def test_the_largest_titles_that_nobody_watched_are_listed_over_all_libraries(it: Home, more: str) -> None:
    page = (await get(it, f"/neglected?days=1{more}")).text
    async with Client(it.application.server) as client:
        found = (await client.call_tool("catalogue_neglected", {"days": 1, "limit": 500})).structured_content or {}
    items = [item for item in found["items"] if not more or item["type"] == more.removeprefix("&type=")]
    assert items
    assert re.findall(r'class="title"><a href="/items/(\d+)">', page) == [item["rating_key"] for item in items][:50]
    for item, row in zip(items, Figures(page).rows[1:], strict=False):
        assert item["library"] in row[1]
        assert row[2] == str(item["size_bytes"])
        assert (
            row[3] == f"{datetime.fromisoformat(item['added_at']).astimezone(it.application.companion.zone):%d %b %Y}"
        )
    assert len({item["library"] for item in found["items"]}) > 1
    assert 'href="/neglected"' in (await get(it, "/libraries")).text


async def test_the_alerts_lead_to_the_setting_of_webhooks_and_show_it(it: Home) -> None:
    (url, anchor) = re.findall(r'href="(/settings\?[^"]*)#([^"]*)"', (await get(it, "/alerts")).text)[0]
    page = (await get(it, url)).text
    assert f'<tr id="{anchor}">' in page
    assert "<details open>" in page
    assert "<details>" in (await get(it, "/settings")).text


async def test_libraries_say_what_was_added_to_each_this_month(tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        companion = it.application.companion
        await it.demo.add_movie("Saffron Sky")
        committed = companion.live.prepare_wait()
        while "1 · " not in (row := await read_new(it)).get("Films", ""):
            await committed.wait()
            committed = companion.live.prepare_wait()
        assert row["Series"] == "\u2013"


async def read_new(it: Home) -> dict[str, str]:
    """Return what each library says it got this month, in words."""
    page = (await get(it, "/libraries")).text
    rows = re.findall(
        r'<td class="title"><a[^>]*><bdi>(.*?)</bdi>.*?data-name="New this month">(.*?)</td>', page, re.DOTALL
    )
    return {name: re.sub("<[^>]+>", "", cell) for name, cell in rows}


async def test_a_library_without_its_catalogue_says_so(tmp_path: Path) -> None:
    async with home(tmp_path, catalogue=False) as it:
        assert "PLEX_COMPANION_CATALOGUE is false" in (await get(it, "/libraries")).text
        await it.until(lambda: it.application.companion.state.sections)
        page = (await get(it, "/libraries/1")).text
        assert "This library was not read completely so far" in page
        assert "No files are known." in page


async def test_no_answer_before_the_server_is_known_is_an_error(tmp_path: Path) -> None:
    async with past(tmp_path, plays=[]) as it:
        found = await summarize_plays(it.companion, Window(0, NOW), it.companion.zone, 10)
        assert (found.total.plays, found.times["day"], found.most.at) == (0, [], None)
        assert [chart.title for chart in build_statistics_charts(found)] == [
            "Per day",
            "Per weekday",
            "Per hour of day",
        ]


async def test_ten_thousand_users_are_counted_and_the_first_ones_shown(tmp_path: Path) -> None:
    plays = [seen(n, NOW - n * 1_000, user_id=str(n), user_name=f"Viewer {n % 7_000}") for n in range(1, 10_001)]
    async with past(tmp_path, plays=plays) as it:
        found = await summarize_plays(it.companion, Window(0, NOW), it.companion.zone, 10)
        people = build_ranking_panels(found, "all")[0]
        assert (len(people.rows), people.total, people.unknown) == (10, 10_000, 0)
        assert found.most.streams == 3_600, "each lasts an hour"


async def test_weekdays_and_months_are_sums_of_days(tmp_path: Path) -> None:
    plays = [seen(n, NOW - n * 7 * HOUR) for n in range(1, 400)]
    async with past(tmp_path, timezone="Europe/Vienna", plays=plays) as it:
        found = await summarize_plays(it.companion, Window(NOW - 100 * DAY_MS, NOW), it.companion.zone, 10)
        for parts in found.times.values():
            assert sum(part["plays"] for part in parts) == found.total.plays
            assert sum(part["watched_ms"] for part in parts) == found.total.watched_ms
        assert next(day["name"] for day in found.times["weekday"]) == "Monday"
        assert [month["key"] for month in found.times["month"]] == ["2026-08", "2026-09", "2026-10", "2026-11"]


def test_months_in_which_nothing_was_added_are_in_the_growth_up_to_this_one() -> None:
    added = [
        {"month": "2025-11", "id": "1", "items": 1, "size_bytes": 5},
        {"month": "2026-02", "id": "1", "items": 2, "size_bytes": 6},
        {"month": "2026-02", "id": "2", "items": 3, "size_bytes": 7},
    ]
    growth = build_growth(added, "2026-03")
    assert [(month["month"], month["items"], month["size_bytes"]) for month in growth] == [
        ("2025-11", 1, 5), ("2025-12", 0, 0), ("2026-01", 0, 0), ("2026-02", 5, 13),
        ("2026-03", 0, 0),
    ]  # fmt: skip
    assert build_growth([], "2026-03") == []
    assert len(build_growth([*added, {"month": "1970-01", "id": "1", "items": 1, "size_bytes": 1}], "2026-03")) == 60


async def test_every_page_of_figures_has_one_heading_and_no_style_of_its_own(it: Home) -> None:
    for path in ("/stats", "/libraries", "/libraries/1", "/neglected", "/alerts", "/settings"):
        page = (await get(it, path)).text
        assert len(re.findall("<h1", page)) == 1, path
        assert " style=" not in page, path
        assert "<script>" not in page, path
