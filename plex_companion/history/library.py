"""Library changes in a period: new, upgraded and deleted items, with the items of one import bundled."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.cache.queries.library import count_metadata_refreshes, read_library_bundles
from plex_companion.cache.queries.read import read_retention_bounds
from plex_companion.cache.queries.servers import list_server_names
from plex_companion.history.filters import CurrentNames
from plex_companion.history.source import describe_server

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.cache.queries.servers import ServerNames
    from plex_companion.history.filters import Names
    from plex_companion.history.source import HistorySource
    from plex_companion.times import Window

KINDS = ("new", "upgraded", "deleted")
ABOVE = {"episode": "season", "track": "album", "photo": "photoalbum"}


async def list_library_changes(source: HistorySource, within: Window, limit: int) -> dict[str, Any]:
    """Return the items that were added, upgraded or deleted in a window, and the number of mere metadata refreshes.

    `kept_since` says how far back changes are known: they are pruned with the journal.
    """
    found = await list_bundles(source, within, limit, await list_server_names(source.cache))
    kept = await read_retention_bounds(source.cache)
    return {
        "since": serialize.format_iso(within.since),
        "until": serialize.format_iso(within.until),
        **found,
        "kept_since": serialize.format_iso(kept.library_at),
        "incomplete": kept.library_pruned and (kept.library_at is None or within.since < kept.library_at),
    }


async def list_bundles(source: HistorySource, within: Window, limit: int, servers: ServerNames) -> dict[str, Any]:
    """Return for each kind of change the number of items and of bundles, and the latest bundles."""
    rows = await read_library_bundles(source.cache, within, limit, source.only_server)
    names = CurrentNames(source.states)
    found: dict[str, Any] = {kind: {"items": 0, "total_entries": 0, "entries": []} for kind in KINDS}
    for row in rows:
        of_kind = found[row["kind"]]
        of_kind["items"], of_kind["total_entries"] = row["all_items"], row["bundles"]
        where = describe_server(row["server"], servers) if len(servers) > 1 else {}
        of_kind["entries"].append(_describe_bundle(row, names.find(row["server"])[0]) | where)
    return {**found, "refreshed": await count_metadata_refreshes(source.cache, within, source.only_server)}


def _describe_bundle(row: sqlite3.Row, libraries: Names) -> dict[str, Any]:
    is_bundle = row["items"] > 1
    titles = json.loads(row["titles"])
    own = titles[0] if titles else row["known_title"]
    return {
        "type": ABOVE.get(row["type"], row["type"]) if is_bundle else row["type"],
        "title": _choose_title(row) if is_bundle else own,
        "items": row["items"],
        "titles": titles if is_bundle else [],
        "item_id": row["parent_item_id"] if is_bundle else row["item_id"],
        "section_id": row["section_id"],
        "library": libraries.get(row["section_id"]),
        "first_at": serialize.format_iso(row["first_at"]),
        "last_at": serialize.format_iso(row["last_at"]),
    }


def _choose_title(row: sqlite3.Row) -> str | None:
    """Return the title that the items of a bundle share (show and season, artist and album), or `None` if it is unknown."""
    named = [name for name in (row["root_title"], row["parent_title"]) if name]
    if named:
        return " - ".join(dict.fromkeys(named))
    return row["series"].removesuffix("E").strip() if row["series"] else None
