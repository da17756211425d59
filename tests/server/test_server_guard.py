"""Who is let in, on every route."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from support.deadlines import HANG_SECONDS
from support.mcp_server import served

from plex_companion.server.auth.config import AuthConfig
from plex_companion.server.auth.login_throttle import LoginThrottle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from starlette.requests import Request
    from support.mcp_server import Served

TOKEN = "canary-token"
PATHS = ("/mcp", "/sse", "/messages/?session_id=0", "/healthz", "/", "/nowhere")


async def _page(_: Request) -> PlainTextResponse:
    return PlainTextResponse("a page")


async def _echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


ROUTES = [Route("/", _page), Route("/echo", _echo, methods=["POST"])]


@pytest.fixture
async def running() -> AsyncIterator[Served]:
    entry = AuthConfig(hosts=("plex.lan", "tv.lan:8080"), origins=("https://app.example",))
    async with served(extra_routes=ROUTES, entry=entry) as one:
        yield one


@pytest.fixture
async def locked() -> AsyncIterator[Served]:
    async with served(
        extra_routes=ROUTES, entry=AuthConfig(token=TOKEN, throttle=LoginThrottle(first_seconds=0.0))
    ) as one:
        yield one


async def _everywhere(running: Served, **headers: str) -> set[int]:
    """The statuses of all routes."""
    return {await _status(running.url + path, **headers) for path in PATHS}


async def _status(url: str, method: str = "GET", **headers: str) -> int:
    return (await _ask(url, method, **headers)).status_code


async def _ask(url: str, method: str = "GET", **headers: str) -> httpx2.Response:
    """The head of the answer; streams are not read."""
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web, web.stream(method, url, headers=headers) as answer:
        return answer


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "tv.lan:9", "", "localhost@evil"])
async def test_a_foreign_host_is_misdirected_on_every_route(running: Served, host: str) -> None:
    assert await _everywhere(running, host=host) == {421}


async def test_a_known_host_is_answered(running: Served) -> None:
    loopback = ("localhost", "LOCALHOST:1", "127.0.0.1:99", "[::1]:5")
    for host in (*loopback, "plex.lan", "plex.lan:3001", "Plex.LAN.", "tv.lan:8080"):
        assert await _status(f"{running.url}/healthz", host=host) == 200, host


async def test_a_known_origin_is_answered(running: Served) -> None:
    for origin in ("http://localhost:6274", "https://127.0.0.1", "http://[::1]:8", "https://app.example"):
        assert await _status(f"{running.url}/healthz", origin=origin) == 200, origin


async def test_an_allowed_origin_is_bound_to_its_scheme(running: Served) -> None:
    assert await _status(f"{running.url}/healthz", origin="http://app.example") == 403


async def test_a_page_may_ask_the_server_it_came_from(running: Served) -> None:
    assert await _status(f"{running.url}/healthz", host="plex.lan:80", origin="http://plex.lan:80") == 200


@pytest.mark.parametrize("given", [None, "Bearer", "Bearer wrong", f"Bearer {TOKEN}x", "Basic %%%", TOKEN])
async def test_without_the_token_no_route_answers(locked: Served, given: str | None) -> None:
    headers = {"authorization": given} if given else {}
    assert await _everywhere(locked, **headers) == {401}
    answer = await _ask(f"{locked.url}/mcp", **headers)
    assert answer.headers["www-authenticate"] == 'Bearer realm="plex-companion"'


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("PUT", "/healthz", 405), ("GET", "/echo", 405)]
)
async def test_what_is_not_there_is_told_as_json(running: Served, method: str, path: str, status: int) -> None:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        answer = await web.request(method, running.url + path)
    assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert ("allow" in answer.headers) == (status == 405)


@pytest.mark.parametrize("path", ["/mcp", "/healthz"])
async def test_a_slash_too_many_leads_to_a_path_and_never_from_a_tls_proxy_to_plain_http(
    running: Served, path: str
) -> None:
    answer = await _ask(f"{running.url}{path}/?a=1", host="plex.lan", **{"x-forwarded-proto": "https"})
    assert (answer.status_code, answer.headers["location"]) == (307, f"{path}?a=1")


async def test_with_the_token_it_is(locked: Served) -> None:
    assert await _status(f"{locked.url}/healthz", authorization=f"Bearer {TOKEN}") == 200


async def test_programs_that_know_only_names_and_passwords_may_give_the_token_as_a_password(locked: Served) -> None:
    credentials = base64.b64encode(f"anyone:{TOKEN}".encode()).decode()
    assert await _status(f"{locked.url}/", authorization=f"Basic {credentials}") == 200


@pytest.mark.parametrize("path", ["/mcp", "/messages/?session_id=0", "/healthz", "/echo"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_large_body_is_refused(running: Served, path: str, chunked: bool) -> None:
    content: Any = _chunks() if chunked else b"x" * (5 * 1024 * 1024)
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        answer = await web.post(running.url + path, content=content)
    assert answer.status_code == 413


async def test_a_body_within_the_limit_arrives_whole(running: Served) -> None:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        answer = await web.post(f"{running.url}/echo", content=b"x" * (4 * 1024 * 1024))
    assert answer.text == str(4 * 1024 * 1024)


async def test_health_is_told(running: Served) -> None:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        answer = await web.get(f"{running.url}/healthz")
    assert answer.json() == {"ok": True}


async def test_an_unknown_path_is_not_found(running: Served) -> None:
    assert await _status(f"{running.url}/nowhere") == 404


async def _chunks() -> AsyncIterator[bytes]:
    for block in _blocks():
        await anyio.lowlevel.checkpoint()
        yield block


def _blocks() -> Iterator[bytes]:
    return (b"x" * 65536 for _ in range(80))
