"""Summarizes what was added to a library: films by title, episodes by season, tracks and photos by album."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plex_companion.changes.state import CONTAINERS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.models import LibraryChange

SHOWN = 20
EPISODE = re.compile(r"(.+) (S(\d+)) E(\d+)")
"""How timeline entries name an episode: `Show S01 E05`."""
_OF_ALBUM = {"track": "tracks", "photo": "photos", "episode": "episodes"}


def summarize_titles(items: Iterable[LibraryChange], most: int = SHOWN) -> list[str]:
    """Return one line per film, season or album, in the order they were added.

    Items without a title yet are left out.
    """
    known = {item.item_id: item for item in items}
    groups: dict[str, list[LibraryChange]] = {}
    for item in known.values():
        if item.type not in CONTAINERS:
            groups.setdefault(choose_group(item), []).append(item)
    lines = (_format_line(group, known) for group in groups.values())
    return [line for line in lines if line][:most]


def choose_group(item: LibraryChange) -> str:
    """Return what items that belong together share: the key of a season or album, or the name of a season."""
    if item.type not in _OF_ALBUM:
        return item.item_id
    named = EPISODE.fullmatch(item.title or "")
    return item.parent_item_id or (f"{named[1]} {named[2]}" if named else item.item_id)


def _format_line(group: list[LibraryChange], known: dict[str, LibraryChange]) -> str | None:
    titles = [item.title for item in group if item.title]
    if len(group) == 1 or not titles:
        return titles[0] if titles else None
    first = group[0]
    named = EPISODE.fullmatch(titles[0])
    if named:
        whole: str | None = f"{named[1]} {named[2]}"
    else:
        above = (known.get(first.root_item_id or ""), known.get(first.parent_item_id or ""))
        whole = " - ".join(dict.fromkeys(item.title for item in above if item and item.title)) or None
    return f"{whole or f'{titles[0]} and more'} ({len(group)} {_OF_ALBUM[first.type or '']})"
