"""The page without a browser: what is in it at first, how it is guarded, what is told of its parts."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from support.application import Home, home
from support.deadlines import HANG_SECONDS

from plex_companion.cache.queries.read import read_last_event_id
from plex_companion.demo import open_demo
from plex_companion.resources.registry import list_existing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HOSTILE = (
    '<script>alert("1")</script><img src=x onerror=alert(2)> \u202eeno & \U0001f469\u200d\U0001f52c \u6f22\u5b57 '
    + "x" * 300
)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    async with home(tmp_path_factory.mktemp("pages")) as running:
        yield running


async def get(it: Home, path: str, **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        return await web.get(f"{it.url}{path}", headers=headers)


class Elements(HTMLParser):
    """The elements of a page, and the text in them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


async def test_the_first_answer_holds_what_plays(it: Home) -> None:
    session = it.demo.start(it.demo.get_episode(), offset=90_000)
    await it.until(lambda: it.sessions and next(iter(it.sessions.values())).listed)
    page = Elements((await get(it, "/")).text)
    assert "Harbour Street" in page.text
    assert session.user.name in page.text
    assert "1:30" in page.text
    assert "Direct play" in page.text
    it.demo.stop(session)
    await it.until(lambda: not it.sessions)
    assert "Nothing is playing." in (await get(it, "/")).text


async def test_the_performer_of_a_track_and_the_edition_of_a_film_are_on_the_page(it: Home) -> None:
    track = next(item for item in it.demo.state.items.values() if item.type == "track")
    film = it.demo.get_movie(4)
    track.original_title, film.edition_title = "Ada Kettle", "Long Cut"
    sessions = [it.demo.start(track), it.demo.start(film, user=1, player=2)]
    await it.until(lambda: len([one for one in it.sessions.values() if one.user]) == len(sessions))
    page = Elements((await get(it, "/")).text)
    assert "Ada Kettle" in page.text
    assert "Long Cut" in page.text
    for session in sessions:
        it.demo.stop(session)
    await it.until(lambda: not it.sessions)


async def test_titles_are_text_whatever_is_in_them(it: Home) -> None:
    film = it.demo.get_movie(3)
    film.title = HOSTILE
    session = it.demo.start(film)
    await it.until(lambda: any(one.item.title for one in it.sessions.values()))
    page = Elements((await get(it, "/")).text)
    scripts = [attributes for tag, attributes in page.found if tag == "script"]
    assert [(one["src"] or "").partition("?")[0] for one in scripts] == [
        "/static/idiomorph-0.8.0.min.js",
        "/static/dashboard.js",
    ]
    assert not [attributes for _, attributes in page.found if any(name.startswith("on") for name in attributes)]
    assert '<script>alert("1")</script>' in page.text
    assert "\u202e" not in page.text, "what turns the text around is gone"
    it.demo.stop(session)
    await it.until(lambda: not it.sessions)


async def test_the_policy_allows_own_files_only_and_the_page_keeps_to_it(it: Home) -> None:
    answer = await get(it, "/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    for tag, attributes in Elements(answer.text).found:
        assert "style" not in attributes, tag
        for name in ("src", "href"):
            assert (attributes.get(name) or "/").startswith(("/", "#")), (tag, attributes)


async def test_static_files_are_kept_for_ever_under_the_name_of_their_build(it: Home) -> None:
    links = [
        attributes.get("href") or attributes.get("src") or ""
        for tag, attributes in Elements((await get(it, "/")).text).found
        if tag in {"link", "script"} and attributes.get("rel") != "manifest"
    ]
    for link in links:
        answer = await get(it, link)
        assert answer.status_code == 200, link
        assert "immutable" in answer.headers["cache-control"]
    plain = await get(it, "/static/dashboard.css")
    assert plain.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/static/../__init__.py", "/static/%2e%2e%2fpages.py", "/static/nothing.css", "/static/"]
)
async def test_nothing_but_the_static_files_is_given_out(it: Home, path: str) -> None:
    assert (await get(it, path)).status_code == 404


async def test_a_page_of_another_origin_may_not_ask(it: Home) -> None:
    assert (await get(it, "/", origin="https://evil.test")).status_code == 403


class Stream:
    """What a page hears: kind, id and JSON of each message."""

    def __init__(self, response: httpx2.Response) -> None:
        self._lines = response.aiter_lines()

    async def next(self) -> tuple[str, str | None, dict[str, Any]]:
        kind, seen = "message", None
        with anyio.fail_after(HANG_SECONDS):
            async for line in self._lines:
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                if name == "id":
                    seen = value
                if name == "data":
                    return kind, seen, json.loads(value)
        message = "the stream ended"
        raise AssertionError(message)

    async def wait_for_part(self, name: str, holds: str = "") -> dict[str, Any]:
        """Wait for the next message about this part that contains this text."""
        while True:
            _, _, body = await self.next()
            if body.get("part") == name and holds in "".join(body["pieces"].values()):
                return body


@asynccontextmanager
async def watching(it: Home, **headers: str) -> AsyncIterator[Stream]:
    async with (
        httpx2.AsyncClient(timeout=HANG_SECONDS) as web,
        web.stream(
            "GET", f"{it.url}/events?parts=all", headers={k.replace("_", "-"): v for k, v in headers.items()}
        ) as answer,
    ):
        yield Stream(answer)


async def test_a_page_hears_all_parts_first_and_then_only_what_changes(it: Home) -> None:
    async with watching(it) as stream:
        assert (await stream.next())[0] == "hello"
        first = [await stream.next() for _ in range(9)]
        assert [body["part"] for _, _, body in first] == [
            "link",
            "summary",
            "now",
            "alerts",
            "tasks",
            "added",
            "catalogue",
            "today",
            "charts",
        ]
        session = it.demo.start()
        started = await stream.wait_for_part("now", "Watching")
        (key,) = started["order"]
        it.demo.pause(session)
        paused = await stream.wait_for_part("now", "Paused")
        assert (paused["order"], list(paused["pieces"])) == ([key], [key])
        it.demo.stop(session)
        ended = await stream.wait_for_part("now", "Nothing is playing")
        assert key not in ended["order"]


async def test_messages_carry_the_cursor_of_the_journal_so_that_a_page_can_go_on(it: Home) -> None:
    newest = await read_last_event_id(it.application.companion.cache)
    async with watching(it, last_event_id=str(newest)) as stream:
        assert (await stream.next())[0] == "hello"
        kind, seen, _ = await stream.next()
        assert (kind, seen) == ("part", str(newest))


async def test_a_page_that_missed_events_hears_a_gap_and_then_what_is_so_now(it: Home) -> None:
    async with watching(it, last_event_id="99999999999") as stream:
        await stream.next()
        kind, _, body = await stream.next()
        assert (kind, body["type"]) == ("message", "gap")
        assert (await stream.next())[0] == "part"


async def test_while_plex_is_away_the_page_says_so_and_that_it_shows_the_last_known(it: Home) -> None:
    session = it.demo.start()
    await it.until(lambda: it.sessions)
    await it.demo.shut_down()
    await it.until(lambda: not it.application.companion.is_live)
    page = (await get(it, "/")).text
    assert 'data-link="down"' in page
    assert "This is the last known state" in page
    assert "Was watching" in page
    await it.demo.reopen()
    await it.live()
    await it.until(lambda: not it.sessions)
    assert session.key
    assert 'data-link="live"' in (await get(it, "/")).text


async def test_an_empty_page_while_plex_is_away_does_not_say_that_nothing_plays(it: Home) -> None:
    await it.demo.shut_down()
    await it.until(lambda: not it.application.companion.is_live)
    page = (await get(it, "/")).text
    assert "Can&#39;t tell what&#39;s playing" in page
    assert "Nothing is playing" not in page
    await it.demo.reopen()
    await it.live()


async def post(it: Home, path: str, **headers: str) -> httpx2.Response:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        return await web.post(f"{it.url}{path}", headers=headers)


async def test_an_acknowledged_alert_that_is_over_leaves_the_page(it: Home) -> None:
    number = await it.add_alert("The roof is being repaired")
    assert f"/alerts/{number}/acknowledge" in (await get(it, "/")).text
    answer = await post(it, f"/alerts/{number}/acknowledge", accept="application/json")
    assert answer.status_code == 200
    assert answer.json()["alert"]["acknowledged_at"]
    assert f"/alerts/{number}/acknowledge" not in (await get(it, "/")).text


async def test_without_a_script_the_form_leads_back_to_the_page(it: Home) -> None:
    answer = await post(it, f"/alerts/{await it.add_alert('The roof is being repaired')}/acknowledge", origin=it.url)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


@pytest.mark.parametrize("number", ["4711", "x", "9" * 40])
async def test_an_alert_that_is_not_there_cannot_be_acknowledged(it: Home, number: str) -> None:
    answer = await post(it, f"/alerts/{number}/acknowledge")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_nothing_is_acknowledged_by_looking_or_from_elsewhere(it: Home) -> None:
    number = await it.add_alert("The roof is being repaired")
    assert (await get(it, f"/alerts/{number}/acknowledge")).status_code == 405
    assert (await post(it, f"/alerts/{number}/acknowledge", origin="https://evil.test")).status_code == 403
    assert f"/alerts/{number}/acknowledge" in (await get(it, "/")).text


TOKEN, EMAIL, ADDRESS = "canary-Tok3n-4815162342", "canary.person@example.org", "203.0.113.77"


async def test_no_token_email_or_address_is_on_the_page_in_the_feed_or_in_the_json(tmp_path: Path) -> None:
    async with open_demo(alive=False, require_token=TOKEN) as demo:
        for key, user in list(demo.state.users.items()):
            demo.state.users[key] = replace(user, name=EMAIL, email=EMAIL)
        for identifier, player in list(demo.state.players.items()):
            demo.state.players[identifier] = replace(player, address=ADDRESS)
        demo.get_movie(3).title = f"All about {TOKEN}"
        demo.start(demo.get_movie(3))
        async with home(tmp_path, demo=demo) as it:
            await it.until(lambda: it.sessions and next(iter(it.sessions.values())).listed)
            paths = [f"/api/{uri.removeprefix('plex://')}" for _, uri, _ in list_existing(it.application.companion)]
            figures = ("/stats?period=all", "/libraries", "/libraries/1", "/alerts", "/settings")
            said = [(await get(it, path)).text for path in ("/", "/api/", *figures, *paths)]
            async with watching(it) as stream:
                said += [str(await stream.next()) for _ in range(9)]
    assert "All about hidden" in said[0]
    assert [text for text in said for secret in (TOKEN, EMAIL, ADDRESS) if secret in text] == []
