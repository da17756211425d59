"""The tool `catalogue_storage`."""

from __future__ import annotations

from typing import Annotated

from plex_companion.catalogue.disk_space.storage import StorageBy, measure_storage
from plex_companion.companion import Companion
from plex_companion.history.source import add_envelope
from plex_companion.tools.catalogue.catalogue_parameters import CatalogueCursor, Most
from plex_companion.tools.catalogue.catalogue_results import StorageGroups
from plex_companion.tools.declare import Json, Shape


async def catalogue_storage(
    companion: Companion,
    by: StorageBy = "library",
    limit: Most = 20,
    cursor: CatalogueCursor | None = None,
) -> Annotated[Json, Shape(StorageGroups)]:
    """Return how much disk space the libraries take up, in groups, the largest first, and their growth per month.

    Each group has its items, size, hours, and hours watched per gigabyte. `user_watched` groups what each user finished.
    """
    return add_envelope(companion, await measure_storage(companion, by, limit, cursor))
