"""How many items each library has, how much space they take, how it grew, and of what quality its files are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from plex_companion.cache.queries.kept_figures import read_kept_figures
from plex_companion.catalogue.months import find_month
from plex_companion.catalogue.queries import LEAVES
from plex_companion.history.source import find_server
from plex_companion.serialize import LAST_MS, format_iso

if TYPE_CHECKING:
    import sqlite3
    from datetime import tzinfo

    from plex_companion.history.source import HistorySource

    Group = dict[str, Any]


class LibrarySizes(NamedTuple):
    """All libraries by title, and what was added to each in each month, oldest first."""

    libraries: list[Group]
    growth: list[Group]


async def measure_libraries(source: HistorySource) -> LibrarySizes:
    """Return all libraries of the catalogue with their counts, sizes and lengths, and their growth by month.

    Movies, episodes and tracks count, as in `measure_storage`.
    """
    server, zone = find_server(source), source.zone

    def read(connection: sqlite3.Connection) -> tuple[dict[str, dict[str, int]], dict[str, Group], list[Group]]:
        return _read_counts(connection, server), _read_sizes(connection, server), _read_growth(connection, server, zone)

    counts, sizes, growth = await read_kept_figures(source.cache, ("libraries", server, zone), ("catalogue",), read)
    rows = await source.cache.archive.execute_fetchall(_SECTIONS, {"server": server})
    return LibrarySizes([_describe_library(row, counts, sizes) for row in rows], growth)


def _describe_library(row: sqlite3.Row, counts: dict[str, dict[str, int]], sizes: dict[str, Group]) -> Group:
    id_ = row["section_id"]
    photos = {} if row["photos"] is None else {"photo": row["photos"]}
    return {
        "id": id_,
        "title": row["title"],
        "type": row["type"],
        "counts": {**counts.get(id_, {}), **photos},
        **sizes.get(id_, {"items": 0, "size_bytes": 0, "duration_ms": 0}),
        "as_of": format_iso(row["as_of"]),
        "complete": bool(row["complete"]),
        "total": row["total"],
        "detail": row["detail"],
    }


_SECTIONS = "SELECT * FROM catalogue_sections WHERE server = :server ORDER BY title COLLATE NOCASE, section_id"
_COUNTS = "SELECT section_id, type, count(*) FROM items WHERE server = :server AND section_id IS NOT NULL GROUP BY 1, 2"
_LEAVES = f"FROM items INDEXED BY items_sizes WHERE server = :server AND type IN {LEAVES}"
_SIZES = f"""
    SELECT section_id, count(*) AS items, coalesce(sum(size_bytes), 0) AS size_bytes, coalesce(sum(duration_ms), 0) AS duration_ms
    {_LEAVES} AND section_id IS NOT NULL GROUP BY section_id
"""
_FIRST = f"SELECT min(added_at) {_LEAVES} AND added_at BETWEEN :start AND {LAST_MS}"
_ADDED = f"""
    SELECT section_id, count(*) AS items, coalesce(sum(size_bytes), 0) AS size_bytes
    {_LEAVES} AND added_at >= :start AND added_at < :end GROUP BY section_id
"""


def _read_counts(connection: sqlite3.Connection, server: str | None) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for section, kind, count in map(tuple, connection.execute(_COUNTS, {"server": server})):
        found.setdefault(section, {})[kind] = count
    return found


def _read_sizes(connection: sqlite3.Connection, server: str | None) -> dict[str, Group]:
    rows = map(tuple, connection.execute(_SIZES, {"server": server}))
    return {id_: {"items": items, "size_bytes": size, "duration_ms": length} for id_, items, size, length in rows}


def _read_growth(connection: sqlite3.Connection, server: str | None, zone: tzinfo) -> list[Group]:
    growth = []
    values: Group = {"server": server, "start": 0}
    while (at := connection.execute(_FIRST, values).fetchone()[0]) is not None:
        month = find_month(at, zone)
        values |= {"start": month.start, "end": month.end}
        for section, items, size in map(tuple, connection.execute(_ADDED, values)):
            growth.append({"month": month.name, "id": section, "items": items, "size_bytes": size})
        values["start"] = month.end
    return growth


async def measure_quality(source: HistorySource, library_id: str) -> dict[str, list[Group]]:
    """Return the resolutions and the codecs of the files of one library: items and bytes, the largest first.

    Each file counts in its own group, as in `measure_storage`.
    """
    values = {"server": find_server(source), "section": library_id}

    def read(connection: sqlite3.Connection) -> dict[str, list[Group]]:
        rows = [tuple(row) for sql in (_SINGLE, _SEVERAL) for row in connection.execute(sql, values)]
        return {"resolution": _sum_by(rows, 0), "codec": _sum_by(rows, 1)}

    return await read_kept_figures(source.cache, ("quality", *values.values()), ("catalogue",), read)


_FURTHER = "(SELECT item_id FROM files INDEXED BY files_further WHERE position > 0)"
_FILES = f"""
    FROM items INDEXED BY items_by_section CROSS JOIN files ON files.item_id = items.id
    WHERE section_id = :section AND type IN {LEAVES} AND server = :server
"""
_COLUMNS = "resolution, coalesce(video_codec, audio_codec)"
_SINGLE = f"""
    SELECT {_COLUMNS}, NULL, count(*), sum(coalesce(files.size_bytes, 0)) {_FILES} AND items.id NOT IN {_FURTHER} GROUP BY 1, 2
"""
"""Items with one file, counted by its resolution and codec."""
_SEVERAL = f"SELECT {_COLUMNS}, item_id, 1, coalesce(files.size_bytes, 0) {_FILES} AND items.id IN {_FURTHER}"
"""Each file of the items with several, which count once in each group."""


def _sum_by(rows: list[tuple[Any, ...]], column: int) -> list[Group]:
    """Sum up rows of a resolution, a codec, an item or `None`, items and bytes, by one of the first two."""
    groups: dict[str | None, Group] = {}
    several: set[tuple[str | None, int]] = set()
    for row in rows:
        name, item_id = row[column], row[2]
        group = groups.setdefault(name, {"name": name, "items": 0, "size_bytes": 0})
        group["items"] += 0 if (name, item_id) in several else row[3]
        group["size_bytes"] += row[4]
        if item_id is not None:
            several.add((name, item_id))
    return sorted(groups.values(), key=lambda group: (-group["size_bytes"], group["name"] or ""))
