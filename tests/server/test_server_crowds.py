"""Clients that connect and say nothing, or hardly anything: they are put out, and those who ask are answered."""

from __future__ import annotations

import resource
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import anyio
import httpx2
import pytest
from support.deadlines import HANG_SECONDS
from support.mcp_server import served

from plex_companion.server.http.web import OWN_FILES, build_base_url

if TYPE_CHECKING:
    from anyio.abc import SocketStream

HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"


async def _dial(url: str) -> SocketStream:
    host, port = url.removeprefix("http://").split(":")
    return await anyio.connect_tcp(host, int(port))


async def _gone(stream: SocketStream) -> bool:
    with anyio.move_on_after(HANG_SECONDS):
        try:
            await stream.receive()
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return True
    return False


async def _drip(stream: SocketStream) -> None:
    """A header line that never ends."""
    try:
        while True:
            await stream.send(b"x")
            await anyio.sleep(0.05)
    except anyio.BrokenResourceError:
        return


async def test_whoever_drips_a_request_head_is_put_out_and_calls_are_answered_meanwhile() -> None:
    async with served(head_seconds=2.0) as running, AsyncExitStack() as stack:
        slow = [await stack.enter_async_context(await _dial(running.url)) for _ in range(60)]
        async with anyio.create_task_group() as tasks, httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
            for number, stream in enumerate(slow):
                await stream.send(HEAD[: 5 + number % 30])
                tasks.start_soon(_drip, stream)
            for _ in range(20):
                with anyio.fail_after(HANG_SECONDS):
                    assert (await web.get(f"{running.url}/healthz")).status_code == 200
        # The task group has ended: every one of them was put out.
        assert all([await _gone(stream) for stream in slow])


async def test_a_full_house_makes_room_for_whoever_comes_by_putting_out_who_has_stood_there_longest() -> None:
    async with served(most_connections=5) as running, AsyncExitStack() as stack:
        idle = [await stack.enter_async_context(await _dial(running.url)) for _ in range(5)]
        for turn in range(3):
            asking = await stack.enter_async_context(await _dial(running.url))
            await asking.send(HEAD + b"\r\n")
            with anyio.fail_after(HANG_SECONDS):
                assert (await asking.receive()).startswith(b"HTTP/1.1 200")
            assert await _gone(idle[turn])


async def test_streams_are_not_put_out_for_whoever_comes() -> None:
    async with (
        served(most_connections=4) as running,
        AsyncExitStack() as stack,
        httpx2.AsyncClient(timeout=HANG_SECONDS) as web,
        web.stream("GET", f"{running.url}/sse") as stream,
    ):
        lines = stream.aiter_lines()
        with anyio.fail_after(HANG_SECONDS):
            assert await anext(lines) == "event: endpoint"
        for _ in range(10):
            await stack.enter_async_context(await _dial(running.url))
        late = await stack.enter_async_context(await _dial(running.url))
        await late.send(HEAD + b"\r\n")
        with anyio.fail_after(HANG_SECONDS):
            assert (await late.receive()).startswith(b"HTTP/1.1 200")
        assert len(running.app.responses) == 1, "the stream is open still"


async def test_one_stream_too_many_is_told_to_come_again() -> None:
    async with (
        served(max_streams=2) as running,
        httpx2.AsyncClient(timeout=HANG_SECONDS) as web,
        AsyncExitStack() as stack,
    ):
        for _ in range(2):
            stream = await stack.enter_async_context(web.stream("GET", f"{running.url}/sse"))
            assert stream.status_code == 200
        refused = await web.get(f"{running.url}/sse")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
        await stack.aclose()
        with anyio.fail_after(HANG_SECONDS):
            while len(running.app.responses):  # noqa: ASYNC110 - nobody announces it
                await anyio.sleep(0.01)
        async with web.stream("GET", f"{running.url}/sse") as again:
            assert again.status_code == 200


async def test_the_program_asks_the_system_for_as_many_files_as_it_promises_connections() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    expected = 300 + OWN_FILES
    resource.setrlimit(resource.RLIMIT_NOFILE, (expected - 1, hard))
    try:
        async with served(most_connections=300):
            assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == expected
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:1"), ("::1", "http://[::1]:1"), ("den.local", "http://den.local:1")],
)
def test_the_address_shown_is_the_one_to_click(host: str, url: str) -> None:
    assert build_base_url(host, 1) == url


def test_where_every_address_is_listened_on_one_that_others_can_reach_is_shown() -> None:
    assert build_base_url("0.0.0.0", 1).count(".") == 3  # noqa: S104 - shown, not bound
    assert "0.0.0.0" not in build_base_url("0.0.0.0", 1)  # noqa: S104 - the same
