"""How long a subscription is granted."""

from __future__ import annotations

from typing import Any

from plex_companion.mcp_events.event_errors import build_invalid
from plex_companion.times import DAY_MS, MINUTE_MS

SHORTEST_MS, DEFAULT_MS, LONGEST_MS = MINUTE_MS, DAY_MS, DAY_MS
"""A subscription that is not refreshed ends after a day, also where the client asked for no end at all."""


def grant_ms(asked: Any, *, given: bool) -> int:
    """Return the time that is granted: what was asked for, within limits. `asked` is `None` for no end.

    Raises:
        EventError: it is no number of milliseconds.
    """
    if not given:
        return DEFAULT_MS
    if asked is None:
        return LONGEST_MS
    if isinstance(asked, bool) or not isinstance(asked, int) or asked <= 0:
        raise build_invalid("ttlMs must be a positive whole number of milliseconds, or null.", "ttlMs")
    return min(max(asked, SHORTEST_MS), LONGEST_MS)
