"""The tool `catalogue_neglected`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from plex_companion.catalogue.disk_space.neglected import find_neglected
from plex_companion.companion import Companion
from plex_companion.history.source import add_envelope
from plex_companion.tools.catalogue.catalogue_parameters import CatalogueCursor, Most
from plex_companion.tools.catalogue.catalogue_results import NeglectedItems
from plex_companion.tools.declare import Json, Shape
from plex_companion.tools.parameters import LibraryName

Days = Annotated[int, Field(ge=1)]


async def catalogue_neglected(
    companion: Companion,
    days: Days = 365,
    library: LibraryName | None = None,
    limit: Most = 50,
    cursor: CatalogueCursor | None = None,
) -> Annotated[Json, Shape(NeglectedItems)]:
    """List movies and whole shows that nobody finished anything of for `days`, the largest first, with the total size.

    The list that a cleanup starts with. Items added since then are left out. `begun` says who left one and where.
    """
    return add_envelope(companion, await find_neglected(companion, days, library, limit, cursor))
