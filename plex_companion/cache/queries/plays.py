"""Queries on plays: pages of them, one of them, and their users and libraries. Every query uses an index."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from plex_companion.cache.connections import run_in_thread, run_read
from plex_companion.cache.queries.servers import OF_SERVER
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.cache.rows import Row
    from plex_companion.times import Window

Values = dict[str, Any]


@dataclass(frozen=True, slots=True)
class HistoryStatus:
    """The state of the play history, which answers about plays must mention."""

    tag: str
    """The name of this database, which its cursors carry."""
    newest: int
    """The id of the newest play ever written."""
    imported: int
    """How many rows of Plex's own history are imported."""
    total: int | None
    """How many rows Plex has, if known."""
    complete: bool
    """Whether all are imported, so that what is missing here was not played."""


@dataclass(frozen=True, slots=True)
class PlayFilter:
    """Which plays to return; `None` does not filter."""

    user_id: str | None = None
    library_id: str | None = None
    words: str | None = None
    """An FTS5 expression, see `names.search_text.build_match`."""
    window: Window | None = None
    year: int | None = None
    servers: Sequence[str] | None = None
    type: str | None = None
    players: tuple[str, ...] | None = None
    """Client identifiers."""
    decision: str | None = None

    @property
    def is_counted(self) -> bool:
        """Whether one index counts it: at most one column is compared besides the time, and no words are searched."""
        if self.words is not None:
            return False
        compared = (self.user_id, self.library_id, self.year, self.type, self.players, self.decision, self.servers)
        return sum(one is not None for one in compared) <= 1


@dataclass(frozen=True, slots=True)
class KeysetPosition:
    """A position in the list of plays, newest first. Plays after it began earlier, or at the same time with a smaller
    id.
    """

    at: int
    id: int


async def read_history_status(cache: Cache, servers: Sequence[str]) -> HistoryStatus:
    """Return the database's name, its newest play, and how far the histories of these servers are imported."""
    return await run_in_thread(cache.archive, partial(select_history_status, servers=servers))


def select_history_status(connection: sqlite3.Connection, servers: Sequence[str]) -> HistoryStatus:
    """Return what `read_history_status` does, in the thread of the database."""
    values = {"servers": json.dumps([*servers]), "count": len(servers)}
    row = connection.execute(_HISTORY_STATUS, values).fetchone()
    return HistoryStatus(row["tag"], row["newest"], row["imported"], row["total"], bool(row["complete"]))


_HISTORY_STATUS = """
    SELECT (SELECT value FROM about WHERE name = 'database') AS tag,
        coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'plays'), 0) AS newest,
        coalesce(sum(imported), 0) AS imported, CASE count(total) WHEN :count THEN sum(total) END AS total,
        count(*) = :count AND coalesce(min(complete), 0) AS complete
    FROM history WHERE server IN (SELECT value FROM json_each(:servers))
"""


def read_plays_page(
    connection: sqlite3.Connection,
    filters: PlayFilter,
    limit: int,
    after: KeysetPosition | None = None,
    *,
    upwards: bool = False,
) -> list[Row]:
    """Return plays, newest first, live ones included; with `after`, the ones after that position.

    With `upwards`, these are instead the nearest ones before that position, in the opposite order.

    They are dictionaries of the columns that a play is serialized from: `sqlite3.Row` searches its column names one by
    one on every access.
    """
    wanted, values = _build_conditions(filters, after, upwards=upwards)
    values |= {"limit": limit}
    order = _OLDEST if upwards else _NEWEST
    if filters.words is not None:
        values["words"] = filters.words
        values["titled"] = _find_titled(connection, wanted, values, order)
        # Sort ids only, and read whole rows only of the first ones.
        listed = "plays.id IN (SELECT value FROM json_each(:titled))"
        among = [*wanted, _TITLED if values["titled"] is None else listed]
        wanted = [f"plays.id IN (SELECT id FROM plays {_build_where(among)} {order} LIMIT :limit)"]  # noqa: S608 - placeholders only
    sql = f"SELECT {', '.join(SHOWN_COLUMNS)} FROM plays {_build_where(wanted)} {order} LIMIT :limit"  # noqa: S608 - the same
    rows = connection.execute(sql, values)
    return [dict(zip(SHOWN_COLUMNS, row, strict=True)) for row in rows]


SHOWN_COLUMNS = (
    "id", "rating_key", "guid", "type", "title", "grandparent_title", "parent_title", "item_index", "parent_index",
    "year", "performer", "edition", "library", "library_id", "user_id", "user_name", "client_identifier",
    "player_title", "product", "platform", "device", "address", "local", "started_at", "ended_at", "ended_by",
    "watched_ms", "paused_ms", "buffer_count", "duration_ms", "view_offset_ms", "decision", "transcode", "source",
    "video_resolution", "bitrate_kbps", "location", "history_key", "viewed_at", "server",
)  # fmt: skip
"""The columns of a play that a page of plays shows, or that something it shows follows from."""


def _build_where(wanted: list[str]) -> str:
    return f"WHERE {' AND '.join(wanted)}" if wanted else ""


_NEWEST = "ORDER BY started_at DESC, id DESC"
_OLDEST = "ORDER BY started_at, id"
_WITH_WORDS = "SELECT rowid FROM play_titles WHERE play_titles MATCH :words"
_TITLED = f"+plays.id IN ({_WITH_WORDS})"
FEW = 5_000
"""Up to this many plays of a title are sorted. Of more, the first ones are found by a walk in the order of the page."""
WALKS = (3_000, 30_000)
"""How many plays are walked through at first, and then, until a page of them has the words."""


def _find_titled(connection: sqlite3.Connection, wanted: list[str], values: Values, order: str) -> str | None:
    """Return the ids of plays with the words, as JSON: all if they are few, otherwise the first ones of the page.

    Return `None` if they are many, and a walk does not meet enough of them.
    """
    (few,) = connection.execute(_FEW_TITLED, {"words": values["words"], "few": FEW}).fetchall()
    if few["count"] < FEW:
        return str(few["ids"])
    for steps in WALKS:
        found = connection.execute(_WALK.format(where=_build_where(wanted), order=order), values | {"steps": steps})
        (row,) = found.fetchall()
        if row["walked"] < steps or row["count"] == values["limit"]:
            return str(row["ids"])
    return None


_FEW_TITLED = f"SELECT count(*) AS count, json_group_array(rowid) AS ids FROM ({_WITH_WORDS} LIMIT :few)"  # noqa: S608 - our own
# The full-text index is read between the ids walked through only: plays that began one after another were mostly written so.
_WALK = f"""
    WITH walked AS MATERIALIZED (SELECT id, started_at FROM plays {{where}} {{order}} LIMIT :steps),
    titled AS (
        SELECT id FROM walked WHERE id IN (
            {_WITH_WORDS} AND rowid BETWEEN (SELECT min(id) FROM walked) AND (SELECT max(id) FROM walked)
        ) {{order}} LIMIT :limit
    )
    SELECT (SELECT count(*) FROM walked) AS walked, count(*) AS count, json_group_array(id) AS ids FROM titled
"""  # noqa: S608 - our own


MOST_COUNTED = 1_000
"""Plays that several conditions select are counted up to this number: each has to be read."""


def count_plays_page(connection: sqlite3.Connection, filters: PlayFilter) -> int:
    """Count the plays of a filter. Where no single index answers it, at most `MOST_COUNTED` + 1 of them."""
    wanted, values = _build_conditions(filters, None)
    values["words"] = filters.words
    if filters.words is not None and not wanted:
        sql = f"SELECT count(*) FROM ({_WITH_WORDS} LIMIT {MOST_COUNTED + 1})"  # noqa: S608 - placeholders only
        return int(connection.execute(sql, values).fetchone()[0])
    if filters.words is not None:
        wanted.append(_TITLED)
    if filters.is_counted:
        return int(connection.execute(f"SELECT count(*) FROM plays {_build_where(wanted)}", values).fetchone()[0])  # noqa: S608 - placeholders only
    sql = f"SELECT count(*) FROM (SELECT 1 FROM plays {_build_where(wanted)} LIMIT {MOST_COUNTED + 1})"  # noqa: S608 - the same
    return int(connection.execute(sql, values).fetchone()[0])


_COMPARED = {"user": "user_id", "library": "library_id", "year": "year", "type": "type", "decision": "decision"}
"""The columns that are compared, by the names of the values they are compared with."""


def _build_conditions(
    filters: PlayFilter, after: KeysetPosition | None, *, upwards: bool = False
) -> tuple[list[str], Values]:
    values: Values = {name: getattr(filters, column) for name, column in _COMPARED.items()}
    wanted = [f"plays.{column} = :{name}" for name, column in _COMPARED.items() if values[name] is not None]
    if filters.players is not None:
        wanted.append("plays.client_identifier IN (SELECT value FROM json_each(:players))")
        values["players"] = json.dumps(filters.players)
    if filters.servers is not None:
        wanted.append(
            "+plays.server IN (SELECT value FROM json_each(:servers))"
        )  # every index begins with something better
        values["servers"] = json.dumps([*filters.servers])
    if after is not None:
        wanted.append(f"(plays.started_at, plays.id) {'>' if upwards else '<'} (:at, :id)")
        values |= {"at": after.at, "id": after.id}
    if filters.window is not None:
        if not upwards:
            wanted.append("plays.started_at >= :since")
            values["since"] = filters.window.since
        if after is None or upwards:  # otherwise the position is the nearer bound
            wanted.append("plays.started_at <= :until")
            values["until"] = filters.window.until
    return wanted, values


async def read_play(cache: Cache, play_id: int) -> tuple[sqlite3.Row, list[sqlite3.Row]] | None:
    """Return one play, live, ended or imported, and its events, both as of one moment."""

    def read(connection: sqlite3.Connection) -> tuple[sqlite3.Row, list[sqlite3.Row]] | None:
        row = connection.execute("SELECT * FROM plays WHERE id = ?", (play_id,)).fetchone()
        sql = "SELECT * FROM play_marks WHERE play_id = ? ORDER BY id"
        play_events = connection.execute(sql, (play_id,)).fetchall()
        return (row, play_events) if row else None

    return await run_read(cache.archive, read)


async def list_play_users(cache: Cache) -> dict[str, str | None]:
    """Return id and latest name of every user who ever played something."""
    return await run_in_thread(cache.archive, select_play_users)


def select_play_users(connection: sqlite3.Connection) -> dict[str, str | None]:
    """Return what `list_play_users` does, in the thread of the database."""
    return {row["id"]: row["name"] for row in connection.execute(_PLAY_USERS)}


async def list_play_libraries(cache: Cache) -> list[tuple[str, str | None]]:
    """List id and latest name of every library something was ever played from."""
    return await run_in_thread(cache.archive, select_play_libraries)


def select_play_libraries(connection: sqlite3.Connection) -> list[tuple[str, str | None]]:
    """Return what `list_play_libraries` does, in the thread of the database."""
    return [(row["id"], row["name"]) for row in connection.execute(_PLAY_LIBRARIES)]


async def list_play_players(cache: Cache) -> dict[str, str | None]:
    """Return id and latest name of every player on which something was ever played."""
    rows = await _read_rows(cache, _PLAY_PLAYERS, {})
    return {row["id"]: row["name"] for row in rows}


def _select_distinct(id_: str, name: str) -> str:
    """Build a query that jumps along the index from one value to the next: few values, very many plays.

    SQLite has no loose index scan of its own, so a recursive query does it.
    """
    return f"""
        WITH RECURSIVE known (id) AS (
            SELECT min({id_}) FROM plays
            UNION ALL SELECT (SELECT min({id_}) FROM plays WHERE {id_} > known.id) FROM known WHERE known.id IS NOT NULL
        )
        SELECT id, (SELECT {name} FROM plays WHERE {id_} = known.id ORDER BY started_at DESC, id DESC LIMIT 1) AS name
        FROM known WHERE id IS NOT NULL
    """  # noqa: S608 - our own column names


_PLAY_USERS = _select_distinct("user_id", "user_name")
_PLAY_LIBRARIES = _select_distinct("library_id", "library")
_PLAY_PLAYERS = _select_distinct("client_identifier", "player_title")
LONGEST_PLAY_MS = DAY_MS
"""How long before a window a play that overlaps it may have begun."""


async def read_overlapping_plays(
    cache: Cache, window: Window, limit: int, server: str | None = None
) -> list[sqlite3.Row]:
    """Return plays that began before a window and went on into it.

    A play that has ended and took longer than a day is not found.
    """
    sql = f"""
        SELECT * FROM plays WHERE started_at >= :early AND started_at < :since AND ended_at >= :since
            AND ended_by <> 'imported' AND {OF_SERVER}
        UNION ALL
        SELECT * FROM plays INDEXED BY plays_open WHERE ended_at IS NULL AND started_at < :since AND {OF_SERVER}
        ORDER BY started_at DESC, id DESC LIMIT :limit
    """  # noqa: S608 - our own condition
    early = window.since - LONGEST_PLAY_MS
    return await _read_rows(cache, sql, {"since": window.since, "early": early, "limit": limit, "server": server})


async def _read_rows(cache: Cache, sql: str, values: Values) -> list[sqlite3.Row]:
    return list(await cache.archive.execute_fetchall(sql, values))
