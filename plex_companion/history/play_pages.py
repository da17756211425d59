"""Pages of plays, and one play with its timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.cache.queries.plays import (
    KeysetPosition,
    PlayFilter,
    read_history_status,
    read_play,
    read_plays_page,
)
from plex_companion.errors import Invalid, NotFound
from plex_companion.history.cursors import decode_cursor, digest_query, encode_cursor
from plex_companion.history.filters import find_library, find_user, get_current_names, list_title_matches
from plex_companion.history.source import describe_import, find_server
from plex_companion.times import parse_window
from plex_companion.zones import name_zone

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from plex_companion.cache.queries.plays import Words
    from plex_companion.cache.rows import Row
    from plex_companion.history.source import HistorySource

LONGEST_ID = 18
"""The most digits of an id: any such number fits SQLite's 64-bit integers."""


async def list_plays(
    source: HistorySource,
    limit: int,
    *,
    user: str | None = None,
    title: str | None = None,
    library: str | None = None,
    since: str | None = None,
    until: str | None = None,
    after: str | None = None,
) -> dict[str, Any]:
    """Return a page of plays, newest first, both observed and imported. `after` is the `next_cursor` of the previous page.

    Raises:
        Invalid: a time, the title or the cursor is malformed.
        NotFound: the user or the library is unknown.
        Ambiguous: several users or libraries have the name.
    """
    known = await read_history_status(source.cache, find_server(source))
    matches: list[tuple[Words | None, int | None]] = [(None, None)] if title is None else [*list_title_matches(title)]
    user_id = None if user is None else await find_user(source, user)
    library_id = None if library is None else await find_library(source, library)
    bounds = None if since is None and until is None else parse_window(since, until, source.now_ms, source.zone)
    query = digest_query(user_id, library_id, repr(matches[0][0]) if title else None, since, until)
    place = None
    if after is not None:
        place, bounds = decode_cursor(after, known, query)
    rows: list[Row] = []
    for words, year in matches:
        filters = PlayFilter(user_id, library_id, words, bounds, year)
        rows = rows or await read_plays_page(source.cache, filters, limit + 1, place)
    more, rows = len(rows) > limit, rows[:limit]
    last = KeysetPosition(rows[-1]["started_at"], rows[-1]["id"]) if more else None
    return {
        "plays": apply_current_names(source, rows),
        "count": len(rows),
        "limit": limit,
        "timezone": name_zone(source.zone),
        "next_cursor": encode_cursor(known, query, last, bounds) if last else None,
        "since": serialize.format_iso(bounds.since) if bounds else None,
        "until": serialize.format_iso(bounds.until) if bounds else None,
        "history": describe_import(known),
    }


def apply_current_names(source: HistorySource, rows: Sequence[sqlite3.Row | Row]) -> list[dict[str, Any]]:
    """Return the plays with the current names of users and libraries, which may have been renamed since."""
    libraries, users = get_current_names(source.state)
    plays = []
    for row in rows:
        play = serialize.serialize_play(row)
        play["library"] = libraries.get(row["library_id"] or "") or play["library"]
        play["user"]["name"] = users.get(row["user_id"] or "") or play["user"]["name"]
        plays.append(play)
    return plays


async def get_play(source: HistorySource, given: str) -> dict[str, Any]:
    """Return one play with its timeline, and its entry in Plex's own history.

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
    row, marks = found
    (play,) = apply_current_names(source, [row])
    return {
        "play": play,
        "state": row["state"] if row["ended_at"] is None else None,
        "marks": [serialize.serialize_play_event(mark) for mark in marks],
        "plex_history": {"history_key": row["history_key"], "viewed_at": serialize.format_iso(row["viewed_at"])},
    }
