"""What is there twice: items of one guid, and items of several files. Editions are told apart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from plex_companion.cache.queries.kept_figures import read_kept_figures
from plex_companion.catalogue.disk_space.group_pages import page_groups
from plex_companion.catalogue.item_rows import DEFAULT_FIELDS, describe_items, read_files
from plex_companion.catalogue.queries import LEAVES, describe_freshness, read_with_freshness
from plex_companion.catalogue.search import digest_question
from plex_companion.history.source import MOST, find_server

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.history.source import HistorySource

    Group = dict[str, Any]

EDITIONS = 50
"""The most guids with several editions that an answer lists."""
_FIELDS = (*DEFAULT_FIELDS, "edition", "grandparent_title", "parent_index", "index", "added_at")


async def find_duplicates(source: HistorySource, limit: int = 10, cursor: str | None = None) -> dict[str, Any]:
    """Return a page of the groups of duplicates, the largest first, and the items that exist in several editions.

    `spare_bytes` is what all but the largest file of a group take up. An item of one guid and edition as another, with two
    files of its own, is in two groups; `total_size_bytes` counts its files once.

    Raises:
        Invalid: it is not a cursor, or one of another question.
    """
    server, most = find_server(source), min(limit, MOST)

    def read(connection: sqlite3.Connection) -> dict[str, Any]:
        groups = _read_groups(connection, server)
        page = _describe_page(connection, server, groups, digest_question(connection, "duplicates"), most, cursor)
        editions = [_parse_ids(ids) for (ids,) in map(tuple, connection.execute(_EDITIONS, {"server": server}))]
        return {
            **page,
            "editions": [_describe_editions(connection, server, ids) for ids in editions[:EDITIONS]],
            "total_editions": len(editions),
        }

    body, fresh = await read_with_freshness(source.cache, server, read)
    return {**body, "catalogue": describe_freshness(fresh)}


async def find_library_duplicates(
    source: HistorySource, library_id: str, limit: int, cursor: str | None = None
) -> dict[str, Any]:
    """Return a page of the groups of duplicates with an item in this library, kept until the catalogue changes.

    Raises:
        Invalid: it is not a cursor, or one of another question.
    """
    server = find_server(source)

    def read(connection: sqlite3.Connection) -> dict[str, Any]:
        every = _read_groups(connection, server)
        ids = json.dumps([id_ for group in every for id_ in group["ids"]])
        own = {id_ for (id_,) in map(tuple, connection.execute(_IN_LIBRARY, {"section": library_id, "ids": ids}))}
        groups = [group for group in every if own.intersection(group["ids"])]
        digest = digest_question(connection, ("duplicates", library_id))
        return _describe_page(connection, server, groups, digest, limit, cursor)

    name = ("duplicates", server, library_id, limit, cursor)
    return await read_kept_figures(source.cache, name, ("catalogue",), read)


def _read_groups(connection: sqlite3.Connection, server: str | None) -> list[Group]:
    return [_build_group(*row) for row in map(tuple, connection.execute(_GROUPS, {"server": server}))]


def _describe_page(
    connection: sqlite3.Connection,
    server: str | None,
    groups: list[Group],
    digest: str,
    most: int,
    cursor: str | None,
) -> dict[str, Any]:
    page, following = page_groups(groups, lambda group: f"{group['kind']} {group['ids']}", digest, most, cursor)
    return {
        "groups": [_describe_group(connection, server, group) for group in page],
        "total": len(groups),
        "total_size_bytes": _sum_sizes(connection, {id_ for group in groups for id_ in group["ids"]}),
        "next_cursor": following,
    }


_SHARED = "items INDEXED BY items_by_guid"
"""SQLite knows too little of the data to choose this by itself: without it, it reads all rows with their texts."""
_REPEATED = f"""
    repeated AS MATERIALIZED ( -- of any server and type: few guids
        SELECT guid FROM {_SHARED} WHERE guid IS NOT NULL AND guid <> '' GROUP BY guid HAVING count(*) > 1
    )
"""  # noqa: S608 - our own
_OF_REPEATED = f"""
    FROM repeated CROSS JOIN {_SHARED} ON items.guid = repeated.guid WHERE server = :server AND type IN {LEAVES}
"""
_GROUPS = f"""
    WITH {_REPEATED}
    SELECT 'same_guid' AS kind, group_concat(id) AS ids, coalesce(sum(size_bytes), 0) AS size
    {_OF_REPEATED} GROUP BY items.guid, type, coalesce(edition, '') HAVING count(*) > 1
    UNION ALL
    SELECT 'several_files', CAST(id AS TEXT), coalesce(size_bytes, 0)
    FROM items WHERE id IN (SELECT item_id FROM files INDEXED BY files_further WHERE position > 0) AND server = :server AND type IN {LEAVES}
"""  # noqa: S608 - our own
_IN_LIBRARY = "SELECT id FROM items WHERE section_id = :section AND id IN (SELECT value FROM json_each(:ids))"
_EDITIONS = f"""
    WITH {_REPEATED}
    SELECT group_concat(id) {_OF_REPEATED}
    GROUP BY items.guid, type HAVING count(DISTINCT coalesce(edition, '')) > 1 ORDER BY min(title), items.guid
"""


def _build_group(kind: str, ids: str, size: int) -> Group:
    return {"kind": kind, "ids": _parse_ids(ids), "size_bytes": size}


def _parse_ids(ids: str) -> list[int]:
    return sorted(map(int, ids.split(",")))


def _sum_sizes(connection: sqlite3.Connection, ids: set[int]) -> int:
    wanted = f"[{','.join(map(str, ids))}]"
    sql = "SELECT coalesce(sum(size_bytes), 0) FROM items WHERE id IN (SELECT value FROM json_each(?))"
    (size,) = connection.execute(sql, (wanted,)).fetchone()
    return int(size)


def _describe_group(connection: sqlite3.Connection, server: str | None, group: Group) -> Group:
    items, files = _describe_versions(connection, server, group["ids"])
    largest = max((file["size_bytes"] or 0 for file in files), default=0)
    sizes = {"size_bytes": group["size_bytes"], "spare_bytes": sum(file["size_bytes"] or 0 for file in files) - largest}
    return {"kind": group["kind"], **sizes, "items": items, "files": files}


def _describe_editions(connection: sqlite3.Connection, server: str | None, ids: list[int]) -> Group:
    items, _ = _describe_versions(connection, server, ids)
    return {"items": items}


def _describe_versions(
    connection: sqlite3.Connection, server: str | None, ids: list[int]
) -> tuple[list[Group], list[Group]]:
    """Return items, and all their files with the rating keys of the items."""
    items, files = describe_items(connection, server, ids, _FIELDS), read_files(connection, ids)
    found = [
        {"rating_key": item["rating_key"], **file}
        for id_, item in zip(ids, items, strict=True)
        for file in files.get(id_, [])
    ]
    return items, found
