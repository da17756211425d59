"""The tool `show_progress`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from plex_companion.catalogue.viewers.show_progress import describe_progress
from plex_companion.companion import Companion
from plex_companion.history.source import add_envelope
from plex_companion.tools.catalogue.catalogue_parameters import Viewer
from plex_companion.tools.catalogue.catalogue_results import ShowProgress
from plex_companion.tools.declare import Id, Json, Shape

ShowName = Annotated[Id, Field(description="Title or rating_key.")]


async def show_progress(
    companion: Companion, show: ShowName, user: Viewer | None = None
) -> Annotated[Json, Shape(ShowProgress)]:
    """Return where everybody is in a show: the last episode finished, the next one, how many are left, who is caught up.

    Specials do not count.
    """
    return add_envelope(companion, await describe_progress(companion, show, user))
