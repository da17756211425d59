"""Plays and watch time over a window, by user, title, library, platform, day or hour of day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from plex_companion import wire
from plex_companion.cache.counts import counted, first_play
from plex_companion.cache.plays import ledger
from plex_companion.memory import imported, server_of
from plex_companion.memory.find import known_libraries, known_users
from plex_companion.times import DAY_MS, Window

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.cache.counts import By
    from plex_companion.memory import Memory

    Entry = dict[str, Any]

HOURS = 24
DAYS = 366
"""Days told one by one, the newest; the sums are of all."""
EVERY = 1_000_000


async def counts(memory: Memory, by: By, within: Window, limit: int) -> dict[str, Any]:
    """The plays of a window, counted. Days without plays are told too, and all 24 hours; days and hours are UTC's.

    `watched_ms` sums up what is known: of imported plays Plex tells no watch time, and `timed` says how many have one.
    """
    known = await ledger(memory.cache, server_of(memory))
    ordered = by in {"day", "hour"}
    rows = await counted(memory.cache, by, within, EVERY if ordered else limit)
    if by == "day":
        entries, groups = _days(rows, await _from_the_first_play(memory, within))
    elif by == "hour":
        entries, groups = _hours(rows), HOURS
    else:
        entries, groups = await _named(memory, by, rows), rows[0]["groups"] if rows else 0
    first = rows[0] if rows else None
    return {
        "by": by,
        "timezone": "UTC",
        "since": wire.iso(within.since),
        "until": wire.iso(within.until),
        "plays": first["all_plays"] if first else 0,
        "timed": first["all_timed"] if first else 0,
        "watched_ms": first["all_watched_ms"] if first else 0,
        "entries": entries,
        "count": len(entries),
        "total_entries": groups,
        "history": imported(known),
    }


def _entry(key: str | None, name: str | None, row: sqlite3.Row | None, **more: Any) -> Entry:
    sums = {column: row[column] if row else 0 for column in ("plays", "timed", "watched_ms")}
    return {"key": key, "name": name, **more, **sums}


async def _from_the_first_play(memory: Memory, within: Window) -> Window:
    """Of everything there is, the days before anything was played say nothing."""
    if within.since:
        return within
    first = await first_play(memory.cache)
    return Window(within.until + DAY_MS if first is None else first, within.until)


def _days(rows: list[sqlite3.Row], within: Window) -> tuple[list[Entry], int]:
    first, last = within.since // DAY_MS, within.until // DAY_MS
    found = {row["key"]: row for row in rows}
    shown = range(max(first, last - DAYS + 1), last + 1)
    return [_entry(_date(day), _date(day), found.get(day)) for day in shown], max(0, last - first + 1)


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()


def _hours(rows: list[sqlite3.Row]) -> list[Entry]:
    found = {row["key"]: row for row in rows}
    return [_entry(str(hour), f"{hour:02d}:00", found.get(hour)) for hour in range(HOURS)]


async def _named(memory: Memory, by: By, rows: list[sqlite3.Row]) -> list[Entry]:
    match by:
        case "user":
            users = await known_users(memory)
            return [_entry(row["key"] or None, users.get(row["key"]), row, id=row["key"] or None) for row in rows]
        case "library":
            ids = {called: id_ for id_, called in (await known_libraries(memory)).items()}
            return [_entry(row["key"] or None, row["key"] or None, row, id=ids.get(row["key"])) for row in rows]
        case "title":
            return [_entry(row["key"], row["key"], row, type=row["kind"]) for row in rows]
        case _:
            return [_entry(row["key"] or None, row["key"] or None, row) for row in rows]
