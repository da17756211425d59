"""What a client gets to see of tools, resources and their failures, in both eras."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CompletionsCapability,
    PromptsCapability,
    ResourcesCapability,
    ResourceTemplateReference,
    ToolsCapability,
)
from support.deadlines import HANG_SECONDS
from support.mcp_server import ERAS, LEGACY, MODERN, TALE, LampServer, Served, served, transport_to

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

pytestmark = pytest.mark.parametrize("era", ERAS)


@pytest.fixture
async def running() -> AsyncIterator[Served]:
    async with served() as one:
        yield one


@pytest.fixture
async def client(era: str) -> AsyncIterator[Client]:
    running = LampServer()
    async with running.notifier.run(), Client(running.server, mode=era) as client:
        yield client


async def _refusal(client: Client, tool: str, **arguments: Any) -> tuple[str, dict[str, Any]]:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    assert result.structured_content is None
    (block,) = result.content
    text: str = block.text  # type: ignore[union-attr]  # tools answer text
    return text, json.loads(text)


async def test_an_answer_is_an_object_and_the_same_as_text(client: Client) -> None:
    result = await client.call_tool("lamp_brighten", {"level": 4})
    assert not result.is_error
    assert result.structured_content == {"level": 4}
    assert [block.text for block in result.content] == ['{"level":4}']  # type: ignore[union-attr]  # tools answer text


async def test_a_picture_comes_as_a_block_after_the_text(client: Client) -> None:
    result = await client.call_tool("lamp_picture", {})
    assert result.structured_content == {"lit": True}
    shown = [block.model_dump(exclude_none=True, by_alias=True) for block in result.content]
    assert shown[0]["text"] == '{"lit":true}'
    assert {"type": "image", "mimeType": "image/png", "data": "iVBORw=="}.items() <= shown[1].items()


async def test_an_expected_failure_is_told_with_its_code_and_facts(client: Client) -> None:
    text, body = await _refusal(client, "lamp_break")
    message = "The lamp does not answer."
    assert body == {
        "error": message,
        "code": "plex_unreachable",
        "status": "error",
        "message": message,
        "connection": "down",
    }
    assert text == json.dumps(body, separators=(",", ":"))


async def test_a_bad_argument_is_told(client: Client) -> None:
    _, body = await _refusal(client, "lamp_brighten", level="much")
    assert (body["code"], body["argument"]) == ("invalid", "level")


async def test_our_own_bug_leaks_nothing_but_a_ref_that_the_log_knows(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "plex_companion"):
        text, body = await _refusal(client, "lamp_trip")
    assert TALE not in text
    assert (body["code"], body["ref"]) == ("internal", "ref-1")
    assert "ref-1" in caplog.text
    assert TALE in caplog.text


async def test_an_unknown_tool_is_a_protocol_error(client: Client) -> None:
    with pytest.raises(MCPError) as raised:
        await client.call_tool("lamp_fly", {})
    assert raised.value.error.code == INVALID_PARAMS


async def test_schemas_go_out_as_they_were_declared(client: Client) -> None:
    tools = {tool.name: tool for tool in (await client.list_tools()).tools}
    brighten = tools["lamp_brighten"]
    assert brighten.description == "Make it as bright as that."
    assert brighten.input_schema == {
        "properties": {"level": {"type": "integer"}},
        "required": ["level"],
        "type": "object",
        "additionalProperties": False,
    }
    assert brighten.output_schema is not None
    assert brighten.output_schema["additionalProperties"] is True
    assert "required" not in brighten.output_schema


@pytest.mark.parametrize(
    ("tool", "read_only", "destructive", "open_world", "idempotent"),
    [
        ("lamp_level", True, False, False, None),
        ("lamp_seen", False, False, False, False),
        ("lamp_brighten", False, False, True, True),
        ("lamp_screw_in", False, True, False, False),
        ("lamp_break", False, True, False, False),
    ],
)
async def test_annotations_follow_from_the_declaration(
    client: Client, tool: str, read_only: bool, destructive: bool, open_world: bool, idempotent: bool | None
) -> None:
    (hints,) = [one.annotations for one in (await client.list_tools()).tools if one.name == tool]
    assert hints is not None
    assert hints.read_only_hint is read_only
    assert hints.destructive_hint is destructive
    assert hints.open_world_hint is open_world
    assert hints.idempotent_hint is idempotent


async def test_a_tool_has_the_declared_title_or_one_that_follows_from_its_name(client: Client) -> None:
    titles = {one.name: one.title for one in (await client.list_tools()).tools}
    assert (titles["lamp_brighten"], titles["lamp_screw_in"]) == ("Set the brightness", "Lamp screw in")


async def test_resources_and_families_are_listed(client: Client) -> None:
    await client.call_tool("lamp_screw_in", {"bulb": "b1"})
    listed = (await client.list_resources()).resources
    assert [(one.uri, one.mime_type) for one in listed] == [
        ("plex://lamp", "application/json"),
        ("plex://lamp/b1", "application/json"),
    ]
    (template,) = (await client.list_resource_templates()).resource_templates
    assert (template.uri_template, template.name) == ("plex://lamp/{bulb}", "lamp/bulb")


async def test_a_resource_is_read_under_any_of_its_spellings(client: Client) -> None:
    (contents,) = (await client.read_resource("PLEX://lamp/")).contents
    assert contents.mime_type == "application/json"
    assert contents.text == '{"level": 0}'  # type: ignore[union-attr]  # all resources are text


@pytest.mark.parametrize("uri", ["plex://lamp/none", "plex://attic", "test://elsewhere"])
async def test_a_resource_that_does_not_exist_is_named(client: Client, uri: str) -> None:
    with pytest.raises(MCPError) as raised:
        await client.read_resource(uri)
    assert raised.value.error.code == INVALID_PARAMS
    assert raised.value.error.data == {"uri": uri}


@pytest.mark.parametrize(("bulb", "code"), [("blown", "internal"), ("far", "plex_unreachable")])
async def test_a_resource_that_cannot_be_read_says_why(client: Client, bulb: str, code: str) -> None:
    with pytest.raises(MCPError) as raised:
        await client.read_resource(f"plex://lamp/{bulb}")
    assert json.loads(raised.value.error.message)["code"] == code
    assert TALE not in raised.value.error.message


async def test_there_are_no_prompts_and_asking_for_one_says_so(client: Client) -> None:
    assert (await client.list_prompts()).prompts == []
    with pytest.raises(MCPError) as raised:
        await client.get_prompt("sing")
    assert raised.value.error.code == INVALID_PARAMS


async def test_completion_proposes_nothing(client: Client) -> None:
    result = await client.complete(ResourceTemplateReference(uri="plex://lamp/{bulb}"), {"name": "bulb", "value": "b"})
    assert result.completion.values == []


@pytest.mark.parametrize("kind", ["sse", "http"])
async def test_a_long_call_reports_and_can_be_cancelled(running: Served, era: str, kind: str) -> None:
    reported: list[tuple[float, float | None, str | None]] = []
    seen = anyio.Event()

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        reported.append((progress, total, message))
        seen.set()

    async with Client(transport_to(running.url, kind), mode=era) as client, anyio.create_task_group() as tasks:

        async def watch() -> None:
            await client.call_tool("lamp_watch", {}, progress_callback=on_progress)

        watching = tasks.start_soon(watch)
        with anyio.fail_after(HANG_SECONDS):
            await seen.wait()
            watching.cancel()
            await running.lamp_server.cancelled.wait()
    assert reported == [(1, 2, "watching")]


async def test_subscriptions_are_advertised(running: Served, era: str) -> None:
    mode = era if era == LEGACY else "auto"  # a pinned version skips asking
    async with Client(f"{running.url}/mcp", mode=mode) as client:
        offered = client.server_capabilities
    modern = era == MODERN
    assert offered.resources == ResourcesCapability(subscribe=True, list_changed=True)
    assert offered.tools == ToolsCapability(list_changed=modern)
    assert offered.prompts == PromptsCapability(list_changed=modern)
    assert offered.completions == CompletionsCapability()


async def test_lists_that_never_change_may_be_kept(running: Served, era: str) -> None:
    async with Client(f"{running.url}/mcp", mode=era) as client:
        tools, resources = await client.list_tools(), await client.list_resources()
    if era == MODERN:
        assert (tools.ttl_ms, tools.cache_scope) == (300_000, "public")
        assert (resources.ttl_ms, resources.cache_scope) == (0, "private")


async def test_the_server_says_who_it_is(running: Served, era: str) -> None:
    async with Client(f"{running.url}/mcp", mode=LEGACY if era == LEGACY else "auto") as client:
        assert client.server_info is not None
        assert (client.server_info.name, client.server_info.version) == ("toy", "1.2.3")
        assert client.instructions == "A lamp."
