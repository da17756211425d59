"""Panels as resources of the extension MCP Apps (`io.modelcontextprotocol/ui`, SEP-1865)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.server.apps import APP_MIME_TYPE, ResourceCsp
from mcp.server.lowlevel.helper_types import ReadResourceContents

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.panels.declare import Panel

_CSP = ResourceCsp(connect_domains=[], resource_domains=[], frame_domains=[], base_uri_domains=[])
"""Allows nothing from elsewhere: the pages contain all they need."""
_META: dict[str, Any] = {"ui": {"csp": _CSP.model_dump(by_alias=True, exclude_none=True), "prefersBorder": True}}


def build_contents(panel: Panel) -> ReadResourceContents:
    """Build the result of `resources/read` for a panel."""
    return ReadResourceContents(panel.read_html(), APP_MIME_TYPE, _META)


def build_meta(tool: str, panels: Iterable[Panel]) -> dict[str, Any] | None:
    """Build the `_meta` of a tool in `tools/list` that names its panel; `None` without one."""
    uris = [panel.uri for panel in panels if panel.tool == tool]
    return {"ui": {"resourceUri": uris[0]}} if uris else None
