"""A small MCP server: a lamp that can be switched, and the ways to reach it."""

from __future__ import annotations

import json
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    EmptyResult,
    SubscribeRequest,
    SubscribeRequestParams,
    UnsubscribeRequest,
    UnsubscribeRequestParams,
)
from pydantic import BaseModel

from plex_companion.errors import NotFound, PlexUnreachable
from plex_companion.resources.declare import Resource
from plex_companion.server.http.http_app import HttpApp
from plex_companion.server.http.web import serve_http
from plex_companion.server.mcp.build import build_server
from plex_companion.server.mcp.elicitation import ClientCaller
from plex_companion.server.mcp.interface import ResourceEntry, ServerInterface, ToolResult
from plex_companion.server.mcp.notifier import Notifier, NotifierCounts
from plex_companion.tools.declare import Access, Caller, Tool, Toolset
from support.deadlines import HANG_SECONDS
from support.sse import open_sse

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from mcp.client.session import IncomingMessage

    from plex_companion.server.mcp.build import CompanionServer

LEGACY, MODERN = "legacy", "2026-07-28"
ERAS = (LEGACY, MODERN)
NOTHING = NotifierCounts(0, 0, 0, 0, 0, 0)
TALE = "a secret that must not leak"


class Lamp(BaseModel):
    """What the lamp tools answer."""

    level: int


async def _unused(*_: object) -> Mapping[str, Any]:
    raise AssertionError


RESOURCES = (
    Resource("plex://lamp", "Lamp", "The lamp.", _unused, ()),
    Resource("plex://lamp/{bulb}", "Bulb", "One bulb.", _unused, ()),
)


@dataclass
class LampServer:
    """The lamp's state, and everything needed to serve it."""

    level: int = 0
    seen: int = 0
    bulbs: list[str] = field(default_factory=list)
    question: str = "Smash the lamp?"
    watched: anyio.Event = field(default_factory=anyio.Event)
    cancelled: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self.notifier = Notifier(RESOURCES)
        self.server: CompanionServer = build_server(self.offer(), self.notifier, new_ref=lambda: "ref-1")

    def offer(self) -> ServerInterface:
        return ServerInterface("toy", "1.2.3", "A lamp.", _tools(self), self.call, RESOURCES, self.existing, self.read)

    def set_level(self, level: int) -> None:
        self.level = level
        self.notifier.announce(["plex://lamp"])

    def add_bulb(self, bulb: str) -> None:
        self.bulbs.append(bulb)
        self.notifier.announce([f"plex://lamp/{bulb}"], listing=True)

    async def call(self, tool: Tool, arguments: Mapping[str, Any], caller: Caller) -> ToolResult:
        tool.check_allowed(arguments, read_only=False, may_write=caller.may_write)
        given = tool.validate(arguments)
        given.update(dict.fromkeys(tool.injected, caller))
        lamp = await tool.function(**given)
        if isinstance(lamp, ToolResult):
            return lamp
        return ToolResult(lamp.model_dump(), lamp.model_dump_json())

    def existing(self) -> list[ResourceEntry]:
        bulbs = [
            ResourceEntry(f"plex://lamp/{bulb}", f"lamp/{bulb}", f"Bulb {bulb}", "One bulb.") for bulb in self.bulbs
        ]
        return [ResourceEntry("plex://lamp", "lamp", "Lamp", "The lamp."), *bulbs]

    async def read(self, uri: str) -> str:
        match uri.removeprefix("plex://").split("/"):
            case ["lamp"]:
                return json.dumps({"level": self.level})
            case ["lamp", bulb] if bulb in self.bulbs:
                return json.dumps({"bulb": bulb})
            case ["lamp", "blown"]:
                raise RuntimeError(TALE)
            case ["lamp", "far"]:
                raise PlexUnreachable("The bulb does not answer.")
            case _:
                raise NotFound(f"Nothing is called {uri}.")


def _tools(lamp_server: LampServer) -> list[Tool]:  # noqa: C901 - a toy each
    lamp = Toolset("lamp", "Switch the lamp")

    @lamp.tool(Access.READ)
    async def lamp_level() -> Lamp:
        """How bright the lamp is."""
        return Lamp(level=lamp_server.level)

    @lamp.tool(Access.READ, notes=True)
    async def lamp_seen() -> Lamp:
        """Note that somebody has seen it."""
        lamp_server.seen += 1
        return Lamp(level=lamp_server.level)

    @lamp.tool(Access.WRITE, title="Set the brightness", idempotent=True, additive=True, open_world=True)
    async def lamp_brighten(level: int) -> Lamp:
        """Make it as bright as that."""
        lamp_server.set_level(level)
        return Lamp(level=level)

    @lamp.tool(Access.WRITE)
    async def lamp_screw_in(bulb: str) -> Lamp:
        """Add a bulb."""
        lamp_server.add_bulb(bulb)
        return Lamp(level=lamp_server.level)

    @lamp.tool(Access.DESTRUCTIVE)
    async def lamp_break() -> Lamp:
        """Break it."""
        raise PlexUnreachable("The lamp does not answer.", connection="down")

    @lamp.tool(Access.READ)
    async def lamp_trip() -> Lamp:
        """Trip over it."""
        raise RuntimeError(TALE)

    @lamp.tool(Access.DESTRUCTIVE)
    async def lamp_smash(caller: Caller) -> ToolResult:
        """Smash it, if a person says so."""
        assert isinstance(caller, ClientCaller)
        sure = await caller.confirm(lamp_server.question)
        return ToolResult({"sure": sure}, json.dumps(sure))

    @lamp.tool(Access.WRITE)
    async def lamp_unscrew(caller: Caller) -> ToolResult:
        """Ask which bulb, then whether to do it."""
        assert isinstance(caller, ClientCaller)
        bulb = await caller.choose("Which bulb?", {"b1": "The left one", "b2": "The right one"})
        sure = await caller.confirm(f"Unscrew {bulb}?") if bulb else None
        return ToolResult({"bulb": bulb, "sure": sure}, json.dumps(bulb))

    @lamp.tool(Access.READ)
    async def lamp_shout() -> Lamp:
        """Print where nobody should."""
        print("a stray print")  # noqa: T201  # that is the point
        os.write(1, b"and a stray write\n")
        return Lamp(level=0)

    @lamp.tool(Access.READ)
    async def lamp_flood() -> ToolResult:
        """Say more than a pipe holds."""
        return ToolResult({}, "x" * 1_000_000)

    @lamp.tool(Access.READ)
    async def lamp_picture() -> ToolResult:
        """Show it."""
        return ToolResult({"lit": True}, '{"lit":true}', (("image/png", b"\x89PNG"),))

    @lamp.tool(Access.READ)
    async def lamp_watch(caller: Caller) -> Lamp:
        """Watch it for ever."""
        await caller.report_progress(1, 2, "watching")
        lamp_server.watched.set()
        try:
            await anyio.sleep_forever()
        finally:
            lamp_server.cancelled.set()
        return Lamp(level=0)

    return lamp.tools


@dataclass
class Served:
    """A lamp server behind a port."""

    lamp_server: LampServer
    url: str
    app: HttpApp
    end: Callable[[], object]

    @property
    def notifier(self) -> Notifier:
        return self.lamp_server.notifier


@asynccontextmanager
async def served(*, head_seconds: float = 8.0, most_connections: int = 2_048, **options: Any) -> AsyncIterator[Served]:
    """The lamp server behind a free port, until the block ends."""
    lamp_server = LampServer()
    limits: dict[str, Any] = {"head_seconds": head_seconds, "most_connections": most_connections}
    app = HttpApp(lamp_server.server, lamp_server.notifier, health=lambda: {"ok": True}, **options)
    started = anyio.Event()
    ports: list[int] = []

    def on_started(_: str, port: int) -> None:
        ports.append(port)
        started.set()

    async def serve() -> None:
        await serve_http(app, "127.0.0.1", 0, notifier=lamp_server.notifier, started=on_started, **limits)

    async with lamp_server.notifier.run(), anyio.create_task_group() as tasks:
        serving = tasks.start_soon(serve)
        with anyio.fail_after(HANG_SECONDS):
            await started.wait()
        yield Served(lamp_server, f"http://127.0.0.1:{ports[0]}", app, serving.cancel)
        serving.cancel()


class UpdateRecorder:
    """Records the updates that a client gets, in either era."""

    def __init__(self) -> None:
        self.received: list[tuple[str, float]] = []
        self._more = anyio.Event()

    async def on_message(self, message: IncomingMessage) -> None:
        """A `message_handler` (legacy)."""
        method = getattr(message, "method", "")
        if method == "notifications/resources/updated":
            self.record(message.params.uri)  # type: ignore[union-attr]  # this method has them
        elif method == "notifications/resources/list_changed":
            self.record("list")

    def record(self, what: str) -> None:
        self.received.append((what, anyio.current_time()))
        self._more.set()
        self._more = anyio.Event()

    def count(self, what: str) -> int:
        return sum(one == what for one, _ in self.received)

    async def until(self, what: str, times: int = 1) -> None:
        """Wait until it has been received so often."""
        with anyio.fail_after(HANG_SECONDS):
            while self.count(what) < times:
                await self._more.wait()


def transport_to(url: str, kind: str) -> Any:
    """A client's transport to a served lamp server."""
    return open_sse(f"{url}/sse") if kind == "sse" else streamable_http_client(f"{url}/mcp")


@asynccontextmanager
async def connected(target: Any, era: str, *uris: str) -> AsyncIterator[tuple[Client, UpdateRecorder]]:
    """A client subscribed to these URIs and to the list of resources."""
    updates = UpdateRecorder()
    handler = updates.on_message if era == LEGACY else None  # it would hear of listen streams too
    async with Client(target, mode=era, message_handler=handler) as client:
        if era == LEGACY:
            for uri in uris:
                await subscribe(client, uri)
            yield client, updates
        else:
            async with anyio.create_task_group() as tasks:
                listening = await tasks.start(_listen, client, updates, uris)
                yield client, updates
                listening.cancel()


async def subscribe(client: Client, uri: str) -> None:
    """As `client.subscribe_resource`, which warns that newer clients have something better."""
    request = SubscribeRequest(params=SubscribeRequestParams(uri=uri))
    await client.session.send_request(request, EmptyResult)


async def unsubscribe(client: Client, uri: str) -> None:
    """As `client.unsubscribe_resource`."""
    request = UnsubscribeRequest(params=UnsubscribeRequestParams(uri=uri))
    await client.session.send_request(request, EmptyResult)


async def _listen(client: Client, updates: UpdateRecorder, uris: tuple[str, ...], *, task_status: Any) -> None:
    with anyio.CancelScope() as scope:
        async with client.listen(resource_subscriptions=uris, resources_list_changed=True) as stream:
            task_status.started(scope)
            async for event in stream:
                updates.record(getattr(event, "uri", "list"))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what nobody announces, such as the server's tables."""
    with anyio.fail_after(HANG_SECONDS):
        while not condition():  # noqa: ASYNC110  # there is no event to wait for, and none is wanted there
            await anyio.sleep(0.002)


async def gone(notifier: Notifier, expected: NotifierCounts = NOTHING) -> None:
    """Wait until the notifier holds just this much."""
    await until(lambda: notifier.count() == expected)


def script(*arguments: str) -> list[str]:
    """The command that serves the lamp server in a process of its own."""
    return [sys.executable, str(Path(__file__).with_name("mcp_server_main.py")), *arguments]


def over_stdio() -> StdioServerParameters:
    """The lamp server at the end of two pipes."""
    command, *arguments = script("stdio")
    return StdioServerParameters(command=command, args=arguments)
