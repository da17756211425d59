"""The files of items that are being played, as the catalogue has them."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

from plex_companion.cache.connections import run_read
from plex_companion.models import SourceFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.cache.database import Cache

    Versions = dict[str, SourceFile]

_FILES = """
    SELECT rating_key, media_id, container, resolution, hdr, video_codec, audio_codec, channels, bitrate_kbps
    FROM items JOIN files ON files.item_id = items.id
    WHERE items.server = :server AND rating_key IN (SELECT value FROM json_each(:keys))
    ORDER BY files.item_id, position
"""


async def read_source_files(cache: Cache, server: str | None, rating_keys: Iterable[str]) -> dict[str, Versions]:
    """Return the versions of items by rating key and id of their Media, as far as the catalogue has them.

    Nothing is found while the database cannot be read: what is playing matters more than why it is transcoded.
    """
    values = {"server": server, "keys": json.dumps(list(rating_keys))}

    def read(connection: sqlite3.Connection) -> dict[str, Versions]:
        found: dict[str, Versions] = {}
        for row in connection.execute(_FILES, values):
            found.setdefault(row["rating_key"], {})[row["media_id"]] = _parse_file(row)
        return found

    try:
        return await run_read(cache.reader, read)
    except sqlite3.Error:
        return {}


def _parse_file(row: sqlite3.Row) -> SourceFile:
    return SourceFile(
        row["container"], row["resolution"], None if row["hdr"] is None else bool(row["hdr"]), row["video_codec"],
        row["audio_codec"], row["channels"], row["bitrate_kbps"], exact=True,
    )  # fmt: skip
