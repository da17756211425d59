"""How it starts and ends: ports, signals, end of input, clients that dawdle."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from mcp.shared.exceptions import MCPError
from support.deadlines import HANG_SECONDS
from support.mcp_server import LEGACY, MODERN, NOTHING, LampServer, connected, script, served, transport_to

from plex_companion.errors import PortInUse, StartError
from plex_companion.server.http.http_app import HttpApp
from plex_companion.server.http.web import FINISH_SECONDS, UNREAD_BYTES, open_socket, serve_http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from anyio.abc import Process

pytestmark = pytest.mark.slow


IGNORED = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
every_signal = pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGTERM, id="SIGTERM"),
        pytest.param(signal.SIGINT, id="SIGINT"),
        pytest.param(signal.SIGHUP, id="SIGHUP", marks=pytest.mark.skipif(IGNORED, reason="started by nohup")),
    ],
)
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "0"}}


class RawClient:
    """The toy program, its lines read as they come."""

    def __init__(self, process: Process) -> None:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self.process = process
        self.stdin = process.stdin
        self.out = BufferedByteReceiveStream(process.stdout)
        self.log = BufferedByteReceiveStream(process.stderr)

    async def say(self, method: str, params: dict[str, Any], **extra: int) -> None:
        message = {"jsonrpc": "2.0", "method": method, "params": params, **extra}
        await self.stdin.send(json.dumps(message).encode() + b"\n")

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.out.receive_until(b"\n", 10_000_000))
        assert message["jsonrpc"] == "2.0"
        return message

    async def call(self, tool: str, request_id: int) -> None:
        await self.say("tools/call", {"name": tool, "arguments": {}}, id=request_id)

    async def logged(self) -> str:
        return (await self.log.receive_until(b"\n", 10_000)).decode()

    async def port(self) -> int:
        with anyio.fail_after(HANG_SECONDS):
            while not (line := await self.logged()).startswith("port "):
                pass
        return int(line.removeprefix("port "))

    async def ended(self) -> str:
        """Wait for the end, which must be clean; gives the rest of the log."""
        with anyio.fail_after(HANG_SECONDS):
            code = await self.process.wait()
        rest = b"".join([part async for part in self.log]).decode()
        assert code == 0, rest
        assert "Traceback" not in rest
        assert "ERROR" not in rest
        assert "cleaned up" in rest
        assert repr(NOTHING) in rest
        return rest


@asynccontextmanager
async def _running(transport: str, *before: str) -> AsyncIterator[RawClient]:
    async with await anyio.open_process([*before, *script(transport)], stdin=subprocess.PIPE) as process:
        client = RawClient(process)
        try:
            yield client
        finally:
            if process.returncode is None:
                process.kill()


@asynccontextmanager
async def _greeted() -> AsyncIterator[RawClient]:
    """A stdio client that has shaken hands."""
    async with _running("stdio") as raw:
        with anyio.fail_after(HANG_SECONDS):
            await raw.say("initialize", HELLO, id=1)
            assert (await raw.receive())["id"] == 1
            await raw.say("notifications/initialized", {})
        yield raw


async def test_the_end_of_input_ends_it_at_once() -> None:
    async with _greeted() as client:
        await client.call("lamp_watch", 2)
        await client.stdin.aclose()
        await client.ended()


async def test_the_end_of_input_before_a_word_ends_it() -> None:
    async with _running("stdio") as client:
        assert await client.logged() == "ready"
        await client.stdin.aclose()
        await client.ended()


@every_signal
async def test_a_signal_ends_a_silent_stdio_server(number: signal.Signals) -> None:
    async with _greeted() as client:
        await client.call("lamp_watch", 2)
        await client.call("lamp_level", 3)
        assert (await client.receive())["id"] == 3
        client.process.send_signal(number)
        await client.ended()


async def test_a_signal_ends_a_stdio_server_whose_client_does_not_read() -> None:
    async with _greeted() as client:
        await client.call("lamp_flood", 2)
        await client.out.receive_exactly(1)  # the flood has begun
        client.process.send_signal(signal.SIGTERM)
        await client.ended()


async def test_who_ignores_the_end_of_the_terminal_goes_on() -> None:
    async with _running("stdio", "sh", "-c", 'trap "" HUP; exec "$@"', "sh") as client:
        with anyio.fail_after(HANG_SECONDS):
            await client.say("initialize", HELLO, id=1)
            await client.receive()
            client.process.send_signal(signal.SIGHUP)
            await client.say("ping", {}, id=2)
            assert (await client.receive())["id"] == 2
            await client.stdin.aclose()
            await client.ended()


async def test_a_flood_arrives_whole() -> None:
    async with _greeted() as client:
        await client.call("lamp_flood", 2)
        with anyio.fail_after(HANG_SECONDS):
            assert len((await client.receive())["result"]["content"][0]["text"]) == 1_000_000


async def test_only_json_rpc_goes_to_standard_output() -> None:
    async with _greeted() as client:
        await client.call("lamp_shout", 2)
        assert (await client.receive())["id"] == 2
        await client.stdin.aclose()
        rest = await client.ended()
        assert "a stray write" in rest
        assert b"".join([part async for part in client.out]) == b""


async def test_standard_input_may_be_a_file(tmp_path: Any) -> None:
    path = anyio.Path(tmp_path / "in")
    await path.write_text(json.dumps({"jsonrpc": "2.0", "method": "initialize", "params": HELLO, "id": 1}))
    with anyio.fail_after(HANG_SECONDS), (tmp_path / "in").open("rb") as stdin:
        finished = await anyio.run_process(script("stdio"), stdin=stdin)
    assert not finished.stdout or json.loads(finished.stdout)["id"] == 1


@every_signal
async def test_a_signal_ends_an_http_server_with_open_streams(number: signal.Signals) -> None:
    async with _running("http") as client:
        url = f"http://127.0.0.1:{await client.port()}"
        async with anyio.create_task_group() as tasks:
            for kind, era in (("sse", LEGACY), ("sse", MODERN), ("http", LEGACY), ("http", MODERN)):
                await tasks.start(_stay, url, kind, era)
            client.process.send_signal(number)
            await client.ended()
            tasks.cancel_scope.cancel()


async def _stay(url: str, kind: str, era: str, *, task_status: Any) -> None:
    async with connected(transport_to(url, kind), era, "plex://lamp") as (client, updates):
        await client.call_tool("lamp_brighten", {"level": 1})
        await updates.until("plex://lamp")
        task_status.started()
        await anyio.sleep_forever()


async def test_a_running_call_is_given_a_moment_and_then_ended() -> None:
    async with served() as running, anyio.create_task_group() as tasks:
        tasks.start_soon(_watch, running.url)
        with anyio.fail_after(HANG_SECONDS):
            await running.lamp_server.watched.wait()
        began = anyio.current_time()
        running.end()
        with anyio.fail_after(HANG_SECONDS):
            await running.lamp_server.cancelled.wait()
        assert anyio.current_time() - began >= FINISH_SECONDS


async def _watch(url: str) -> None:
    async with connected(f"{url}/mcp", LEGACY) as (client, _):
        with pytest.raises(MCPError):
            await client.call_tool("lamp_watch", {})


async def test_a_port_in_use_is_one_line() -> None:
    lamp_server = LampServer()
    app = HttpApp(lamp_server.server, lamp_server.notifier, health=dict)
    with open_socket("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse) as raised:
            await serve_http(app, "127.0.0.1", port, notifier=lamp_server.notifier, started=_never)
    assert raised.value.message == f"Port {port} on 127.0.0.1 is in use. Choose another one with --port."


def test_an_address_that_is_not_ours_is_one_line() -> None:
    with pytest.raises(StartError, match=r"^Cannot listen on 203\.0\.113\.7, port 1: "):
        open_socket("203.0.113.7", 1)


def test_a_host_that_does_not_exist_is_one_line() -> None:
    with pytest.raises(StartError, match=r"^Cannot listen on nowhere\.invalid, port 1: "):
        open_socket("nowhere.invalid", 1)


@pytest.mark.skipif(sys.platform != "linux", reason="the option is Linux's")
async def test_connections_inherit_the_deadline_and_the_limit_for_unread_bytes() -> None:
    with open_socket("127.0.0.1", 0) as listening, socket.socket() as client:
        client.connect(listening.getsockname())
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) <= 2 * UNREAD_BYTES


@pytest.mark.parametrize("sent", [b"", b"GET / HTTP/1.1\r\nHost: loc"])
async def test_a_request_head_that_never_comes_ends_the_connection(sent: bytes) -> None:
    async with served(head_seconds=0.2) as lamp_server, await _dial(lamp_server.url) as stream:
        if sent:
            await stream.send(sent)
        with anyio.fail_after(HANG_SECONDS), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
            await stream.receive()


async def test_a_stream_is_no_idle_connection() -> None:
    async with (
        served(head_seconds=2.0) as running,
        connected(transport_to(running.url, "sse"), LEGACY, "plex://lamp") as (_, updates),
    ):
        async with await _dial(running.url) as idle:  # what outlives this one outlives the sweep
            with anyio.fail_after(HANG_SECONDS), pytest.raises((anyio.EndOfStream, anyio.BrokenResourceError)):
                await idle.receive()
        running.lamp_server.set_level(1)
        await updates.until("plex://lamp")


async def test_a_body_that_never_comes_is_answered() -> None:
    async with served(body_seconds=0.1) as lamp_server, await _dial(lamp_server.url) as stream:
        await stream.send(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
        with anyio.fail_after(HANG_SECONDS):
            assert (await stream.receive()).startswith(b"HTTP/1.1 408 ")


async def _dial(url: str) -> Any:
    host, port = url.removeprefix("http://").split(":")
    return await anyio.connect_tcp(host, int(port))


def _never(host: str, port: int) -> None:
    raise AssertionError((host, port))
