"""What holds for every tool, whatever it does."""

from __future__ import annotations

import ast
import csv
import inspect
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.tools import tools_home

from plex_companion.server.mcp.companion_interface import build_instructions
from plex_companion.tools.declare import Access
from plex_companion.tools.toolsets import TOOLSETS, select_tools

if TYPE_CHECKING:
    from plex_companion.tools.declare import Tool

CONTRACT = Path(__file__).parents[3] / "shared" / "tools.tsv"
EVERY = [tool for toolset in TOOLSETS for tool in toolset.tools]
OF_THE_COMPANION = {"live", "rules", "catalogue"}
"""Toolsets that the contract of the Plex command set does not have."""
every_tool = pytest.mark.parametrize("tool", EVERY, ids=lambda tool: tool.name)


@every_tool
def test_a_tool_is_described(tool: Tool) -> None:
    assert len(tool.description) > 20


@every_tool
def test_a_title_is_short_and_does_not_name_plex(tool: Tool) -> None:
    assert 0 < len(tool.display_title) <= 40
    assert "Plex" not in tool.display_title
    assert tool.display_title[0].isupper()


def test_titles_tell_tools_apart() -> None:
    titles = [tool.display_title for tool in EVERY]
    assert sorted(titles) == sorted(set(titles))


@every_tool
def test_only_a_tool_that_changes_something_is_idempotent(tool: Tool) -> None:
    assert not (tool.idempotent and tool.changes_nothing)
    assert not (tool.idempotent and {"scan", "refresh", "create", "run", "navigate"} & set(tool.name.split("_")))


@every_tool
def test_an_output_schema_is_an_open_object_without_required_keys(tool: Tool) -> None:
    schema = tool.output_schema
    assert schema["type"] == "object"
    assert schema["additionalProperties"] is True
    assert "required" not in schema


@every_tool
def test_an_output_schema_names_the_keys_of_the_result(tool: Tool) -> None:
    assert tool.output_schema.get("properties") or tool.name == "media_get_artwork", "artwork is keyed by its kind"


ASKED: dict[str, dict[str, object]] = {
    "companion_status": {},
    "live_sessions": {},
    "history_query": {},
    "history_stats": {"by": "user"},
    "what_happened": {"since": "1d"},
    "catalogue_search": {"limit": 1},
    "catalogue_storage": {"by": "show"},
    "catalogue_duplicates": {},
    "catalogue_neglected": {},
    "recommend": {},
    "on_this_day": {},
    "recap": {},
    "library_changes": {"since": "1d"},
    "library_get_contents": {"media_type": "movie"},
    "library_get_recently_added": {},
    "media_search": {"query": "a"},
    "playlist_list": {},
    "user_search_users": {},
    "user_get_on_deck": {},
    "server_get_bandwidth": {},
    "server_get_current_resources": {},
    "client_list": {},
    "watchlist_list": {},
}


async def test_results_hold_no_key_that_their_schema_does_not_name(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        for name, given in ASKED.items():
            body = (await tools.ask(name, **given)).body
            assert body.keys() - {"message"} <= select_tool(name).output_schema["properties"].keys(), name


def select_tool(name: str) -> Tool:
    return next(tool for tool in EVERY if tool.name == name)


@pytest.mark.skipif(not CONTRACT.exists(), reason="the tool contract is not beside the project")
@every_tool
def test_names_access_and_parameters_are_the_contracts(tool: Tool) -> None:
    lines = CONTRACT.read_text(encoding="utf-8").splitlines()
    rows = {row[0]: row for row in csv.reader(lines, delimiter="\t")}
    if tool.toolset in OF_THE_COMPANION:
        assert tool.name not in rows
        return
    name, toolset, access, required, optional = rows[tool.name]
    assert (name, toolset, access) == (tool.name, tool.toolset, tool.access.name)
    properties = tool.input_schema.get("properties", {})
    expected = [part for part in f"{required},{optional}".split(",") if part]
    assert [part for part in expected if part not in properties] == []


@pytest.mark.skipif(not CONTRACT.exists(), reason="the tool contract is not beside the project")
def test_the_tools_are_those_of_the_contract_and_the_live_ones() -> None:
    lines = CONTRACT.read_text(encoding="utf-8").splitlines()
    contract = {line.split("\t")[0] for line in lines if line}
    assert {tool.name for tool in EVERY if tool.toolset not in OF_THE_COMPANION} == contract


@every_tool
def test_no_tool_function_is_longer_than_40_lines_or_catches_anything(tool: Tool) -> None:
    source = inspect.getsource(tool.function)
    assert len(source.splitlines()) <= 40
    body = ast.parse(textwrap.dedent(source))
    assert not [node for node in ast.walk(body) if isinstance(node, ast.Try)]


def test_the_instructions_are_short() -> None:
    assert all(len(build_instructions(select_tools(read_only=closed)).split()) < 300 for closed in (True, False))


def test_names_are_unique() -> None:
    names = [tool.name for tool in EVERY]
    assert len(set(names)) == len(names)


async def test_every_write_is_refused_in_read_only_mode_before_anything_is_asked(tmp_path: Path) -> None:
    async with tools_home(tmp_path, read_only="true") as tools:
        for tool in EVERY:
            if tool.access is not Access.READ:
                error = await tools.refused(tool.name, nonsense=1)
                assert error["code"] == "read_only"
                assert error["operation"] == tool.name
                assert error["message"] == (
                    f"Operation '{tool.name}' is not allowed in read-only mode. "
                    "Set READ_ONLY_MODE=false in your environment to enable write operations."
                )
                assert tools.requests == 0


def test_read_only_mode_switches_off_exactly_the_tools_that_write() -> None:
    closed, opened = select_tools(read_only=True), select_tools(read_only=False)
    assert [tool.name for tool in closed] == [tool.name for tool in opened]
    assert all(tool.off == (tool.access is not Access.READ) for tool in closed)
    assert not any(tool.off for tool in opened)


@pytest.mark.parametrize(
    ("names", "said"),
    [((), "30 tools that can change Plex"), (("library", "live"), "2 tools that"), (("live",), "None of these tools")],
)
def test_the_instructions_count_the_hidden_tools_of_the_served_toolsets(names: tuple[str, ...], said: str) -> None:
    closed, opened = build_instructions(select_tools(names)), build_instructions(select_tools(names, read_only=False))
    assert said in closed
    assert ("READ_ONLY_MODE=false" in closed) == ("hidden" not in said and "None" not in said)
    assert "not listed" not in opened
    assert ("confirm=true" in opened) == (names != ("live",))
