"""Movies and shows that nobody has finished anything of for long: the list that a cleanup starts with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.cache.queries.kept_figures import read_kept_figures
from plex_companion.catalogue.item_rows import DEFAULT_FIELDS, describe_items
from plex_companion.catalogue.queries import describe_freshness, read_with_freshness
from plex_companion.catalogue.search import decode_position, digest_question, encode_position
from plex_companion.catalogue.search_query import ItemFilter, SortOrder, find_items
from plex_companion.catalogue.viewers.begun import Viewing, read_viewing
from plex_companion.errors import Invalid
from plex_companion.history.filters import find_library, list_users
from plex_companion.history.source import MOST, find_server
from plex_companion.serialize import format_iso
from plex_companion.times import DAY_MS, HOUR_MS

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.history.source import HistorySource

MOST_DAYS = 36_500
_LARGEST_FIRST = SortOrder("size", descending=True)
_FIELDS = (*DEFAULT_FIELDS, "added_at")


async def find_neglected(
    source: HistorySource,
    days: int = 365,
    library: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
    *,
    kind: str | None = None,
    hourly: bool = False,
) -> dict[str, Any]:
    """Return a page of the movies and shows that nobody finished within so many days, the largest first.

    What was added within these days is left out. `begun` says who left an item unfinished, and where: of a show, `percent`
    counts its regular episodes. With a `kind`, only movies or only shows are listed. With `hourly`, days end with the last whole hour, and the answer is kept in memory until a
    play ends or the catalogue changes.

    Raises:
        Invalid: the days or the cursor cannot be used.
        NotFound: the library is unknown.
        Ambiguous: several libraries have the name.
    """
    if not 0 < days <= MOST_DAYS:
        raise Invalid(f"days must be from 1 to {MOST_DAYS:,}; got {days}.", argument="days")
    library_id = None if library is None else await find_library(source, library)
    server, users, most = find_server(source), await list_users(source), min(limit, MOST)
    since = max(0, source.now_ms - days * DAY_MS)
    since -= since % HOUR_MS if hourly else 0
    filters = ItemFilter(type=kind, library_id=library_id, unwatched_since=since, added_before=since, is_whole=True)

    def read(connection: sqlite3.Connection) -> dict[str, Any]:
        digest = digest_question(connection, ("neglected", days, library_id, *([kind] if kind else [])))
        after = decode_position(cursor, digest) if cursor is not None else None
        found, totals = find_items(connection, server, filters, _LARGEST_FIRST, most + 1, after)
        ids = [id_ for id_, _ in found[:most]]
        viewing = read_viewing(connection, server, ids, users)
        items = describe_items(connection, server, ids, _FIELDS)
        return {
            "days": days,
            "since": format_iso(since),
            "items": [_add_viewing(item, id_, viewing) for id_, item in zip(ids, items, strict=True)],
            "total": totals.items,
            "total_size_bytes": totals.size_bytes,
            "next_cursor": encode_position(digest, found[most - 1][1]) if len(found) > most else None,
        }

    if hourly:
        name = ("neglected", server, since, kind, library_id, most, cursor, tuple(users.items()))
        return await read_kept_figures(source.cache, name, ("catalogue", "finishes"), read)
    body, fresh = await read_with_freshness(source.cache, server, read)
    return {**body, "catalogue": describe_freshness(fresh)}


def _add_viewing(item: dict[str, Any], id_: int, viewing: Viewing) -> dict[str, Any]:
    return {**item, "last_watched_at": format_iso(viewing.last.get(id_)), "begun": viewing.begun.get(id_, [])}
