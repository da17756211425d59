"""The whole application behind its one door: every route, with foreign names, without the token, under load."""

from __future__ import annotations

import json
import logging
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from mcp import Client
from starlette.routing import Mount, Route
from support.application import LEGACY, Home, home, program, settings_for
from support.deadlines import HANG_SECONDS
from support.sse import open_sse

from plex_companion.app import open_application
from plex_companion.demo import open_demo
from plex_companion.events import ReceivedEvent
from plex_companion.parsing.websocket_frames import parse_frame
from plex_companion.server.auth.authenticate import OPEN

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from starlette.routing import BaseRoute

pytestmark = pytest.mark.slow


TOKEN = "canary-http-t0ken"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
async def it(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Home]:
    async with home(tmp_path_factory.mktemp("doors"), token=TOKEN) as running:
        yield running


def _paths(it: Home) -> list[tuple[str, str]]:
    """Every method and path the application has a route for, with something in each parameter."""
    return sorted({pair for route in it.web.routes for pair in _methods(route)})


def _methods(route: BaseRoute) -> Iterator[tuple[str, str]]:
    match route:
        case Mount(path=path):
            yield "POST", f"{path}/?session_id=0"
        case Route(path=path, methods=methods):
            for method in methods or {"GET", "POST", "DELETE"}:
                yield method, path.replace("{", "").replace("}", "")
        case _:
            raise AssertionError(route)


@pytest.fixture(scope="module")
async def web() -> AsyncIterator[httpx2.AsyncClient]:
    """One client for all: making one takes longer than asking."""
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as client:
        yield client


async def _head(web: httpx2.AsyncClient, method: str, url: str, **headers: str) -> httpx2.Response:
    async with web.stream(method, url, headers=headers) as answer:
        return answer


async def test_a_foreign_host_is_misdirected_and_a_foreign_origin_forbidden_on_every_route(
    it: Home, web: httpx2.AsyncClient
) -> None:
    found = _paths(it)
    assert len(found) > 12
    for method, path in [*found, ("GET", "/nowhere"), ("OPTIONS", "/")]:
        assert (await _head(web, method, it.url + path, host="evil.example", **BEARER)).status_code == 421, path
        for origin in ("https://evil.example", "null", "http://127.0.0.1.evil.example"):
            assert (await _head(web, method, it.url + path, origin=origin, **BEARER)).status_code == 403, path


async def test_without_the_token_every_route_but_the_open_ones_answers_401(it: Home, web: httpx2.AsyncClient) -> None:
    for method, path in [*_paths(it), ("GET", "/nowhere"), ("POST", "/"), ("OPTIONS", "/mcp")]:
        answer = await _head(web, method, it.url + path)
        if path not in OPEN:
            assert answer.status_code == 401, (method, path)
            assert answer.headers["www-authenticate"].startswith("Bearer ")
        elif method == "GET":
            assert answer.status_code == 200, path


async def test_an_oversized_body_is_refused_on_every_route_that_takes_one(it: Home, web: httpx2.AsyncClient) -> None:
    for method, path in _paths(it):
        if method != "HEAD":
            answer = await web.request(method, it.url + path, content=b"x" * (4 * 1024 * 1024 + 1), headers=BEARER)
            assert answer.status_code == 413, (method, path)


async def test_the_token_of_the_door_is_told_by_nothing_that_stands_behind_it(
    it: Home, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []
    async with httpx2.AsyncClient(headers=BEARER, timeout=HANG_SECONDS) as web:
        for method, path in _paths(it):
            if path not in {"/events", "/sse", "/mcp"}:
                answer = await web.request(method, it.url + path)
                said += [answer.text, str(answer.headers)]
    async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
        wrong = f"{TOKEN}x"
        for headers in ({"authorization": f"Bearer {wrong}"}, {"cookie": f"plex-companion-000000={TOKEN}"}):
            answer = await web.get(it.url, headers=headers)
            said += [answer.text, str(answer.headers)]
        for token in (TOKEN, wrong):
            answer = await web.post(f"{it.url}/login", data={"token": token})
            said += [answer.text, str(answer.headers)]
    async with Client(open_sse(f"{it.url}/sse", headers=BEARER), mode=LEGACY) as client:
        for uri in (await client.list_resources()).resources:
            said.append((await client.read_resource(str(uri.uri))).model_dump_json())
    for text in (*said, "\n".join(record.getMessage() for record in caplog.records)):
        assert TOKEN not in text
    folder = it.application.companion.cache.path.parent
    files = [file for file in folder.rglob("*") if file.is_file()]  # after a minute there is a folder of backups
    assert [file.name for file in files if TOKEN.encode() in file.read_bytes()] == []


@pytest.mark.slow
async def test_streams_that_nobody_reads_cost_only_themselves(tmp_path: Path, web: httpx2.AsyncClient) -> None:
    async with home(tmp_path) as it:
        with ExitStack() as deaf:
            for _ in range(2):
                deaf.enter_context(_deaf(it))
            received = [0] * 18
            async with anyio.create_task_group() as tasks:
                for number in range(len(received)):
                    await tasks.start(_count, web, it.url, received, number)
                open_before = len(it.web.responses)
                frame = json.dumps({"NotificationContainer": {"type": "invented", "size": 1, "x": "y" * 16_000}})
                for _ in range(10):
                    for _ in range(50):
                        it.demo.send_raw(frame)
                    await anyio.sleep(0.02)
                with anyio.fail_after(HANG_SECONDS):
                    while min(received) < 500:  # noqa: ASYNC110 - readers in other tasks
                        await anyio.sleep(0.02)
                assert len(it.web.responses) == open_before, "the deaf were meant to be open still"
                tasks.cancel_scope.cancel()


def _deaf(it: Home) -> socket.socket:
    """A client of `/events` whose buffers are small, and that takes nothing out of them."""
    updates = socket.socket()
    updates.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    host, port = it.url.removeprefix("http://").split(":")
    updates.connect((host, int(port)))
    updates.sendall(f"GET /events HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return updates


async def _count(web: httpx2.AsyncClient, url: str, received: list[int], number: int, *, task_status: Any) -> None:
    async with web.stream("GET", f"{url}/events?types=invented") as stream:
        task_status.started()
        async for line in stream.aiter_lines():
            received[number] += line.startswith("data: ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=["SIGTERM", "SIGINT", "SIGHUP"])
async def test_a_signal_under_load_ends_the_program_cleanly_with_everything_written(
    number: signal.Signals, tmp_path: Path, web: httpx2.AsyncClient
) -> None:
    async with open_demo(alive=False) as demo:
        started = program(demo, tmp_path, "serve", "--transport", "http", "--port", "0", "--database", "cache.sqlite3")
        command = [sys.executable, *started.args]
        async with (
            await anyio.open_process(command, env=started.env, cwd=tmp_path, stderr=subprocess.PIPE) as process,
            anyio.create_task_group() as tasks,
        ):
            url = await _address(process)
            ends: list[str] = []
            for path in ("/events", "/events", "/sse"):
                await tasks.start(_follow, web, url + path, ends)
            for _ in range(4):
                tasks.start_soon(_ask_on_and_on, web, url)
            session = demo.start()
            for _ in range(300):
                demo.pause(session)
                demo.resume(session)
            process.send_signal(number)
            with anyio.fail_after(HANG_SECONDS):
                assert await process.wait() == 0
                while len(ends) < 3:  # noqa: ASYNC110 - what was sent last is still being read
                    await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
    assert ends == ["ended"] * 3
    with sqlite3.connect(tmp_path / "cache.sqlite3") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()


async def _address(process: Any) -> str:
    said = ""
    with anyio.fail_after(HANG_SECONDS):
        while "/sse" not in said:
            said += (await process.stderr.receive()).decode()
    return said.split("dashboard  ")[1].split("/\n")[0]


async def _follow(web: httpx2.AsyncClient, url: str, ends: list[str], *, task_status: Any) -> None:
    async with web.stream("GET", url) as stream:
        task_status.started()
        async for _ in stream.aiter_bytes():
            pass
        ends.append("ended")


async def _ask_on_and_on(web: httpx2.AsyncClient, url: str) -> None:
    with suppress(httpx2.HTTPError):
        while True:
            await web.get(f"{url}/metrics")


async def test_what_was_heard_before_the_end_is_written_by_then(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo:
        frame = json.dumps({"NotificationContainer": {"type": "invented", "size": 0}})
        async with open_application(settings_for(demo, tmp_path)) as application:
            companion = application.companion
            await companion.event_queue.put(
                [ReceivedEvent(event, companion.clock()) for _ in range(2_000) for event in parse_frame(frame)]
            )
    with sqlite3.connect(tmp_path / "cache.sqlite3") as database:
        (count,) = database.execute("SELECT count(*) FROM events WHERE type = 'invented'").fetchone()
    database.close()
    assert count == 2_000
