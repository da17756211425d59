"""Many calls over `/mcp` from a client that costs next to nothing: prebuilt bytes, one connection for each caller."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from benchmarks.mcp_clients import MODERN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.tools_calls import Call

HEAD = (
    "POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json, text/event-stream\r\n"
    "Content-Type: application/json\r\nMCP-Protocol-Version: {era}\r\nMcp-Method: tools/call\r\nMcp-Name: {tool}\r\n"
    "Content-Length: {size}\r\n\r\n"
)


@dataclass
class Load:
    """The result of many callers: the duration, and each call's milliseconds."""

    seconds: float = 0.0
    took: list[float] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=dict)
    """Milliseconds of processor time a call, by program."""

    @property
    def rate(self) -> float:
        """Calls a second."""
        return len(self.took) / self.seconds


def encode_request(url: str, call: Call) -> bytes:
    """Encode the whole HTTP request, in the protocol era without sessions."""
    prefix = "io.modelcontextprotocol/"
    meta = {
        f"{prefix}protocolVersion": MODERN,
        f"{prefix}clientInfo": {"name": "bench", "version": "1"},
        f"{prefix}clientCapabilities": {},
    }
    params = {"name": call.tool, "arguments": call.given, "_meta": meta}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()
    address = urlsplit(url)
    head = HEAD.format(path=address.path, host=address.netloc, era=MODERN, tool=call.tool, size=len(body))
    return head.encode() + body


async def run_load(url: str, calls: Sequence[Call], callers: int, each: int, programs: dict[str, int]) -> Load:
    """Run concurrent callers that make `each` calls; `programs` are the process ids whose processor time is counted."""
    found, requests = Load(), [encode_request(url, call) for call in calls]
    before = {name: read_cpu_ms(pid) for name, pid in programs.items()}
    began = time.monotonic()
    async with anyio.create_task_group() as tasks:
        for number in range(callers):
            tasks.start_soon(
                _call_repeatedly, url, [requests[(number + n) % len(requests)] for n in range(each)], found
            )
    found.seconds = time.monotonic() - began
    found.cpu = {name: (read_cpu_ms(pid) - before[name]) / len(found.took) for name, pid in programs.items()}
    return found


async def _call_repeatedly(url: str, requests: Sequence[bytes], found: Load) -> None:
    address = urlsplit(url)
    async with await anyio.connect_tcp(str(address.hostname), address.port or 80) as stream:
        buffered = BufferedByteReceiveStream(stream)
        for request in requests:
            began = time.monotonic()
            await stream.send(request)
            answer = await _read_answer(buffered)
            found.took.append((time.monotonic() - began) * 1000)
            assert b'"isError":true' not in answer[-200:], answer


async def _read_answer(stream: BufferedByteReceiveStream) -> bytes:
    head = (await stream.receive_until(b"\r\n\r\n", 16_384)).lower()
    assert head.startswith(b"http/1.1 200"), head
    size = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    return await stream.receive_exactly(int(size))


def read_cpu_ms(pid: int) -> float:
    """Return the processor time that all threads of a process have used, in milliseconds."""
    return time.clock_gettime((~pid << 3) | 2) * 1000  # as clock_getcpuclockid(3) numbers the clocks of other processes
