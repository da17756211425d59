"""Plays as a file: every play of a query, without the bundling of those that were resumed."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from plex_companion.history.play_pages import list_plays

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plex_companion.companion import Companion
    from plex_companion.history.play_pages import PlayQuery

MOST_EXPORTED = 50_000
"""The most plays of one file: the newest ones."""
BATCH = 500
_COLUMNS = (
    "id", "started_at", "ended_at", "type", "title", "grandparent_title", "parent_title", "full_title", "year", "library",
    "watched_ms", "estimated", "paused_ms", "buffer_count", "duration_ms", "percent", "decision", "rating_key", "guid",
)  # fmt: skip
"""Fields of a play that are written as they are; the names of the user and the player follow them."""


async def export_plays(companion: Companion, query: PlayQuery) -> tuple[list[dict[str, Any]], bool]:
    """Return the newest plays of a query, and whether there are more than a file holds.

    Raises:
        Invalid, NotFound, Ambiguous: as `list_plays`.
    """
    plays: list[dict[str, Any]] = []
    cursor = None
    while len(plays) < MOST_EXPORTED:
        page = await list_plays(companion, BATCH, query, after=cursor)
        plays += page["plays"]
        cursor = page["next_cursor"]
        if cursor is None:
            return plays, False
    return plays, True


def write_csv(plays: Iterable[Mapping[str, Any]]) -> str:
    """Write plays as CSV (RFC 4180). Times are UTC."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow((*_COLUMNS, "user", "player", "platform"))
    for play in plays:
        more = (play["user"]["name"], play["player"]["title"], play["player"]["platform"])
        writer.writerow([_disarm(value) for value in (*(play[name] for name in _COLUMNS), *more)])
    return text.getvalue()


def _disarm(value: object) -> object:
    """Return a text that a spreadsheet does not take for a formula, whatever a title begins with."""
    is_formula = isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t"))
    return f"'{value}" if is_formula else value
