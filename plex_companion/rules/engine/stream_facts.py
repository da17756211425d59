"""What conditions may ask of the moment of an occurrence: how many streams, whose, and their bandwidth. Pure."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from plex_companion.rules.conditions import Facts
from plex_companion.text import fold_case

if TYPE_CHECKING:
    from plex_companion.models import StreamCounts


def build_facts(counts: StreamCounts) -> Facts:
    """Return the facts of a moment."""
    return Facts(counts.streams, partial(_count_streams_of, counts), counts.bandwidth_kbps)


def _count_streams_of(counts: StreamCounts, user: str) -> int:
    """Return how many streams a user has, by name without regard to case, or by id."""
    folded = fold_case(user)
    return sum(one.streams for one in counts.users if one.id == user or fold_case(one.name or "") == folded)
