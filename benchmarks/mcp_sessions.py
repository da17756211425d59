"""Sessions of the older protocol era over Streamable HTTP, from prebuilt bytes: as cheap for every server, ours or not."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from anyio.abc import SocketStream

VERSION = "2025-06-18"
HEAD = (
    "POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json, text/event-stream\r\n"
    "Content-Type: application/json\r\nMCP-Protocol-Version: {version}\r\n{session}Content-Length: {size}\r\n\r\n"
)
CLIENT = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}


class McpSession:
    """One session on one connection, with one request at a time. Made by `open_session`."""

    _stream: SocketStream
    _buffered: BufferedByteReceiveStream

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self._id = b""

    async def connect(self) -> None:
        """Take a new connection. Servers close one that rests for five seconds."""
        self._stream = await anyio.connect_tcp(str(self._address.hostname), self._address.port or 80)
        self._buffered = BufferedByteReceiveStream(self._stream)

    async def reconnect(self) -> None:
        """Close the connection and take a new one for the same session."""
        await self.close()
        await self.connect()

    async def close(self) -> None:
        """Close the connection."""
        await self._stream.aclose()

    async def begin(self) -> None:
        """Do the handshake."""
        head, _ = await self._exchange({"id": 0, "method": "initialize", "params": CLIENT})
        self._id = _find_header(head, b"mcp-session-id")
        await self._exchange({"method": "notifications/initialized"})

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Call a tool and return its answer, which is JSON."""
        result = await self._request("tools/call", {"name": tool, "arguments": arguments})
        answer: dict[str, Any] = json.loads(result["content"][0]["text"])
        assert not result.get("isError"), answer
        assert not answer.get("error"), answer
        return answer

    async def time_call(self, tool: str, arguments: Mapping[str, Any]) -> float:
        """Return the milliseconds of a call, whose answer is not decoded."""
        began = time.monotonic()
        _, body = await self._exchange(
            {"id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}}
        )
        took = (time.monotonic() - began) * 1000
        assert b'"isError":true' not in body[-200:], body
        return took

    async def time_ping(self) -> float:
        """Return the milliseconds of a ping."""
        began = time.monotonic()
        await self._request("ping", {})
        return (time.monotonic() - began) * 1000

    async def _request(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        _, body = await self._exchange({"id": 1, "method": method, "params": params})
        lines = [line.partition(b"data:")[2] for line in body.splitlines() if line.startswith(b"data:")]
        result: dict[str, Any] = json.loads(next((line for line in lines if b'"id"' in line), body))["result"]
        return result

    async def _exchange(self, message: dict[str, Any]) -> tuple[bytes, bytes]:
        """Send a message and return the head and the body of the answer."""
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        session = f"Mcp-Session-Id: {self._id.decode()}\r\n" if self._id else ""
        fields = {"path": self._address.path, "host": self._address.netloc, "version": VERSION}
        await self._stream.send(HEAD.format(**fields, session=session, size=len(body)).encode() + body)
        head = await self._buffered.receive_until(b"\r\n\r\n", 16_384)
        assert head.startswith((b"HTTP/1.1 200", b"HTTP/1.1 202")), head
        if _find_header(head, b"transfer-encoding") == b"chunked":
            return head, await self._read_chunks()
        return head, await self._buffered.receive_exactly(int(_find_header(head, b"content-length") or 0))

    async def _read_chunks(self) -> bytes:
        body = b""
        while size := int(await self._buffered.receive_until(b"\r\n", 100), 16):
            body += await self._buffered.receive_exactly(size)
            await self._buffered.receive_exactly(2)
        await self._buffered.receive_exactly(2)
        return body


def _find_header(head: bytes, name: bytes) -> bytes:
    for line in head.split(b"\r\n"):
        found, _, value = line.partition(b":")
        if found.strip().lower() == name:
            return value.strip()
    return b""


@asynccontextmanager
async def open_session(url: str) -> AsyncIterator[McpSession]:
    """Open a session until the block ends."""
    session = McpSession(url)
    await session.connect()
    try:
        await session.begin()
        yield session
    finally:
        await session.close()
