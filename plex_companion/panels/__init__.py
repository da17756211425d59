"""The panels in a tuple: pages that hosts with MCP Apps show in place of a tool's answer."""

from __future__ import annotations

from pathlib import Path

from plex_companion.panels.declare import Panel

HERE = Path(__file__).parent

NOW_PLAYING = Panel(
    "ui://plex-companion/now-playing",
    "Now playing",
    "Who watches what, how far, and how it is delivered, as a page for hosts that show MCP Apps.",
    tool="live_sessions",
    page=HERE / "now_playing.html",
)

PANELS: tuple[Panel, ...] = (NOW_PLAYING,)
