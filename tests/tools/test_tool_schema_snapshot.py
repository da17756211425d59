"""The recorded schemas of the tools: they are the declarations' own, and serve only the declaration they were made of."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import pytest
from mcp import Client
from pydantic import Field
from support.application import settings_for
from support.deadlines import HANG_SECONDS

from plex_companion.app import open_application
from plex_companion.server.mcp.build import build_server
from plex_companion.server.mcp.companion_interface import ToolCallTimer, build_server_interface
from plex_companion.tools.declare import Access, Shape, Toolset
from plex_companion.tools.schema_snapshot import PATH, find_recorded, render_snapshot
from plex_companion.tools.toolsets import TOOLSETS, list_declared, select_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from plex_companion.app import Application
    from plex_companion.demo import Demo
    from plex_companion.tools.declare import Tool

DECLARED = {tool.name: tool for tool in list_declared()}
MODES = [
    (toolsets, read_only)
    for toolsets in ((), ("live",), ("media", "playlist"), *((toolset.name,) for toolset in TOOLSETS))
    for read_only in (True, False)
]


@pytest.mark.parametrize("tool", DECLARED.values(), ids=lambda tool: tool.name)
def test_the_recorded_schemas_are_those_of_the_declaration(tool: Tool) -> None:
    recorded = find_recorded(tool.name, tool.digest)
    assert recorded is not None, "run `make docs`"
    assert json.dumps(recorded.input_schema) == json.dumps(tool.input_schema)
    assert json.dumps(recorded.output_schema) == json.dumps(tool.output_schema)


def test_the_snapshot_holds_every_tool_and_no_other() -> None:
    assert PATH.read_text(encoding="utf-8") == render_snapshot(DECLARED.values())


async def list_wire(application: Application, tools: Sequence[Tool]) -> str:
    """The list of tools as a client gets it."""
    interface = build_server_interface(application.companion, tools, ToolCallTimer())
    async with Client(build_server(interface, application.notifier)) as client:
        return (await client.list_tools()).model_dump_json(by_alias=True)


@pytest.mark.slow
@pytest.mark.parametrize("privacy", [True, False], ids=["privacy", "open"])
async def test_a_client_gets_the_same_list_with_and_without_the_snapshot(
    demo: Demo, tmp_path: Path, *, privacy: bool
) -> None:
    settings = settings_for(demo, tmp_path).model_copy(update={"privacy": privacy})
    async with open_application(settings) as application:
        for toolsets, read_only in MODES:
            tools = select_tools(toolsets, read_only=read_only)
            built = [replace(tool, from_snapshot=False) for tool in tools]
            assert await list_wire(application, tools) == await list_wire(application, built), (toolsets, read_only)


BUILDS_NOTHING = """
from plex_companion.tools.toolsets import select_tools
for tool in select_tools(read_only=False):
    tool.input_schema, tool.output_schema, tool.parameters
    built = {"arguments", "result", "hints"} & vars(tool).keys() - ({"hints"} if "parameters" in vars(tool) else set())
    assert not built, (tool.name, built)
"""


def test_a_program_that_lists_tools_builds_no_validator_whatever_the_hashes_of_its_strings() -> None:
    for seed in ("1", "2"):
        subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-c", BUILDS_NOTHING], env={"PYTHONHASHSEED": seed}, check=True, timeout=HANG_SECONDS
        )


# A declaration that is not the recorded one

LONG = "A sentence about the limit."
Limit = Annotated[int, Field(description=LONG)]


@dataclass(frozen=True, slots=True)
class Inner:
    """Something inside."""

    count: int = 1


@dataclass(frozen=True, slots=True)
class Outer:
    """The result."""

    parts: list[Inner]
    note: str = "none"


def declare(function: Callable[..., Any]) -> Tool:
    toolset = Toolset("some", "For a test")
    toolset.tool(Access.READ)(function)
    return toolset.tools[0]


def test_a_tool_of_a_recorded_name_with_another_declaration_gets_its_own_schemas() -> None:
    async def live_sessions(limit: Limit = 5) -> Outer:
        """List something else than the tool of this name."""
        return Outer([], str(limit))

    tool = declare(live_sessions)
    assert find_recorded(tool.name, DECLARED[tool.name].digest) is not None
    assert tool.input_schema["properties"] == {"limit": {"type": "integer", "description": LONG, "default": 5}}
    assert tool.output_schema["properties"].keys() == {"parts", "note"}


def test_without_a_digest_nothing_is_found() -> None:
    assert find_recorded("live_sessions", "") is None
    assert find_recorded("no_such_tool", "") is None


def rebuild(source: str, **names: object) -> str:
    """The digest of a function `tool` that is defined among these names."""
    scope: dict[str, Any] = {"Annotated": Annotated, "Field": Field, "Shape": Shape, "Any": Any, **names}
    exec(f"from __future__ import annotations\n{source}", scope)  # noqa: S102 - the source is in this file
    return declare(scope["tool"]).digest


def make_class(source: str) -> type:
    """A dataclass `Result` whose body is this source, as a module of ours would hold it."""
    scope: dict[str, Any] = {"__name__": __name__, "dataclass": dataclass, "Inner": Inner}
    exec(f"from __future__ import annotations\n@dataclass(frozen=True)\nclass Result:\n {source}", scope)  # noqa: S102 - the same
    found: type = scope["Result"]
    return found


PLAIN = "def tool(title: str, limit: Limit = 5) -> Result: ..."
USUAL: dict[str, object] = {"Limit": Limit, "Result": make_class("'It.'; items: list[Inner]")}


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("def tool(title: str | None, limit: Limit = 5) -> Result: ...", {}),
        ("def tool(name: str, limit: Limit = 5) -> Result: ...", {}),
        ("def tool(title: str, limit: Limit = 6) -> Result: ...", {}),
        ("def tool(title: str, *, limit: Limit = 5) -> Result: ...", {}),
        ("def tool(title: str, limit: Limit = 5) -> Annotated[dict[str, Any], Shape(Result)]: ...", {}),
        (PLAIN, {"Limit": Annotated[int, Field(description="Another sentence.")]}),
        (PLAIN, {"Limit": Annotated[int | None, Field(description=LONG)]}),
        (PLAIN, {"Limit": Annotated[int, Field(description=LONG, ge=1)]}),
        (PLAIN, {"Limit": Annotated[list[int], Field(description=LONG)]}),
        (PLAIN, {"Limit": Literal[1, 2]}),
        (PLAIN, {"Result": make_class("'Another docstring.'; items: list[Inner]")}),
        (PLAIN, {"Result": make_class("'It.'; items: list[Inner] | None")}),
        (PLAIN, {"Result": make_class("'It.'; items: list[Inner] | None = None")}),
        (PLAIN, {"Result": Outer}),
    ],
)
def test_whatever_changes_a_schema_changes_the_digest(source: str, names: dict[str, object]) -> None:
    usual = rebuild(PLAIN, **USUAL)
    assert rebuild(PLAIN, **USUAL) == usual
    assert rebuild(source, **{**USUAL, **names}) != usual


def test_the_value_of_a_name_inside_an_annotation_counts() -> None:
    source = "def tool(limit: Annotated[int, Field(description=TEXT)]) -> dict[str, Any]: ..."
    assert rebuild(source, TEXT="one") != rebuild(source, TEXT="two")


def test_the_kind_of_a_list_counts_and_so_do_the_values_of_a_choice() -> None:
    source = "def tool(ids: Ids) -> dict[str, Any]: ..."
    assert rebuild(source, Ids=list[str]) != rebuild(source, Ids=set[str])
    assert rebuild(source, Ids=Literal["a"]) != rebuild(source, Ids=Literal["b"])
    source = "def tool(id: Literal[KINDS]) -> dict[str, Any]: ..."
    assert rebuild(source, KINDS=("a", "b")) != rebuild(source, KINDS=("a", "c"))


def test_a_docstring_of_the_function_and_its_body_do_not_count() -> None:
    usual = rebuild(PLAIN, **USUAL)
    assert rebuild(PLAIN.replace("...", "return None"), **USUAL) == usual
    assert rebuild(PLAIN.replace("...", "'Said to models as it is.'"), **USUAL) == usual
