"""Links from answers to resources: where to read a thing again, and to be notified of its changes.

Only an answer about one play or item has a link. In a list, links would cost a model as much as the rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.catalogue.status import has_item
from plex_companion.resources.catalogue import ITEM
from plex_companion.resources.play import PLAY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plex_companion.companion import Companion
    from plex_companion.resources.declare import Resource
    from plex_companion.tools.declare import Tool

LINKED = (PLAY, ITEM)


def link_play(found: Mapping[str, Any]) -> str | None:
    """Return the URI of the play in an answer."""
    return PLAY.expand({"id": str(found["play"]["id"])})


def link_item(found: Mapping[str, Any]) -> str | None:
    """Return the URI of the item in an answer, if it is about one item."""
    key = found.get("rating_key")
    return None if key is None else ITEM.expand({"rating_key": str(key)})


async def find_link(companion: Companion, tool: Tool, structured: Mapping[str, Any]) -> tuple[str, Resource] | None:
    """Return the URI to link an answer to, with its resource; `None` if there is none that can be read now."""
    uri = tool.link(structured) if tool.link else None
    if uri is None:
        return None
    resource = next(one for one in LINKED if one.parse_uri(uri) is not None)
    if resource is ITEM and not await has_item(companion, str(structured["rating_key"])):
        return None
    return uri, resource
