"""The interface between the MCP server and what it serves, so that the server knows nothing about Plex."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plex_companion.text import SecretFilter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from mcp.server.extension import Extension

    from plex_companion.panels.declare import Panel
    from plex_companion.prompts.declare import Prompt
    from plex_companion.resources.declare import Resource
    from plex_companion.skills.skill_files import Skill
    from plex_companion.tools.declare import Caller, Tool
    from plex_companion.tools.follow_up.task_store import TaskStore


def _propose_nothing(_name: str, _typed: str) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a tool: an object for programs, and the text for a model, usually the same as compact JSON."""

    structured: dict[str, Any]
    text: str
    images: tuple[tuple[str, bytes], ...] = ()
    """MIME type and bytes of images that a client shows too."""
    link: ResourceEntry | None = None
    """The resource that shows the same thing."""


@dataclass(frozen=True, slots=True)
class ResourceEntry:
    """One existing resource in `resources/list`."""

    uri: str
    name: str
    title: str
    description: str


@dataclass(frozen=True, slots=True)
class ServerInterface:
    """Everything one server serves."""

    name: str
    version: str
    instructions: str
    tools: Sequence[Tool]
    call: Callable[[Tool, Mapping[str, Any], Caller], Awaitable[ToolResult]]
    """Checks permission, validates and runs a tool; raises `ToolError`."""
    resources: Sequence[Resource]
    """Fixed ones and families."""
    list_existing: Callable[[], Sequence[ResourceEntry]]
    """Returns the fixed resources and the existing members of the families."""
    read: Callable[[str], Awaitable[str]]
    """Returns the JSON of a resource; raises `NotFound` for an unknown URI."""
    secrets: SecretFilter = field(default_factory=lambda: SecretFilter(()))
    """Both transports pass everything they send through it."""
    icon_url: str | None = None
    """The address of the icon. It is repeated in every answer of the modern era, so it must be short."""
    prompts: Sequence[Prompt] = ()
    propose: Callable[[str, str], Sequence[str]] = _propose_nothing
    """Returns values for a prompt argument or URI field, given its name and what was typed so far."""
    skills: Sequence[Skill] = ()
    tasks: TaskStore | None = None
    """Keeps the calls whose work goes on in Plex; without it, every call is answered at once."""
    panels: Sequence[Panel] = ()
    """Pages that hosts show in place of a tool's result."""
    extensions: Sequence[Extension] = ()
    """Further methods, declared to clients."""
