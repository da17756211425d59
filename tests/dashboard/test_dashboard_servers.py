"""The pages of figures where there are several Plex servers: each library is shown with its server and has its own address."""

from __future__ import annotations

import time
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
    from pathlib import Path

HTML = {"accept": "text/html"}


async def test_the_libraries_of_every_server_have_pages_of_their_own(tmp_path: Path) -> None:
    den, cabin = (replace(one, history=one.history[:30]) for one in build_households(2, now=time.time()))
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
            identifiers = [one.state.server.machine_identifier for one in servers if one.state.server]
            web = httpx2.ASGITransport(application.build_http_app())
            async with httpx2.AsyncClient(transport=web, base_url="http://127.0.0.1", headers=HTML) as client:
                page = (await client.get("/libraries")).text
                for identifier, server in zip(identifiers, (first, second), strict=True):
                    assert f'href="/libraries/{identifier}/1"' in page
                    own = await client.get(f"/libraries/{identifier}/1")
                    assert own.status_code == 200
                    films = [
                        item for item in server.state.items.values() if item.type == "movie" and item.section == "1"
                    ]
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
