"""A year or a month in figures: hours, titles, genres, streaks."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from plex_companion.cache.queries.grouping import group_plays, rank_groups
from plex_companion.cache.queries.plays import read_history_status
from plex_companion.catalogue.local_days import LocalDays
from plex_companion.catalogue.queries import describe_freshness, read_with_freshness
from plex_companion.catalogue.viewers.recap_figures import (
    DayPlay,
    find_busiest_day,
    find_longest_streak,
    find_most_paused,
    sum_parts,
    sum_plays,
)
from plex_companion.errors import Invalid
from plex_companion.history.filters import find_user, list_libraries, list_users
from plex_companion.history.source import MOST, describe_import, find_server, limit_to_one
from plex_companion.serialize import format_iso
from plex_companion.times import Window, parse_time
from plex_companion.zones import name_zone

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.cache.queries.grouping import PlayGroup
    from plex_companion.history.source import HistorySource

GENRES = 5
_PERIOD = re.compile(r"(?P<year>[0-9]{4})(?:-(?P<month>[0-9]{2}))?")
_FIRST_YEAR, _LAST_YEAR = 1970, 9998


async def build_recap(
    source: HistorySource, user: str | None = None, period: str | None = None, limit: int = 10
) -> dict[str, Any]:
    """Return a year (`2026`) or a month (`2026-11`) of one user or of everybody in figures; by default this year.

    Raises:
        Invalid: the period is neither.
        NotFound: the user is unknown.
        Ambiguous: several users have the name.
    """
    wanted = period.strip() if period else format_iso(source.now_ms)[:4]  # type: ignore[index]  # now is a time
    window = parse_recap_period(wanted, source)
    user_id = None if user is None else await find_user(source, user)
    server, users, libraries = find_server(source), await list_users(source), await list_libraries(source)
    groups = await group_plays(source.cache, window, by_user=user_id is not None, server=limit_to_one(source))
    ranked = rank_groups(group for group in groups if user_id is None or group.user_id == user_id)
    values = {"since": window.since, "until": window.until, "user": user_id, "server": server}
    days = LocalDays(source.zone, window.since, window.until)

    def read(connection: sqlite3.Connection) -> dict[str, Any]:
        plays = _read_plays(connection, values, days)
        (size,) = connection.execute(_SIZE, values).fetchone()
        return {
            **_compute_figures(plays, len("2026-11") if len(wanted) == len("2026") else len("2026-11-22")),
            "finished": dict(map(tuple, connection.execute(_FINISHED, values))),
            "genres": [_name_sums(*row) for row in map(tuple, connection.execute(_GENRES, {**values, "most": GENRES}))],
            "total_size_bytes": size,
        }

    body, fresh = await read_with_freshness(source.cache, server, read)
    return {
        "period": wanted,
        "timezone": name_zone(source.zone),
        "since": format_iso(window.since),
        "until": format_iso(window.until),
        "user": {"id": user_id, "name": users.get(user_id)} if user_id else None,
        **body,
        "items": [_describe_group(group, libraries) for group in ranked[: min(limit, MOST)]],
        "total": len(ranked),
        "next_cursor": None,
        "history": describe_import(await read_history_status(source.cache, [server] if server else [])),
        "catalogue": describe_freshness(fresh),
    }


def parse_recap_period(text: str, source: HistorySource) -> Window:
    """Return the window of a year or a month in the time zone of the source; one that goes on ends now.

    Raises:
        Invalid: it is neither.
    """
    found = _PERIOD.fullmatch(text)
    year, month = (int(found["year"]), int(found["month"] or 0)) if found else (0, 0)
    if not _FIRST_YEAR <= year <= _LAST_YEAR or (found and found["month"] and not 1 <= month <= 12):  # noqa: PLR2004 - months
        message = f"period {text[:40]!r} is neither a year (2026) nor a month (2026-11)."
        raise Invalid(message, argument="period", allowed=["YYYY", "YYYY-MM"])
    first = date(year, month or 1, 1)
    last = (date(year + 1, 1, 1) if month in {0, 12} else date(year, month + 1, 1)) - timedelta(days=1)
    since = parse_time(first.isoformat(), source.now_ms, "period", zone=source.zone)
    until = parse_time(last.isoformat(), source.now_ms, "period", end=True, zone=source.zone)
    return Window(since, min(until, source.now_ms))


def _compute_figures(plays: list[DayPlay], digits: int) -> dict[str, Any]:
    days = sum_parts(plays, len("2026-11-22"))
    return {
        **sum_plays(plays),
        "active_days": len(days),
        "longest_streak": find_longest_streak(day["name"] for day in days),
        "busiest_day": find_busiest_day(days),
        "most_paused": find_most_paused(plays),
        "parts": sum_parts(plays, digits),
    }


_IN_WINDOW = (
    "plays.started_at BETWEEN :since AND :until AND plays.server = :server AND (:user IS NULL OR plays.user_id = :user)"
)
_PLAYS = f"SELECT started_at, watched_ms, paused_ms, ended_by, type, rating_key, title FROM plays WHERE {_IN_WINDOW}"  # noqa: S608 - our own
_SIZE = f"""
    SELECT coalesce(sum(size_bytes), 0) FROM items WHERE id IN (SELECT item_id FROM plays WHERE {_IN_WINDOW})
"""  # noqa: S608 - our own
_FINISHED = """
    SELECT type, count(*) FROM items WHERE server = :server AND id IN (
        SELECT item_id FROM finishes WHERE at BETWEEN :since AND :until AND (:user IS NULL OR user_id = :user)
    ) GROUP BY type
"""
_GENRES = f"""
    SELECT tags.name, count(*) AS plays, coalesce(sum(played.watched_ms), 0) AS watched_ms
    FROM (
        SELECT coalesce(whole.id, items.id) AS id, plays.watched_ms
        FROM plays JOIN items ON items.id = plays.item_id
        LEFT JOIN items AS whole ON whole.rating_key = items.grandparent_key AND whole.server = items.server
        WHERE {_IN_WINDOW}
    ) AS played
    JOIN item_tags ON item_tags.item_id = played.id JOIN tags ON tags.id = item_tags.tag_id AND tags.kind = 'genre'
    GROUP BY tags.name ORDER BY plays DESC, watched_ms DESC, tags.name LIMIT :most
"""  # noqa: S608 - our own
"""An episode has the genres of its show, a track those of its artist."""


def _read_plays(connection: sqlite3.Connection, values: dict[str, Any], days: LocalDays) -> list[DayPlay]:
    return [
        DayPlay(
            day=days.find_day(started_at) or "",
            watched_ms=watched_ms,
            paused_ms=paused_ms or 0,
            is_estimated=ended_by == "imported",
            movie=(rating_key, title) if kind == "movie" and title else None,
        )
        for started_at, watched_ms, paused_ms, ended_by, kind, rating_key, title in map(
            tuple, connection.execute(_PLAYS, values)
        )
    ]


def _name_sums(name: str, plays: int, watched_ms: int) -> dict[str, Any]:
    return {"name": name, "plays": plays, "watched_ms": watched_ms}


def _describe_group(group: PlayGroup, libraries: dict[str, str | None]) -> dict[str, Any]:
    return {
        "rating_key": group.rating_key,
        "type": group.kind,
        "title": group.name,
        "year": group.year,
        "library": libraries.get(group.library_id or ""),
        "plays": group.plays,
        "watched_ms": group.watched_ms,
    }
