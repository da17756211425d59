"""Running a tool: check whether it is allowed, validate the arguments, call the function where it belongs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from plex_companion.cache.database import StorageError, explain_unreadable
from plex_companion.errors import ToolError
from plex_companion.events import Audit, ReceivedEvent
from plex_companion.plex.lookup import LONGEST, MultipleMatches
from plex_companion.plex.xml.answer import collect_damage, describe_damage
from plex_companion.plex.xml.attributes import shorten, use_zone
from plex_companion.text import encode_finite, encode_json
from plex_companion.tools.elicitation.choose import choose_match
from plex_companion.tools.server_argument import SERVER_NAME
from plex_companion.tools.users import store_names

SECRET = frozenset({"pin"})
UNDONE = frozenset({"multiple_matches", "client_selection"})
"""Statuses of answers that changed nothing."""
VERBATIM = frozenset({"payload", "raw_data", "detail", "context"})
"""Objects in a row as others wrote them."""
STATED = frozenset(
    {"ended_at", "until", "resolved_at", "acknowledged_at", "available_on_server", "last_watched_at", "last", "next"}
)
"""Values of a row whose null has a meaning: the play goes on, the alert is open, it is unknown whether the server has it,
nobody has ever watched it, or there is no further episode."""

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from plex_companion.companion import Companion
    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.xml.answer import Damage
    from plex_companion.text import SecretFilter
    from plex_companion.tools.declare import Caller, Tool

    Images = tuple[tuple[str, bytes], ...]
    Answered = tuple[dict[str, Any], str, Images]


async def call_tool(companion: Companion, tool: Tool, arguments: Mapping[str, Any], caller: Caller) -> Answered:
    """Run a tool. Return its result as a JSON object, as text for a model, and the images to show (MIME type, bytes).

    Raises:
        ToolError: the message for the caller.
    """
    tool.check_allowed(arguments, read_only=companion.settings.read_only, may_write=caller.may_write)
    try:
        given = tool.validate(arguments)
    except ToolError as error:
        raise _shorten_error(error, companion.secrets) from error
    has: dict[str, Any] = {"companion": companion, "caller": caller}
    given |= {name: has[what] for name, what in tool.injected.items() if what in has}
    if tool.is_write(arguments):
        return await _run_audited(companion, tool, given, caller)
    return await _run(companion, tool, given, caller)


async def _run(companion: Companion, tool: Tool, given: dict[str, Any], caller: Caller) -> Answered:
    with collect_damage() as damage:
        try:
            if tool.asks_plex:
                with_plex = partial(_run_with_plex, tool, given, damage, zone=companion.zone)
                answered = await companion.gateway.call(with_plex, timeout=tool.seconds)
                await store_names(companion)
                return answered
            return _encode_result(tool, await tool.function(**given), damage)
        except ToolError as error:
            raise _add_damage(error, damage, companion.secrets) from error
        except StorageError as error:
            raise explain_unreadable(error) from error
        except MultipleMatches as ambiguous:
            if not (chosen := await choose_match(tool, given, ambiguous, caller)):
                return _mark_incomplete(ambiguous.structured, damage), encode_json(ambiguous.matches), ()
    given.update(chosen)
    return await _run(companion, tool, given, caller)


def _add_damage(error: ToolError, damage: Sequence[Damage], secrets: SecretFilter) -> ToolError:
    """Add to an error what was missing in Plex's answers, which may be its cause, and shorten it."""
    if missing := describe_damage(damage):
        error.message = f"{error.message} {missing}"
        error.facts["incomplete"] = True
    return _shorten_error(error, secrets)


def _mark_incomplete(structured: dict[str, Any], damage: Sequence[Damage]) -> dict[str, Any]:
    """Return the result with a note if an answer of Plex could not be read completely."""
    missing = shorten(describe_damage(damage), LONGEST)
    if not missing:
        return structured
    return {**structured, "message": f"{structured.get('message') or ''} {missing}".strip(), "incomplete": True}


def _shorten_error(error: ToolError, secrets: SecretFilter) -> ToolError:
    """Cut an error's message, which may quote the caller. Secrets are hidden first: half of one is not recognised later."""
    error.message = shorten(secrets.hide(error.message), LONGEST) or ""
    return error


async def _run_audited(companion: Companion, tool: Tool, given: dict[str, Any], caller: Caller) -> Answered:
    """Run a writing tool and record the call in the journal, whatever its outcome."""
    entry: dict[str, Any] = {"tool": tool.name, "arguments": None, "outcome": "unfinished"}
    try:
        answered = await _run(companion, tool, given, caller)
        structured = answered[0]
        entry["outcome"] = structured["status"] if structured.get("status") in UNDONE else "done"
        entry["before"] = structured.get("before") or structured.get("previous_definition")
    except ToolError as error:
        entry |= {"outcome": error.code, "message": error.message}
        raise
    finally:
        with anyio.CancelScope(shield=True):
            entry["arguments"] = _describe_arguments(tool, given)  # with what a person chose
            if companion.is_limited:
                entry["arguments"][SERVER_NAME] = companion.only_server
            safe = companion.secrets.hide_values(entry)
            await companion.event_queue.put(
                [ReceivedEvent(Audit(tool.name, entry["outcome"], safe), companion.clock())]
            )
    return answered


def _describe_arguments(tool: Tool, given: dict[str, Any]) -> dict[str, Any]:
    """Return the given arguments without secrets, for the journal."""
    hidden = {*tool.injected, *SECRET}
    shown = {name: value for name, value in given.items() if name not in hidden and value is not None}
    return {name: str(value) if isinstance(value, bytes) else value for name, value in shown.items()}


def _run_with_plex(
    tool: Tool,
    given: dict[str, Any],
    damage: Sequence[Damage],
    plex: PlexServer,
    *,
    zone: tzinfo,
) -> Answered:
    """Run the function and encode its result in the worker thread: a long answer must not block the event loop."""
    with use_zone(zone):
        found = tool.function(**given, **{name: plex for name, what in tool.injected.items() if what == "plex"})
    return _encode_result(tool, found, damage)


def _encode_result(tool: Tool, result: Any, damage: Sequence[Damage]) -> Answered:
    """Return the result as an object, as text, and the images in it."""
    structured: dict[str, Any] = result if tool.is_json else tool.result.dump_python(result, mode="json")
    if structured.get("message", "") is None:
        del structured["message"]
    structured = compact_rows(structured)
    structured = _mark_incomplete(structured, damage)
    content = _compact_value(result.as_text()) if hasattr(result, "as_text") and not damage else structured
    encode = encode_finite if tool.is_json else encode_json
    return structured, encode(content), result.as_images() if hasattr(result, "as_images") else ()


def compact_rows(result: dict[str, Any]) -> dict[str, Any]:
    """Return a result whose lists have rows without what is null. Everything that is not in a list stays whole.

    In a page of fifty it would be up to a quarter of what a model has to read.
    """
    return {name: _compact_value(value) for name, value in result.items()}


def _compact_value(value: Any) -> Any:
    if type(value) is list:
        return [_compact_row(one) if type(one) is dict else one for one in value]
    return compact_rows(value) if type(value) is dict else value


def _compact_row(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row without nulls, and without objects that hold only nulls."""
    kept = row.copy()
    for name, value in row.items():
        kind = type(value)
        if value is None:
            if name not in STATED:
                del kept[name]
        elif kind is list:
            kept[name] = _compact_value(value)
        elif kind is dict and value and name not in VERBATIM:
            kept[name] = inner = _compact_row(value)
            if not inner:
                del kept[name]
    return kept
