"""Items of the catalogue as answers show them: a short row by default, and any field that was asked for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from plex_companion.catalogue.queries import FINISHES_OF
from plex_companion.catalogue.search_query import read_item_rows
from plex_companion.errors import Invalid
from plex_companion.serialize import format_iso

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from plex_companion.cache.rows import Row

ALWAYS = ("rating_key", "type")
DEFAULT_FIELDS = (*ALWAYS, "title", "year", "library", "size_bytes", "duration_ms")
_COLUMNS = {
    "library_id": "section_id",
    "guid": "guid",
    "imdb_id": "imdb_id",
    "tmdb_id": "tmdb_id",
    "tvdb_id": "tvdb_id",
    "sort_title": "sort_title",
    "original_title": "original_title",
    "edition": "edition",
    "originally_available_at": "originally_available_at",
    "index": "item_index",
    "parent_index": "parent_index",
    "parent_rating_key": "parent_key",
    "grandparent_rating_key": "grandparent_key",
    "parent_title": "parent_title",
    "grandparent_title": "grandparent_title",
    "content_rating": "content_rating",
    "critic_rating": "critic_rating",
    "audience_rating": "audience_rating",
    "user_rating": "user_rating",
    "studio": "studio",
    "summary": "summary",
    "view_count": "view_count",
    "view_offset_ms": "view_offset_ms",
    "leaf_count": "leaf_count",
}
"""Further fields, and their columns."""
_TIMES = {"added_at": "added_at", "updated_at": "updated_at", "last_viewed_at": "last_viewed_at"}
_TAGS = {
    "genres": "genre",
    "directors": "director",
    "actors": "actor",
    "labels": "label",
    "collections": "collection",
    "countries": "country",
}
FIELDS = (*DEFAULT_FIELDS, *_COLUMNS, *_TIMES, *_TAGS, "files", "last_watched_at")
"""Every field that can be asked for."""


def check_fields(fields: Sequence[str] | None) -> tuple[str, ...]:
    """Return the fields of a row, in order; the ones that say what it is are always among them.

    Raises:
        Invalid: there is no such field; the message lists them.
    """
    if fields is None:
        return DEFAULT_FIELDS
    unknown = [name for name in fields if name not in FIELDS]
    if unknown:
        message = f"There is no field {', '.join(map(repr, unknown))}. Fields: {', '.join(FIELDS)}."
        raise Invalid(message, argument="fields", allowed=FIELDS)
    return tuple(dict.fromkeys([*ALWAYS, *fields]))


def describe_items(
    connection: sqlite3.Connection, server: str | None, ids: Sequence[int], fields: Iterable[str] = DEFAULT_FIELDS
) -> list[dict[str, Any]]:
    """Return these items, in their order, each with these fields."""
    wanted = tuple(fields)
    rows = read_item_rows(connection, list(ids))
    tags = _read_tags(connection, ids) if any(name in _TAGS for name in wanted) else {}
    files = read_files(connection, ids) if "files" in wanted else {}
    watched = read_last_watched(connection, server, ids) if "last_watched_at" in wanted else {}
    more = {
        row["id"]: {
            **{name: tags.get((row["id"], kind), []) for name, kind in _TAGS.items()},
            "files": files.get(row["id"], []),
            "last_watched_at": format_iso(watched.get(row["id"])),
        }
        for row in rows
    }
    return [{name: _read_field(row, name, more[row["id"]]) for name in wanted} for row in rows]


def _read_field(row: Row, name: str, more: dict[str, Any]) -> Any:
    if name in more:
        return more[name]
    if name in _TIMES:
        return format_iso(row[_TIMES[name]])
    value = row[_COLUMNS.get(name, name)]
    return (value or None) if name in {"title", "library"} else value


def _read_tags(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[tuple[int, str], list[str]]:
    sql = """
        SELECT item_id, kind, name FROM item_tags JOIN tags ON tags.id = tag_id
        WHERE item_id IN (SELECT value FROM json_each(?)) ORDER BY item_id, kind, position
    """
    found: dict[tuple[int, str], list[str]] = {}
    for item_id, kind, name in map(tuple, connection.execute(sql, (json.dumps(list(ids)),))):
        found.setdefault((item_id, kind), []).append(name)
    return found


_FILE = (
    *("media_id", "size_bytes", "container", "resolution", "hdr", "video_codec", "audio_codec", "channels"),
    *("bitrate_kbps", "present", "path"),
)


def read_files(connection: sqlite3.Connection, ids: Sequence[int]) -> dict[int, list[dict[str, Any]]]:
    """Return the files of each of these items. `paths` is there only where privacy is off."""
    sql = f"""
        SELECT item_id, {", ".join(_FILE)} FROM files
        WHERE item_id IN (SELECT value FROM json_each(?)) ORDER BY item_id, position
    """  # noqa: S608 - our own column names
    found: dict[int, list[dict[str, Any]]] = {}
    for item_id, *values in map(tuple, connection.execute(sql, (json.dumps(list(ids)),))):
        found.setdefault(item_id, []).append(_describe_file(dict(zip(_FILE, values, strict=True))))
    return found


def _describe_file(row: Row) -> dict[str, Any]:
    path, present = row.pop("path"), row.pop("present")
    row["hdr"] = None if row["hdr"] is None else bool(row["hdr"])
    missing = {} if present is None or present else {"missing": True}
    return {**row, **missing, **({"paths": json.loads(path)} if path else {})}


def read_last_watched(connection: sqlite3.Connection, server: str | None, ids: Sequence[int]) -> dict[int, int]:
    """Return when anybody last finished each of these items, or something in it."""
    above = _find_contents(connection, server, ids)
    found: dict[int, int] = {}
    for leaf, at in map(tuple, connection.execute(_LAST_FINISHED, {"ids": json.dumps(list(above))})):
        for item in above[leaf]:
            found[item] = max(at, found.get(item, 0))
    return found


def _find_contents(connection: sqlite3.Connection, server: str | None, ids: Sequence[int]) -> dict[int, list[int]]:
    """Return these items and all they contain, each with those of these items that it is or that contain it."""
    given = {"server": server, "ids": json.dumps(list(ids))}
    wanted: dict[str, int] = {key: id_ for id_, key in map(tuple, connection.execute(_KEYS, given))}
    found = {id_: [id_] for id_ in wanted.values()}
    rows = connection.execute(_CONTENTS, {"server": server, "keys": json.dumps(list(wanted))})
    for id_, *keys in map(tuple, rows):
        found.setdefault(id_, []).extend(wanted[key] for key in keys if key in wanted)
    return found


_KEYS = "SELECT id, rating_key FROM items WHERE id IN (SELECT value FROM json_each(:ids)) AND server = :server"
_CONTENTS = """
    SELECT id, parent_key, grandparent_key FROM items
    WHERE parent_key IN (SELECT value FROM json_each(:keys)) AND server = :server
    UNION
    SELECT id, parent_key, grandparent_key FROM items
    WHERE grandparent_key IN (SELECT value FROM json_each(:keys)) AND server = :server
"""
_LAST_FINISHED = f"""
    WITH {FINISHES_OF}
    SELECT item_id, max(at) FROM finishes_of GROUP BY item_id
"""  # noqa: S608 - our own
