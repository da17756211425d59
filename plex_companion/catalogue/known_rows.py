"""Queries on the rows of the catalogue, for the tasks that keep it up to date."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from plex_companion.cache.connections import run_read
from plex_companion.cache.database import StorageError, explain_unreadable
from plex_companion.catalogue.queries import LEAVES
from plex_companion.models import CatalogueSection

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.plex.xml.catalogue_rows import KeyRow


class SectionSize(NamedTuple):
    """How large a library is."""

    items: int
    """Movies, episodes or tracks."""
    size_bytes: int
    added_at: int | None


@dataclass(frozen=True, slots=True)
class KnownRows:
    """Reads the rows of one server."""

    cache: Cache
    server: str

    async def read_sections(self) -> dict[str, CatalogueSection]:
        """Return how much of each library is in the catalogue, by its id."""
        rows = await self._read("SELECT * FROM catalogue_sections WHERE server = :server")
        return {row["section_id"]: _parse_section(row) for row in rows}

    async def count(self, section_id: str) -> dict[str, int]:
        """Return the number of items of a library by type."""
        sql = "SELECT type, count(*) FROM items WHERE section_id = :section AND server = :server GROUP BY type"
        return {row[0]: row[1] for row in await self._read(sql, section=section_id)}

    async def measure_sections(self) -> dict[str, SectionSize]:
        """Return how large each library is, by its id."""
        sql = f"""
            SELECT section_id, count(*), coalesce(sum(size_bytes), 0), max(added_at) FROM items INDEXED BY items_sizes
            WHERE server = :server AND type IN {LEAVES} AND section_id IS NOT NULL GROUP BY section_id
        """  # noqa: S608 - our own words
        return {row[0]: SectionSize(*row[1:]) for row in await self._read(sql)}

    async def read_checks(self) -> dict[str, int]:
        """Return when the daily comparison of each library was last reported, by its id."""
        sql = """
            SELECT data ->> 'library_id', max(at) FROM occurrences
            WHERE type = 'library.checked' AND server = :server GROUP BY 1
        """
        return {row[0]: row[1] for row in await self._read(sql)}

    async def find_different(self, rows: Sequence[KeyRow]) -> list[str]:
        """Return the keys of rows that are unknown, or whose times or view count have changed since they were read."""
        sql = """
            SELECT value ->> 0 FROM json_each(:rows) WHERE NOT EXISTS (
                SELECT 1 FROM items WHERE rating_key = value ->> 0 AND server = :server AND updated_at IS value ->> 1
                    AND view_count IS value ->> 2 AND last_viewed_at IS value ->> 3
            )
        """
        asked = json.dumps([row[:4] for row in rows if row.kept])
        return [row[0] for row in await self._read(sql, rows=asked)]

    async def list_keys(self, section_id: str, kind: str) -> set[str]:
        """Return the keys of the items of one type in a library."""
        sql = "SELECT rating_key FROM items WHERE section_id = :section AND type = :kind AND server = :server"
        return {row[0] for row in await self._read(sql, section=section_id, kind=kind)}

    async def list_section(self, section_id: str) -> list[str]:
        """Return the keys of all items of a library."""
        sql = "SELECT rating_key FROM items WHERE section_id = :section AND server = :server"
        return [row[0] for row in await self._read(sql, section=section_id)]

    async def has_paths(self) -> bool:
        """Return whether the path of any file is kept."""
        return bool(await self._read("SELECT 1 FROM files WHERE path IS NOT NULL LIMIT 1"))

    async def list_below(self, keys: Sequence[str]) -> list[str]:
        """Return the keys of what is in these items."""
        sql = """
            SELECT rating_key FROM items WHERE server = :server AND (
                parent_key IN (SELECT value FROM json_each(:keys)) OR grandparent_key IN (SELECT value FROM json_each(:keys))
            )
        """
        return [row[0] for row in await self._read(sql, keys=json.dumps(list(keys)))]

    async def list_lacking(self, keys: Sequence[str]) -> list[str]:
        """Return those of these keys that the catalogue lacks."""
        sql = """
            SELECT value FROM json_each(:keys)
            WHERE NOT EXISTS (SELECT 1 FROM items WHERE rating_key = value AND server = :server)
        """
        return [row[0] for row in await self._read(sql, keys=json.dumps(list(keys)))]

    async def list_emptied(self, keys: Sequence[str]) -> list[str]:
        """Return the keys of shows, seasons, artists and albums above some items in which nothing is left."""
        sql = """
            SELECT rating_key FROM items WHERE server = :server AND leaf_count = 0
                AND rating_key IN (SELECT value FROM json_each(:keys))
        """
        return [row[0] for row in await self._read(sql, keys=json.dumps(list(keys)))]

    async def list_parents(self, keys: Sequence[str]) -> list[str]:
        """Return the keys of what contains these items."""
        sql = """
            SELECT parent_key, grandparent_key FROM items
            WHERE server = :server AND rating_key IN (SELECT value FROM json_each(:keys))
        """
        rows = await self._read(sql, keys=json.dumps(list(keys)))
        return list(dict.fromkeys(key for row in rows for key in row if key))

    async def list_without_details(self, most: int, after: int) -> list[tuple[int, str]]:
        """Return ids and keys of items that were read from a listing only, after an id."""
        sql = """
            SELECT id, rating_key FROM items INDEXED BY items_without_details
            WHERE detailed = 0 AND id > :after AND server = :server ORDER BY id LIMIT :most
        """
        return [(row[0], row[1]) for row in await self._read(sql, most=most, after=after)]

    async def _read(self, sql: str, **values: object) -> list[sqlite3.Row]:
        def read(connection: sqlite3.Connection) -> list[sqlite3.Row]:
            return connection.execute(sql, {"server": self.server, **values}).fetchall()

        try:
            return await run_read(self.cache.archive, read)
        except StorageError as error:
            raise explain_unreadable(error) from error


def _parse_section(row: sqlite3.Row) -> CatalogueSection:
    values = {name: row[name] for name in row.keys() if name != "server"}  # noqa: SIM118 - a row iterates over values
    return CatalogueSection(**{**values, "complete": bool(row["complete"]), "filled": json.loads(row["filled"])})
