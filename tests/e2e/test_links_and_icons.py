"""Answers about one thing link to its resource, and the server shows an icon where hosts can fetch one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from mcp import Client
from mcp_types import ResourceLink
from support.application import ERAS, MODERN, home
from support.catalogue import TOKEN, CatalogueHome, catalogue_home
from support.deadlines import HANG_SECONDS

from plex_companion.demo import open_demo
from plex_companion.server.mcp.companion_interface import find_icon_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

PUBLIC = "https://plex.example"
ICON = f"{PUBLIC}/static/icon.svg"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[CatalogueHome]:
    async with (
        open_demo(alive=False, require_token=TOKEN) as demo,
        catalogue_home(tmp_path_factory.mktemp("home"), demo=demo) as home_,
    ):
        await home_.until_as_plex()
        demo.start()
        await home_.tools.until(lambda: home_.application.companion.state.sessions)
        yield home_


async def list_links(client: Client, tool: str, **given: Any) -> list[ResourceLink]:
    answer = await client.call_tool(tool, given)
    assert not answer.is_error
    return [block for block in answer.content if isinstance(block, ResourceLink)]


@pytest.mark.parametrize("era", ERAS)
async def test_an_answer_about_one_thing_links_to_a_resource_that_can_be_read(it: CatalogueHome, era: str) -> None:
    film = it.demo.get_movie()
    (play,) = [str(one.play_id) for one in it.application.companion.state.sessions.values()]
    async with Client(it.application.server, mode=era) as client:
        for tool, given, uri in (
            ("media_get_details", {"media_id": film.key}, f"plex://items/{film.key}"),
            ("play_get", {"id": play}, f"plex://plays/{play}"),
            ("play_diagnose", {"play_id": play}, f"plex://plays/{play}"),
        ):
            (link,) = await list_links(client, tool, **given)
            assert (link.uri, link.mime_type) == (uri, "application/json")
            assert (await client.read_resource(link.uri)).contents


async def test_lists_have_no_links(it: CatalogueHome) -> None:
    async with Client(it.application.server, mode=MODERN) as client:
        for tool, given in (("history_query", {}), ("live_sessions", {}), ("catalogue_search", {"limit": 1})):
            assert await list_links(client, tool, **given) == []


async def test_an_item_that_the_catalogue_lacks_is_not_linked(tmp_path: Path) -> None:
    async with home(tmp_path, catalogue="false") as it, Client(it.application.server, mode=MODERN) as client:
        assert await list_links(client, "media_get_details", media_id=it.demo.get_movie().key) == []


async def test_a_client_of_a_version_without_links_gets_none(tmp_path: Path) -> None:
    async with home(tmp_path, catalogue="false") as it, httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        it.demo.start()
        await it.until(lambda: it.sessions)
        (session,) = it.sessions.values()
        headers = {"accept": "application/json, text/event-stream"}

        async def post(method: str, **params: Any) -> httpx2.Response:
            body: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
            if not method.startswith("notifications/"):
                body["id"] = 1
            return await web.post(f"{it.url}/mcp", json=body, headers=headers)

        client = {"name": "old", "version": "0"}
        hello = await post("initialize", protocolVersion="2025-03-26", capabilities={}, clientInfo=client)
        headers["mcp-session-id"] = hello.headers["mcp-session-id"]
        await post("notifications/initialized")
        answer = await post("tools/call", name="play_get", arguments={"id": str(session.play_id)})
        assert "full_title" in answer.text
        assert "resource_link" not in answer.text


async def test_the_icon_is_named_where_there_is_an_https_address_and_needs_no_token(tmp_path: Path) -> None:
    async with home(tmp_path, public_url=PUBLIC, token="t" * 16, catalogue="false") as it:
        async with Client(it.application.server, mode=MODERN) as client:
            tools = await client.list_tools()
        shown = (tools.meta or {})["io.modelcontextprotocol/serverInfo"]
        assert shown["icons"] == [{"src": ICON, "mimeType": "image/svg+xml", "sizes": ["any"]}]
        async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
            icon = await web.get(f"{it.url}/static/icon.svg")
            assert (icon.status_code, icon.headers["content-type"]) == (200, "image/svg+xml")
            assert (await web.get(f"{it.url}/static/dashboard.css")).status_code == 401


@pytest.mark.parametrize(
    ("public", "icon"), [(None, None), ("http://plex.example", None), (PUBLIC, ICON), (f"{PUBLIC}/", ICON)]
)
def test_only_an_https_address_makes_an_icon(public: str | None, icon: str | None) -> None:
    assert find_icon_url(public) == icon
