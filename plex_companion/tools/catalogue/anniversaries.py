"""The tool `on_this_day`."""

from __future__ import annotations

from typing import Annotated

from plex_companion.catalogue.viewers.on_this_day import list_on_this_day
from plex_companion.companion import Companion
from plex_companion.history.source import add_envelope
from plex_companion.tools.catalogue.catalogue_parameters import CatalogueCursor, Most, Viewer
from plex_companion.tools.catalogue.catalogue_results import PlaysOnThisDay
from plex_companion.tools.declare import Json, Shape


async def on_this_day(
    companion: Companion, user: Viewer | None = None, limit: Most = 20, cursor: CatalogueCursor | None = None
) -> Annotated[Json, Shape(PlaysOnThisDay)]:
    """List what was played on this day of the year in earlier years."""
    return add_envelope(companion, await list_on_this_day(companion, user, limit, cursor))
