"""The pages of one thing each, where plex-companion looks after several servers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import httpx2
import pytest
from starlette.applications import Starlette
from support.several_servers import CABIN, DEN, all_live, household, looking_after

from plex_companion.dashboard.mount import build_routes

if TYPE_CHECKING:
    from pathlib import Path

    from plex_companion.companion import Companion


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


async def get(companion: Companion, path: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app=Starlette(routes=build_routes(companion)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as web:
        return await web.get(path, headers={"accept": "text/html"})


async def test_things_of_two_servers_have_addresses_of_their_own(tmp_path: Path) -> None:
    async with household(DEN) as den, household(CABIN) as cabin, looking_after(tmp_path, den, cabin) as it:
        await all_live(it)
        await it.until(lambda: all(state.history.complete for state in it.companion.states))
        history = (await get(it.companion, "/history")).text
        people = set(re.findall(r'href="(/users/[^"]+)"', history))
        assert {address.split("/")[2] for address in people} == {DEN, CABIN}
        for address in people:
            page = await get(it.companion, address)
            assert page.status_code == 200, address
        named = await get(it.companion, "/users/cabin/1")
        assert (named.status_code, named.headers["location"]) == (303, f"/users/{CABIN}/1")
        assert (await get(it.companion, "/users/attic/1")).status_code == 404
        assert (await get(it.companion, "/users")).status_code == 200
