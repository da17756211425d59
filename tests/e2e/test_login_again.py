"""When Plex refuses the token, a person can sign in again from the host, and every process goes on with the new one."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client
from mcp_types import ElicitRequestURLParams, ElicitResult
from support.application import ERAS, Home, home
from support.several_servers import CABIN, DEN, household, join_urls

from plex_companion.demo import Demo, open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

OLD, NEW = "old-owner-token", "new-owner-token"


class Browser:
    """A person with a browser, who does this on plex.tv's page, and then tells the host so."""

    def __init__(self, act: Callable[[], None], action: Any = "accept") -> None:
        self.pages: list[str] = []
        self.act = act
        self.action = action

    async def answer(self, context: Any, params: Any) -> ElicitResult:
        del context
        assert isinstance(params, ElicitRequestURLParams)
        self.pages.append(params.url)
        self.act()
        return ElicitResult(action=self.action)


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    async with open_demo(alive=False, require_token=OLD) as one:
        yield one


@asynccontextmanager
async def refused(demo: Demo, folder: Path) -> AsyncIterator[Home]:
    """A companion whose token Plex has just refused."""
    async with home(folder, demo=demo, catalogue="false") as it:
        demo.replace_token(NEW)
        demo.reset_connections(websockets_only=True)
        await it.until(lambda: it.application.companion.state.connection.state == "unauthorized")
        it.application.companion.ttl_cache.clear()
        yield it


def find_token_files(folder: Path) -> list[Path]:
    return list(folder.glob("*.plex-token"))


async def list_libraries(client: Client) -> tuple[bool, dict[str, Any]]:
    answer = await client.call_tool("library_list", {})
    body: dict[str, Any] = json.loads(answer.content[0].text)  # type: ignore[union-attr]  # every tool answers with a text first
    return answer.is_error, body


@pytest.mark.parametrize("era", ERAS)
async def test_after_a_login_the_call_succeeds_and_the_companion_is_connected_again(
    demo: Demo, tmp_path: Path, era: str
) -> None:
    async with refused(demo, tmp_path) as it:
        browser = Browser(it.demo.confirm)
        async with Client(it.application.server, mode=era, elicitation_callback=browser.answer) as client:
            is_error, body = await list_libraries(client)
        assert (is_error, "Films" in body) == (False, True)
        await it.live()
        (page,) = browser.pages
        assert page.startswith("https://app.plex.tv/auth#?")
        assert OLD not in page
        assert NEW not in page


async def test_the_new_token_is_kept_for_its_owner_alone_and_found_by_the_next_process(
    demo: Demo, tmp_path: Path
) -> None:
    async with refused(demo, tmp_path) as it:
        browser = Browser(it.demo.confirm)
        async with Client(it.application.server, mode="legacy", elicitation_callback=browser.answer) as client:
            await list_libraries(client)
        assert it.application.companion.secrets.hide(f"a {NEW}") == "a hidden"
    (file,) = find_token_files(tmp_path)
    assert file.read_text("utf-8").strip() == NEW
    assert file.stat().st_mode & 0o777 == 0o600
    demo.token = OLD  # as it stays in the settings of the next process
    async with home(tmp_path, demo=demo, catalogue="false") as second:
        assert second.application.companion.is_live


@pytest.mark.parametrize("action", ["decline", "cancel"])
async def test_a_person_who_does_not_sign_in_leaves_the_error_as_it_is(demo: Demo, tmp_path: Path, action: str) -> None:
    async with refused(demo, tmp_path) as it:
        browser = Browser(lambda: None, action)
        async with Client(it.application.server, mode="legacy", elicitation_callback=browser.answer) as client:
            is_error, body = await list_libraries(client)
        assert (is_error, body["code"], len(browser.pages)) == (True, "plex_unauthorized", 1)


async def test_the_login_of_somebody_else_is_not_accepted(demo: Demo, tmp_path: Path) -> None:
    async with refused(demo, tmp_path) as it:

        def confirm_as_guest() -> None:
            for pin in it.demo.state.pins.values():
                pin.token = it.demo.get_user(1).token

        browser = Browser(confirm_as_guest)
        async with Client(it.application.server, mode="legacy", elicitation_callback=browser.answer) as client:
            is_error, body = await list_libraries(client)
        assert (is_error, body["code"]) == (True, "plex_unauthorized")
    assert find_token_files(tmp_path) == []


async def test_a_client_that_shows_no_pages_gets_the_error_at_once(demo: Demo, tmp_path: Path) -> None:
    async with refused(demo, tmp_path) as it, Client(it.application.server) as client:
        is_error, body = await list_libraries(client)
        assert (is_error, body["code"]) == (True, "plex_unauthorized")
        assert it.demo.state.pins == {}


async def test_of_two_servers_only_the_one_that_refused_its_token_gets_a_new_one(tmp_path: Path) -> None:
    async with household(DEN) as den, household(CABIN) as cabin:
        urls = join_urls(den, cabin)
        async with home(tmp_path, demo=den, catalogue="false", plex_url=urls) as it:
            companion = it.application.companion
            await it.until(lambda: all(link.connection.state == "live" for link in companion.links))
            cabin.replace_token(NEW)
            cabin.reset_connections(websockets_only=True)
            of_cabin = companion.choose_server("Cabin")
            await it.until(lambda: of_cabin.state.connection.state == "unauthorized")

            def confirm_as_owner_of_the_cabin() -> None:
                for pin in den.state.pins.values():
                    pin.token = NEW

            browser = Browser(confirm_as_owner_of_the_cabin)
            async with Client(it.application.server, mode="legacy", elicitation_callback=browser.answer) as client:
                answer = await client.call_tool("library_list", {"server": "Cabin"})
                assert not answer.is_error
                assert len(browser.pages) == 1
                answer = await client.call_tool("library_list", {"server": "Den"})
                assert not answer.is_error
            await it.until(lambda: of_cabin.state.connection.state == "live")
            assert companion.choose_server("Den").state.connection.state == "live"
            assert len(browser.pages) == 1
    (file,) = find_token_files(tmp_path)
    assert of_cabin.link_id in file.name
    assert file.read_text("utf-8").strip() == NEW
