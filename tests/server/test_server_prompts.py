"""Prompts, completions and panels on the wire, in both eras."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, PromptReference, ResourceTemplateReference
from support.mcp_server import ERAS, LEGACY, LampServer

from plex_companion.panels.declare import Panel
from plex_companion.prompts.declare import DATA, Argument, Prompt

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from plex_companion.server.mcp.interface import ServerInterface

pytestmark = pytest.mark.parametrize("era", ERAS)

DIM = Prompt(
    "dim", "Dim it", "Dims the lamp.", "Dim `lamp_level` to {level}.", (Argument("level", "How far."), Argument("by", "Who.", "me"))
)  # fmt: skip
MANY = [str(number) for number in range(250)]


def _levels(name: str, typed: str) -> Sequence[str]:
    return [level for level in MANY if level.startswith(typed)] if name in {"level", "bulb"} else []


@pytest.fixture
async def client(era: str, tmp_path: Path) -> AsyncIterator[Client]:
    page = tmp_path / "lamp.html"
    page.write_text("<!doctype html><title>Lamp</title>", encoding="utf-8")

    class Prompting(LampServer):
        def offer(self) -> ServerInterface:
            panel = Panel("ui://toy/lamp", "Lamp", "The lamp.", "lamp_level", page)
            return replace(super().offer(), prompts=[DIM], propose=_levels, panels=[panel])

    running = Prompting()
    async with running.notifier.run(), Client(running.server, mode=LEGACY if era == LEGACY else "auto") as client:
        yield client


async def test_prompts_are_listed_with_their_arguments(client: Client) -> None:
    (prompt,) = (await client.list_prompts()).prompts
    assert (prompt.name, prompt.title, prompt.description) == ("dim", "Dim it", "Dims the lamp.")
    assert prompt.arguments is not None
    assert [(one.name, one.description, one.required) for one in prompt.arguments] == [
        ("level", "How far.", True),
        ("by", "Who.", False),
    ]


async def test_a_prompt_is_one_message_of_the_user(client: Client) -> None:
    got = await client.get_prompt("dim", {"level": "3"})
    assert got.description == "Dims the lamp."
    (message,) = got.messages
    assert message.role == "user"
    assert message.content.text == f"Dim `lamp_level` to 3.\n\n{DATA}"  # type: ignore[union-attr]  # prompts are texts


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("sing", {}, "No prompt is called sing"),
        ("dim", {}, "'level' is missing"),
        ("dim", {"level": "3", "colour": "red"}, "no argument 'colour'"),
    ],
)
async def test_what_is_wrong_with_a_prompt_is_a_fault_of_the_caller(
    client: Client, name: str, arguments: dict[str, str], said: str
) -> None:
    with pytest.raises(MCPError, match=said) as raised:
        await client.get_prompt(name, arguments)
    assert raised.value.error.code == INVALID_PARAMS
    assert raised.value.error.data["name"] == name


async def test_a_hundred_values_are_proposed_and_the_rest_is_counted(client: Client) -> None:
    for reference, argument in (
        (PromptReference(name="dim"), "level"),
        (ResourceTemplateReference(uri="plex://lamp/{bulb}"), "bulb"),
    ):
        found = (await client.complete(reference, {"name": argument, "value": ""})).completion
        assert (found.values, found.total, found.has_more) == (MANY[:100], 250, True)
        found = (await client.complete(reference, {"name": argument, "value": "24"})).completion
        assert (found.total, found.has_more) == (11, False)


@pytest.mark.parametrize(
    ("reference", "argument"),
    [
        (PromptReference(name="sing"), "level"),
        (PromptReference(name="dim"), "bulb"),
        (ResourceTemplateReference(uri="plex://lamp/{bulb}"), "level"),
        (ResourceTemplateReference(uri="plex://elsewhere/{bulb}"), "bulb"),
    ],
)
async def test_nothing_is_proposed_for_what_is_not_there(
    client: Client, reference: PromptReference | ResourceTemplateReference, argument: str
) -> None:
    assert (await client.complete(reference, {"name": argument, "value": ""})).completion.values == []


async def test_a_panel_is_a_page_that_may_load_nothing_from_elsewhere(client: Client) -> None:
    (page,) = (await client.read_resource("ui://toy/lamp")).contents
    assert page.mime_type == "text/html;profile=mcp-app"
    assert page.text == "<!doctype html><title>Lamp</title>"  # type: ignore[union-attr]  # pages are texts
    assert page.meta is not None
    closed: dict[str, list[str]] = {
        "connectDomains": [],
        "resourceDomains": [],
        "frameDomains": [],
        "baseUriDomains": [],
    }
    assert page.meta["ui"]["csp"] == closed


async def test_a_panel_is_not_among_the_resources_which_are_all_json(client: Client) -> None:
    assert {one.mime_type for one in (await client.list_resources()).resources} == {"application/json"}


async def test_a_tool_says_which_panel_shows_its_answers(client: Client) -> None:
    tools = {tool.name: tool.meta for tool in (await client.list_tools()).tools}
    assert tools["lamp_level"] == {"ui": {"resourceUri": "ui://toy/lamp"}}
    assert tools["lamp_break"] is None


async def test_a_server_with_panels_says_so(client: Client, era: str) -> None:
    if era != LEGACY:
        assert client.server_capabilities.extensions == {"io.modelcontextprotocol/ui": {}}
