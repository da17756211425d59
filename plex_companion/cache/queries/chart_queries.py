"""Queries for the charts: plays by quarter of an hour, and rankings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plex_companion.cache.database import Cache

QUARTER_MS = 900_000


@dataclass(frozen=True, slots=True)
class Ranking:
    """A user, title or the like, and how often it was played; `watched_ms` sums up the `timed` plays, whose time is
    known, and `estimated_ms` is the part of it that is estimated.
    """

    name: str
    plays: int
    watched_ms: int
    timed: int = 0
    estimated_ms: int = 0
    art: str | None = None
    id: str | None = None
    """Of the user, or of the film, show or artist."""
    server: str | None = None
    """The machine identifier of the server that has the title."""


async def count_plays_by_quarter(cache: Cache, since_ms: int) -> dict[int, int]:
    """Return the number of plays by quarter of an hour, counted from 1970. Quarters without any are absent."""
    rows = await cache.reader.execute_fetchall(
        "SELECT quarter, sum(plays) AS plays FROM play_quarters WHERE quarter >= :quarter "
        "GROUP BY quarter HAVING sum(plays) > 0",
        {"quarter": since_ms // QUARTER_MS},
    )
    return {int(row["quarter"]): int(row["plays"]) for row in rows}
