"""What was played: pages of it, and one play with its course."""

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
from plex_companion.history.cursors import decode_cursor, digest_question, encode_cursor
from plex_companion.history.filters import find_library, find_user, list_title_matches, present_names
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
"""Digits of what SQLite can hold."""


async def list_plays(
    memory: HistorySource,
    limit: int,
    *,
    user: str | None = None,
    title: str | None = None,
    library: str | None = None,
    since: str | None = None,
    until: str | None = None,
    after: str | None = None,
) -> dict[str, Any]:
    """Plays, newest first, live and imported ones included; `after` is `next_cursor` of the page before.

    Raises:
        Invalid: a time, the title or the cursor cannot be used.
        NotFound: nobody knows the user or the library.
        Ambiguous: several have the name.
    """
    known = await read_history_status(memory.cache, find_server(memory))
    matches: list[tuple[Words | None, int | None]] = [(None, None)] if title is None else [*list_title_matches(title)]
    user_id = None if user is None else await find_user(memory, user)
    library_id = None if library is None else await find_library(memory, library)
    bounds = None if since is None and until is None else parse_window(since, until, memory.now_ms, memory.zone)
    question = digest_question(user_id, library_id, repr(matches[0][0]) if title else None, since, until)
    place = None
    if after is not None:
        place, bounds = decode_cursor(after, known, question)
    rows: list[Row] = []
    for words, year in matches:
        wanted = PlayFilter(user_id, library_id, words, bounds, year)
        rows = rows or await read_plays_page(memory.cache, wanted, limit + 1, place)
    more, rows = len(rows) > limit, rows[:limit]
    last = KeysetPosition(rows[-1]["started_at"], rows[-1]["id"]) if more else None
    return {
        "plays": apply_current_names(memory, rows),
        "count": len(rows),
        "limit": limit,
        "timezone": name_zone(memory.zone),
        "next_cursor": encode_cursor(known, question, last, bounds) if last else None,
        "since": serialize.format_iso(bounds.since) if bounds else None,
        "until": serialize.format_iso(bounds.until) if bounds else None,
        "history": describe_import(known),
    }


def apply_current_names(memory: HistorySource, rows: Sequence[sqlite3.Row | Row]) -> list[dict[str, Any]]:
    """Return plays with the names that users and libraries have now: a library may have another since."""
    libraries, users = present_names(memory.state)
    told = []
    for row in rows:
        play = serialize.serialize_play(row)
        play["library"] = libraries.get(row["library_id"] or "") or play["library"]
        play["user"]["name"] = users.get(row["user_id"] or "") or play["user"]["name"]
        told.append(play)
    return told


async def get_play(memory: HistorySource, given: str) -> dict[str, Any]:
    """One play with its course, and what Plex's own history says of it.

    Raises:
        Invalid: that is no id.
        NotFound: no play has it.
    """
    if not (given.isascii() and given.isdecimal() and len(given) <= LONGEST_ID):
        message = f"id {given[:40]!r} is no id of a play, which is a whole number. history_query tells them."
        raise Invalid(message, argument="id")
    found = await read_play(memory.cache, int(given))
    if found is None:
        message = f"No play has the id {given}. history_query tells the ids there are."
        raise NotFound(message, what="play", available=[])
    row, marks = found
    (play,) = apply_current_names(memory, [row])
    return {
        "play": play,
        "state": row["state"] if row["ended_at"] is None else None,
        "marks": [serialize.serialize_play_event(mark) for mark in marks],
        "plex_history": {"history_key": row["history_key"], "viewed_at": serialize.format_iso(row["viewed_at"])},
    }
