"""How complete the catalogue is, and the two resources that show it: a library and an item."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from plex_companion.cache.connections import run_read
from plex_companion.cache.queries.kept_figures import read_kept_figures
from plex_companion.catalogue.item_rows import DEFAULT_FIELDS, FIELDS, describe_items, read_files
from plex_companion.catalogue.queries import FINISHES_OF, describe_freshness, read_catalogue_freshness
from plex_companion.errors import NotFound
from plex_companion.history.filters import get_current_names
from plex_companion.history.source import find_server
from plex_companion.serialize import format_iso

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from plex_companion.history.source import HistorySource

NEWEST = 10
"""Items that a library shows as its newest."""
_ITEM_FIELDS = tuple(name for name in FIELDS if name != "files")


async def describe_catalogue(source: HistorySource) -> dict[str, Any]:
    """Return how much of the libraries is in the catalogue; of several servers, of all together."""
    states = source.states
    servers = [state.server.machine_identifier if state.server else None for state in states]
    each = [
        describe_freshness(await read_catalogue_freshness(source.cache, server), state)
        for server, state in zip(servers, states, strict=True)
    ]
    return each[0] if len(each) == 1 else _add_up(each)


def _add_up(each: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return how complete several parts are together: as fresh as the oldest of them."""
    complete = all(one["complete"] for one in each)
    totals = [one["total"] for one in each]
    return {
        "items": sum(one["items"] for one in each),
        "total": None if None in totals else sum(totals),
        "complete": complete,
        "as_of": None if any(one["as_of"] is None for one in each) else min(one["as_of"] for one in each),
        "detail": next((one["detail"] for one in each if one["detail"]), None),
    }


async def describe_library(source: HistorySource, section_id: str) -> dict[str, Any]:
    """Return the counts, the size and the newest items of a library.

    Raises:
        NotFound: the catalogue does not have it.
    """
    values = {"server": find_server(source), "section": section_id}

    def read(connection: sqlite3.Connection) -> dict[str, Any]:
        return _read_content(connection, values)

    row = next(iter(await source.cache.archive.execute_fetchall(_SECTION, values)), None)
    content = await read_kept_figures(source.cache, ("library", *values.values()), ("catalogue",), read) if row else {}
    library = _describe_section(row, content) if row else _describe_unread(source, section_id)
    if library is None:
        names = [f"{section.section_id} ({section.title})" for section in source.state.sections]
        message = f"The catalogue has no library {section_id!r}. Libraries: {', '.join(names) or 'none yet'}."
        raise NotFound(message, what="library", uri=f"plex://libraries/{section_id}", available=names)
    return {"library": library}


def _read_content(connection: sqlite3.Connection, values: dict[str, str | None]) -> dict[str, Any]:
    newest = [int(id_) for (id_,) in map(tuple, connection.execute(_NEWEST, {**values, "most": NEWEST}))]
    (size,) = connection.execute(_SIZE, values).fetchone()
    return {
        "counts": dict(map(tuple, connection.execute(_COUNTS, values))),
        "size_bytes": size,
        "newest": describe_items(
            connection, values["server"], newest, (*DEFAULT_FIELDS, "grandparent_title", "added_at")
        ),
    }


def _describe_section(row: sqlite3.Row, content: dict[str, Any]) -> dict[str, Any]:
    photos = {} if row["photos"] is None else {"photo": row["photos"]}
    return {
        "id": row["section_id"],
        "title": row["title"],
        "type": row["type"],
        **content,
        "counts": {**content["counts"], **photos},
        "as_of": format_iso(row["as_of"]),
        "complete": bool(row["complete"]),
        "total": row["total"],
        "detail": row["detail"],
    }


def _describe_unread(source: HistorySource, section_id: str) -> dict[str, Any] | None:
    """Return what is known of a library of which nothing was read yet; `None` if Plex lists none such."""
    section = next((one for one in source.state.sections if one.section_id == section_id), None)
    if section is None:
        return None
    unread: dict[str, Any] = {
        "counts": {},
        "size_bytes": None,
        "newest": [],
        "as_of": None,
        "complete": False,
        "total": None,
    }
    return {"id": section_id, "title": section.title, "type": section.type, **unread, "detail": "It was not read yet."}


_SECTION = "SELECT * FROM catalogue_sections WHERE server = :server AND section_id = :section"
_COUNTS = "SELECT type, count(*) FROM items WHERE section_id = :section AND server = :server GROUP BY type"
_SIZE = """
    SELECT coalesce(sum(size_bytes), 0) FROM items INDEXED BY items_sizes
    WHERE section_id = :section AND server = :server AND type IN ('movie', 'episode', 'track')
"""
_NEWEST = """
    SELECT id FROM items
    WHERE section_id = :section AND server = :server AND type IN ('movie', 'episode', 'album', 'photoalbum')
    ORDER BY added_at DESC, id DESC LIMIT :most
"""


async def describe_item(source: HistorySource, rating_key: str) -> dict[str, Any]:
    """Return an item with its files and who finished it when, the newest first.

    Raises:
        NotFound: the catalogue does not have it.
    """
    server = find_server(source)

    def read(connection: sqlite3.Connection) -> dict[str, Any] | None:
        values = {"server": server, "key": rating_key}
        row = connection.execute(_ITEM, values).fetchone()
        if row is None:
            return None
        (item,) = describe_items(connection, server, [row["id"]], _ITEM_FIELDS)
        viewers = [
            tuple(one) for one in connection.execute(_VIEWERS, {"server": server, "ids": json.dumps([row["id"]])})
        ]
        return {"item": item, "files": read_files(connection, [row["id"]]).get(row["id"], []), "watched_by": viewers}

    found = await run_read(source.cache.archive, read)
    if found is None:
        message = f"The catalogue has no item {rating_key!r}. catalogue_search lists items with their rating_key."
        raise NotFound(message, what="item", uri=f"plex://items/{rating_key}", available=[])
    return {**found, "watched_by": [_describe_viewer(source, *viewer) for viewer in found["watched_by"]]}


async def has_item(source: HistorySource, rating_key: str) -> bool:
    """Return whether the catalogue has an item."""
    values = {"server": find_server(source), "key": rating_key}
    return bool(await source.cache.reader.execute_fetchall(_ITEM, values))


_ITEM = "SELECT id FROM items WHERE rating_key = :key AND server = :server"
_VIEWERS = f"""
    WITH {FINISHES_OF}
    SELECT finished.user_id, max(finished.at) AS at, (
        SELECT user_name FROM plays WHERE plays.user_id = finished.user_id AND plays.server = :server
        ORDER BY started_at DESC LIMIT 1
    )
    FROM finishes_of AS finished WHERE user_id IS NOT NULL
    GROUP BY finished.user_id ORDER BY at DESC
"""  # noqa: S608 - our own


def _describe_viewer(source: HistorySource, user_id: str, at: int, name: str | None) -> dict[str, Any]:
    _, users = get_current_names(source.state)
    return {"user": {"id": user_id, "name": users.get(user_id) or name}, "at": format_iso(at) if at else None}
