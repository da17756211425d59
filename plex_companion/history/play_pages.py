"""Pages of plays, and one play with its timeline."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.cache.connections import run_in_thread
from plex_companion.cache.queries.plays import (
    KeysetPosition,
    PlayFilter,
    read_play,
    read_plays_page,
    select_history_status,
)
from plex_companion.cache.queries.servers import list_server_names, select_server_names
from plex_companion.cache.queries.title_words import expand_beginnings
from plex_companion.errors import Invalid, NotFound
from plex_companion.history.cursors import decode_cursor, digest_query, encode_cursor
from plex_companion.history.filters import CurrentNames, check_decision, check_type, find_players, list_title_matches
from plex_companion.history.scope import select_scope
from plex_companion.history.source import describe_import, describe_server, list_servers
from plex_companion.times import parse_window
from plex_companion.zones import name_zone

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from plex_companion.cache.queries.plays import HistoryStatus
    from plex_companion.cache.queries.servers import ServerNames
    from plex_companion.cache.rows import Row
    from plex_companion.history.source import HistorySource
    from plex_companion.times import Window

LONGEST_ID = 18
"""The most digits of an id: any such number fits SQLite's 64-bit integers."""


@dataclass(frozen=True, slots=True)
class PlayQuery:
    """What a question about plays asks for, as it was written. `None` does not filter."""

    user: str | None = None
    title: str | None = None
    library: str | None = None
    since: str | None = None
    until: str | None = None
    type: str | None = None
    player: str | None = None
    decision: str | None = None


async def list_plays(
    source: HistorySource, limit: int, query: PlayQuery | None = None, *, after: str | None = None
) -> dict[str, Any]:
    """Return a page of plays, newest first, both observed and imported. `after` is the `next_cursor` of the previous page.

    Raises:
        Invalid: a time, the title, the type, the decision or the cursor is malformed.
        NotFound: the user, the library or the player is unknown.
        Ambiguous: several users or libraries have the name.
    """
    resolved = await resolve_query(source, query or PlayQuery())

    def read(connection: sqlite3.Connection) -> PlayPageRows:
        return read_first_matching(connection, resolved, after, limit + 1)

    return describe_page(source, await run_in_thread(source.cache.archive, read), limit)


@dataclass(frozen=True, slots=True)
class ResolvedQuery:
    """A query whose names were found, except those of the user and the library, which are looked up with the plays."""

    source: HistorySource
    user: str | None
    library: str | None
    matches: tuple[tuple[str | None, int | None], ...]
    """The searches for titles, tried in order, and the year that goes with each."""
    window: Window | None
    like: PlayFilter
    """What is asked besides the user, the library, the title and the time."""
    digested: tuple[str | None, ...]
    """What a cursor belongs to, besides the user and the library."""


async def resolve_query(source: HistorySource, query: PlayQuery) -> ResolvedQuery:
    """Look up what a query names.

    Raises:
        Invalid, NotFound, Ambiguous: as `list_plays`.
    """
    matches = (_EVERY_TITLE,) if query.title is None else tuple(list_title_matches(query.title))
    players = None if query.player is None else await find_players(source, query.player)
    kind, decision = check_type(query.type), check_decision(query.decision)
    timed = query.since is not None or query.until is not None
    bounds = parse_window(query.since, query.until, source.now_ms, source.zone) if timed else None
    like = PlayFilter(type=kind, players=players, decision=decision)
    limited = () if source.only_server is None else (source.only_server,)
    more = (kind, decision, repr(players) if players else None)
    digested = (repr(matches[0][0]) if query.title else None, query.since, query.until, *limited)
    digested += more if any(more) else ()
    return ResolvedQuery(source, query.user, query.library, matches, bounds, like, digested)


_EVERY_TITLE = (None, None)


@dataclass(frozen=True, slots=True)
class PlayPageRows:
    """What one turn of the database's thread found. Of the rows, one too many says that there are more."""

    known: HistoryStatus
    names: ServerNames
    query: str
    filters: tuple[PlayFilter, ...]
    """Filters that no play fits twice, and that together fit what is asked."""
    within: Window | None
    place: KeysetPosition | None
    rows: list[Row]


def read_first_matching(
    connection: sqlite3.Connection, query: ResolvedQuery, after: str | None, limit: int
) -> PlayPageRows:
    """Return the plays of the first search for titles that finds any, in the thread of the database.

    Raises:
        Invalid: the cursor is malformed, or belongs to another query.
        NotFound, Ambiguous: the user or the library is unknown, or several have the name.
    """
    source = query.source
    known, names = select_history_status(connection, list_servers(source)), select_server_names(connection)
    scope = select_scope(connection, source, names, query.user, query.library)
    digest = digest_query(scope.user, scope.library, *query.digested)
    place, within = (None, query.window) if after is None else decode_cursor(after, known, digest)
    filters: tuple[PlayFilter, ...] = ()
    rows: list[Row] = []
    for match, year in query.matches:
        if not rows:
            words = None if match is None else expand_beginnings(connection, match)
            filters = scope.build_filters(replace(query.like, words=words, year=year, window=within))
            rows = read_rows(connection, filters, limit, place)
    return PlayPageRows(known, names, digest, filters, within, place, rows)


def read_rows(
    connection: sqlite3.Connection,
    filters: Sequence[PlayFilter],
    limit: int,
    place: KeysetPosition | None,
    *,
    upwards: bool = False,
) -> list[Row]:
    """Read the plays of several filters as `read_plays_page` does.

    Each alone is answered by an index, all at once would not be.
    """
    pages = [read_plays_page(connection, one, limit, place, upwards=upwards) for one in filters]
    if len(pages) == 1:
        return pages[0]
    return sorted(chain(*pages), key=lambda row: (row["started_at"], row["id"]), reverse=not upwards)[:limit]


def describe_page(source: HistorySource, found: PlayPageRows, limit: int, shown: int | None = None) -> dict[str, Any]:
    """Return a page of plays as answers show it; with `shown`, so many of them, though the next page begins after `limit`."""
    rows, bounds = found.rows[:limit], found.within
    last = KeysetPosition(rows[-1]["started_at"], rows[-1]["id"]) if len(found.rows) > limit else None
    return {
        "plays": apply_current_names(source, rows if shown is None else found.rows[:shown], found.names),
        "count": len(rows),
        "limit": limit,
        "timezone": name_zone(source.zone),
        "next_cursor": encode_cursor(found.known, found.query, last, bounds) if last else None,
        "since": serialize.format_iso(bounds.since) if bounds else None,
        "until": serialize.format_iso(bounds.until) if bounds else None,
        "history": describe_import(found.known),
    }


def apply_current_names(
    source: HistorySource, rows: Sequence[sqlite3.Row | Row], names: ServerNames | None = None
) -> list[dict[str, Any]]:
    """Return the plays with the current names of users and libraries, which may have been renamed since.

    With the names of the servers, each play says which it is of.
    """
    current = CurrentNames(source.states)
    of_server = {
        server: (*current.find(server), {} if names is None else describe_server(server, names))
        for server in {row["server"] for row in rows}
    }
    plays = []
    for row in rows:
        play = serialize.serialize_play(row)
        libraries, users, where = of_server[row["server"]]
        play["library"] = libraries.get(row["library_id"] or "") or play["library"]
        play["user"]["name"] = users.get(row["user_id"] or "") or play["user"]["name"]
        play.update(where)
        plays.append(play)
    return plays


async def get_play(source: HistorySource, given: str) -> dict[str, Any]:
    """Return one play with its timeline, and its entry in Plex's own history.

    Raises:
        Invalid, NotFound: as `find_play`.
    """
    row, marks = await find_play(source, given)
    (play,) = apply_current_names(source, [row], await list_server_names(source.cache))
    return {
        "play": play,
        "state": row["state"] if row["ended_at"] is None else None,
        "marks": [serialize.serialize_play_event(mark) for mark in marks],
        "plex_history": {"history_key": row["history_key"], "viewed_at": serialize.format_iso(row["viewed_at"])},
    }


async def find_play(source: HistorySource, given: str) -> tuple[sqlite3.Row, list[sqlite3.Row]]:
    """Return the row of a play, and those of its timeline.

    Raises:
        Invalid: `given` is not an id.
        NotFound: no play has this id.
    """
    if not (given.isascii() and given.isdecimal() and len(given) <= LONGEST_ID):
        message = (
            f"id {given[:40]!r} is not the id of a play, which is a whole number. history_query lists plays with ids."
        )
        raise Invalid(message, argument="id")
    found = await read_play(source.cache, int(given))
    if found is None:
        message = f"No play has the id {given}. history_query lists plays with their ids."
        raise NotFound(message, what="play", available=[])
    return found
