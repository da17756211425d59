"""Panels in the terms of the extension MCP Apps (`io.modelcontextprotocol/ui`, SEP-1865)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.server.apps import APP_MIME_TYPE, Apps, ResourceCsp
from mcp.server.lowlevel.helper_types import ReadResourceContents

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp.server.extension import Extension

    from plex_companion.panels.declare import Panel

_CSP = ResourceCsp(connect_domains=[], resource_domains=[], frame_domains=[], base_uri_domains=[])
"""Nothing from anywhere: the pages hold all they need."""
_META: dict[str, Any] = {"ui": {"csp": _CSP.model_dump(by_alias=True, exclude_none=True), "prefersBorder": True}}


def list_extensions(panels: Iterable[Panel]) -> list[Extension]:
    """What the server says it can do beyond the protocol; nothing without panels."""
    return [Apps()] if any(True for _ in panels) else []


def build_contents(panel: Panel) -> ReadResourceContents:
    """A panel as `resources/read` gives it."""
    return ReadResourceContents(panel.read_html(), APP_MIME_TYPE, _META)


def build_meta(tool: str, panels: Iterable[Panel]) -> dict[str, Any] | None:
    """Which panel shows the answers of a tool, as `tools/list` says it."""
    uris = [panel.uri for panel in panels if panel.tool == tool]
    return {"ui": {"resourceUri": uris[0]}} if uris else None
