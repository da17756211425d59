"""The gateway against a server that answers oddly, slowly or not at all."""

from __future__ import annotations

import sys
import traceback
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from support.deadlines import HANG_SECONDS
from support.scripted_plex import (
    EMPTY,
    ROOT,
    STARTING,
    TOKEN,
    Answer,
    Pretend,
    everything_logged,
    pretend_plex,
    raw_server,
    settings_for,
    until,
)

from plex_companion.errors import (
    NotFound,
    PlexError,
    PlexForbidden,
    PlexStarting,
    PlexTvUnreachable,
    PlexUnauthorized,
    PlexUnreachable,
    RateLimited,
    SettingsError,
    TimedOut,
    ToolError,
)
from plex_companion.plex.gateway import TOOLS, Gateway, open_gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from anyio.abc import SocketStream

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n"


def _ask(path: str) -> Callable[[Any], Any]:
    return lambda plex: plex.query(path)


def _read_first_summary(plex: Any) -> object:
    return plex.fetchItems("/rows")[0].summary


def _fetch_account(plex: Any) -> object:
    return plex.myPlexAccount()


@pytest.fixture
async def pretend() -> AsyncIterator[Pretend]:
    async with pretend_plex() as plex:
        yield plex
        plex.close()


async def _catch_failure(gateway: Gateway, path: str = "/thing?X-Plex-Token=x", **more: Any) -> ToolError:
    with anyio.fail_after(HANG_SECONDS), pytest.raises(ToolError) as caught:
        await gateway.call(_ask(path), **more)
    return caught.value


async def test_the_server_is_made_once_and_every_request_is_counted(pretend: Pretend) -> None:
    async with open_gateway(settings_for(pretend.url)) as gateway:
        assert pretend.asked == []
        names = [await gateway.call(lambda plex: str(plex.friendlyName)) for _ in range(3)]
        await gateway.call(_ask("/library/sections/1/all"))
    assert names == ["Attic"] * 3
    assert pretend.asked == ["/", "/library/sections/1/all"]
    assert gateway.requests == {("GET", "/"): 1, ("GET", "/library/sections/{id}/all"): 1}


async def test_the_token_travels_as_a_header(pretend: Pretend) -> None:
    async with open_gateway(settings_for(pretend.url)) as gateway:
        await gateway.call(_ask("/accounts"))
    assert {headers["X-Plex-Token"] for headers in pretend.headers} == {TOKEN}
    assert not any(TOKEN in path for path in pretend.asked)


async def test_nothing_of_the_environment_and_no_cookie_is_sent_to_the_server(
    pretend: Pretend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password s3cret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    pretend.answers["/accounts"] = Answer(headers={"Set-Cookie": "tracked=1"})
    async with open_gateway(settings_for(pretend.url)) as gateway:
        await gateway.call(_ask("/accounts"))
        await gateway.call(_ask("/accounts"))
    assert pretend.asked.count("/accounts") == 2
    assert not any("Authorization" in headers or "Cookie" in headers for headers in pretend.headers)


async def test_plex_tv_is_reached_through_the_proxy_that_the_environment_names(
    pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    async def proxy(stream: SocketStream) -> None:
        seen.append(await stream.receive())

    async with raw_server(proxy) as address, open_gateway(settings_for(pretend.url)) as gateway:
        await gateway.call(lambda plex: plex)
        monkeypatch.setenv("HTTPS_PROXY", address)
        with pytest.raises(PlexTvUnreachable):
            await gateway.call(_fetch_account)
    assert seen[0].startswith(b"CONNECT plex.tv:443 ")
    assert all(TOKEN.encode() not in sent for sent in seen)


ASKS_ONCE = """
import gc, sys, anyio
from plex_companion.plex.gateway import open_gateway
from plex_companion.settings import Settings

async def main():
    async with open_gateway(Settings.load({"plex_url": sys.argv[1], "plex_token": "a-token-of-the-owner"})) as gateway:
        before = gc.get_freeze_count()
        await gateway.call(lambda plex: plex)
        print(before, gc.get_freeze_count())

anyio.run(main)
"""


async def test_what_is_loaded_once_plex_was_asked_is_not_looked_through_for_garbage(pretend: Pretend) -> None:
    with anyio.fail_after(HANG_SECONDS):
        done = await anyio.run_process([sys.executable, "-c", ASKS_ONCE, pretend.url])
    before, after = map(int, done.stdout.split())
    assert after > before


async def test_objects_do_not_reload_themselves(pretend: Pretend) -> None:
    rows = b'<MediaContainer size="1"><Video type="movie" ratingKey="5" key="/library/metadata/5" title="A"/></MediaContainer>'
    pretend.answers["/rows"] = Answer(body=rows)
    async with open_gateway(settings_for(pretend.url)) as gateway:
        summary = await gateway.call(_read_first_summary)
    assert summary is None
    assert pretend.asked == ["/", "/rows"]


async def test_who_is_there_can_be_asked_without_a_token(pretend: Pretend) -> None:
    async with open_gateway(settings_for(pretend.url)) as gateway:
        identity = await gateway.fetch_identity()
    assert identity is not None
    assert identity.machine_identifier == "attic-1"
    assert "X-Plex-Token" not in pretend.headers[0]


@pytest.mark.parametrize(
    ("answer", "kind", "facts"),
    [
        (Answer(401), PlexUnauthorized, {}),
        (Answer(498), PlexUnauthorized, {}),
        (Answer(403), PlexForbidden, {}),
        (Answer(404), NotFound, {"what": "GET /thing"}),
        (Answer(429, headers={"Retry-After": "7"}), RateLimited, {"retry_after_s": 7}),
        (Answer(429, headers={"Retry-After": "soon"}), RateLimited, {}),
        (Answer(503, STARTING), PlexStarting, {}),
        (Answer(502, b"<html>Bad Gateway</html>"), PlexError, {"http_status": 502}),
        (Answer(520), PlexError, {"http_status": 520}),
        (Answer(302, headers={"Location": "http://127.0.0.1:9/"}), PlexError, {"http_status": 302}),
        (Answer(body=b"<html><p>Welcome</html>"), PlexError, {"http_status": 200}),
        (Answer(body=b'{"MediaContainer":{}}'), PlexError, {"http_status": 200}),
        (Answer(body=b'<Response code="400" status="Bad Request"/>'), PlexError, {"http_status": 400}),
    ],
)
async def test_an_answer_becomes_our_error(
    pretend: Pretend, answer: Answer, kind: type[ToolError], facts: dict[str, object]
) -> None:
    pretend.answers["/thing"] = answer
    async with open_gateway(settings_for(pretend.url)) as gateway:
        error = await _catch_failure(gateway)
    assert (type(error), error.facts) == (kind, facts)
    assert error.message.startswith("GET /thing: ")
    assert len(pretend.asked) == 2  # no retry storm


async def test_a_player_that_says_ok_is_not_an_error(pretend: Pretend) -> None:
    pretend.answers["/thing"] = Answer(body=b'<Response code="200" status="OK"/>')
    async with open_gateway(settings_for(pretend.url)) as gateway:
        assert (await gateway.call(_ask("/thing"))).get("code") == "200"


async def test_an_empty_answer_that_plexapi_trips_over_is_plexs_fault(pretend: Pretend) -> None:
    pretend.answers["/library/sections"] = Answer(body=b"")
    async with open_gateway(settings_for(pretend.url)) as gateway:
        with pytest.raises(PlexError):
            await gateway.call(lambda plex: plex.library.sections())


async def test_our_own_bugs_and_errors_pass_unchanged(pretend: Pretend) -> None:
    async with open_gateway(settings_for(pretend.url)) as gateway:
        with pytest.raises(AttributeError, match="'NoneType'"):
            await gateway.call(lambda _: None.nothing)  # type: ignore[attr-defined]
        with pytest.raises(NotFound, match="no such film"):
            await gateway.call(_not_found)


def _not_found(_: object) -> None:
    raise NotFound("no such film")


async def test_what_plexapi_itself_objects_to_keeps_its_words(pretend: Pretend) -> None:
    async with open_gateway(settings_for(pretend.url)) as gateway:
        with pytest.raises(NotFound, match="Cellar"):
            await gateway.call(lambda plex: plex.library.section("Cellar"))


async def test_a_refused_token_makes_the_server_anew(pretend: Pretend) -> None:
    pretend.answers["/thing"] = Answer(401)
    async with open_gateway(settings_for(pretend.url)) as gateway:
        await _catch_failure(gateway)
        await gateway.call(_ask("/accounts"))
    assert gateway.requests[("GET", "/")] == 2


async def test_a_closed_port_is_unreachable_in_plain_words() -> None:
    async with raw_server(_hang_up) as url:
        pass
    async with open_gateway(settings_for(url)) as gateway:
        error = await _catch_failure(gateway)
    assert (type(error), error.facts) == (PlexUnreachable, {"connection": "connection refused"})


async def _hang_up(stream: SocketStream) -> None:
    await stream.receive()


async def _reset(stream: SocketStream) -> None:
    await stream.receive()
    await stream.send(HEAD + b"Content-Length: 1000\r\n\r\n<MediaContainer>")


async def _mute(_: SocketStream) -> None:
    await anyio.sleep_forever()


async def _drip(stream: SocketStream) -> None:
    await stream.receive()
    await stream.send(HEAD + b"\r\n<MediaContainer>")
    while True:
        await stream.send(b" ")
        await anyio.sleep(0.02)


async def _flood(stream: SocketStream) -> None:
    await stream.receive()
    await stream.send(HEAD + b"\r\n<MediaContainer>")
    for _ in range(200):
        await stream.send(b" " * 1024 * 1024)


async def _announce(stream: SocketStream) -> None:
    await stream.receive()
    await stream.send(HEAD + b"Content-Length: 200000000\r\n\r\n<MediaContainer>")
    await anyio.sleep_forever()


BOMB = b'<?xml version="1.0"?><!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><MediaContainer title="&b;"/>'


async def _bomb(stream: SocketStream) -> None:
    await stream.receive()
    await stream.send(HEAD + b"\r\n" + BOMB)


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b"])
async def test_an_address_that_cannot_be_is_unreachable(host: str) -> None:
    async with open_gateway(settings_for(f"http://{host}:32400")) as gateway:
        assert type(await _catch_failure(gateway)) is PlexUnreachable


@pytest.mark.parametrize("url", ["http://[::", "http://a:99999", "http://:1"])
async def test_what_is_no_address_is_a_matter_of_settings(url: str) -> None:
    with pytest.raises(SettingsError):
        async with open_gateway(settings_for(url)):
            pass


@pytest.mark.parametrize("serve_one", [_hang_up, _reset])
async def test_a_connection_that_breaks_off_is_unreachable(serve_one: Callable[[SocketStream], Any]) -> None:
    async with raw_server(serve_one) as url, open_gateway(settings_for(url)) as gateway:
        assert type(await _catch_failure(gateway)) is PlexUnreachable


@pytest.mark.parametrize("serve_one", [_flood, _announce, _bomb])
async def test_what_is_too_large_or_declares_entities_is_refused(
    serve_one: Callable[[SocketStream], Any],
) -> None:
    async with raw_server(serve_one) as url, open_gateway(settings_for(url)) as gateway:
        assert type(await _catch_failure(gateway)) is PlexError


@pytest.mark.parametrize("serve_one", [_mute, _drip])
async def test_silence_and_dripping_end_at_the_deadline_and_leave_no_thread(
    serve_one: Callable[[SocketStream], Any],
) -> None:
    async with raw_server(serve_one) as url, open_gateway(settings_for(url)) as gateway:
        assert type(await _catch_failure(gateway, timeout=0.3)) is TimedOut
        await _wait_for_threads(gateway)


async def _wait_for_threads(gateway: Gateway) -> None:
    await until(lambda: not gateway._under_way)


async def test_cancelling_frees_the_slot_and_ends_the_thread(pretend: Pretend) -> None:
    asked = anyio.Event()

    async def never() -> Answer:
        asked.set()
        return await pretend.never()

    pretend.answers["/thing"] = never
    async with open_gateway(settings_for(pretend.url)) as gateway:
        async with anyio.create_task_group() as tasks:
            for _ in range(TOOLS):
                tasks.start_soon(gateway.call, _ask("/thing"))
            with anyio.fail_after(HANG_SECONDS):
                await asked.wait()
            tasks.cancel_scope.cancel()
        await _wait_for_threads(gateway)
        with anyio.fail_after(HANG_SECONDS):
            await gateway.call(_ask("/accounts"))


async def test_the_listener_does_not_wait_behind_slow_tools(pretend: Pretend) -> None:
    release, waiting = anyio.Event(), []

    async def slow() -> Answer:
        waiting.append(1)
        await release.wait()
        return Answer()

    pretend.answers["/thing"] = slow
    async with open_gateway(settings_for(pretend.url)) as gateway, anyio.create_task_group() as tasks:
        for _ in range(TOOLS + 4):
            tasks.start_soon(gateway.call, _ask("/thing"))
        await until(lambda: len(waiting) == TOOLS)
        with anyio.fail_after(HANG_SECONDS):
            await gateway.call(_ask("/accounts"), ahead=True)
        late = await _catch_failure(gateway, "/accounts", timeout=0.2)
        assert type(late) is TimedOut
        assert "was not asked" in late.message
        release.set()


async def test_a_second_step_is_not_taken_once_nobody_waits(pretend: Pretend) -> None:
    first = anyio.Event()

    async def slow() -> Answer:
        first.set()
        return await pretend.never()

    def two_steps(plex: Any) -> None:
        try:
            plex.query("/thing")
        finally:
            plex.query("/second")

    pretend.answers["/thing"] = slow
    async with open_gateway(settings_for(pretend.url)) as gateway:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(gateway.call, two_steps)
            await first.wait()
            tasks.cancel_scope.cancel()
        await _wait_for_threads(gateway)
    assert "/second" not in pretend.asked


async def test_a_redirect_does_not_take_the_token_to_another_host(pretend: Pretend) -> None:
    seen = []

    async def elsewhere(stream: SocketStream) -> None:
        seen.append(await stream.receive())

    async with raw_server(elsewhere) as other, open_gateway(settings_for(pretend.url)) as gateway:
        pretend.answers["/thing"] = Answer(307, EMPTY, {"Location": f"{other}/thing"})
        await _catch_failure(gateway)
        with pytest.raises(PlexError, match="neither the Plex server nor"):
            await gateway.call(lambda plex: plex._session.get(f"{other}/thing"))
    assert seen == []


async def test_account_calls_go_to_the_stand_in_for_plex_tv(pretend: Pretend) -> None:
    async with (
        pretend_plex() as plex_tv,
        open_gateway(settings_for(pretend.url, plex_tv_url=plex_tv.url)) as gateway,
    ):
        plex_tv.answers["/api/v2/thing"] = Answer(body=ROOT)
        text = await gateway.call(
            lambda plex: plex._session.get("https://discover.provider.plex.tv/api/v2/thing?a=1").text
        )
        plex_tv.close()
    assert text == ROOT.decode()
    assert plex_tv.asked == ["/api/v2/thing?a=1"]
    assert plex_tv.headers[0]["X-Forwarded-Host"] == "discover.provider.plex.tv"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(422, PlexUnauthorized), (502, PlexTvUnreachable), (503, PlexTvUnreachable), (429, RateLimited)],
)
async def test_plex_tv_fails_under_its_own_name(pretend: Pretend, status: int, kind: type[ToolError]) -> None:
    async with (
        pretend_plex() as plex_tv,
        open_gateway(settings_for(pretend.url, plex_tv_url=plex_tv.url)) as gateway,
    ):
        plex_tv.answers["/api/v2/user"] = Answer(status)
        with pytest.raises(ToolError) as caught:
            await gateway.call(_fetch_account)
        plex_tv.close()
    assert type(caught.value) is kind
    assert "of plex.tv" in caught.value.message


async def test_a_stand_in_for_plex_tv_beyond_this_machine_is_refused() -> None:
    async with open_gateway(settings_for("http://127.0.0.1:9", plex_tv_url="http://203.0.113.5")) as gateway:
        with pytest.raises(SettingsError):
            await gateway.call(_ask("/"))


async def test_bytes_that_are_not_utf_8_do_no_harm(pretend: Pretend) -> None:
    pretend.answers["/thing"] = Answer(
        body=b'<MediaContainer title="K\xfcche \x04"/>', headers={"Content-Type": "text/xml"}
    )
    async with open_gateway(settings_for(pretend.url)) as gateway:
        assert (await gateway.call(_ask("/thing"))).get("title") == "K\ufffdche "


@pytest.mark.parametrize("path", ["/", "/thing"])
@pytest.mark.parametrize("status", [200, 302, 401, 403, 404, 429, 498, 500, 503])
async def test_neither_token_nor_address_is_in_an_error_or_a_log(pretend: Pretend, path: str, status: int) -> None:
    pretend.answers[path] = Answer(status, f"<html>{TOKEN} {pretend.url}".encode(), {"Location": pretend.url})
    with everything_logged() as lines:
        async with open_gateway(settings_for(pretend.url)) as gateway:
            error = await _catch_failure(gateway)
            shown = repr(gateway)
    output = "".join(traceback.format_exception(error)) + repr(error.body()) + shown + "".join(lines)
    assert TOKEN not in output
    assert "127.0.0.1" not in error.message + repr(error.facts)
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize("serve_one", [_hang_up, _reset, _mute, _flood, _bomb])
async def test_nor_when_the_connection_fails(serve_one: Callable[[SocketStream], Any]) -> None:
    with everything_logged() as lines:
        async with raw_server(serve_one) as url, open_gateway(settings_for(url)) as gateway:
            error = await _catch_failure(gateway, timeout=0.5)
    shown = "".join(traceback.format_exception(error)) + repr(error.body()) + "".join(lines)
    assert TOKEN not in shown
    assert "127.0.0.1" not in error.message + repr(error.facts)
