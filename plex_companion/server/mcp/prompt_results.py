"""Prompts and completions as results of MCP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CompleteResult,
    Completion,
    GetPromptResult,
    Prompt,
    PromptArgument,
    PromptMessage,
    PromptReference,
    TextContent,
)

from plex_companion.errors import Invalid, NotFound
from plex_companion.prompts.prompt_list import fill_prompt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mcp_types import CompleteRequestParams

    from plex_companion.prompts import declare
    from plex_companion.server.mcp.interface import ServerInterface

MOST_VALUES = 100
"""The most values in one answer (MCP, Completion)."""


def build_prompt(prompt: declare.Prompt) -> Prompt:
    """Build the entry of a prompt in `prompts/list`."""
    arguments = [
        PromptArgument(name=one.name, description=one.description, required=one.required) for one in prompt.arguments
    ]
    return Prompt(name=prompt.name, title=prompt.title, description=prompt.description, arguments=arguments)


def get_prompt(interface: ServerInterface, name: str, arguments: Mapping[str, str]) -> GetPromptResult:
    """Fill in a prompt.

    Raises:
        MCPError: -32602 for an unknown prompt, and for an argument that is missing or unknown.
    """
    try:
        prompt, text = fill_prompt(interface.prompts, name, arguments)
    except (NotFound, Invalid) as error:
        raise MCPError(INVALID_PARAMS, error.message, {"name": name[:100], **error.facts}) from error
    message = PromptMessage(role="user", content=TextContent(text=text))
    return GetPromptResult(description=prompt.description, messages=[message])


def complete(interface: ServerInterface, params: CompleteRequestParams) -> CompleteResult:
    """Return values for an argument that is being typed; none for an unknown one, as clients ask at every key press."""
    found = interface.propose(params.argument.name, params.argument.value) if _accepts(interface, params) else ()
    values = [*found[:MOST_VALUES]]
    return CompleteResult(completion=Completion(values=values, total=len(found), has_more=len(found) > MOST_VALUES))


def _accepts(interface: ServerInterface, params: CompleteRequestParams) -> bool:
    name = params.argument.name
    if isinstance(params.ref, PromptReference):
        return any(one.name == params.ref.name and one.find_argument(name) is not None for one in interface.prompts)
    return any(one.uri == params.ref.uri and f"{{{name}}}" in one.uri for one in interface.resources)
