"""The answer of a tool to whose question several things fit: not an error, and nothing has been changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

SHOWN = 25


class Several(Exception):
    """Ends a tool with the list of what fits; `call` turns it into the tool's answer."""

    def __init__(self, message: str, matches: Sequence[dict[str, Any]], **more: object) -> None:
        super().__init__(message)
        self.matches = list(matches[:SHOWN])
        self.structured = {
            "status": "multiple_matches",
            "message": message,
            "count": len(matches),
            "matches": self.matches,
            **more,
        }
