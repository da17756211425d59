"""The names of the SDK and of uvicorn that we use though nobody promised them: when one moves, this says which."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, get_type_hints

import pytest
import uvicorn
from mcp import Client
from mcp.server.connection import Connection
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.server.mcpserver import MCPServer
from mcp.server.session import ServerSession
from mcp.server.stdio import stdio_server
from mcp_types import CallToolResult, EmptyResult, NotificationParams, SubscribeRequestParams, TextContent
from support.deadlines import HANG_SECONDS
from support.mcp_server import ERAS, LEGACY, LampServer, subscribe
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext


COUNTS_WIRE_MODELS = """
import plex_companion.app
from mcp_types._wire_base import WireModel
print(*(sum(one.__pydantic_complete__ is built for one in WireModel.__subclasses__()) for built in (True, False)))
"""


def test_wire_models_are_not_built_before_they_are_used() -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", COUNTS_WIRE_MODELS], capture_output=True, text=True, timeout=HANG_SECONDS, check=True
    )
    built, postponed = map(int, done.stdout.split())
    assert postponed > 10 * built


LOADS_RICH = """
import sys
from support.mcp_server import LampServer
LampServer()
print("rich.console" in sys.modules)
import rich.console
"""


def test_a_server_is_built_without_rich_which_can_be_imported_later() -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", LOADS_RICH],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=True,
    )
    assert done.stdout == "False\n"


def test_an_mcp_server_stands_on_a_low_level_one() -> None:
    assert isinstance(MCPServer("x")._lowlevel_server, Server)


def test_initialization_options_can_be_asked_for_without_arguments_and_advertise_changes() -> None:
    options = LampServer().server.lowlevel.create_initialization_options()
    assert options.capabilities.resources is not None
    assert options.capabilities.resources.list_changed is True
    assert NotificationOptions(resources_changed=True).resources_changed


async def test_a_handler_reaches_the_connection_it_serves() -> None:
    seen: list[Connection] = []

    async def on_subscribe(ctx: ServerRequestContext, params: SubscribeRequestParams) -> EmptyResult:
        del params
        seen.append(ctx.session._connection)
        return EmptyResult()

    server = Server("x")
    server.add_request_handler("resources/subscribe", SubscribeRequestParams, on_subscribe)
    closed: list[str] = []
    async with Client(server, mode=LEGACY) as client:
        await subscribe(client, "test://x")
        await subscribe(client, "test://x")
        seen[0].exit_stack.callback(closed.append, "closed")
    assert seen[0] is seen[1], "one connection for all requests of a legacy client"
    assert seen[0].session_id is None
    assert closed == ["closed"], "its exit stack is unwound when the client leaves"


def test_a_session_keeps_its_connection_under_this_name() -> None:
    connection = Connection.from_envelope("2026-07-28", None, None)
    assert ServerSession(None, connection)._connection is connection  # type: ignore[arg-type]  # no channel is needed


async def test_the_end_of_the_handshake_can_be_observed() -> None:
    initialized: list[str] = []

    async def on_initialized(ctx: ServerRequestContext, _: NotificationParams) -> None:
        initialized.append(ctx.protocol_version)

    async def on_subscribe(_: ServerRequestContext, __: SubscribeRequestParams) -> EmptyResult:
        return EmptyResult()

    server = Server("x")
    server.add_notification_handler("notifications/initialized", NotificationParams, on_initialized)
    server.add_request_handler("resources/subscribe", SubscribeRequestParams, on_subscribe)
    async with Client(server, mode=LEGACY) as client:
        await subscribe(client, "test://x")
        assert initialized == ["2025-11-25"]


@pytest.mark.parametrize("era", ERAS)
async def test_an_object_that_a_middleware_puts_into_a_result_arrives_as_it_is(era: str) -> None:
    held = {"plays": [{"title": "The Lamp", "ended_at": None}], "count": 1}

    async def attach(ctx: ServerRequestContext, call_next: CallNext) -> HandlerResult:
        result = await call_next(ctx)
        assert isinstance(result, dict | None)  # the wire form: the SDK does not look at it again
        return {**(result or {}), "structuredContent": held} if ctx.method == "tools/call" else result

    server = MCPServer("x", middleware=[attach])

    @server.tool()
    def plays() -> CallToolResult:
        return CallToolResult(content=[TextContent(text="text")])

    async with Client(server, mode=era) as client:
        result = await client.call_tool("plays", {})
    assert result.structured_content == held
    assert [block.text for block in result.content] == ["text"]  # type: ignore[union-attr]  # a text


def test_the_stdio_transport_takes_streams_of_ours() -> None:
    assert list(get_type_hints(stdio_server)) == ["stdin", "stdout"]


def test_uvicorn_has_the_seams_we_use() -> None:
    for name in ("capture_signals", "startup", "shutdown"):
        assert callable(getattr(uvicorn.Server, name))
    web = uvicorn.Server(uvicorn.Config(LampServer, log_config=None))
    assert web.server_state.connections == set()
    assert {"cycle", "transport"} <= set(H11Protocol.__init__.__code__.co_names)
    assert "response_complete" in RequestResponseCycle.__init__.__code__.co_names
