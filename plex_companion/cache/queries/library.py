"""Queries on library changes: new, upgraded and deleted items, with a season's or album's import as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.cache.queries.servers import OF_SERVER
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.cache.database import Cache
    from plex_companion.times import Window

NEW_MS = DAY_MS
"""How long an item is new: an analysis by Plex in this time is no upgrade."""
FIRST_TITLES = 5

_KINDS = f"""
    WITH fresh AS MATERIALIZED (
        SELECT server, item_id, at FROM library_changes
        WHERE change = 'created' AND at BETWEEN :since - {NEW_MS} AND :until AND {OF_SERVER}
    ), moved AS MATERIALIZED (
        SELECT id, server, at, item_id, parent_item_id, root_item_id, section_id, type, title, CASE
            WHEN change = 'created' THEN 'new'
            WHEN change = 'deleted' THEN 'deleted'
            WHEN analyzed AND NOT EXISTS (
                SELECT 1 FROM fresh WHERE fresh.server = m.server AND fresh.item_id = m.item_id
                    AND fresh.at BETWEEN m.at - {NEW_MS} AND m.at
            ) THEN 'upgraded'
            ELSE 'refreshed' END AS kind
        FROM library_changes m
        WHERE at BETWEEN :since AND :until AND coalesce(type, '') NOT IN ('collection', 'playlist', 'playlistfolder', 'person')
            AND {OF_SERVER}
    )
"""  # noqa: S608 - our own numbers
# An import of a season writes rows for the show, the season and every episode. The episodes are one bundle; a show or
# season is its own only if nothing below it was imported. Where an entry names no parent, episodes of a season share
# their title up to the number: `Show S01 E05`. What Plex did not name, as the show of a new season, the catalogue knows.
_BUNDLES = f"""
    {_KINDS}, above AS MATERIALIZED (
        SELECT kind, server, parent_item_id AS item_id FROM moved WHERE parent_item_id <> item_id
        UNION SELECT kind, server, root_item_id FROM moved WHERE root_item_id <> item_id
    ), names AS MATERIALIZED (
        SELECT server, item_id, max(title) AS title FROM moved GROUP BY 1, 2
    ), shown AS (
        SELECT *, coalesce(parent_item_id, series, item_id) AS bundle,
            row_number() OVER (PARTITION BY kind, server, section_id, coalesce(parent_item_id, series, item_id) ORDER BY id) AS place
        FROM (SELECT *, CASE WHEN type = 'episode' AND title LIKE '% S_% E_%' THEN rtrim(title, '0123456789') END AS series FROM moved)
        WHERE kind <> 'refreshed' AND (kind, server, item_id) NOT IN (SELECT kind, server, item_id FROM above)
    ), bundles AS (
        SELECT kind, server, section_id, bundle, max(type) AS type, count(DISTINCT item_id) AS items, min(item_id) AS item_id,
            max(parent_item_id) AS parent_item_id, max(root_item_id) AS root_item_id, max(series) AS series,
            min(at) AS first_at, max(at) AS last_at,
            json_group_array(title) FILTER (WHERE place <= {FIRST_TITLES} AND title <> '') AS titles
        FROM shown GROUP BY 1, 2, 3, 4
    ), ranked AS (
        SELECT *, count(*) OVER (PARTITION BY kind) AS bundles, sum(items) OVER (PARTITION BY kind) AS all_items,
            row_number() OVER (PARTITION BY kind ORDER BY last_at DESC, bundle) AS rank
        FROM bundles
    )
    SELECT ranked.*, coalesce(parent.title, nullif(old_parent.title, '')) AS parent_title,
        coalesce(root.title, nullif(old_root.title, '')) AS root_title, nullif(old.title, '') AS known_title
    FROM ranked
    LEFT JOIN names AS parent ON parent.server = ranked.server AND parent.item_id = ranked.parent_item_id
    LEFT JOIN names AS root ON root.server = ranked.server AND root.item_id = ranked.root_item_id
    LEFT JOIN items AS old ON old.server = ranked.server AND old.rating_key = ranked.item_id
    LEFT JOIN items AS old_parent ON old_parent.server = ranked.server AND old_parent.rating_key = ranked.parent_item_id
    LEFT JOIN items AS old_root ON old_root.server = ranked.server AND old_root.rating_key = ranked.root_item_id
    WHERE rank <= :limit ORDER BY kind, rank
"""  # noqa: S608 - as above


async def read_library_bundles(
    cache: Cache, window: Window, limit: int, server: str | None = None
) -> list[sqlite3.Row]:
    """Return what was added, upgraded or deleted in a window, by kind, latest first, on all servers or on one.

    An import of a season or album is one row. `bundles` and `all_items` also count what is beyond the limit, for each
    kind.
    """
    values = {"since": window.since, "until": window.until, "limit": limit, "server": server}
    return list(await cache.archive.execute_fetchall(_BUNDLES, values))


async def count_metadata_refreshes(cache: Cache, window: Window, server: str | None = None) -> int:
    """Return how many items had only their metadata changed, not their files."""
    sql = (
        f"{_KINDS} SELECT count(*) AS items FROM (SELECT DISTINCT server, item_id FROM moved WHERE kind = 'refreshed')"  # noqa: S608 - as above
    )
    values = {"since": window.since, "until": window.until, "server": server}
    (row,) = await cache.archive.execute_fetchall(sql, values)
    return int(row["items"])
