"""The catalogue that the plays of a large history belong to, filled up with items that nobody played."""

from __future__ import annotations

import random
from itertools import count
from typing import TYPE_CHECKING, Any

from benchmarks.catalogue_database import MINUTE_MS, build_item, generate_items, write_items
from benchmarks.history_database import generate_played_items

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from plex_companion.models import CatalogueItem

FIRST_SHOW = 900_001
"""The rating key of the first show. Shows, seasons, artists and albums are numbered from here on."""
ABOVE = {"episode": ("season", "show"), "track": ("album", "artist")}


def fill_items(database: sqlite3.Connection, *, items: int, now_ms: int) -> None:
    """Write so many items: the played ones and what contains them, then others in the proportions of a big household."""
    rng = random.Random(13)  # noqa: S311 - invented
    played = [*_generate_played(rng, now_ms)]
    write_items(database, [*played, *generate_items(rng, max(0, items - len(played)), now_ms)], now_ms)


def _generate_played(rng: random.Random, now_ms: int) -> Iterator[CatalogueItem]:
    """Yield the items that `history_database` invents plays of, and before them their shows, seasons, artists and albums."""
    keys, numbers = dict[tuple[str, ...], str](), count(FIRST_SHOW)
    for row in generate_played_items(random.Random(7)):  # noqa: S311 - invented
        key, _, _, kind, title, whole, part, index, parent_index, _, _, section, duration, _ = row
        minutes = duration // MINUTE_MS
        if kind == "movie":
            yield build_item(rng, key, section, kind, title, minutes, now_ms)
            continue
        middle, outer = ABOVE[kind]
        above: dict[str, Any] = {}
        for type_, name, path in ((outer, whole, (kind, whole)), (middle, part, (kind, whole, part))):
            if path not in keys:
                keys[path] = str(next(numbers))
                yield build_item(rng, keys[path], section, type_, name, 0, now_ms, **above)
            above = {"parent_key": keys[path], "parent_title": name}
        above |= {"grandparent_key": keys[kind, whole], "grandparent_title": whole}
        yield build_item(
            rng, key, section, kind, title, minutes, now_ms, **above, item_index=index, parent_index=parent_index
        )
