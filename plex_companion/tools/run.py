"""Runs a tool: the gate first, then the arguments, then the function where it belongs."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from plex_companion.cache.database import StorageError, explain_unreadable
from plex_companion.errors import ToolError
from plex_companion.events import Audit, ReceivedEvent
from plex_companion.plex.lookup import LONGEST, MultipleMatches
from plex_companion.plex.xml.answer import collect_damage, words_of
from plex_companion.plex.xml.attributes import find_zone, shorten
from plex_companion.text import hide_secrets
from plex_companion.tools.users import keep_names

SECRET = frozenset({"pin"})
UNDONE = frozenset({"multiple_matches", "client_selection"})
"""Answers after which nothing has been changed."""

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from plexapi.server import PlexServer

    from plex_companion.companion import Companion
    from plex_companion.plex.xml.answer import Damage
    from plex_companion.tools.declare import Caller, Tool

    Images = tuple[tuple[str, bytes], ...]
    Answered = tuple[dict[str, Any], str, Images]


async def call_tool(companion: Companion, tool: Tool, arguments: Mapping[str, Any], caller: Caller) -> Answered:
    """Run a tool; gives its result as a JSON object, as the text for a model, and the images to show (MIME type, bytes).

    Raises:
        ToolError: what the caller is told.
    """
    tool.check_allowed(read_only=companion.settings.read_only, arguments=arguments)
    try:
        given = tool.validate(arguments)
    except ToolError as error:
        raise _is_harmless(error, companion.settings.list_secrets()) from error
    has: dict[str, Any] = {"companion": companion, "caller": caller}
    given |= {name: has[what] for name, what in tool.injected.items() if what in has}
    if tool.is_write(arguments):
        return await _run_audited(companion, tool, given)
    return await _run(companion, tool, given)


async def _run(companion: Companion, tool: Tool, given: dict[str, Any]) -> Answered:
    secrets = companion.settings.list_secrets()
    with collect_damage() as damage:
        try:
            if tool.asks_plex:
                with_plex = partial(_run_with_plex, tool, given, secrets, damage, zone=companion.zone)
                answered = await companion.gateway.call(with_plex, timeout=tool.seconds)
                await keep_names(companion)
                return answered
            return _encode_result(tool, await tool.function(**given), secrets, damage)
        except ToolError as error:
            raise _complete(error, damage, secrets) from error
        except StorageError as error:
            raise explain_unreadable(error) from error
        except MultipleMatches as several:
            told = _mark_incomplete(several.structured, damage)
            return _hide_secrets(told, secrets)[0], hide_secrets(_encode(several.matches), secrets), ()


def _complete(error: ToolError, damage: Sequence[Damage], secrets: tuple[str, ...]) -> ToolError:
    """Say what Plex's answers lacked, as that may be the cause, and take our secrets out."""
    if missing := words_of(damage):
        error.message = f"{error.message} {missing}"
        error.facts["incomplete"] = True
    return _is_harmless(error, secrets)


def _mark_incomplete(structured: dict[str, Any], damage: Sequence[Damage]) -> dict[str, Any]:
    """The result, saying so where an answer of Plex could not be read whole."""
    missing = shorten(words_of(damage), LONGEST)
    if not missing:
        return structured
    return {**structured, "message": f"{structured.get('message') or ''} {missing}".strip(), "incomplete": True}


def _is_harmless(error: ToolError, secrets: tuple[str, ...]) -> ToolError:
    """Cut an error's message and take our secrets out of it: it may quote what the caller wrote."""
    error.message = shorten(hide_secrets(error.message, secrets), LONGEST) or ""
    error.facts = json.loads(hide_secrets(json.dumps(error.facts, default=str), secrets))
    return error


async def _run_audited(companion: Companion, tool: Tool, given: dict[str, Any]) -> Answered:
    """The same, and a row in the journal, whatever comes of it."""
    told: dict[str, Any] = {"tool": tool.name, "arguments": _describe_arguments(tool, given), "outcome": "unfinished"}
    try:
        answered = await _run(companion, tool, given)
        structured = answered[0]
        told["outcome"] = structured["status"] if structured.get("status") in UNDONE else "done"
        told["before"] = structured.get("before") or structured.get("previous_definition")
    except ToolError as error:
        told |= {"outcome": error.code, "message": error.message}
        raise
    finally:
        with anyio.CancelScope(shield=True):
            safe, _ = _hide_secrets(told, companion.settings.list_secrets())
            await companion.event_queue.put([ReceivedEvent(Audit(tool.name, told["outcome"], safe), companion.clock())])
    return answered


def _describe_arguments(tool: Tool, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments that were given, without what nobody else should read."""
    return {
        name: str(value) if isinstance(value, bytes) else value
        for name, value in given.items()
        if name not in tool.injected and name not in SECRET and value is not None
    }


def _run_with_plex(
    tool: Tool,
    given: dict[str, Any],
    secrets: tuple[str, ...],
    damage: Sequence[Damage],
    plex: PlexServer,
    *,
    zone: tzinfo,
) -> Answered:
    """In a worker thread, so that no long answer keeps the event loop from others."""
    with find_zone(zone):
        found = tool.function(**given, **{name: plex for name, what in tool.injected.items() if what == "plex"})
    return _encode_result(tool, found, secrets, damage)


def _encode_result(tool: Tool, result: Any, secrets: tuple[str, ...], damage: Sequence[Damage]) -> Answered:
    """The result as an object and as text; whatever Plex put into it, no secret of ours is in either."""
    structured: dict[str, Any] = result if tool.is_json else tool.result.dump_python(result, mode="json")
    if structured.get("message", "") is None:
        del structured["message"]
    structured, text = _hide_secrets(_mark_incomplete(structured, damage), secrets)
    if hasattr(result, "as_text") and not damage:
        text = hide_secrets(_encode(result.as_text()), secrets)
    return structured, text, result.as_images() if hasattr(result, "as_images") else ()


def _hide_secrets(structured: dict[str, Any], secrets: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    """The object without our secrets, and its JSON."""
    text = _encode(structured)
    harmless = hide_secrets(text, secrets)
    return (structured if harmless is text else json.loads(harmless)), harmless


def _encode(body: Any) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
