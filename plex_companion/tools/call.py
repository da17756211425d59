"""Runs a tool: the gate first, then the arguments, then the function where it belongs."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plexapi.server import PlexServer

    from plex_companion.companion import Companion
    from plex_companion.tools.declare import Caller, Tool


async def call_tool(
    companion: Companion, tool: Tool, arguments: Mapping[str, Any], caller: Caller
) -> tuple[dict[str, Any], str]:
    """Run a tool; gives its result as a JSON object and as the text for a model.

    Raises:
        ToolError: what the caller is told.
    """
    tool.refuse_when(read_only=companion.settings.read_only)
    given = tool.validated(arguments)
    has: dict[str, Any] = {"companion": companion, "caller": caller}
    given |= {name: has[what] for name, what in tool.injected.items() if what in has}
    if tool.asks_plex:
        result = await companion.gateway.call(partial(_with_plex, tool, given))
    else:
        result = await tool.function(**given)
    return _as_json(tool, result)


def _with_plex(tool: Tool, given: dict[str, Any], plex: PlexServer) -> Any:
    """In a worker thread."""
    return tool.function(**given, **{name: plex for name, what in tool.injected.items() if what == "plex"})


def _as_json(tool: Tool, result: Any) -> tuple[dict[str, Any], str]:
    """The result as an object without nulls at its top that mean "no message", and its text."""
    structured: dict[str, Any] = tool.result.dump_python(result, mode="json")
    if structured.get("message", "") is None:
        del structured["message"]
    text = result.as_text() if hasattr(result, "as_text") else structured
    return structured, json.dumps(text, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
