"""Trying a rule on the past, for the tools that save rules and the one that saves nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.rules.back_test import run_back_test
from plex_companion.times import parse_window

if TYPE_CHECKING:
    from plex_companion.companion import Companion
    from plex_companion.models import Rule
    from plex_companion.serialize import Json

PERIOD = "30d"
"""The stretch of the past that a rule is tried on."""


async def try_on_past(companion: Companion, rule: Rule, since: str = PERIOD) -> Json:
    """Try a rule on the past up to now.

    Raises:
        Invalid: `since` is no time.
    """
    window = parse_window(since, None, companion.now_ms, companion.zone)
    return await run_back_test(companion.cache, rule, window, companion.zone)
