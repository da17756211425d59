"""The page of alerts: its filters, and what its forms acknowledge."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, get_args

import httpx2
import pytest
from support.application import Home, home
from support.deadlines import HANG_SECONDS

from plex_companion.cache.queries.alert_lists import AlertFilter, list_unseen_ids
from plex_companion.dashboard.pages.alerts_page import KINDS
from plex_companion.demo import frames
from plex_companion.history.alert_lists import list_matching_alerts
from plex_companion.models import AlertKind

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HTML = "text/html"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def it(tmp_path: Path) -> AsyncIterator[Home]:
    async with home(tmp_path) as running:
        yield running


async def get(it: Home, path: str) -> str:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        return (await web.get(f"{it.url}{path}", headers={"accept": HTML})).text


async def post(it: Home, origin: str | None = None, **fields: str) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        headers = {"accept": HTML, "origin": origin or it.url}
        return await web.post(f"{it.url}/alerts/acknowledge", data=fields, headers=headers)


async def add_alerts(it: Home, *messages: str) -> int:
    """Add alerts and return the id of the last one."""
    return [await it.add_alert(message) for message in messages][-1]


async def list_unseen(it: Home, wanted: AlertFilter | None = None) -> list[int]:
    return await list_unseen_ids(it.application.companion.cache, wanted or AlertFilter(), 10**9)


def test_every_kind_of_alert_has_words_for_people() -> None:
    assert set(KINDS) == set(get_args(AlertKind))


async def test_filters_choose_and_everything_has_a_total(it: Home) -> None:
    await add_alerts(it, "The roof leaks", "The roof is dry")
    it.demo.announce(frames.build_reachability(reachable=False))
    await it.until(lambda: it.application.companion.state.alerts)
    every = await get(it, "/alerts")
    assert "3 alerts" in re.sub("<[^>]+>", "", every)
    assert every.count('<li class="alert') == 3
    kinds = await get(it, "/alerts?kind=storage")
    assert kinds.count('<li class="alert') == 2
    assert "The roof leaks" in kinds
    assert (await get(it, "/alerts?status=open")).count('<li class="alert') == 1
    assert (await get(it, "/alerts?severity=info")).count('<li class="alert') == 0
    assert "No alert fits." in await get(it, "/alerts?severity=info")


async def test_one_alert_is_acknowledged_and_the_form_leads_back_to_the_filtered_list(it: Home) -> None:
    last = await add_alerts(it, "The roof leaks", "The roof is dry")
    answer = await post(it, id=str(last), kind="storage")
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts?kind=storage")
    assert await list_unseen(it) == [last - 1]


async def test_all_that_fit_are_acknowledged_up_to_the_newest_that_was_shown(it: Home) -> None:
    last = await add_alerts(it, *(f"Message {n}" for n in range(4)))
    newer = await add_alerts(it, "Not shown yet")
    it.demo.announce(frames.build_reachability(reachable=False))
    await it.until(lambda: it.application.companion.state.alerts)
    (other,) = it.application.companion.state.alerts.values()
    assert f'name="newest" value="{other.id}"' in await get(it, "/alerts")
    answer = await post(it, newest=str(last), kind="storage")
    assert answer.status_code == 303
    assert await list_unseen(it) == [newer, other.id]


async def test_nothing_is_acknowledged_from_elsewhere_or_without_saying_what(it: Home) -> None:
    last = await add_alerts(it, "The roof leaks")
    assert (await post(it, "https://evil.test", newest=str(last))).status_code == 403
    assert (await post(it, "https://evil.test", id=str(last))).status_code == 403
    for fields in ({}, {"newest": "all"}, {"newest": "9", "kind": "earthquake"}):
        answer = await post(it, **fields)
        assert (answer.status_code, answer.headers["content-type"].split(";")[0]) == (400, HTML)
    assert (await post(it, id="4711")).status_code == 404
    assert await list_unseen(it) == [last]


async def test_the_list_goes_on_page_by_page_without_gap_or_overlap(it: Home) -> None:
    last = await add_alerts(it, *(f"Message {n}" for n in range(5)))
    companion = it.application.companion
    first = await list_matching_alerts(companion, AlertFilter(), 3)
    assert [alert.id for alert in first.alerts] == [last, last - 1, last - 2]
    rest = await list_matching_alerts(companion, AlertFilter(), 3, first.before)
    assert [alert.id for alert in rest.alerts] == [last - 3, last - 4]
    assert (first.total, rest.total, rest.before) == (5, 5, None)


async def test_while_plex_is_away_an_open_alert_about_plex_was_open(it: Home) -> None:
    it.demo.announce(frames.build_reachability(reachable=False))
    await it.until(lambda: it.application.companion.state.alerts)
    assert "> · open</span>" in await get(it, "/alerts?kind=remote_access_lost")
    await it.demo.shut_down()
    await it.until(lambda: not it.application.companion.is_live)
    page = await get(it, "/alerts?kind=remote_access_lost")
    assert "> · was open</span>" in page
    assert "> · open</span>" not in page


async def mute(it: Home, muted_kind: str, origin: str | None = None, **fields: str) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        headers = {"accept": HTML, "origin": origin or it.url}
        return await web.post(f"{it.url}/alerts/mute", data={"mute": muted_kind, **fields}, headers=headers)


async def test_a_kind_is_muted_on_the_page_and_the_page_of_now_no_longer_shows_its_alerts(it: Home) -> None:
    await add_alerts(it, "The roof leaks")
    assert "The roof leaks" in await get(it, "/")
    answer = await mute(it, "storage", kind="storage", cursor="9")
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts?kind=storage&cursor=9")
    await it.until(lambda: it.application.companion.state.muted_kinds)
    assert "The roof leaks" not in await get(it, "/")
    listed = await get(it, "/alerts?kind=storage")
    assert "The roof leaks" in listed
    assert " · muted" in listed
    assert 'aria-label="Unmute: Storage"' in listed
    assert 'aria-label="Mute: Long pause"' in listed
    await mute(it, "storage", muted="false")
    await it.until(lambda: not it.application.companion.state.muted_kinds)
    assert "The roof leaks" in await get(it, "/")


async def test_no_kind_is_muted_from_elsewhere_and_none_that_does_not_exist(it: Home) -> None:
    assert (await mute(it, "storage", "https://evil.test")).status_code == 403
    for kind in ("", "earthquake"):
        assert (await mute(it, kind)).status_code == 400
    assert it.application.companion.state.muted_kinds == {}


async def test_the_page_says_how_to_try_whether_messages_arrive(it: Home, tmp_path: Path) -> None:
    assert "plex-companion notify --test NAME" in await get(it, "/alerts")
    async with home(tmp_path, notify="family=json://127.0.0.1:9") as other:
        page = await get(other, "/alerts")
    assert "plex-companion notify --test family" in page
    assert "json://" not in page
