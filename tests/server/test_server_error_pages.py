"""Errors of the HTTP application: pages where a request names HTML, JSON anywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx2
import pytest
from pydantic import SecretStr
from support.application import Home, home
from support.deadlines import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

CASES = {
    "an unknown page": ("/no-such-page", {}, 404),
    "a method that is not allowed": ("/streams/1/stop", {}, 405),
    "another host": ("/", {"host": "evil.test"}, 421),
    "another origin": ("/", {"origin": "https://evil.test"}, 403),
    "an unknown play": ("/plays/999999", {}, 404),
}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    async with home(tmp_path_factory.mktemp("errors")) as running:
        yield running


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("accept", ["text/html,*/*;q=0.8", "*/*", "application/json", ""])
async def test_an_error_is_a_page_only_where_accept_names_html(it: Home, case: str, accept: str) -> None:
    path, headers, status = CASES[case]
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        answer = await web.get(f"{it.url}{path}", headers={"accept": accept, **headers})
    assert answer.status_code == status
    if accept.startswith("text/html"):
        assert answer.headers["content-type"].startswith("text/html")
        assert "<h1>" in answer.text
        assert "unsafe" not in answer.headers["content-security-policy"]
    else:
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["error"]


async def test_what_was_asked_for_is_text_on_the_page_of_the_error(it: Home) -> None:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        answer = await web.get(f"{it.url}/users/%3Cscript%3Ehit%3C%2Fscript%3E", headers={"accept": "text/html"})
    assert answer.status_code == 404
    assert "<script>hit" not in answer.text


async def test_the_login_of_a_browser_is_a_page_and_of_a_program_json(tmp_path: Path) -> None:
    async with (
        home(tmp_path, token=SecretStr("canary-login-1623")) as locked,
        httpx2.AsyncClient(timeout=HANG_SECONDS) as web,
    ):
        page = await web.get(f"{locked.url}/history", headers={"accept": "text/html"})
        assert (page.status_code, "<form" in page.text) == (401, True)
        body = await web.get(f"{locked.url}/history", headers={"accept": "*/*"})
        assert (body.status_code, body.json()["error"]) == (401, "This server needs a bearer token.")
