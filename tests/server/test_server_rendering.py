"""A notification written into a stream of `/mcp` is the one that the SDK writes on every other transport."""

from __future__ import annotations

import json
import subprocess
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream
from support.deadlines import HANG_SECONDS
from support.mcp_server import ERAS, LEGACY, MODERN, RESOURCES, script, served, until

from plex_companion.server.mcp.uri_index import UriIndex

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

SPELLINGS = ("plex://lamp/é", 'PLEX://Lamp/"\\', "plex://lamp/a URI")
ADDRESSES = UriIndex(RESOURCES)
VERSIONS = {LEGACY: "2025-11-25", MODERN: MODERN}
ID = 'ä "subscription" id'
HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "raw", "version": "0"}}
META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "0"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass
class RawClient:
    """A client that keeps the texts that it is sent."""

    era: str
    send: Callable[[dict[str, Any]], Awaitable[None]]
    texts: list[str] = field(default_factory=list)

    async def say(self, method: str, params: dict[str, Any], **request_id: Any) -> None:
        """Send a message, and wait for the answer of a request."""
        if self.era == MODERN:
            params = {**params, "_meta": META}
        await self.send({"jsonrpc": "2.0", "method": method, "params": params, **request_id})
        if request_id and method != "subscriptions/listen":
            await until(lambda: any(json.loads(text).get("id") == request_id["id"] for text in self.texts))

    async def subscribe(self, uri: str) -> None:
        """Subscribe to a URI and to the list of resources."""
        if self.era == MODERN:
            wanted = {"resourceSubscriptions": [uri], "resourcesListChanged": True}
            await self.say("subscriptions/listen", {"notifications": wanted}, id=ID)
            await until(lambda: "subscriptions/acknowledged" in "".join(self.texts))
        else:
            await self.say("initialize", HELLO, id=1)
            await self.say("notifications/initialized", {})
            await self.say("resources/subscribe", {"uri": uri}, id=2)

    async def change(self, uri: str) -> tuple[str, str]:
        """Have the URI and the list changed, and return the two notifications."""
        bulb = str(ADDRESSES.canonicalize(uri)).rpartition("/")[2]
        await self.say("tools/call", {"name": "lamp_screw_in", "arguments": {"bulb": bulb}}, id=3)
        await until(lambda: bool(self.find("resources/updated") and self.find("resources/list_changed")))
        return self.find("resources/updated"), self.find("resources/list_changed")

    def find(self, method: str) -> str:
        """Return the text with this method, or nothing."""
        return next((text for text in self.texts if json.loads(text).get("method") == f"notifications/{method}"), "")


async def _keep_events(client: RawClient, answer: httpx2.Response, opened: Callable[[str], object] = str) -> None:
    kind = ""
    async for line in answer.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            opened(value) if kind == "endpoint" else client.texts.append(value)


@asynccontextmanager
async def _over_stdio(era: str) -> AsyncIterator[RawClient]:
    async with await anyio.open_process(script("stdio"), stdin=subprocess.PIPE, stderr=None) as process:
        assert process.stdin
        assert process.stdout
        stdin, stdout = process.stdin, BufferedByteReceiveStream(process.stdout)

        async def send(message: dict[str, Any]) -> None:
            await stdin.send(json.dumps(message).encode() + b"\n")

        async def read() -> None:
            while True:
                client.texts.append((await stdout.receive_until(b"\n", 1_000_000)).decode())

        client = RawClient(era, send)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            yield client
            tasks.cancel_scope.cancel()
        process.kill()


@asynccontextmanager
async def _over_sse(era: str) -> AsyncIterator[RawClient]:
    async with served() as running, httpx2.AsyncClient(timeout=HANG_SECONDS) as web, anyio.create_task_group() as tasks:
        paths: list[str] = []

        async def send(message: dict[str, Any]) -> None:
            (await web.post(running.url + paths[0], json=message)).raise_for_status()

        client = RawClient(era, send)
        async with web.stream("GET", f"{running.url}/sse") as answer:
            tasks.start_soon(_keep_events, client, answer, paths.append)
            await until(lambda: bool(paths))
            yield client
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def _over_http(era: str, *, secret: str = "") -> AsyncIterator[RawClient]:
    async with served() as running, httpx2.AsyncClient(timeout=HANG_SECONDS) as web, anyio.create_task_group() as tasks:
        running.lamp_server.server.secrets.add(secret)
        headers = {"accept": "application/json, text/event-stream", "mcp-protocol-version": VERSIONS[era]}

        async def listen(method: str, more: dict[str, str], body: str | None) -> None:
            async with web.stream(method, f"{running.url}/mcp", headers=headers | more, content=body) as answer:
                await _keep_events(client, answer)

        async def send(message: dict[str, Any]) -> None:
            name = {"mcp-name": message["params"]["name"]} if message["method"] == "tools/call" else {}
            more = {"mcp-method": message["method"], "content-type": "application/json"} | name
            if message["method"] == "subscriptions/listen":
                tasks.start_soon(listen, "POST", more, json.dumps(message))
                return
            answer = await web.post(f"{running.url}/mcp", headers=headers | more, json=message)
            if session_id := answer.headers.get("mcp-session-id"):
                headers["mcp-session-id"] = session_id
            client.texts += [line.removeprefix("data: ") for line in answer.text.splitlines() if line.endswith("}")]
            if message["method"] == "initialize":
                tasks.start_soon(listen, "GET", {}, None)
                await until(lambda: running.notifier.count().get_streams == 1)

        client = RawClient(era, send)
        yield client
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("era", ERAS)
async def test_a_notification_is_the_same_on_every_transport(era: str, spelling: str) -> None:
    found = []
    for transport in (_over_http, _over_sse, _over_stdio):
        async with transport(era) as client:
            await client.subscribe(spelling)
            found.append(await client.change(spelling))
    ours, over_sse, over_stdio = found
    assert json.loads(ours[0])["params"]["uri"] == spelling
    for own, *others in zip(ours, over_sse, over_stdio, strict=True):
        assert [json.loads(other) for other in others] == [json.loads(own)] * 2
        if era == LEGACY:
            assert own == others[0]


async def test_the_subscription_id_is_that_of_the_request() -> None:
    async with _over_http(MODERN) as client:
        await client.subscribe(SPELLINGS[0])
        for text in await client.change(SPELLINGS[0]):
            assert json.loads(text)["params"]["_meta"] == {"io.modelcontextprotocol/subscriptionId": ID}


@pytest.mark.parametrize("era", ERAS)
async def test_a_notification_passes_the_filter_of_secrets(era: str) -> None:
    async with _over_http(era, secret="canary") as client:
        await client.subscribe("plex://lamp/canary")
        updated, _ = await client.change("plex://lamp/canary")
        assert json.loads(updated)["params"]["uri"] == "plex://lamp/hidden"


async def test_each_asgi_message_of_a_listen_stream_carries_whole_events_and_the_first_acknowledges() -> None:
    bodies: list[bytes] = []
    wanted = {"resourceSubscriptions": ["plex://lamp"]}
    params = {"_meta": META, "notifications": wanted}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": params}).encode()
    headers = {
        "host": "localhost",
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
        "mcp-protocol-version": MODERN,
        "mcp-method": "subscriptions/listen",
    }
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "path": "/mcp", "root_path": "", "query_string": b"", "headers": raw}
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, Any]:
        if not messages:
            await anyio.sleep_forever()
        return messages.pop()

    async with served() as house, anyio.create_task_group() as tasks:

        async def send(message: Any) -> None:
            bodies.append(message.get("body", b""))
            house.lamp_server.set_level(1)  # due at once, and never before the acknowledgement

        tasks.start_soon(house.app, scope, receive, send)
        await until(lambda: len(bodies) >= 3)
        house.notifier.close()
        await until(lambda: b'"result"' in bodies[-1])
    _, acknowledgement, *updates, _ = bodies
    assert b"subscriptions/acknowledged" in acknowledgement
    assert all(b"resources/updated" in update for update in updates)
    assert all(text.startswith(b"event: ") and text.endswith(b"\r\n\r\n") for text in bodies[1:])
    assert all(text.count(b"\r\n\r\n") == 1 for text in bodies[1:])
