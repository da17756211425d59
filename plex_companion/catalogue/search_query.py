"""The query behind `catalogue_search`: filters joined by and, one order, one page, and the totals of all that fits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from plex_companion.catalogue.model import Totals
from plex_companion.catalogue.queries import CONTAINERS, LEAVES
from plex_companion.names.folding import fold
from plex_companion.names.search_text import matches_words

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.cache.rows import Row

ANYONE = "anyone"
"""Stands for a user: with `watched_by` anybody, with `unwatched_by` nobody."""


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which items to return; `None` does not filter. Bounds are inclusive."""

    match: str | None = None
    """An FTS5 expression, see `names.search_text.build_match`."""
    type: str | None = None
    library_id: str | None = None
    genre: str | None = None
    person: str | None = None
    year_from: int | None = None
    year_to: int | None = None
    duration_max_ms: int | None = None
    rating_min: float | None = None
    content_rating: str | None = None
    resolution: str | None = None
    codec: str | None = None
    added_since: int | None = None
    watched_by: str | None = None
    """The id of a user, or `ANYONE`."""
    unwatched_by: str | None = None
    unwatched_since: int | None = None
    size_min_bytes: int | None = None
    added_before: int | None = None
    """Items added at an unknown time are among them."""
    is_whole: bool = False
    """Movies, and shows as wholes."""


class SortOrder(NamedTuple):
    """What rows are sorted by, and whether the greatest come first. What is unknown comes last either way."""

    name: str
    descending: bool


class SortPosition(NamedTuple):
    """The last row of a page, in the order of its query."""

    unknown: bool
    value: str | float
    id: int


SORT_VALUES = {
    "title": "coalesce(items.sort_title, items.title) COLLATE NOCASE",
    "size": "items.size_bytes",
    "added": "items.added_at",
    "year": "items.year",
    "duration": "items.duration_ms",
    "rating": "coalesce(items.audience_rating, items.critic_rating)",
    "last_watched": "last_watched.at",
}
_LEAF_TYPES = frozenset({"movie", "episode", "track"})
NATURALLY_ASCENDING = frozenset({"title"})
"""As Plex sorts its lists: titles from A, everything else from the greatest (`defaultDirection` of its `Sort` elements)."""

_REGULAR = "(leaf.type = 'track' OR coalesce(leaf.parent_index, 1) <> 0)"
"""A season 0 holds specials, which nobody has to have seen."""
_LAST_WATCHED = """
    last_watched AS MATERIALIZED (
        WITH leaf AS (
            SELECT item_id, max(at) AS at FROM finishes GROUP BY item_id
        ), named AS (
            SELECT leaf.item_id, leaf.at, parent_key, grandparent_key FROM leaf JOIN items ON items.id = leaf.item_id
            WHERE items.server = :server
        )
        SELECT item_id, at FROM named
        UNION ALL
        SELECT items.id, max(named.at) FROM named JOIN items ON items.rating_key = named.parent_key
            AND items.server = :server GROUP BY items.id
        UNION ALL
        SELECT items.id, max(named.at) FROM named JOIN items ON items.rating_key = named.grandparent_key
            AND items.server = :server GROUP BY items.id
    )
"""
"""A common table: when anybody last finished an item or something in it."""


@dataclass(slots=True)
class _Conditions:
    """The parts of a WHERE clause, with their values."""

    wanted: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)

    def add(self, sql: str, **values: Any) -> None:
        """Add a condition, unless it has a value and that is `None`."""
        if None not in values.values():
            self.wanted.append(sql)
            self.values |= values


def find_items(
    connection: sqlite3.Connection,
    server: str | None,
    filters: ItemFilter,
    order: SortOrder,
    limit: int,
    after: SortPosition | None = None,
) -> tuple[list[tuple[int, SortPosition]], Totals]:
    """Return the ids of a page of items, each with its position, and the totals of all pages."""
    conditions = _build_conditions(connection, server, filters)
    rows = connection.execute(
        f"""
        {_build_matched(conditions, order, is_simple=_is_simple(filters))}
        SELECT count(*) AS id, {_build_size(filters)} AS size_bytes, NULL AS unknown, NULL AS value FROM matched
        UNION ALL
        SELECT * FROM (SELECT id, NULL, unknown, value FROM matched {_build_page(order, after)})
        """,  # noqa: S608 - our own column names
        {**conditions.values, "limit": limit, **(after._asdict() if after else {})},
    ).fetchall()
    (count, size_bytes, _, _), *page = map(tuple, rows)
    return [(row[0], SortPosition(bool(row[2]), row[3], row[0])) for row in page], Totals(count, size_bytes or 0)


def _build_size(filters: ItemFilter) -> str:
    """Build the size of the files of all that fits, each counted once: a show has the files of its episodes."""
    if filters.type in _LEAF_TYPES:
        return "sum(size_bytes)"
    if filters == ItemFilter(library_id=filters.library_id):  # whatever is in something that fits then fits itself
        return f"sum(size_bytes) FILTER (WHERE type IN {LEAVES})"
    return f"CASE WHEN max(type IN {CONTAINERS}) THEN ({_SIZE_OF_ALL}) ELSE sum(size_bytes) END"


def _is_simple(filters: ItemFilter) -> bool:
    """Return whether reading the items twice costs less than remembering those that fit: no filter has a subquery."""
    plain = ItemFilter(
        type=filters.type, library_id=filters.library_id, year_from=filters.year_from, year_to=filters.year_to,
        added_since=filters.added_since, added_before=filters.added_before,
    )  # fmt: skip
    return filters == plain and (filters.type in _LEAF_TYPES or filters == ItemFilter(library_id=filters.library_id))


def _build_matched(conditions: _Conditions, order: SortOrder, *, is_simple: bool) -> str:
    """Build the common table of what fits, with what it is sorted by."""
    value = SORT_VALUES[order.name]
    by_plays = order.name == "last_watched"
    sorted_by = (
        f"0 AS unknown, {value}" if order.name == "title" else f"{value} IS NULL AS unknown, coalesce({value}, 0)"
    )
    return f"""
        WITH {_LAST_WATCHED + "," if by_plays else ""}
        matched AS {"NOT" if is_simple and not by_plays else ""} MATERIALIZED (
            SELECT items.id AS id, items.type AS type, items.rating_key AS rating_key, items.size_bytes AS size_bytes,
                {sorted_by} AS value
            FROM items {"LEFT JOIN last_watched ON last_watched.item_id = items.id" if by_plays else ""}
            WHERE {" AND ".join(conditions.wanted)}
        )
    """  # noqa: S608 - our own column names


_SIZE_OF_ALL = f"""
    SELECT sum(items.size_bytes) FROM items INDEXED BY items_sizes WHERE server = :server AND type IN {LEAVES} AND (
        id IN (SELECT id FROM matched)
        OR parent_key IN (SELECT rating_key FROM matched WHERE type IN ('season', 'album'))
        OR grandparent_key IN (SELECT rating_key FROM matched WHERE type IN ('show', 'artist'))
    )
"""  # noqa: S608 - our own
"""With containers among what fits. SQLite computes it only then."""


def _build_page(order: SortOrder, after: SortPosition | None) -> str:
    direction, beyond = ("DESC", "<") if order.descending else ("ASC", ">")
    collated = "value COLLATE NOCASE" if order.name == "title" else "value"
    where = (
        f"WHERE unknown > :unknown OR (unknown = :unknown AND ({collated} {beyond} :value "
        f"OR ({collated} = :value AND id > :id)))"
        if after
        else ""
    )
    unknown_last = "" if order.name == "title" else "unknown, "  # every item has a title
    return f"{where} ORDER BY {unknown_last}{collated} {direction}, id LIMIT :limit"


def _build_conditions(connection: sqlite3.Connection, server: str | None, filters: ItemFilter) -> _Conditions:
    found = _Conditions(["items.server = :server"], {"server": server})
    found.add("items.id IN (SELECT rowid FROM item_words WHERE item_words MATCH :match)", match=filters.match)
    found.add("items.type = :type", type=filters.type)
    found.add("items.section_id = :library", library=filters.library_id)
    found.add("items.year >= :year_from", year_from=filters.year_from)
    found.add("items.year <= :year_to", year_to=filters.year_to)
    found.add("items.duration_ms <= :duration", duration=filters.duration_max_ms)
    found.add("coalesce(items.audience_rating, items.critic_rating) >= :rating", rating=filters.rating_min)
    found.add("items.content_rating = :content_rating COLLATE NOCASE", content_rating=filters.content_rating)
    found.add("items.added_at >= :added_since", added_since=filters.added_since)
    found.add("coalesce(items.added_at < :added_before, 1)", added_before=filters.added_before)
    if filters.is_whole:
        found.add("items.type IN ('movie', 'show')")
    found.add("items.size_bytes >= :size", size=filters.size_min_bytes)
    found.add(_RESOLUTION, resolution=filters.resolution)
    found.add(_CODEC, codec=filters.codec)
    _add_tag(connection, found, "genre", filters.genre, ("genre",))
    _add_tag(connection, found, "person", filters.person, ("actor", "director"))
    found.add(f"({_build_watched('watched_by', filters)})", watched_by=filters.watched_by)
    found.add(f"NOT ({_build_watched('unwatched_by', filters)})", unwatched_by=filters.unwatched_by)
    found.add(f"NOT ({_WATCHED_SINCE})", unwatched_since=filters.unwatched_since)
    return found


_RESOLUTION = "items.id IN (SELECT item_id FROM files WHERE resolution = :resolution)"
_CODEC = """
    items.id IN (
        SELECT item_id FROM files WHERE video_codec = :codec COLLATE NOCASE OR audio_codec = :codec COLLATE NOCASE
    )
"""
_FINISHED_SINCE = """
    EXISTS (
        SELECT 1 FROM plays INDEXED BY plays_finished
        WHERE plays.item_id = {item}.id AND plays.item_id IS NOT NULL
            AND (plays.viewed_at IS NOT NULL OR plays.view_offset_ms * 10 >= plays.duration_ms * 9)
            AND coalesce(plays.viewed_at, plays.ended_at, plays.updated_at) >= :unwatched_since
    )
    OR ({item}.view_count > 0 AND {item}.type IN {leaves} AND coalesce({item}.last_viewed_at, 0) >= :unwatched_since)
"""
"""As the view `finishes`, asked item by item: of the view itself, SQLite reads every row."""
_WATCHED_SINCE = f"""
    {_FINISHED_SINCE.format(item="items", leaves=LEAVES)}
    OR (items.type IN {CONTAINERS} AND (
        EXISTS (
            SELECT 1 FROM items AS leaf INDEXED BY items_by_parent
            WHERE leaf.parent_key = items.rating_key AND leaf.server = items.server
                AND ({_FINISHED_SINCE.format(item="leaf", leaves=LEAVES)})
        )
        OR EXISTS (
            SELECT 1 FROM items AS leaf INDEXED BY items_by_grandparent
            WHERE leaf.grandparent_key = items.rating_key AND leaf.server = items.server
                AND ({_FINISHED_SINCE.format(item="leaf", leaves=LEAVES)})
        )
    ))
"""  # noqa: S608 - our own
"""Somebody finished it, or something in it, since then."""


def _add_tag(
    connection: sqlite3.Connection, found: _Conditions, name: str, wanted: str | None, kinds: tuple[str, ...]
) -> None:
    """Filter by a tag of this name, or where none has it, by those with these words in their names."""
    if wanted is None:
        return
    ids = find_tags(connection, found.values["server"], wanted, kinds)
    found.add(
        f"items.id IN (SELECT item_id FROM item_tags WHERE tag_id IN (SELECT value FROM json_each(:{name})))",  # noqa: S608 - our own name
        **{name: f"[{','.join(map(str, ids))}]"},
    )


def find_tags(connection: sqlite3.Connection, server: str | None, wanted: str, kinds: tuple[str, ...]) -> list[int]:
    """Return the ids of the tags with a name, or where none has it, of those whose names contain its words."""
    places = ", ".join("?" for _ in kinds)
    of_kind = f"FROM tags WHERE server = ? AND kind IN ({places})"
    exact = connection.execute(f"SELECT id {of_kind} AND folded = ?", (server, *kinds, fold(wanted))).fetchall()
    if exact:
        return [int(row[0]) for row in exact]
    every = connection.execute(f"SELECT id, name {of_kind}", (server, *kinds))
    return [int(id_) for id_, name in map(tuple, every) if matches_words(name, wanted)]


def _build_watched(name: str, filters: ItemFilter) -> str:
    """Build the condition that a user finished an item: of a show all regular episodes, of an album all tracks."""
    by = "" if getattr(filters, name) == ANYONE else f"WHERE user_id = :{name}"
    finished = f"(SELECT item_id FROM finishes {by})"  # noqa: S608 - our own name
    if filters.type in _LEAF_TYPES:
        return f"items.id IN {finished}"
    return f"""
        items.id IN {finished} OR (items.type IN {CONTAINERS} AND items.rating_key IN (
            WITH leaf AS MATERIALIZED (
                SELECT parent_key, grandparent_key, type, parent_index, id IN {finished} AS done
                FROM items WHERE server = :server AND type IN ('episode', 'track')
            )
            SELECT parent_key FROM leaf WHERE parent_key IS NOT NULL GROUP BY parent_key HAVING min(done)
            UNION
            SELECT grandparent_key FROM leaf WHERE grandparent_key IS NOT NULL AND {_REGULAR}
            GROUP BY grandparent_key HAVING min(done)
        ))
    """  # noqa: S608 - our own names


_ROWS = """
    SELECT items.*, coalesce(catalogue_sections.title, '') AS library
    FROM json_each(:ids) AS wanted JOIN items ON items.id = wanted.value
    LEFT JOIN catalogue_sections ON catalogue_sections.server = items.server
        AND catalogue_sections.section_id = items.section_id
    ORDER BY wanted.key
"""


def read_item_rows(connection: sqlite3.Connection, ids: list[int]) -> list[Row]:
    """Return the rows of items with the titles of their libraries, in the order of the ids."""
    cursor = connection.execute(_ROWS, {"ids": f"[{','.join(map(str, ids))}]"})
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor]
