"""A generated library of a chosen size for benchmarks: films, series and music in the proportions of a big household."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from plex_companion.demo import load_household

if TYPE_CHECKING:
    from pathlib import Path

    from plex_companion.demo.household.model import Household

EPISODES = 50
"""The episodes of a season."""
SEASONS = 4
TRACKS = 7
"""The tracks that every generated album has."""
ALBUMS = 6


def build_big_library(folder: Path, items: int = 100_000, *, plays: int = 0) -> Household:
    """Build a household of that many items: a fifth films, three fifths series, a fifth music. Trailers are not counted."""
    show, artist = 1 + SEASONS * (1 + EPISODES), 1 + ALBUMS * (1 + TRACKS)
    shows, artists = items * 3 // 5 // show, items // 5 // artist
    films = items - shows * show - artists * artist
    sections = [
        {"key": "1", "title": "Films", "type": "movie", "generate": films},
        {"key": "2", "title": "Series", "type": "show", "generate": {"count": shows, "seasons": SEASONS, "episodes": EPISODES}},
        {"key": "3", "title": "Music", "type": "artist", "generate": {"count": artists, "albums": ALBUMS}},
    ]  # fmt: skip
    file = folder / "big_library.json"
    file.write_text(
        json.dumps({"name": "Big House", "sections": sections, "generate_history": plays}), encoding="utf-8"
    )
    household = load_household(file)
    assert len(household.items) == items
    return household
