"""Queries on plays: pages of them, one of them, and their users and libraries. Every query uses an index."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plex_companion.cache.connections import run_read
from plex_companion.names.folding import fold_closely
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    import sqlite3

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
class Words:
    """Words that titles must contain: all of them, in any of a play's titles."""

    expression: str | None = None
    """An FTS5 expression: whole words, or their beginnings."""
    inside: tuple[tuple[str, ...], ...] = ()
    """Texts in scripts without spaces, each in the forms it may be written in. They may appear anywhere in a title."""


@dataclass(frozen=True, slots=True)
class PlayFilter:
    """Which plays to return; `None` does not filter."""

    user_id: str | None = None
    library_id: str | None = None
    words: Words | None = None
    window: Window | None = None
    year: int | None = None


@dataclass(frozen=True, slots=True)
class KeysetPosition:
    """A position in the list of plays, newest first. Plays after it began earlier, or at the same time with a smaller
    id.
    """

    at: int
    id: int


async def read_history_status(cache: Cache, server: str | None) -> HistoryStatus:
    """Return the database's name, its newest play, and how far the history of this server is imported."""
    (row,) = await _read_rows(cache, _HISTORY_STATUS, {"server": server})
    return HistoryStatus(row["tag"], row["newest"], row["imported"], row["total"], bool(row["complete"]))


_HISTORY_STATUS = """
    SELECT (SELECT value FROM about WHERE name = 'database') AS tag,
        coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'plays'), 0) AS newest,
        coalesce(imported, 0) AS imported, total, coalesce(complete, 0) AS complete
    FROM (SELECT 1) LEFT JOIN history ON history.server = :server
"""


async def read_plays_page(
    cache: Cache, filters: PlayFilter, limit: int, after: KeysetPosition | None = None
) -> list[Row]:
    """Return plays, newest first, live ones included; with `after`, the ones after that position.

    They are dictionaries: `sqlite3.Row` searches its column names one by one on every access.
    """
    wanted, values = _build_conditions(filters, after)
    if filters.words is not None:
        expression, scanned, texts = await _build_title_search(cache, filters.words)
        wanted, values = [*wanted, *scanned], {**values, **texts}
        if expression is not None:
            values["words"] = expression
            ids = await _find_by_words(cache, expression)
            wanted.append(_TITLED if ids is None else "plays.id IN (SELECT value FROM json_each(:titled))")
            values["titled"] = json.dumps(ids)
            if ids is not None:
                # Sort ids only, and read whole rows only of the first ones.
                wanted = [f"plays.id IN (SELECT id FROM plays {_build_where(wanted)} {_NEWEST})"]  # noqa: S608 - placeholders only
    rows = await _read_rows(cache, f"SELECT * FROM plays {_build_where(wanted)} {_NEWEST}", {"limit": limit, **values})  # noqa: S608 - placeholders only
    names = rows[0].keys() if rows else []
    return [dict(zip(names, row, strict=True)) for row in rows]


def _build_where(wanted: list[str]) -> str:
    return f"WHERE {' AND '.join(wanted)}" if wanted else ""


_NEWEST = "ORDER BY plays.started_at DESC, plays.id DESC LIMIT :limit"
_WITH_WORDS = """
    SELECT rowid FROM play_titles WHERE play_titles MATCH :words
    UNION ALL SELECT rowid FROM play_titles_credited WHERE play_titles_credited MATCH :words
"""
_TITLED = f"+plays.id IN ({_WITH_WORDS})"
FEW = 5_000
"""Up to so many plays of a title are sorted; more are found faster by walking from the newest play to the oldest."""


MANY_TEXTS = 100
"""Up to so many titles are looked up one by one; more are found faster by walking through the plays."""


async def _build_title_search(cache: Cache, words: Words) -> tuple[str | None, list[str], Values]:
    """Return an expression for the word index, conditions on the titles themselves, and their values.

    A text in a script without spaces is looked up in the distinct titles, each of which is in the index as a whole;
    where very many contain it, in the titles of the plays.
    """
    expressions = [] if words.expression is None else [words.expression]
    scanned: list[str] = []
    values: Values = {}
    for number, forms in enumerate(words.inside):
        texts = await _list_texts_with(cache, forms)
        if len(texts) < MANY_TEXTS:
            (expressions if texts else scanned).append(f"({' OR '.join(map(_build_phrase, texts))})" if texts else "0")
            continue
        name = f"texts{number}"
        values[name] = json.dumps(texts)
        found = f"(SELECT value FROM json_each(:{name}))"  # noqa: S608 - placeholders only
        titles = ("title", "grandparent_title", "parent_title")
        scanned.append(f"({' OR '.join(f'+plays.{title} IN {found}' for title in titles)})")
    return " AND ".join(expressions) or None, scanned, values


async def _list_texts_with(cache: Cache, forms: tuple[str, ...]) -> list[str]:
    """Return titles in scripts without spaces that contain a text in one of its forms.

    If there are none, return those that contain it apart from accents and the like.
    """
    values = {f"form{number}": f"%{_escape_like(form)}%" for number, form in enumerate(forms)}
    like = " OR ".join(f"text LIKE :{name} ESCAPE '\\'" for name in values)
    rows = await _read_rows(cache, f"SELECT DISTINCT text FROM play_titles_unspaced WHERE {like}", values)  # noqa: S608 - placeholders only
    if rows:
        return [row["text"] for row in rows]
    wanted = fold_closely(forms[0])
    every = await _read_rows(cache, "SELECT DISTINCT text FROM play_titles_unspaced", {})
    return [row["text"] for row in every if wanted in fold_closely(row["text"])]


def _escape_like(text: str) -> str:
    return "".join(f"\\{char}" if char in "%_\\" else char for char in text)


def _build_phrase(text: str) -> str:
    quoted = text.replace('"', '""').replace("\0", "")
    return f'"{quoted}"'


async def _find_by_words(cache: Cache, words: str) -> list[int] | None:
    """Return the ids of plays with these words; `None` if there are many."""
    sql = f"{_WITH_WORDS} LIMIT :ids"
    rows = await _read_rows(cache, sql, {"words": words, "ids": FEW})
    return None if len(rows) == FEW else [row["rowid"] for row in rows]


def _build_conditions(filters: PlayFilter, after: KeysetPosition | None) -> tuple[list[str], Values]:
    wanted: list[str] = []
    values: Values = {"user": filters.user_id, "library": filters.library_id, "year": filters.year}
    if filters.user_id is not None:
        wanted.append("plays.user_id = :user")
    if filters.library_id is not None:
        wanted.append("plays.library_id = :library")
    if filters.year is not None:
        wanted.append("plays.year = :year")
    if after is not None:
        wanted.append("(plays.started_at, plays.id) < (:at, :id)")
        values |= {"at": after.at, "id": after.id}
    if filters.window is not None:
        wanted.append("plays.started_at >= :since")
        values["since"] = filters.window.since
        if after is None:  # otherwise the position is the nearer bound
            wanted.append("plays.started_at <= :until")
            values["until"] = filters.window.until
    return wanted, values


async def read_play(cache: Cache, play_id: int) -> tuple[sqlite3.Row, list[sqlite3.Row]] | None:
    """Return one play, live, ended or imported, and its events, both as of one moment."""

    def read(connection: sqlite3.Connection) -> tuple[sqlite3.Row, list[sqlite3.Row]] | None:
        row = connection.execute("SELECT * FROM plays WHERE id = ?", (play_id,)).fetchone()
        play_events = connection.execute(
            "SELECT * FROM play_marks WHERE play_id = ? ORDER BY id", (play_id,)
        ).fetchall()
        return (row, play_events) if row else None

    return await run_read(cache.archive, read)


async def list_play_users(cache: Cache) -> list[tuple[str, str | None]]:
    """List id and latest name of every user who ever played something."""
    return [(row["id"], row["name"]) for row in await _read_rows(cache, _select_distinct("user_id", "user_name"), {})]


async def list_play_libraries(cache: Cache) -> list[tuple[str, str | None]]:
    """List id and latest name of every library something was ever played from."""
    return [(row["id"], row["name"]) for row in await _read_rows(cache, _select_distinct("library_id", "library"), {})]


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


LONGEST_PLAY_MS = DAY_MS
"""How long before a window a play that overlaps it may have begun."""


async def read_overlapping_plays(cache: Cache, window: Window, limit: int) -> list[sqlite3.Row]:
    """Return plays that began before a window and went on into it.

    A play that has ended and took longer than a day is not found.
    """
    sql = """
        SELECT * FROM plays WHERE started_at >= :early AND started_at < :since AND ended_at >= :since
            AND ended_by <> 'imported'
        UNION ALL
        SELECT * FROM plays INDEXED BY plays_open WHERE ended_at IS NULL AND started_at < :since
        ORDER BY started_at DESC, id DESC LIMIT :limit
    """
    early = window.since - LONGEST_PLAY_MS
    return await _read_rows(cache, sql, {"since": window.since, "early": early, "limit": limit})


async def _read_rows(cache: Cache, sql: str, values: Values) -> list[sqlite3.Row]:
    return list(await cache.archive.execute_fetchall(sql, values))
