"""The tool `recap`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from plex_companion.catalogue.viewers.recap import build_recap
from plex_companion.companion import Companion
from plex_companion.history.source import add_envelope
from plex_companion.tools.catalogue.catalogue_parameters import Most
from plex_companion.tools.catalogue.catalogue_results import Recap
from plex_companion.tools.catalogue.recommend_report import ForWhom
from plex_companion.tools.declare import Json, Shape

YearOrMonth = Annotated[str, Field(description="2026 or 2026-11; this year if omitted.")]


async def recap(
    companion: Companion, user: ForWhom | None = None, period: YearOrMonth | None = None, limit: Most = 10
) -> Annotated[Json, Shape(Recap)]:
    """Sum up a year or a month: watch time, favourite titles and genres, streaks, the busiest day, the most paused movie."""
    return add_envelope(companion, await build_recap(companion, user, period, limit))
