"""The tools, listed for people and for snapshots: everything here derives from their declarations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from plex_companion.tools import TOOLSETS

if TYPE_CHECKING:
    from plex_companion.tools.declare import Tool, Toolset

CHARACTERS_A_TOKEN = 4
"""A rule of thumb for English and JSON; models count differently."""


def plain() -> str:
    """One line a tool, by toolset."""
    lines = []
    for toolset in TOOLSETS:
        lines.append(f"{toolset.name}: {toolset.sentence}")
        lines += [f"  {tool.name:38} {tool.access.value:12} {_first_line(tool)}" for tool in toolset.tools]
    return "\n".join(lines)


def markdown() -> str:
    """The table of the README: a row a toolset, with what its schemas cost a model's context."""
    head = ["| toolset | tools | tokens |", "|---|---|---|"]
    return "\n".join([*head, *(_row(toolset) for toolset in TOOLSETS)])


def _row(toolset: Toolset) -> str:
    names = ", ".join(f"`{tool.name}`{_mark(tool)}" for tool in toolset.tools)
    return f"| **{toolset.name}**: {toolset.sentence} | {names} | {tokens(toolset):,} |"


def _mark(tool: Tool) -> str:
    return {"read": "", "write": " ✎", "destructive": " ⚠"}[tool.access.value]


def tokens(toolset: Toolset) -> int:
    """About how many tokens of a model's context the schemas of a set take, to the next 50."""
    characters = sum(len(json.dumps(described(tool), separators=(",", ":"))) for tool in toolset.tools)
    return -(-characters // CHARACTERS_A_TOKEN // 50) * 50


def described(tool: Tool) -> dict[str, Any]:
    """What a client is told of a tool, but for annotations."""
    return {
        "name": tool.name,
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "outputSchema": tool.output_schema,
    }


def reference() -> str:
    """A section a toolset, a paragraph a tool: what it takes and does."""
    return "\n\n".join(
        part
        for toolset in TOOLSETS
        for part in (f"## {toolset.name}", toolset.sentence + ".", *map(_paragraph, toolset.tools))
    )


def _paragraph(tool: Tool) -> str:
    given = tool.input_schema.get("properties", {})
    needed = tool.input_schema.get("required", [])
    arguments = ", ".join(name if name in needed else f"{name}?" for name in given)
    return f"### `{tool.name}({arguments})`{_mark(tool)}\n\n{tool.description}"


def schemas() -> str:
    """Every tool as clients see it, with its access class: the text of the recorded snapshot."""
    listed = [{"access": tool.access.value, **described(tool)} for toolset in TOOLSETS for tool in toolset.tools]
    return json.dumps(listed, indent=1, ensure_ascii=False)


def _first_line(tool: Tool) -> str:
    return tool.description.splitlines()[0]
