"""Reads occurrences after a cursor, which is the name of the database and the id of an occurrence."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from plex_companion.cache.connections import run_read
from plex_companion.cache.queries.servers import is_unidentified
from plex_companion.cache.rows import parse_stream_counts
from plex_companion.errors import Invalid
from plex_companion.occurrences.declare import OCCURRENCE_TYPES
from plex_companion.serialize import format_iso

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection, Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.models import StreamCounts
    from plex_companion.serialize import Json

_CURSOR = re.compile(r"([0-9a-f]{8})-([0-9]{1,18})", re.ASCII)
LONGEST_SHOWN = 40


@dataclass(frozen=True, slots=True)
class OccurrencePage:
    """Occurrences, oldest first, and where the next page begins."""

    occurrences: list[Json]
    next_cursor: str
    gap: bool
    """Whether occurrences after the cursor were lost: pruned, or of another database."""


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The name of the database, and the ids it has given and kept."""

    tag: str
    newest: int
    first: int


async def read_occurrences(
    cache: Cache,
    cursor: str | None,
    types: Sequence[str] | None = None,
    limit: int = 100,
    server: str | None = None,
) -> OccurrencePage:
    """Return the occurrences after a cursor, oldest first; without a cursor, the newest. Of one server, or of all.

    The cursor also moves past occurrences of other types. One of another database begins with the next occurrence.

    Raises:
        Invalid: the text is not a cursor, or a type is unknown.
    """
    check_types(types)
    place = None if cursor is None else parse_cursor(cursor)
    return await run_read(cache.reader, partial(_select_page, place=place, types=types, limit=limit, server=server))


async def read_newest_cursor(cache: Cache) -> str:
    """Return the cursor of the newest occurrence: what follows it is new from now on."""
    bounds = await run_read(cache.reader, _select_bounds)
    return f"{bounds.tag}-{bounds.newest}"


async def read_cursor_before(cache: Cache, at: int) -> str:
    """Return the cursor after which the kept occurrences from a time on follow."""

    def select(connection: sqlite3.Connection) -> str:
        bounds = _select_bounds(connection)
        (first,) = connection.execute("SELECT min(id) FROM occurrences WHERE at >= ?", (at,)).fetchone()
        return f"{bounds.tag}-{bounds.newest if first is None else first - 1}"

    return await run_read(cache.reader, select)


def check_types(types: Sequence[str] | None) -> None:
    """Check the names of types.

    Raises:
        Invalid: one is unknown.
    """
    for name in types or ():
        if name not in OCCURRENCE_TYPES:
            known = ", ".join(OCCURRENCE_TYPES)
            message = f"There is no type of occurrence {name[:LONGEST_SHOWN]!r}. Types: {known}."
            raise Invalid(message, argument="types", allowed=[*OCCURRENCE_TYPES])


def parse_cursor(text: str) -> tuple[str, int]:
    """Parse a cursor: the name of its database, and an id.

    Raises:
        Invalid: the text is not a cursor.
    """
    found = _CURSOR.fullmatch(text)
    if found is None:
        message = (
            f"{text[:LONGEST_SHOWN]!r} is not a cursor: pass next_cursor of the last answer unchanged, or leave it out to "
            "start with the newest occurrences."
        )
        raise Invalid(message, argument="cursor")
    return found[1], int(found[2])


def _select_page(
    connection: sqlite3.Connection,
    place: tuple[str, int] | None,
    types: Sequence[str] | None,
    limit: int,
    server: str | None,
) -> OccurrencePage:
    bounds = _select_bounds(connection)
    values: dict[str, Any] = {"newest": bounds.newest, "limit": limit, "server": server}
    wanted = "" if server is None else "AND occurrences.server = :server"
    if types:
        wanted += " AND type IN (SELECT value FROM json_each(:types))"
        values["types"] = json.dumps([*types])
    if place is None:
        rows = _select_rows(connection, f"{wanted} ORDER BY occurrences.id DESC LIMIT :limit", values)
        return _build_page(rows[::-1], bounds, bounds.newest, gap=False)
    tag, after = place
    foreign = tag != bounds.tag or after > bounds.newest
    values["after"] = bounds.newest if foreign else after
    after_it = f"AND occurrences.id > :after {wanted} ORDER BY occurrences.id LIMIT :limit"
    rows = _select_rows(connection, after_it, values)
    end = int(rows[-1]["id"]) if len(rows) == limit else bounds.newest
    return _build_page(rows, bounds, end, gap=foreign or after + 1 < bounds.first)


@dataclass(frozen=True, slots=True)
class NumberedOccurrence:
    """An occurrence with what only rules ask about."""

    number: int
    at: int
    row: Json
    streams: StreamCounts | None
    """What played at that moment; `None` if an earlier version recorded it."""


@dataclass(frozen=True, slots=True)
class NumberedPage:
    """Occurrences, oldest first, and the number up to which there is none left."""

    occurrences: list[NumberedOccurrence]
    end: int
    is_full: bool
    """Whether there may be more."""


async def read_numbered(cache: Cache, after: int, types: Collection[str], limit: int) -> NumberedPage:
    """Return the occurrences of these types after the one with a number.

    Raises:
        StorageError: the database cannot be read.
    """
    return await run_read(cache.reader, partial(_select_numbered, after=after, types=types, limit=limit, by="type"))


async def read_past_numbered(cache: Cache, after: int, types: Collection[str], limit: int) -> NumberedPage:
    """Return a page of a long past: the occurrences of these types after the one with a number.

    It is read on the thread for long questions, and in the order of numbers: each page costs what it skips and holds.

    Raises:
        StorageError: the database cannot be read.
    """
    return await run_read(cache.archive, partial(_select_numbered, after=after, types=types, limit=limit, by="+type"))


def _select_numbered(
    connection: sqlite3.Connection, after: int, types: Collection[str], limit: int, by: str
) -> NumberedPage:
    """Select by the index of types, which sorts all that follow, or with `+type` by number."""
    bounds = _select_bounds(connection)
    values = {"newest": bounds.newest, "after": after, "limit": limit, "types": json.dumps([*types])}
    wanted = f"AND {by} IN (SELECT value FROM json_each(:types)) AND occurrences.id > :after"  # noqa: S608 - two forms of our own
    rows = _select_rows(connection, f"{wanted} ORDER BY occurrences.id LIMIT :limit", values)
    found = [
        NumberedOccurrence(row["id"], row["at"], _serialize_row(row, bounds.tag), parse_stream_counts(row))
        for row in rows
    ]
    is_full = len(found) == limit
    return NumberedPage(found, found[-1].number if is_full else bounds.newest, is_full)


async def read_first_number(cache: Cache, at: int) -> int:
    """Return the number of the first kept occurrence from a time on; the next one to be given if there is none."""

    def select(connection: sqlite3.Connection) -> int:
        (first,) = connection.execute("SELECT min(id) FROM occurrences WHERE at >= ?", (at,)).fetchone()
        return _select_bounds(connection).newest + 1 if first is None else int(first)

    return await run_read(cache.archive, select)


async def read_oldest_time(cache: Cache) -> int | None:
    """Return when the first kept occurrence happened; `None` if there is none."""

    def select(connection: sqlite3.Connection) -> int | None:
        row = connection.execute("SELECT at FROM occurrences ORDER BY id LIMIT 1").fetchone()
        return None if row is None else int(row["at"])

    return await run_read(cache.archive, select)


async def read_newest_number(cache: Cache) -> int:
    """Return the number of the newest occurrence."""
    return (await run_read(cache.reader, _select_bounds)).newest


def _build_page(rows: list[sqlite3.Row], bounds: _Bounds, end: int, *, gap: bool) -> OccurrencePage:
    return OccurrencePage([_serialize_row(row, bounds.tag) for row in rows], f"{bounds.tag}-{end}", gap)


_BOUNDS = """
    SELECT (SELECT value FROM about WHERE name = 'database') AS tag,
        coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'occurrences'), 0) AS newest,
        (SELECT min(id) FROM occurrences) AS first
"""


def _select_bounds(connection: sqlite3.Connection) -> _Bounds:
    row = connection.execute(_BOUNDS).fetchone()
    return _Bounds(row["tag"], row["newest"], row["newest"] + 1 if row["first"] is None else row["first"])


def _select_rows(connection: sqlite3.Connection, rest: str, values: dict[str, Any]) -> list[sqlite3.Row]:
    sql = f"""
        SELECT occurrences.*, servers.name AS server_name FROM occurrences
        LEFT JOIN servers ON servers.machine_identifier = occurrences.server
        WHERE occurrences.id <= :newest {rest}
    """  # noqa: S608 - placeholders only
    return connection.execute(sql, values).fetchall()


def _serialize_row(row: sqlite3.Row, tag: str) -> Json:
    cursor, at = f"{tag}-{row['id']}", format_iso(row["at"])
    identity = f"{cursor}-{row['at']:x}"  # after an older backup is restored, numbers are given again
    inferred = bool(row["inferred"])
    data = {
        "server": None if is_unidentified(row["server"]) else row["server"],
        "server_name": row["server_name"],
        "at": at,
        **({"inferred": True} if inferred else {}),
        **json.loads(row["data"]),
    }
    return {"id": identity, "type": row["type"], "at": at, "inferred": inferred, "data": data, "cursor": cursor}
