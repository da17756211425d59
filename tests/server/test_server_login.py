"""A browser shows the token once and is known by a cookie from then on; others' pages can do nothing with it."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from support.deadlines import HANG_SECONDS
from support.mcp_server import served

from plex_companion.server.auth.config import AuthConfig
from plex_companion.server.auth.cookie import Cookies
from plex_companion.server.auth.login import LoginCode, make_local
from plex_companion.server.auth.login_throttle import WAITING_ALL, LoginThrottle
from plex_companion.times import DAY_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from support.mcp_server import Served

TOKEN = "canary-token"
PAGE = {"accept": "text/html,*/*"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


async def _page(_: Request) -> HTMLResponse:
    return HTMLResponse("a page", headers={"content-security-policy": "default-src 'self'"})


async def _press(_: Request) -> PlainTextResponse:
    return PlainTextResponse("pressed")


ROUTES = [Route("/", _page), Route("/press", _press, methods=["POST"])]


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def running() -> AsyncIterator[Served]:
    entry = AuthConfig(token=TOKEN, throttle=LoginThrottle(first_seconds=0.0), code=LoginCode())
    async with served(extra_routes=ROUTES, entry=entry) as one:
        yield one


@pytest.fixture
async def browser(running: Served) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=running.url, headers=PAGE, timeout=HANG_SECONDS) as web:
        yield web


async def _log_in(browser: httpx2.AsyncClient, token: str = TOKEN, after: str = "/", **headers: str) -> httpx2.Response:
    own = {"origin": str(browser.base_url).rstrip("/")}
    return await browser.post("/login", data={"token": token, "next": after}, headers={**own, **headers})


async def test_a_browser_without_a_cookie_is_shown_the_login_page_that_leads_on_to_where_it_was_going(
    browser: httpx2.AsyncClient,
) -> None:
    asked = await browser.get("/history?user=7&x=<y>")
    assert asked.status_code == 401
    assert asked.headers["www-authenticate"].startswith("Bearer "), "no browser asks for name and password then"
    assert 'name="next" value="/history?user=7&amp;x=%3Cy%3E"' in asked.text
    assert "script" not in asked.text
    assert "default-src 'none'" in asked.headers["content-security-policy"]


async def test_the_style_of_the_page_is_the_one_its_policy_allows(browser: httpx2.AsyncClient) -> None:
    shown = await browser.get("/login")
    style = re.search(r"<style>(.*?)</style>", shown.text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in shown.headers["content-security-policy"]
    assert " style=" not in shown.text


async def test_a_program_is_asked_for_a_bearer_token(running: Served) -> None:
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        asked = await web.get(f"{running.url}/", headers={"accept": "application/json"})
    assert asked.json() == {"error": "This server needs a bearer token."}


async def test_the_token_opens_the_house_and_the_browser_is_sent_on(browser: httpx2.AsyncClient) -> None:
    answer = await _log_in(browser, after="/?tab=2")
    assert (answer.status_code, answer.headers["location"]) == (303, "/?tab=2")
    assert TOKEN not in answer.headers["set-cookie"]
    assert "HttpOnly; SameSite=Strict" in answer.headers["set-cookie"]
    assert "Secure" not in answer.headers["set-cookie"]
    assert (await browser.get("/")).text == "a page"
    assert (await browser.get("/healthz")).status_code == 200


@pytest.mark.parametrize("reported", [{"x-forwarded-proto": "https"}, {"origin": "https://{host}"}])
async def test_behind_tls_the_cookie_is_for_tls_alone(running: Served, reported: dict[str, str]) -> None:
    host = running.url.removeprefix("http://")
    headers = {name: value.format(host=host) for name, value in reported.items()}
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        answer = await web.post(f"{running.url}/login", data={"token": TOKEN}, headers=headers)
    assert answer.headers["set-cookie"].startswith("__Host-")
    assert answer.headers["set-cookie"].endswith("; Secure")


async def test_the_cookie_outlives_a_restart(browser: httpx2.AsyncClient) -> None:
    await _log_in(browser)
    async with served(extra_routes=ROUTES, entry=AuthConfig(token=TOKEN)) as again:
        answer = await browser.get(f"{again.url}/")
    assert answer.text == "a page"


async def test_changing_the_token_ends_every_cookie(browser: httpx2.AsyncClient) -> None:
    await _log_in(browser)
    async with served(extra_routes=ROUTES, entry=AuthConfig(token=f"{TOKEN}-2")) as changed:
        assert (await browser.get(f"{changed.url}/")).status_code == 401


async def test_a_cookie_that_is_a_day_old_is_renewed_on_the_way(running: Served) -> None:
    cookies = Cookies(TOKEN, now=lambda: time.time() - 2 * DAY_SECONDS)
    given = {"cookie": f"{cookies.name}={cookies.issue()}"}
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        answer = await web.get(f"{running.url}/", headers=given)
        assert answer.headers["set-cookie"].startswith(f"{cookies.name}=")
        fresh = {"cookie": answer.headers["set-cookie"].partition(";")[0]}
        assert "set-cookie" not in (await web.get(f"{running.url}/", headers=fresh)).headers


@pytest.mark.parametrize("token", ["", "wrong", f"{TOKEN}x", "ü"])
async def test_a_wrong_token_is_told_and_opens_nothing(browser: httpx2.AsyncClient, token: str) -> None:
    answer = await _log_in(browser, token)
    assert answer.status_code == 401
    assert "This token is wrong." in answer.text
    assert "set-cookie" not in answer.headers
    assert (await browser.get("/")).status_code == 401


@pytest.mark.parametrize("body", [b"\xff\xfe=1", b"a=1&" * 100, b"", b"token=%ff"])
async def test_a_form_that_is_none_is_a_wrong_token(browser: httpx2.AsyncClient, body: bytes) -> None:
    assert (await browser.post("/login", content=body, headers=FORM)).status_code == 401


async def test_every_wrong_token_waits_longer_whichever_way_it_comes() -> None:
    async with (
        served(
            extra_routes=ROUTES, entry=AuthConfig(token=TOKEN, throttle=LoginThrottle(first_seconds=0.1))
        ) as running,
        httpx2.AsyncClient(base_url=running.url, timeout=HANG_SECONDS) as web,
    ):
        began = anyio.current_time()
        for wait in (0.0, 0.0, 0.1, 0.2):
            await _log_in(web, "wrong")
            assert anyio.current_time() - began >= wait
            began = anyio.current_time()
        asked = await web.get("/mcp", headers={"authorization": "Bearer wrong"})
        assert asked.status_code == 401
        assert anyio.current_time() - began >= 0.4


async def test_while_one_address_is_kept_waiting_whoever_is_known_is_served() -> None:
    failures = LoginThrottle(first_seconds=8.0)
    async with (
        served(extra_routes=ROUTES, entry=AuthConfig(token=TOKEN, throttle=failures)) as running,
        httpx2.AsyncClient(base_url=running.url, timeout=HANG_SECONDS) as web,
        anyio.create_task_group() as tasks,
    ):
        await _log_in(web)
        for _ in range(2):
            await _log_in(web, "wrong")
        for _ in range(4):
            tasks.start_soon(_log_in, web, "wrong")
        with anyio.fail_after(HANG_SECONDS):
            while not failures.is_throttled("127.0.0.1"):  # noqa: ASYNC110 - nobody announces it
                await anyio.sleep(0.01)
        refused = await httpx2.AsyncClient(timeout=HANG_SECONDS).get(
            f"{running.url}/", headers={"authorization": "Bearer wrong"}
        )
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "10")
        assert (await _log_in(web, "wrong")).status_code == 429
        assert (await web.get("/")).text == "a page"
        tasks.cancel_scope.cancel()


async def test_while_many_guess_only_who_has_shown_the_token_lately_is_looked_at() -> None:
    failures = LoginThrottle()
    async with (
        served(extra_routes=ROUTES, entry=AuthConfig(token=TOKEN, throttle=failures)) as running,
        httpx2.AsyncClient(base_url=running.url, timeout=HANG_SECONDS) as web,
        httpx2.AsyncClient(
            base_url=running.url, transport=httpx2.AsyncHTTPTransport(local_address="127.0.0.2")
        ) as other,
    ):
        assert (await other.get("/", headers={"authorization": f"Bearer {TOKEN}"})).status_code == 200
        with ExitStack() as held:
            for number in range(WAITING_ALL):
                held.enter_context(failures.count_failure(f"10.0.0.{number}"))
            for token in (TOKEN, "wrong"):
                assert (await _log_in(web, token)).status_code == 429
                asked = await web.get("/", headers={"authorization": f"Bearer {token}"})
                assert (asked.status_code, asked.headers["retry-after"]) == (429, "10")
            assert (await other.get("/", headers={"authorization": f"Bearer {TOKEN}"})).status_code == 200
            assert (await _log_in(other)).status_code == 303
        assert (await _log_in(web)).status_code == 303


async def test_no_credentials_at_all_are_no_wrong_token() -> None:
    failures = LoginThrottle()
    async with served(extra_routes=ROUTES, entry=AuthConfig(token=TOKEN, throttle=failures)) as running:
        for _ in range(5):
            async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
                await web.get(f"{running.url}/")
    assert len(failures) == 0


async def test_logging_out_ends_the_visit_here_and_for_whoever_has_copied_the_cookie(
    browser: httpx2.AsyncClient, running: Served
) -> None:
    await _log_in(browser)
    copied = dict(browser.cookies)
    answer = await browser.post("/logout", headers={"sec-fetch-site": "same-origin"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert (await browser.get("/")).status_code == 401
    async with httpx2.AsyncClient(cookies=copied, timeout=HANG_SECONDS) as thief:
        assert (await thief.get(f"{running.url}/")).status_code == 401


FOREIGN: list[dict[str, str]] = [
    {},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "none"},
    {"origin": "http://localhost:9"},
    {"origin": "http://127.0.0.1:9"},
    {"origin": "http://127.0.0.1:9", "x-plex-companion": "1"},
]


@pytest.mark.parametrize("headers", FOREIGN)
@pytest.mark.parametrize("path", ["/press", "/logout", "/mcp", "/messages/?session_id=0"])
async def test_a_cookie_alone_writes_nothing(browser: httpx2.AsyncClient, headers: dict[str, str], path: str) -> None:
    await _log_in(browser)
    assert (await browser.post(path, headers=headers)).status_code == 403
    assert (await browser.get("/")).status_code == 200, "and is still logged in"


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "same-origin"}, {"origin": "own"}, {"x-plex-companion": "1"}])
async def test_our_own_pages_may_write(browser: httpx2.AsyncClient, running: Served, headers: dict[str, str]) -> None:
    await _log_in(browser)
    own = {name: value.replace("own", running.url) for name, value in headers.items()}
    assert (await browser.post("/press", headers=own)).text == "pressed"


@pytest.mark.parametrize("headers", FOREIGN[1:])
async def test_a_password_that_a_browser_repeats_by_itself_writes_nothing_for_other_pages(
    running: Served, headers: dict[str, str]
) -> None:
    async with httpx2.AsyncClient(auth=("anyone", TOKEN), timeout=HANG_SECONDS) as web:
        assert (await web.post(f"{running.url}/press", headers=headers)).status_code == 403
        assert (await web.post(f"{running.url}/press")).text == "pressed", "a program says nothing of pages"


async def test_a_bearer_token_writes_from_anywhere(running: Served) -> None:
    headers = {"authorization": f"Bearer {TOKEN}", "origin": "http://localhost:9"}
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        assert (await web.post(f"{running.url}/press", headers=headers)).text == "pressed"


@pytest.mark.parametrize(
    "path",
    [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "evil",
        "",
        "/login?next=/",
        "/logout",
        "/a\nb",
        "/\t/e",
    ],
)
def test_nobody_is_led_elsewhere_after_logging_in(path: str) -> None:
    assert make_local(path) == "/"


def test_a_path_of_ours_is_kept() -> None:
    assert make_local("/history?a=1#b") == "/history?a=1#b"


async def test_without_a_token_there_is_nothing_to_log_in_to() -> None:
    async with (
        served(extra_routes=ROUTES) as running,
        httpx2.AsyncClient(base_url=running.url, timeout=HANG_SECONDS) as web,
    ):
        for method in ("GET", "POST"):
            answer = await web.request(method, "/login")
            assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_code_works_once_and_for_an_hour() -> None:
    now = [0.0]
    code = LoginCode(lambda: now[0])
    assert not code.redeem("wrong")
    assert code.redeem(code.text)
    assert not code.redeem(code.text)
    late = LoginCode(lambda: now[0])
    now[0] = 3_601.0
    assert not late.redeem(late.text)


EVERYWHERE = ("/", "/login", "/healthz", "/healthz/live", "/nowhere", "/press", "/mcp", "/sse")


@pytest.mark.parametrize("path", EVERYWHERE)
@pytest.mark.parametrize("headers", [{}, {"host": "evil.example"}, {"authorization": f"Bearer {TOKEN}"}])
async def test_every_answer_tells_browsers_to_be_careful(running: Served, path: str, headers: dict[str, str]) -> None:
    async with (
        httpx2.AsyncClient(timeout=HANG_SECONDS) as web,
        web.stream("GET", running.url + path, headers=headers) as answer,
    ):
        said: Any = answer.headers
    assert said["x-content-type-options"] == "nosniff"
    assert said["x-frame-options"] == "DENY"
    assert said["referrer-policy"] == "same-origin"
    assert said["cross-origin-resource-policy"] == "same-origin"
    assert "no-store" in said["cache-control"] or "no-cache" in said["cache-control"]
    assert "default-src" in said["content-security-policy"]
    assert "frame-ancestors 'none'" in said["content-security-policy"]


async def test_a_page_keeps_its_own_policy_and_is_framed_by_nobody(browser: httpx2.AsyncClient) -> None:
    await _log_in(browser)
    policy = (await browser.get("/")).headers["content-security-policy"]
    assert policy == "default-src 'self'; frame-ancestors 'none'"


async def test_those_who_restart_what_hangs_need_no_token(running: Served) -> None:
    async with httpx2.AsyncClient(base_url=running.url, timeout=HANG_SECONDS) as web:
        assert (await web.get("/healthz/live")).json() == {"status": "ok"}
        assert (await web.get("/healthz/ready")).status_code == 200
        assert (await web.get("/healthz")).status_code == 401


async def test_what_is_missing_is_told_with_503() -> None:
    async with (
        served(missing=lambda: {"storage": "degraded"}) as running,
        httpx2.AsyncClient(timeout=HANG_SECONDS) as web,
    ):
        answer = await web.get(f"{running.url}/healthz/ready")
        assert answer.status_code == 503
        assert answer.json() == {"status": "not ready", "storage": "degraded"}
        assert (await web.get(f"{running.url}/healthz/live")).status_code == 200


async def test_beyond_loopback_bare_addresses_are_our_names_and_foreign_names_are_not() -> None:
    entry = AuthConfig(token=TOKEN, any_address=True)
    async with served(entry=entry) as running, httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        for host, status in (
            ("192.168.1.5:3001", 200),
            ("[fd00::1]:3001", 200),
            ("10.0.0.1.evil.example", 421),
            ("1", 421),
        ):
            answer = await web.get(f"{running.url}/healthz/live", headers={"host": host})
            assert answer.status_code == status, host
