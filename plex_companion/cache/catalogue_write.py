"""Writes a page of the catalogue: items with their files, tags and words, and what follows for the items above them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from plex_companion.cache.replication.named_write import NamedWrite
from plex_companion.cache.rows import read_fields
from plex_companion.models import CatalogueItem
from plex_companion.names.folding import fold
from plex_companion.names.search_text import prepare_search_text

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from plex_companion.cache.rows import Row
    from plex_companion.changes.kinds import CatalogueRowsRead
    from plex_companion.models import CatalogueSection, MediaFile

TAG_KINDS = {
    "genres": "genre",
    "directors": "director",
    "actors": "actor",
    "labels": "label",
    "collections": "collection",
    "countries": "country",
}
"""The kinds in table `tags` of the attributes of an item."""
LEAVES = ("movie", "episode", "track")
"""Types with files."""

_OWN_COLUMNS = [name for name in CatalogueItem.__struct_fields__ if name not in {*TAG_KINDS, "files"}]
_COLUMNS = [*_OWN_COLUMNS, "size_bytes", "search_title", "search_summary"]
_SUMMED = {"leaf_count", "size_bytes"}
"""Columns that are computed for what contains other items."""
_UPSERT = f"""
    INSERT INTO items (server, {", ".join(_COLUMNS)}) VALUES (:server, {", ".join(f":{name}" for name in _COLUMNS)})
    ON CONFLICT (rating_key, server) DO UPDATE SET
        {", ".join(f"{name} = excluded.{name}" for name in _COLUMNS if name not in {"rating_key", "detailed", *_SUMMED})},
        detailed = max(excluded.detailed, detailed AND updated_at IS excluded.updated_at), leaf_count = coalesce(excluded.leaf_count, leaf_count),
        size_bytes = CASE WHEN excluded.type IN ('show', 'season', 'artist', 'album')
            THEN size_bytes ELSE excluded.size_bytes END
"""  # noqa: S608 - our own column names
_FIND = """
    SELECT items.id AS id, rating_key, detailed, parent_key, grandparent_key FROM items
    WHERE rating_key IN (SELECT value FROM json_each(:keys)) AND server = :server
"""
_CHOSEN = "IN (SELECT value FROM json_each(:ids))"
_FORGET_WORDS = f"""
    INSERT INTO item_words (item_words, rowid, title, people, genres, summary)
    SELECT 'delete', id, title, people, genres, summary FROM item_texts WHERE id {_CHOSEN}
"""  # noqa: S608 - a constant
_PUT_WORDS = f"""
    INSERT INTO item_words (rowid, title, people, genres, summary)
    SELECT id, title, people, genres, summary FROM item_texts WHERE id {_CHOSEN}
"""  # noqa: S608 - the same
_PUT_FILE = """
    INSERT INTO files VALUES (:item_id, :media_id, :position, :size_bytes, :parts, :container, :resolution, :hdr,
        :video_codec, :audio_codec, :channels, :bitrate_kbps, :duration_ms, :present, :path)
    ON CONFLICT (item_id, media_id) DO UPDATE SET position = excluded.position, size_bytes = excluded.size_bytes,
        parts = excluded.parts, container = excluded.container, resolution = excluded.resolution,
        hdr = coalesce(excluded.hdr, hdr), video_codec = excluded.video_codec, audio_codec = excluded.audio_codec,
        channels = excluded.channels, bitrate_kbps = excluded.bitrate_kbps, duration_ms = excluded.duration_ms,
        present = coalesce(excluded.present, present), path = excluded.path
"""
_DELETE_FILES = """
    DELETE FROM files WHERE item_id = :item AND media_id NOT IN (SELECT value FROM json_each(:kept))
"""
# One statement for each relation: with both in one, no index would serve.
_SUM_UP = tuple(
    f"""
    UPDATE items SET (leaf_count, size_bytes) = (
        SELECT count(*), sum(size_bytes) FROM items AS leaf
        WHERE leaf.{relation} = :key AND leaf.server = :server AND leaf.type IN ('episode', 'track')
    )
    WHERE rating_key = :key AND server = :server AND type IN {types}
    """  # noqa: S608 - our own names
    for relation, types in (("parent_key", "('season', 'album')"), ("grandparent_key", "('show', 'artist')"))
)
_PUT_SECTION = """
    INSERT INTO catalogue_sections
    VALUES (:server, :section_id, :uuid, :title, :type, :as_of, :total, :complete, :filled, :photos, :detail)
    ON CONFLICT (server, section_id) DO UPDATE SET uuid = excluded.uuid, title = excluded.title, type = excluded.type,
        as_of = excluded.as_of, total = excluded.total, complete = excluded.complete, filled = excluded.filled,
        photos = excluded.photos, detail = excluded.detail
"""


def build_catalogue_rows(read: CatalogueRowsRead) -> Row:
    """Build the rows of what was read of the catalogue, as JSON. A row of a file or of a tag names its item by rating key."""
    items = {item.rating_key: item for item in read.items}
    tags = {(kind, name): None for item in items.values() for kind, name, _ in _list_tags(item)}
    return {
        "server": read.server,
        "forget_paths": read.forget_paths,
        "sections_gone": read.sections_gone,
        "gone": read.gone,
        "items": [_build_item_row(item, read.server) for item in items.values()],
        "files": [
            _build_file_row(file, item.rating_key, position)
            for item in items.values()
            for position, file in enumerate(item.files)
        ],
        "tags": [{"kind": kind, "name": name, **_build_search_columns(name)} for kind, name in tags],
        "item_tags": {item.rating_key: _list_tags(item) for item in items.values()},
        "sections": [_build_section_row(section, read.server) for section in read.sections],
    }


def _write_catalogue(connection: sqlite3.Connection, read: Row) -> None:
    """Write what was read of the catalogue; reading an item twice leaves one row."""
    above: dict[str, None] = {}
    server = read["server"]
    if read["forget_paths"]:
        connection.execute("UPDATE files SET path = NULL WHERE path IS NOT NULL")
    for section_id in read["sections_gone"]:
        _delete_section(connection, server, section_id)
    if read["gone"]:
        _delete_items(connection, server, read["gone"], above)
    if read["items"]:
        _put_items(connection, read, above)
    for sum_up in _SUM_UP:
        connection.executemany(sum_up, [{"server": server, "key": key} for key in above])
    connection.executemany(_PUT_SECTION, read["sections"])


CATALOGUE = NamedWrite("catalogue", _write_catalogue)


def _put_items(connection: sqlite3.Connection, read: Row, above: dict[str, None]) -> None:
    server, items = read["server"], {row["rating_key"]: row for row in read["items"]}
    known = _find_rows(connection, server, items)
    connection.execute(_FORGET_WORDS, {"ids": json.dumps([row["id"] for row in known.values()])})
    connection.executemany(_UPSERT, read["items"])
    found = _find_rows(connection, server, items)
    ids = {key: int(row["id"]) for key, row in found.items()}
    every = json.dumps(list(ids.values()))
    _put_files(connection, items, read["files"], ids)
    # A listing has fewer tags than the item: what was read of the item itself stays until it is read again.
    retagged = [key for key, row in items.items() if row["detailed"] or not _was_detailed(known.get(key))]
    _put_tags(connection, read, retagged, ids)
    connection.execute(_PUT_WORDS, {"ids": every})
    for row in (*known.values(), *found.values()):
        _note_above(row, above)
        above[str(row["rating_key"])] = None


def _put_files(connection: sqlite3.Connection, items: Iterable[str], files: Sequence[Row], ids: dict[str, int]) -> None:
    """Replace the files of these items. Details that only streams have are kept where a listing has no streams."""
    kept: dict[str, list[str]] = {key: [] for key in items}
    for file in files:
        kept[file["rating_key"]].append(file["media_id"])
    connection.executemany(
        _DELETE_FILES, [{"item": ids[key], "kept": json.dumps(media_ids)} for key, media_ids in kept.items()]
    )
    connection.executemany(_PUT_FILE, [{**file, "item_id": ids[file["rating_key"]]} for file in files])


def _was_detailed(row: Row | None) -> bool:
    return row is not None and bool(row["detailed"])


def _put_tags(connection: sqlite3.Connection, read: Row, keys: Iterable[str], ids: dict[str, int]) -> None:
    """Replace the tags of the items with these keys. New tags are numbered in the order of the items."""
    links = [(ids[key], kind, name, position) for key in keys for kind, name, position in read["item_tags"][key]]
    chosen = json.dumps([ids[key] for key in keys])
    connection.execute(f"DELETE FROM item_tags WHERE item_id {_CHOSEN}", {"ids": chosen})  # noqa: S608 - a constant
    used = {(kind, name) for _, kind, name, _ in links}
    connection.executemany(
        "INSERT INTO tags (server, kind, name, folded, search) VALUES (:server, :kind, :name, :folded, :search) "
        "ON CONFLICT DO NOTHING",
        [{**tag, "server": read["server"]} for tag in read["tags"] if (tag["kind"], tag["name"]) in used],
    )
    connection.executemany(
        "INSERT INTO item_tags SELECT ?, id, ? FROM tags WHERE server = ? AND kind = ? AND name = ? ON CONFLICT DO NOTHING",
        [(item_id, position, read["server"], kind, name) for item_id, kind, name, position in links],
    )


def _list_tags(item: CatalogueItem) -> list[tuple[str, str, int]]:
    """Return the kind, name and position of each tag of an item."""
    return [
        (kind, name, position)
        for attribute, kind in TAG_KINDS.items()
        for position, name in enumerate(getattr(item, attribute))
    ]


def _build_search_columns(name: str) -> Row:
    return {"folded": fold(name), "search": prepare_search_text(name)}


def _delete_items(connection: sqlite3.Connection, server: str, keys: Iterable[str], above: dict[str, None]) -> None:
    rows = _find_rows(connection, server, keys)
    ids = {"ids": json.dumps([row["id"] for row in rows.values()])}
    connection.execute(_FORGET_WORDS, ids)
    connection.execute(f"DELETE FROM items WHERE id {_CHOSEN}", ids)  # noqa: S608 - a constant
    for row in rows.values():
        _note_above(row, above)


def _delete_section(connection: sqlite3.Connection, server: str, section_id: str) -> None:
    values = {"server": server, "section": section_id}
    keys = connection.execute("SELECT rating_key FROM items WHERE section_id = :section AND server = :server", values)
    _delete_items(connection, server, [str(key) for (key, *_) in map(tuple, keys)], {})
    connection.execute("DELETE FROM catalogue_sections WHERE section_id = :section AND server = :server", values)


def _note_above(row: Row, above: dict[str, None]) -> None:
    above.update(dict.fromkeys(str(row[name]) for name in ("parent_key", "grandparent_key") if row[name]))


def _find_rows(connection: sqlite3.Connection, server: str, keys: Iterable[str]) -> dict[str, Row]:
    cursor = connection.execute(_FIND, {"server": server, "keys": json.dumps(list(keys))})
    names = [column[0] for column in cursor.description]
    rows = [dict(zip(names, row, strict=True)) for row in cursor]
    return {row["rating_key"]: row for row in rows}


def _build_item_row(item: CatalogueItem, server: str) -> Row:
    sizes = [file.size_bytes for file in item.files if file.size_bytes is not None]
    spoken = f"{item.title} {item.original_title or ''}"
    search = prepare_search_text(spoken)
    return {
        "server": server,
        **{name: getattr(item, name) for name in _OWN_COLUMNS},
        "size_bytes": sum(sizes) if sizes else None,
        "search_title": search,
        "search_summary": prepare_search_text(item.summary) if item.summary else None,
    }


def _build_file_row(file: MediaFile, rating_key: str, position: int) -> Row:
    return {
        "rating_key": rating_key,
        "position": position,
        **{name: value for name, value in read_fields(file).items() if name != "paths"},
        "path": json.dumps(file.paths, ensure_ascii=False) if file.paths else None,
    }


def _build_section_row(section: CatalogueSection, server: str) -> Row:
    return {**read_fields(section), "server": server, "filled": json.dumps(dict(section.filled))}
