"""Runs a tool: the gate first, then the arguments, then the function where it belongs."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from plex_companion.errors import ToolError
from plex_companion.events import Audit, Heard
from plex_companion.text import without
from plex_companion.tools.facts import shortened
from plex_companion.tools.several import LONGEST, Several

SECRET = frozenset({"pin"})
UNDONE = frozenset({"multiple_matches", "client_selection"})
"""Answers after which nothing has been changed."""

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plexapi.server import PlexServer

    from plex_companion.companion import Companion
    from plex_companion.tools.declare import Caller, Tool

    Images = tuple[tuple[str, bytes], ...]
    Answered = tuple[dict[str, Any], str, Images]


async def call_tool(companion: Companion, tool: Tool, arguments: Mapping[str, Any], caller: Caller) -> Answered:
    """Run a tool; gives its result as a JSON object, as the text for a model, and the images to show (MIME type, bytes).

    Raises:
        ToolError: what the caller is told.
    """
    tool.refuse_when(read_only=companion.settings.read_only, arguments=arguments)
    try:
        given = tool.validated(arguments)
    except ToolError as error:  # it may quote what the caller wrote
        error.message = without(error.message, companion.settings.secrets())
        raise
    has: dict[str, Any] = {"companion": companion, "caller": caller}
    given |= {name: has[what] for name, what in tool.injected.items() if what in has}
    if tool.writes(arguments):
        return await _audited(companion, tool, given)
    return await _answered(companion, tool, given)


async def _answered(companion: Companion, tool: Tool, given: dict[str, Any]) -> Answered:
    secrets = companion.settings.secrets()
    try:
        if tool.asks_plex:
            return await companion.gateway.call(partial(_with_plex, tool, given, secrets), timeout=tool.seconds)
        return _as_json(tool, await tool.function(**given), secrets)
    except ToolError as error:
        error.message = shortened(without(error.message, secrets), LONGEST) or ""
        error.facts = json.loads(without(json.dumps(error.facts, default=str), secrets))
        raise
    except Several as several:
        return _without(several.structured, secrets)[0], without(_compact(several.matches), secrets), ()


async def _audited(companion: Companion, tool: Tool, given: dict[str, Any]) -> Answered:
    """The same, and a row in the journal, whatever comes of it."""
    told: dict[str, Any] = {"tool": tool.name, "arguments": _told(tool, given), "outcome": "unfinished"}
    try:
        answered = await _answered(companion, tool, given)
        structured = answered[0]
        told["outcome"] = structured["status"] if structured.get("status") in UNDONE else "done"
        told["before"] = structured.get("before") or structured.get("previous_definition")
    except ToolError as error:
        told |= {"outcome": error.code, "message": error.message}
        raise
    finally:
        with anyio.CancelScope(shield=True):
            safe, _ = _without(told, companion.settings.secrets())
            await companion.inbox.put([Heard(Audit(tool.name, told["outcome"], safe), companion.clock())])
    return answered


def _told(tool: Tool, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments that were given, without what nobody else should read."""
    return {
        name: str(value) if isinstance(value, bytes) else value
        for name, value in given.items()
        if name not in tool.injected and name not in SECRET and value is not None
    }


def _with_plex(tool: Tool, given: dict[str, Any], secrets: tuple[str, ...], plex: PlexServer) -> Answered:
    """In a worker thread, so that no long answer keeps the event loop from others."""
    found = tool.function(**given, **{name: plex for name, what in tool.injected.items() if what == "plex"})
    return _as_json(tool, found, secrets)


def _as_json(tool: Tool, result: Any, secrets: tuple[str, ...]) -> Answered:
    """The result as an object and as text; whatever Plex put into it, no secret of ours is in either."""
    structured: dict[str, Any] = result if tool.is_told else tool.result.dump_python(result, mode="json")
    if structured.get("message", "") is None:
        del structured["message"]
    structured, text = _without(structured, secrets)
    if hasattr(result, "as_text"):
        text = without(_compact(result.as_text()), secrets)
    return structured, text, result.as_images() if hasattr(result, "as_images") else ()


def _without(structured: dict[str, Any], secrets: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    """The object without our secrets, and its JSON."""
    text = _compact(structured)
    harmless = without(text, secrets)
    return (structured if harmless is text else json.loads(harmless)), harmless


def _compact(body: Any) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
