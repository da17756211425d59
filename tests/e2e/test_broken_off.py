"""However a client breaks off, and whatever nonsense it sends, it has one quiet end and nobody else notices."""

from __future__ import annotations

import errno
import logging
import socket
import struct
from typing import TYPE_CHECKING

import anyio
import httpx2
import pytest
from support.application import home
from support.deadlines import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.slow


TOKEN = "canary-token-of-the-door"
HUNG_UP_FIRST = (errno.ECONNRESET, errno.ECONNABORTED, errno.EPIPE, errno.ENOTCONN)
"""What a client is told that the server has hung up on."""
PATHS = (
    "/login",
    "/logout",
    "/",
    "/alerts/1/acknowledge",
    "/mcp",
    "/sse",
    "/messages/?session_id=00000000000000000000000000000000",
    "/events",
    "/api/",
    "/api/sessions",
    "/art/1",
    "/healthz",
    "/metrics",
    "/nowhere",
)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
BROKEN: dict[str, bytes] = {
    "nothing more": b"",
    "half a header": b"Content-Le",
    "a header that is none": b"no colon here\r\n\r\n",
    "a NUL in a header": b"X: a\0b\r\n\r\n",
    "a header of 80 kB": b"X: " + b"a" * 80_000,
    "no body": b"Content-Length: 10\r\n\r\n",
    "half a body": b"Content-Length: 10\r\n\r\ntok",
    "a length below zero": b"Content-Length: -5\r\n\r\n",
    "a length in words": b"Content-Length: ten\r\n\r\n",
    "a length beyond all": b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\n",
    "two lengths": b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "a length and chunks": b"Content-Length: 3\r\n" + CHUNKED + b"0\r\n\r\n",
    "a coding nobody knows": b"Transfer-Encoding: gzip\r\n\r\n",
    "half a chunk": CHUNKED + b"5\r\nto",
    "half the size of a chunk": CHUNKED + b"5",
    "a chunk of no size": CHUNKED + b"zz\r\ntoken",
    "a chunk that is longer than its size": CHUNKED + b"3\r\ntokens\r\n0\r\n\r\n",
    "a chunk beyond all": CHUNKED + b"f" * 60 + b"\r\ntoken",
    "a bad chunk after a good one": CHUNKED + b"5\r\ntoken\r\n-1\r\n",
    "a whole request": b"Content-Length: 0\r\n\r\n",
    "nonsense behind a whole request": b"Content-Length: 0\r\n\r\n\x16\x03\x01\x02\x00\r\n\r\n",
}
STRANGE = (
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"GET /\r\n\r\n",
    b"\r\n" * 200,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\xff" * 100,
)


def _closed(client: socket.socket) -> None:
    client.close()


def _half_closed(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)
    with client:
        while client.recv(65_536):
            pass


def _reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def _break_off(url: str, sent: bytes, leave: Callable[[socket.socket], None]) -> None:
    host, port = url.removeprefix("http://").split(":")
    client = socket.create_connection((host, int(port)), timeout=HANG_SECONDS)
    with client:
        try:
            client.sendall(sent)
            leave(client)
        except OSError as error:
            if error.errno not in HUNG_UP_FIRST:
                raise


def _worth_a_line(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("leave", [_closed, _half_closed, _reset])
@pytest.mark.parametrize("token", ["", TOKEN])
async def test_a_client_that_breaks_off_has_a_quiet_end_on_every_route(
    leave: Callable[[socket.socket], None], token: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with home(tmp_path, token=TOKEN) as it:
        await it.live()
        caplog.clear()
        head = "POST {} HTTP/1.1\r\nHost: localhost\r\n" + (f"Authorization: Bearer {token}\r\n" if token else "")
        heads = [head.format(path).encode() for path in PATHS]
        sent = [line + rest for line in heads for rest in BROKEN.values()] + list(STRANGE)
        with anyio.fail_after(HANG_SECONDS):
            for request in sent:
                await anyio.to_thread.run_sync(_break_off, it.url, request, leave)
            while len(it.web.responses):  # noqa: ASYNC110 - nobody announces it
                await anyio.sleep(0.01)
            async with httpx2.AsyncClient(timeout=HANG_SECONDS) as web:
                assert (await web.get(f"{it.url}/healthz/live")).status_code == 200
        assert _worth_a_line(caplog) == []


@pytest.mark.parametrize("rest", [b"zz\r\n", b"3\r\ntokens\r\n", b"\xff\xff\r\n"])
async def test_a_chunk_that_breaks_while_the_answer_is_under_way_ends_the_connection_quietly(
    rest: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with home(tmp_path, token=TOKEN) as it:
        await it.live()
        caplog.clear()
        host, port = it.url.removeprefix("http://").split(":")
        for path in PATHS:
            async with await anyio.connect_tcp(host, int(port)) as stream:
                await stream.send(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n".encode() + CHUNKED + b"1\r\na\r\n")
                if path not in {"/login", "/logout"}:
                    await stream.receive()  # the refusal, which lets a client finish speaking
                await stream.send(rest)
                with anyio.fail_after(HANG_SECONDS):
                    while True:
                        try:
                            await stream.receive()
                        except (anyio.EndOfStream, anyio.BrokenResourceError):
                            break
        with anyio.fail_after(HANG_SECONDS):
            while len(it.web.responses):  # noqa: ASYNC110 - nobody announces it
                await anyio.sleep(0.01)
        assert _worth_a_line(caplog) == []
