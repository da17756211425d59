"""Lists of the tools for people and for snapshots. Everything here derives from the declarations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from plex_companion.text import encode_json, format_count
from plex_companion.tools.declare import ALLOW_WRITES, Access
from plex_companion.tools.toolsets import TOOLSETS, list_declared

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from plex_companion.tools.declare import Tool, Toolset

CHARACTERS_A_TOKEN = 4
"""A rule of thumb for English and JSON; models count differently."""


def render_plain(tools: Sequence[Tool]) -> str:
    """Return one line per tool, by toolset. Tools that read-only mode hides from clients are marked."""
    lines = []
    for toolset in TOOLSETS:
        if mine := [tool for tool in tools if tool.toolset == toolset.name]:
            lines += [f"{toolset.name}: {toolset.summary}", *map(_render_line, mine)]
    if hidden := sum(tool.off for tool in tools):
        lines += [
            "",
            f"* {format_count(hidden, 'tool that changes Plex is', 'tools that change Plex are')} hidden from clients: the companion is read-only. {ALLOW_WRITES}",
        ]
    return "\n".join(lines)


def _render_line(tool: Tool) -> str:
    return f"{'*' if tool.off else ' '} {tool.name:38} {tool.access.value:12} {_take_first_line(tool)}"


def render_table() -> str:
    """Return the README table: one row per toolset, with the tokens that its schemas cost a model."""
    head = ["| toolset | tools | tokens | with writes |", "|---|---|---|---|"]
    return "\n".join([*head, *(_render_row(toolset) for toolset in TOOLSETS)])


def _render_row(toolset: Toolset) -> str:
    names = ", ".join(f"`{tool.name}`{_render_mark(tool)}" for tool in toolset.tools)
    reading = [tool for tool in toolset.tools if tool.access is Access.READ]
    return f"| **{toolset.name}**: {toolset.summary} | {names} | {estimate_tokens(reading):,} | {estimate_tokens(toolset.tools):,} |"


def _render_mark(tool: Tool) -> str:
    return {"read": "", "write": " ✎", "destructive": " ⚠"}[tool.access.value]


def estimate_tokens(tools: Iterable[Tool]) -> int:
    """Estimate the tokens of what hosts show a model (name, description, input schema), rounded up to the next 50."""
    characters = sum(len(tool.name) + len(tool.description) + len(encode_json(tool.input_schema)) for tool in tools)
    return -(-characters // CHARACTERS_A_TOKEN // 50) * 50


def _encode(schema: dict[str, Any]) -> str:
    return json.dumps(schema, separators=(",", ":"))


def describe_tool(tool: Tool) -> dict[str, Any]:
    """Return a tool as clients see it, without annotations."""
    return {
        "name": tool.name,
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "outputSchema": tool.output_schema,
    }


def render_reference() -> str:
    """Return one section per toolset and one paragraph per tool: its arguments and its description."""
    return "\n\n".join(
        part
        for toolset in TOOLSETS
        for part in (f"## {toolset.name}", toolset.summary + ".", *map(_render_paragraph, toolset.tools))
    )


def _render_paragraph(tool: Tool) -> str:
    given = tool.input_schema.get("properties", {})
    needed = tool.input_schema.get("required", [])
    arguments = ", ".join(name if name in needed else f"{name}?" for name in given)
    return f"### `{tool.name}({arguments})`{_render_mark(tool)}\n\n{tool.description}"


def render_schemas() -> str:
    """Return all tools as clients see them, with their access class: the text of the recorded snapshot."""
    listed = [{"access": tool.access.value, **describe_tool(tool)} for tool in list_declared()]
    return json.dumps(listed, indent=1, ensure_ascii=False)


def _take_first_line(tool: Tool) -> str:
    return tool.description.splitlines()[0]
