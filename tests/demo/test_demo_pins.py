"""plex.tv's pins in the demo, as the recorded ones behave and as python-plexapi uses them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
import requests
from plexapi.myplex import MyPlexAccount
from support.deadlines import HANG_SECONDS

from plex_companion.demo import Demo, open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TOKEN = "owner-Token-0123456789"


@pytest.fixture
async def demo() -> AsyncIterator[Demo]:
    async with open_demo(alive=False, require_token=TOKEN) as running:
        yield running


async def ask(demo: Demo, method: str, path: str, client: str = "me", **headers: str) -> requests.Response:
    sent = {"X-Plex-Client-Identifier": client, "Accept": "application/json", **headers}
    return await anyio.to_thread.run_sync(
        lambda: requests.request(method, demo.url + path, headers=sent, timeout=HANG_SECONDS)
    )


async def test_a_pin_is_made_without_a_token_and_shows_one_once_somebody_confirmed(demo: Demo) -> None:
    made = await ask(demo, "POST", "/api/v2/pins?strong=true")
    assert made.status_code == 201
    pin = made.json()
    assert (len(pin["code"]), pin["authToken"], pin["expiresIn"]) == (25, None, 1800)
    demo.confirm()
    assert (await ask(demo, "GET", f"/api/v2/pins/{pin['id']}")).json()["authToken"] == TOKEN


async def test_a_pin_is_shown_to_its_maker_alone_and_not_for_ever(demo: Demo) -> None:
    pin = (await ask(demo, "POST", "/api/v2/pins")).json()
    assert (await ask(demo, "GET", f"/api/v2/pins/{pin['id']}", client="another")).status_code == 404
    demo.state.pins[pin["id"]].seconds = 0
    gone = await ask(demo, "GET", f"/api/v2/pins/{pin['id']}")
    assert (gone.status_code, gone.json()["errors"][0]["code"]) == (404, 1020)
    assert (await ask(demo, "POST", "/api/v2/pins", client="")).status_code == 400


async def test_linking_needs_somebody_signed_in(demo: Demo) -> None:
    pin = (await ask(demo, "POST", "/api/v2/pins")).json()
    assert (await ask(demo, "PUT", f"/api/v2/pins/link?code={pin['code']}")).status_code == 422
    done = await ask(demo, "PUT", f"/api/v2/pins/link?code={pin['code']}", **{"X-Plex-Token": TOKEN})
    assert done.status_code == 204
    assert (await ask(demo, "PUT", "/api/v2/pins/link?code=none", **{"X-Plex-Token": TOKEN})).status_code == 404


async def test_python_plexapi_links_a_pin(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    pin = (await ask(demo, "POST", "/api/v2/pins")).json()
    for name in ("key", "LINK"):
        monkeypatch.setattr(MyPlexAccount, name, getattr(MyPlexAccount, name).replace("https://plex.tv", demo.url))

    def link() -> Any:
        return MyPlexAccount(token=TOKEN).link(pin["code"])

    await anyio.to_thread.run_sync(link)
    assert demo.state.pins[pin["id"]].token == TOKEN


async def test_the_servers_of_an_account_are_a_bare_list_of_json(demo: Demo) -> None:
    rows = (await ask(demo, "GET", "/api/v2/resources", **{"X-Plex-Token": TOKEN})).json()
    assert rows[0]["clientIdentifier"] == demo.state.machine_identifier
    assert rows[0]["connections"][0]["uri"] == demo.url
    assert (await ask(demo, "GET", "/api/v2/resources")).status_code == 422
