"""The toolsets in a tuple, in the order in which they are listed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from plex_companion.errors import SettingsError
from plex_companion.tools.catalogue.toolset import CATALOGUE
from plex_companion.tools.client.toolset import CLIENT
from plex_companion.tools.collection.toolset import COLLECTION
from plex_companion.tools.declare import Access
from plex_companion.tools.library.toolset import LIBRARY
from plex_companion.tools.live import LIVE
from plex_companion.tools.media.toolset import MEDIA
from plex_companion.tools.playlist.toolset import PLAYLIST
from plex_companion.tools.rules.toolset import RULES
from plex_companion.tools.server.toolset import SERVER
from plex_companion.tools.sessions import SESSIONS
from plex_companion.tools.user.toolset import USER
from plex_companion.tools.watchlist.toolset import WATCHLIST

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.tools.declare import Tool, Toolset

TOOLSETS: tuple[Toolset, ...] = (
    LIVE,
    RULES,
    CATALOGUE,
    LIBRARY,
    MEDIA,
    PLAYLIST,
    COLLECTION,
    USER,
    SESSIONS,
    SERVER,
    CLIENT,
    WATCHLIST,
)


def list_declared() -> list[Tool]:
    """Return every tool in order, with schemas that are built from its declaration and not read from the snapshot."""
    return [replace(tool, from_snapshot=False) for toolset in TOOLSETS for tool in toolset.tools]


def select_tools(names: Sequence[str] = (), *, read_only: bool = True, several: bool = False) -> list[Tool]:
    """Return the tools of these toolsets, or of all, in order. In read-only mode the tools that write are `off`.

    Where several servers are configured, tools that need to know which one is meant have the argument `server`.

    Raises:
        SettingsError: a name is not a toolset.
    """
    known = [toolset.name for toolset in TOOLSETS]
    unknown = [name for name in names if name not in known]
    if unknown:
        message = f"No toolset {', '.join(unknown)}. Toolsets: {', '.join(known)}."
        raise SettingsError(message)
    tools = [tool for toolset in TOOLSETS if not names or toolset.name in names for tool in toolset.tools]
    return [replace(tool, off=read_only and tool.access is not Access.READ, several=several) for tool in tools]
