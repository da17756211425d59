"""The argument `server`, with which callers say which of several servers they mean. With one server no tool has it."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from plex_companion.companion import list_choices
from plex_companion.errors import Invalid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plex_companion.companion import Companion
    from plex_companion.tools.declare import Caller, Tool

SERVER_NAME = "server"
_SCHEMA = {"type": "string", "description": "Which Plex server: its name or machine identifier."}


class ServerArgument(enum.Enum):
    """Whether a tool takes the argument `server`, where several servers are configured."""

    REQUIRED = "required"
    """Ids mean something else on every server, and the first one is how the wrong film gets deleted."""
    OPTIONAL = "optional"
    """Without it, the answer is about all servers."""
    NONE = "none"
    """The tool is about the account at plex.tv, or takes ids that are unique in the database."""


def add_server_argument(schema: Mapping[str, Any], use: ServerArgument) -> dict[str, Any]:
    """Return the schema of a tool's arguments with `server` in it."""
    required = [*([SERVER_NAME] if use is ServerArgument.REQUIRED else []), *schema.get("required", ())]
    properties = {SERVER_NAME: _SCHEMA, **schema.get("properties", {})}
    return {**schema, "properties": properties, **({"required": required} if required else {})}


def choose_companion(
    companion: Companion, tool: Tool, arguments: Mapping[str, Any], caller: Caller
) -> tuple[Companion, Mapping[str, Any]]:
    """Return the companion of the server that a call names, and the other arguments.

    Raises:
        InsufficientScope, ReadOnly: as `Tool.check_allowed`, whatever server is meant.
        Invalid: the server is missing or empty.
        NotFound, Ambiguous: as `Companion.choose_server`.
    """
    tool.check_allowed(arguments, read_only=companion.settings.read_only, may_write=caller.may_write)
    if not tool.takes_server:
        return companion, arguments
    rest = {name: value for name, value in arguments.items() if name != SERVER_NAME}
    named = _read_name(arguments.get(SERVER_NAME))
    if named is None and tool.server is ServerArgument.REQUIRED:
        allowed = list_choices(companion.links)
        message = f"{tool.name}: argument 'server' is required: {_describe(allowed)}."
        raise Invalid(message, argument=SERVER_NAME, allowed=allowed)
    return companion.choose_server(named), rest


def _read_name(value: object) -> str | None:
    """Return the name as it was written; `None` for what hosts send for an argument that nobody filled in."""
    if value is None or (isinstance(value, str) and value.strip() in {"", "null"}):
        return None
    return str(value)


def _describe(allowed: list[str]) -> str:
    return f"one of {', '.join(allowed)}" if allowed else "no server has said who it is yet; call companion_status"
