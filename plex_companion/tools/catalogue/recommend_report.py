"""The tool `recommend`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from plex_companion.catalogue.viewers.recommendations import recommend_items
from plex_companion.companion import Companion
from plex_companion.history.source import add_envelope
from plex_companion.tools.catalogue.catalogue_parameters import Most
from plex_companion.tools.catalogue.catalogue_results import Recommendations
from plex_companion.tools.declare import Json, Shape

ForWhom = Annotated[str, Field(description="User name or id; everybody if omitted.")]
WholeType = Literal["movie", "show"]


async def recommend(
    companion: Companion,
    user: ForWhom | None = None,
    type: WholeType | None = None,  # noqa: A002 - the contract's name
    duration_max_minutes: float | None = None,
    limit: Most = 10,
) -> Annotated[Json, Shape(Recommendations)]:
    """Recommend unwatched movies and shows by what a user finished lately, each with its reason. What they abandoned counts against.

    Computed on this machine alone.
    """
    return add_envelope(companion, await recommend_items(companion, user, type, duration_max_minutes, limit))
