"""The tool `catalogue_duplicates`."""

from __future__ import annotations

from typing import Annotated

from plex_companion.catalogue.disk_space.duplicates import find_duplicates
from plex_companion.companion import Companion
from plex_companion.history.source import add_envelope
from plex_companion.tools.catalogue.catalogue_parameters import CatalogueCursor, Most
from plex_companion.tools.catalogue.catalogue_results import DuplicateGroups
from plex_companion.tools.declare import Json, Shape


async def catalogue_duplicates(
    companion: Companion, limit: Most = 10, cursor: CatalogueCursor | None = None
) -> Annotated[Json, Shape(DuplicateGroups)]:
    """Return what is there twice: items of one guid, also in different libraries, and items with several files.

    `spare_bytes` is what all files but the largest take up. Different editions are no duplicates: see `editions`.
    """
    return add_envelope(companion, await find_duplicates(companion, limit, cursor))
