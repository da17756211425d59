"""What became of the libraries: new against upgraded against deleted, an import as one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.cache.queries.library import count_metadata_refreshes, read_library_bundles
from plex_companion.cache.queries.read import read_retention_bounds

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.history.source import HistorySource
    from plex_companion.times import Window

KINDS = ("new", "upgraded", "deleted")
ABOVE = {"episode": "season", "track": "album", "photo": "photoalbum"}


async def list_library_changes(memory: HistorySource, within: Window, limit: int) -> dict[str, Any]:
    """What came, got a better file, or went; what was only refreshed is counted.

    `kept_since` says how far back this is known at all: changes are dropped with the journal.
    """
    found = await list_bundles(memory, within, limit)
    kept = await read_retention_bounds(memory.cache)
    return {
        "since": serialize.format_iso(within.since),
        "until": serialize.format_iso(within.until),
        **found,
        "kept_since": serialize.format_iso(kept.library_at),
        "incomplete": kept.library_pruned and (kept.library_at is None or within.since < kept.library_at),
    }


async def list_bundles(memory: HistorySource, within: Window, limit: int) -> dict[str, Any]:
    """Of each kind of change: how many items, in how many bundles, and the latest of these."""
    rows = await read_library_bundles(memory.cache, within, limit)
    libraries = {section.section_id: section.title for section in memory.state.sections}
    found: dict[str, Any] = {kind: {"items": 0, "total_entries": 0, "entries": []} for kind in KINDS}
    for row in rows:
        of_kind = found[row["kind"]]
        of_kind["items"], of_kind["total_entries"] = row["all_items"], row["bundles"]
        of_kind["entries"].append(_describe_bundle(row, libraries))
    return {**found, "refreshed": await count_metadata_refreshes(memory.cache, within)}


def _describe_bundle(row: sqlite3.Row, libraries: dict[str, str]) -> dict[str, Any]:
    several = row["items"] > 1
    titles = json.loads(row["titles"])
    own = titles[0] if titles else None
    return {
        "type": ABOVE.get(row["type"], row["type"]) if several else row["type"],
        "title": _choose_title(row) if several else own,
        "items": row["items"],
        "titles": titles if several else [],
        "item_id": row["parent_item_id"] if several else row["item_id"],
        "section_id": row["section_id"],
        "library": libraries.get(row["section_id"]),
        "first_at": serialize.format_iso(row["first_at"]),
        "last_at": serialize.format_iso(row["last_at"]),
    }


def _choose_title(row: sqlite3.Row) -> str | None:
    """What the items of a bundle have in common, as far as anything said it."""
    named = [name for name in (row["root_title"], row["parent_title"]) if name]
    if named:
        return " - ".join(dict.fromkeys(named))
    return row["series"].removesuffix("E").strip() if row["series"] else None
