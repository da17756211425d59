"""Which tools a client is shown while the companion is read-only, and what the others say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client
from mcp.client.stdio import stdio_client
from support.application import ERAS, MODERN, TRANSPORTS, home, program, transport

from plex_companion.tools.declare import Access
from plex_companion.tools.toolsets import select_tools

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


WRITING = {tool.name for tool in select_tools() if tool.access is not Access.READ}
READING = {tool.name for tool in select_tools()} - WRITING
TOKENS = 9_000
"""What `tools/list` may cost a model by default: characters of name, description and input schema, by four."""


async def names(client: Client) -> set[str]:
    return {tool.name for tool in (await client.list_tools()).tools}


async def instructions(client: Client) -> str:
    if client.protocol_version == MODERN:
        return str((await client.session.send_discover(MODERN)).get("instructions"))
    return client.instructions or ""


async def refusal(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    answer = await client.call_tool(tool, arguments)
    assert answer.is_error
    body: dict[str, Any] = json.loads(answer.content[0].text)  # type: ignore[union-attr]  # errors are text
    return body


async def tools_of_status(client: Client) -> dict[str, Any]:
    body = (await client.call_tool("companion_status", {})).structured_content
    assert body is not None
    answer: dict[str, Any] = body["tools"]
    return answer


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize("kind", TRANSPORTS)
async def test_while_read_only_the_tools_that_write_are_not_listed_and_refuse_when_called(
    kind: str, era: str, tmp_path: Path
) -> None:
    async with home(tmp_path) as it, Client(transport(kind, it, tmp_path), mode=era) as client:
        listed = await names(client)
        assert listed == READING
        assert {"media_get_artwork", "alert_acknowledge"} <= listed
        error = await refusal(client, "media_delete", media_id="1")
        assert error["code"] == "read_only"
        assert error["message"] == (
            "Operation 'media_delete' is not allowed in read-only mode. "
            "Set READ_ONLY_MODE=false in your environment to enable write operations."
        )
        answer = await tools_of_status(client)
        assert answer["hidden"] == len(WRITING) == 30
        assert "READ_ONLY_MODE=false" in answer["message"]
        said = await instructions(client)
        assert "it hides 30 tools that can change Plex" in said
        assert "READ_ONLY_MODE=false" in said


async def test_a_companion_that_may_write_lists_every_tool_and_hides_none(tmp_path: Path) -> None:
    async with home(tmp_path, read_only="false") as it, Client(f"{it.url}/mcp", mode=MODERN) as client:
        assert await names(client) == READING | WRITING
        assert await tools_of_status(client) == {"hidden": 0}
        assert "not listed" not in await instructions(client)


async def test_only_the_hidden_tools_of_the_served_toolsets_count(tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        parameters = program(it.demo, tmp_path, "--toolsets", "live,library")
        async with Client(stdio_client(parameters), mode=MODERN) as client:
            assert (await tools_of_status(client))["hidden"] == 2
            assert (await refusal(client, "library_scan"))["code"] == "read_only"
        async with Client(stdio_client(program(it.demo, tmp_path, "--toolsets", "live")), mode=MODERN) as client:
            assert await tools_of_status(client) == {"hidden": 0}
            assert "read-only" not in await instructions(client)


def test_what_is_listed_by_default_costs_a_model_little() -> None:
    shown = [tool for tool in select_tools() if not tool.off]
    texts = (f"{tool.name}{tool.description}{json.dumps(tool.input_schema, separators=(',', ':'))}" for tool in shown)
    assert sum(map(len, texts)) / 4 <= TOKENS


@pytest.mark.parametrize(("mode", "marked"), [("", True), ("false", False)])
def test_the_command_tools_marks_what_clients_are_not_shown(mode: str, tmp_path: Path, *, marked: bool) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "READ_ONLY_MODE": mode}
    done = subprocess.run(
        [sys.executable, "-m", "plex_companion", "tools"],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert ("* media_delete " in done.stdout) is marked
    assert ("30 tools that change Plex are hidden" in done.stdout) is marked
    assert "  media_search " in done.stdout
