"""Subscribers that are little more than a socket, so that a thousand of them do not become what is measured."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
import httpx2

from benchmarks.mcp_clients import MODERN, SESSIONS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

ACCEPT = "application/json, text/event-stream"
LEGACY_VERSION = "2025-11-25"
SECONDS = 60
MARK = b'"notifications/resources/updated"'
SETTING_UP = 8
"""Legacy handshakes at a time."""


@dataclass(eq=False)
class RawSubscriber(asyncio.Protocol):
    """One event stream. It records when each update arrived, and parses nothing."""

    request: bytes
    mark: bytes = MARK
    """What an update holds."""
    received: list[float] = field(default_factory=list)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    rest: bytes = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        """Record each whole event that is an update."""
        now, (*events, self.rest) = time.monotonic(), (self.rest + data).split(b"\r\n\r\n")
        if events and not self.opened.is_set():
            self.opened.set()
        self.received += [now for event in events if self.mark in event]


@asynccontextmanager
async def open_subscribers(url: str, era: str, count: int, uri: str = SESSIONS) -> AsyncIterator[list[RawSubscriber]]:
    """Connect so many subscribers of this era until the block ends."""
    host = urlsplit(url).netloc
    requests = [build_listen(host, uri)] * count if era == MODERN else await _start_sessions(url, count, uri)
    async with open_streams(url, [RawSubscriber(request) for request in requests]) as found:
        yield found


@asynccontextmanager
async def open_streams(url: str, found: list[RawSubscriber]) -> AsyncIterator[list[RawSubscriber]]:
    """Connect these subscribers until the block ends."""
    parts, loop = urlsplit(url), asyncio.get_running_loop()
    assert parts.hostname
    assert parts.port
    for one in found:
        await loop.create_connection(lambda one=one: one, parts.hostname, parts.port)  # type: ignore[misc]  # bound now
    with anyio.fail_after(SECONDS):
        for one in found:
            await one.opened.wait()
    try:
        yield found
    finally:
        for one in found:
            one.transport.abort()


async def wait_until_received(subscribers: Sequence[RawSubscriber], moment: float) -> list[float]:
    """Wait until each has received an update after this moment, and return after how many ms each received its first."""
    with anyio.fail_after(SECONDS):
        while not all(one.received and one.received[-1] > moment for one in subscribers):  # noqa: ASYNC110  # a thousand
            await anyio.sleep(0.005)
    return [(next(at for at in one.received if at > moment) - moment) * 1000 for one in subscribers]


def build_listen(host: str, uri: str) -> bytes:
    """Build a request of the modern era, whose response is the stream."""
    return build_stream_request(host, "subscriptions/listen", {"notifications": {"resourceSubscriptions": [uri]}})


def build_stream_request(host: str, method: str, params: dict[str, Any]) -> bytes:
    """Build a request of the modern era with a method whose response is a stream."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientInfo": {"name": "benchmark", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta, **params}})
    names = {"mcp-protocol-version": MODERN, "mcp-method": method, "content-type": "application/json"}
    return _encode_request("POST", host, {**names, "content-length": str(len(body))}) + body.encode()


async def _start_sessions(url: str, count: int, uri: str) -> list[bytes]:
    """Start legacy sessions that are subscribed, and return the requests that open their streams."""
    requests: list[bytes] = []
    async with httpx2.AsyncClient(timeout=SECONDS) as web, anyio.create_task_group() as tasks:

        async def start_some(share: int) -> None:
            requests.extend([await _start_session(web, url, uri) for _ in range(share)])

        for turn in range(SETTING_UP):
            tasks.start_soon(start_some, len(range(turn, count, SETTING_UP)))
    return requests


async def _start_session(web: httpx2.AsyncClient, url: str, uri: str) -> bytes:
    headers = {"accept": ACCEPT, "mcp-protocol-version": LEGACY_VERSION}

    async def post(method: str, params: dict[str, Any], **more: Any) -> httpx2.Response:
        body = {"jsonrpc": "2.0", "method": method, "params": params, **more}
        return (await web.post(url, headers=headers, json=body)).raise_for_status()

    client = {"name": "benchmark", "version": "1"}
    hello = {"protocolVersion": LEGACY_VERSION, "capabilities": {}, "clientInfo": client}
    answer = await post("initialize", hello, id=1)
    headers["mcp-session-id"] = answer.headers["mcp-session-id"]
    await post("notifications/initialized", {})
    await post("resources/subscribe", {"uri": uri}, id=2)
    return _encode_request("GET", urlsplit(url).netloc, headers)


def _encode_request(method: str, host: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} /mcp HTTP/1.1", f"host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    if "accept" not in headers:
        lines.append(f"accept: {ACCEPT}")
    return "\r\n".join([*lines, "", ""]).encode()
