"""What the server is given to serve, so that it knows MCP and nothing of Plex."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from plex_companion.text import SecretFilter

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from plex_companion.panels.declare import Panel
    from plex_companion.prompts.declare import Prompt
    from plex_companion.resources.declare import Resource
    from plex_companion.tools.declare import Caller, Tool


def _propose_nothing(_name: str, _typed: str) -> Sequence[str]:
    return ()


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool answers: an object for programs, and the text a model reads (usually the same as compact JSON)."""

    structured: dict[str, Any]
    text: str
    images: tuple[tuple[str, bytes], ...] = ()
    """MIME type and bytes of what a client shows besides."""


@dataclass(frozen=True, slots=True)
class ResourceEntry:
    """One concrete resource that exists now."""

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
    """Gate, validation and worker threads are behind it; raises `ToolError`."""
    resources: Sequence[Resource]
    """Fixed ones and families."""
    list_existing: Callable[[], Sequence[ResourceEntry]]
    """What `resources/list` shows now: the fixed ones and the members of the families."""
    read: Callable[[str], Awaitable[str]]
    """The JSON of a resource; raises `NotFound` for a URI that names nothing."""
    secrets: SecretFilter = field(default_factory=lambda: SecretFilter(()))
    """Both transports pass everything they send through it."""
    prompts: Sequence[Prompt] = ()
    propose: Callable[[str, str], Sequence[str]] = _propose_nothing
    """Values for the prompt argument or URI field of a name, given what was typed of it."""
    panels: Sequence[Panel] = ()
    """Pages that hosts show instead of what a tool answers."""
