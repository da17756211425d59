"""The pages of figures where there are several Plex servers: each library is shown with its server and has its own address."""

from __future__ import annotations

import html
import re
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import httpx2
from pydantic import SecretStr
from support.application import FAST, settings_for

from plex_companion.app import open_application
from plex_companion.catalogue.status import describe_catalogue
from plex_companion.demo import open_demo
from plex_companion.demo.household.neighbours import build_households

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from plex_companion.companion import Companion
    from plex_companion.demo import Demo

HTML = {"accept": "text/html"}


@asynccontextmanager
async def two_households(
    tmp_path: Path, *, name: str | None = None
) -> AsyncIterator[tuple[Companion, httpx2.AsyncClient, Demo, Demo]]:
    """Two households with owners of their own, read to the end, and a client of the pages about both.

    `name` is that of both servers.
    """
    den, cabin = (replace(one, history=one.history[:30]) for one in build_households(2, now=time.time()))
    den, cabin = replace(den, name=name or den.name), replace(cabin, name=name or cabin.name)
    async with open_demo(alive=False, household=den) as first, open_demo(alive=False, household=cabin) as second:
        settings = settings_for(first, tmp_path, plex_url=f"{first.url},{second.url}").model_copy(
            update={"plex_token": SecretStr(f"{first.token},{second.token}")}
        )
        async with open_application(settings, timeouts=FAST) as application:
            companion = application.companion
            servers = [companion.choose_link(link.link_id) for link in companion.links]
            while not (
                all(one.state.server and one.state.history.complete for one in servers)
                and all([(await describe_catalogue(one))["complete"] for one in servers])
            ):
                await companion.live.wait_for_commit()
            web = httpx2.ASGITransport(application.build_http_app())
            async with httpx2.AsyncClient(transport=web, base_url="http://127.0.0.1", headers=HTML) as client:
                yield companion, client, first, second


async def test_the_libraries_of_every_server_have_pages_of_their_own(tmp_path: Path) -> None:
    async with two_households(tmp_path) as (companion, client, first, second):
        identifiers = [str(link.machine_identifier) for link in companion.links]
        page = (await client.get("/libraries")).text
        for identifier, server in zip(identifiers, (first, second), strict=True):
            assert f'href="/libraries/{identifier}/1"' in page
            own = await client.get(f"/libraries/{identifier}/1")
            assert own.status_code == 200
            films = [item for item in server.state.items.values() if item.type == "movie" and item.section == "1"]
            assert f'value="{len(films)}"' in own.text
            named = await client.get(f"/libraries/{server.state.name.upper()}/1?period=30d")
            assert named.headers["location"] == f"/libraries/{identifier}/1?period=30d"
        unnamed = await client.get("/libraries/1")
        assert unnamed.status_code == 404
        assert all(server.state.name in unnamed.text for server in (first, second))
        assert (await client.get("/libraries/Attic/1")).status_code == 404
        checks = (await client.get("/settings")).text
        for server in (first, second):
            assert f"{server.state.name}: token" in checks
        assert f"/libraries/{identifiers[1]}/" in (await client.get("/stats?period=all")).text
        assert (await client.get("/alerts")).status_code == 200


def find_links(page: str, start: str) -> set[str]:
    return {html.unescape(link) for link in re.findall(rf'href="({start}[^"#]*)', page)}


async def read(client: httpx2.AsyncClient, address: str) -> str:
    answer = await client.get(address, follow_redirects=True)
    assert answer.status_code == 200, address
    return answer.text


async def test_every_person_that_a_page_names_has_a_page(tmp_path: Path) -> None:
    async with two_households(tmp_path) as (companion, client, first, second):
        for server in (first, second):
            server.start(user=0)
        while not all(state.sessions for state in companion.live.states.values()):
            await companion.live.wait_for_commit()
        linked = set[str]()
        for page in ("/", "/users", "/stats?period=all", "/history"):
            found = find_links(await read(client, page), "/users/")
            assert found, page
            linked |= found
        for address in linked:
            shown = await read(client, address)
            assert re.search(r"<h1>.*\S.*</h1>", shown), address
            assert "Nothing was played yet." not in shown, address


async def test_a_person_with_plays_on_two_servers_has_all_of_them_on_one_page(tmp_path: Path) -> None:
    async with two_households(tmp_path) as (companion, client, first, second):
        shared = sorted(first.state.users.keys() & second.state.users.keys() - {1})
        plays = {
            user: [sum(play.account_id == user for play in server.state.history) for server in (first, second)]
            for user in shared
        }
        user, counts = next((user, counts) for user, counts in plays.items() if all(counts))
        assert f">{sum(counts)}<" in await read(client, f"/users/{user}")
        for link, plays_there in zip(companion.links, counts, strict=True):
            assert f">{plays_there}<" in await read(client, f"/users/{link.machine_identifier}/{user}")


async def test_each_choice_of_the_history_finds_plays_and_each_row_names_its_server(tmp_path: Path) -> None:
    async with two_households(tmp_path) as (_, client, first, second):
        page = await read(client, "/history")
        for field in ("library", "user"):
            chosen = re.search(rf'<select name="{field}">(.*?)</select>', page, re.DOTALL)
            assert chosen is not None
            for value in re.findall(r'<option value="([^"]+)"', chosen[1]):
                answer = await client.get("/history", params={field: html.unescape(value)})
                empty = re.findall(r'class="nothing">.*?<span>(.*?)</span></p>', answer.text)
                assert empty in ([], ["Nothing that was played fits all these filters."]), value
        lines = re.findall(r'<li class="play">.*?<p class="small">(.*?)</p>', page, re.DOTALL)
        assert lines
        for line in lines:
            assert re.sub("<.*?>", "", line).rpartition(" · ")[2].strip() in {first.state.name, second.state.name}


async def test_the_history_of_one_server_is_chosen_by_its_identifier_or_name_also_for_downloads(tmp_path: Path) -> None:
    async with two_households(tmp_path) as (companion, client, first, second):
        counts = {}
        for link, server in zip(companion.links, (first, second), strict=True):
            identifier = str(link.machine_identifier)
            page = await read(client, f"/history?server={identifier}")
            assert f'<option value="{identifier}" selected>' in page
            assert f"/history/export.json?server={identifier}" in page
            for named in (identifier, server.state.name.upper()):
                body = (await client.get("/history/export.json", params={"server": named})).json()
                counts[server] = body["count"]
                assert {play["server"] for play in body["plays"]} == {identifier}
        assert (await client.get("/history/export.json")).json()["count"] == sum(counts.values())
        assert "There is no server" in await read(client, "/history?server=Attic")


async def test_the_resources_of_one_server_are_chosen_by_a_parameter_too(tmp_path: Path) -> None:
    async with two_households(tmp_path) as (companion, client, first, second):
        for link, server in zip(companion.links, (first, second), strict=True):
            long = (await client.get(f"/api/servers/{link.machine_identifier}/libraries")).json()
            for named in (str(link.machine_identifier), server.state.name.upper()):
                chosen = (await client.get("/api/libraries", params={"server": named})).json()
                assert chosen["libraries"] == long["libraries"]
        missing = await client.get("/api/libraries?server=Attic")
        assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
        for path in ("/api/alerts", f"/api/servers/{companion.links[0].machine_identifier}/libraries"):
            refused = await client.get(f"{path}?server={first.state.name}")
            assert (refused.status_code, refused.json()["argument"]) == (400, "server")


async def test_servers_of_one_name_are_told_apart_on_every_page(tmp_path: Path) -> None:
    async with two_households(tmp_path, name="Den") as (companion, client, first, second):
        for server in (first, second):
            server.start()
        while not all(state.sessions for state in companion.live.states.values()):
            await companion.live.wait_for_commit()
        labels = {f"Den ({str(link.machine_identifier)[:8]})" for link in companion.links}
        assert len(labels) == 2
        for page in ("/", "/history", "/libraries", "/neglected"):
            assert set(re.findall(r"Den \(.{8}\)", html.unescape(await read(client, page)))) == labels, page


async def test_an_empty_list_of_several_servers_says_that_it_is_of_those_connected(tmp_path: Path) -> None:
    async with two_households(tmp_path) as (companion, client, _, second):
        await second.shut_down()
        while companion.links[1].connection.state == "live":
            await companion.live.wait_for_commit()
        page = await read(client, "/")
        assert "The connected servers list nothing new." in page
        assert "The connected servers report nothing right now." in page
        assert "Plex lists nothing new." not in page
        assert "Nothing right now." not in page
