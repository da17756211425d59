"""The answer of a tool to whose question several things fit: not an error, and nothing has been changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.tools.facts import shorten

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN = 25
LONGEST = 2000
"""Characters of a message, which may quote what the caller gave."""


class MultipleMatches(Exception):
    """Ends a tool with the list of what fits; `call` turns it into the tool's answer."""

    def __init__(self, message: str, matches: Sequence[dict[str, Any]], **more: object) -> None:
        super().__init__(message)
        self.matches = list(matches[:SHOWN])
        self.structured = {
            "status": "multiple_matches",
            "message": shorten(message, LONGEST),
            "count": len(matches),
            "matches": self.matches,
            **more,
        }
