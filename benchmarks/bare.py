"""The floors: the least that each measurement can cost. Plain websockets, plain `MCPServer`, none of our code.

`relay WS_URL DATABASE`: every frame becomes a bare commit, then a notification, in both eras. `body FILE`: one resource. `tools COUNT`: over stdio.
`slots COUNT NAME…`: tools that wait for 21 ms in one of so many threads. `answers FILE`: a tool that does nothing, and
one that answers what the file holds under a name. `listener WS_URL`: receive and `json.loads`; prints when a frame with
`"last":true` came.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.to_thread
import uvicorn
from mcp.server.mcpserver import MCPServer
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ResourceUpdated
from mcp_types import CallToolResult, EmptyResult, SubscribeRequestParams, SubscriptionsListenRequestParams, TextContent
from pydantic import BaseModel
from websockets.asyncio.client import connect

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp.server.context import ServerRequestContext
    from mcp.server.session import ServerSession

URI = "plex://sessions"


class Answer(BaseModel):
    """The answer of the bare tools."""

    title: str
    count: int


def print_line(line: str) -> None:
    print(line, flush=True)


def serve_tools(count: int) -> None:
    server = MCPServer("bare")

    def tool(title: str, section: int | None = None, limit: int = 50) -> Answer:
        return Answer(title=title, count=limit + (section or 0))

    for number in range(count):
        server.add_tool(tool, name=f"tool_{number}", description="Find something by its title, in one section or all.")
    server.run("stdio")


async def serve_http(server: MCPServer[Any]) -> None:
    config = uvicorn.Config(
        server.streamable_http_app(), host="127.0.0.1", port=0, http="h11", log_config=None, access_log=False
    )
    web = uvicorn.Server(config)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(web.serve)
        while not web.started:  # noqa: ASYNC110  # uvicorn offers no event to wait for
            await anyio.sleep(0.01)
        print_line(f"serves http://127.0.0.1:{web.servers[0].sockets[0].getsockname()[1]}/mcp")


async def serve_body(text: str) -> None:
    server = MCPServer("bare")

    @server.resource(URI, mime_type="application/json")
    def read() -> str:
        """Return the same bytes every time."""
        return text

    await serve_http(server)


async def serve_answers(held: dict[str, Any]) -> None:
    server = MCPServer("bare")
    texts = {name: json.dumps(answer, ensure_ascii=False, separators=(",", ":")) for name, answer in held.items()}

    @server.tool()
    def nothing() -> None:
        """Do nothing."""

    @server.tool()
    def same(name: str) -> CallToolResult:
        """Return the same bytes every time."""
        return CallToolResult(content=[TextContent(text=texts[name])], structured_content=held[name])

    await serve_http(server)


def open_rows(path: str) -> sqlite3.Connection:
    """Open a bare table that commits as the companion does."""
    rows = sqlite3.connect(path, isolation_level=None)
    rows.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS rows (frame)")
    return rows


async def run_relay(address: str, *paths: str) -> None:
    rows = open_rows(*paths)
    server, bus = MCPServer("bare"), InMemorySubscriptionBus()
    sessions: list[ServerSession] = []

    async def subscribe(ctx: ServerRequestContext[Any, Any], _: SubscribeRequestParams) -> EmptyResult:
        sessions.append(ctx.session)
        return EmptyResult()

    lowlevel = server._lowlevel_server  # noqa: SLF001  # the SDK offers no other way to serve `resources/subscribe`
    lowlevel.add_request_handler("resources/subscribe", SubscribeRequestParams, subscribe)
    lowlevel.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, ListenHandler(bus))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(serve_http, server)
        async with connect(address, compression=None) as socket:
            async for frame in socket:
                if json.loads(frame)["NotificationContainer"]["type"] == "playing":
                    rows.execute("INSERT INTO rows VALUES (?)", (frame,))
                    await bus.publish(ResourceUpdated(uri=URI))
                    for session in sessions:
                        await session.send_resource_updated(URI)


async def serve_slots(count: int, names: Sequence[str]) -> None:
    server, limiter = MCPServer("bare"), anyio.CapacityLimiter(count)

    async def tool(media_id: str = "") -> Answer:
        await anyio.to_thread.run_sync(time.sleep, 0.021, limiter=limiter)
        return Answer(title=media_id, count=1)

    for name in names:
        server.add_tool(tool, name=name, description="Wait as for a Plex that is 20 ms away.")
    await serve_http(server)


async def run_listener(address: str) -> None:
    async with connect(address, compression=None, max_queue=4096) as socket:
        print_line("listens now")
        count = 0
        while True:
            frame = json.loads(await socket.recv(decode=False))
            count += 1
            if frame["NotificationContainer"].get("last"):
                print_line(f"received {count} {time.monotonic()}")
                count = 0


def main(mode: str, argument: str, *names: str) -> None:
    match mode:
        case "tools":
            serve_tools(int(argument))
        case "body":
            anyio.run(serve_body, Path(argument).read_text())
        case "slots":
            anyio.run(serve_slots, int(argument), names)
        case "answers":
            anyio.run(serve_answers, json.loads(Path(argument).read_text()))
        case "relay":
            anyio.run(run_relay, argument, *names)
        case _:
            anyio.run(run_listener, argument)


if __name__ == "__main__":
    main(*sys.argv[1:])
