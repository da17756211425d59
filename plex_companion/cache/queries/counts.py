"""Counts plays over a window: whole units from the roll-ups, the partial units at both ends from the plays themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, timedelta, tzinfo
from functools import partial
from operator import sub
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from plex_companion.cache.queries.grouping import ESTIMATE, SUM_OF_PLAYS, group_plays, rank_groups
from plex_companion.cache.queries.play_blocks import read_blocks, read_kept_window
from plex_companion.cache.queries.servers import OF_SERVER, list_server_names
from plex_companion.times import DAY_MS, HOUR_MS, Window, list_offsets

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.cache.queries.grouping import PlayGroup

By = Literal["user", "title", "library", "platform", "decision", "resolution", "day", "hour", "weekday", "month"]
ServerKey = tuple[str, str]
"""A machine identifier, and the id of a user or library of that server, or '=' and a name."""
K = TypeVar("K", str, ServerKey)
QUARTER_MS = HOUR_MS // 4
FIRST_DAY = date(1970, 1, 1)
UNKNOWN = ""
"""Stands in the roll-ups for an unknown user, library or platform: a key cannot be null."""

# A user or library whose id is unknown is '=' and its name.
_DAY_KEYS = {
    "user": ("user_id", "coalesce(user_id, '=' || user_name, '')"),
    "library": ("library", "coalesce(library_id, '=' || library, '')"),
    "platform": ("platform", "coalesce(platform, '')"),
}
_LOCAL = "({{}} + :offset) / {}"
_TIME_KEYS = {
    "day": _LOCAL.format(DAY_MS),
    "hour": f"{_LOCAL.format(HOUR_MS)} % 24",
}
_STREAM_KEYS = {"decision": "coalesce(decision, '')", "resolution": "coalesce(video_resolution, '')"}
_SUMS = "sum(plays) AS plays, sum(timed) AS timed, sum(watched_ms) AS watched_ms, sum(estimated_ms) AS estimated_ms"


class WatchTotals(NamedTuple):
    """How many plays, how many of them have a watch time, that time, and how much of it is estimated.

    Plays that were imported from Plex's history count with the length of their item: that is an estimate.
    """

    plays: int = 0
    timed: int = 0
    watched_ms: int = 0
    estimated_ms: int = 0

    def plus(self, other: WatchTotals) -> WatchTotals:
        """Return the sum of both."""
        plays, timed, watched_ms, estimated_ms = self
        return WatchTotals(plays + other[0], timed + other[1], watched_ms + other[2], estimated_ms + other[3])


def parse_watch_totals(row: sqlite3.Row) -> WatchTotals:
    """Read the totals of a row."""
    return WatchTotals(*(row[name] for name in WatchTotals._fields))


Sums = dict[str, WatchTotals]
"""Totals by key."""


@dataclass(slots=True)
class Counts:
    """Plays counted by one attribute. Plays whose attribute is unknown are in `total` only."""

    entries: Sums = field(default_factory=dict)
    """By key, in order: days and hours by time, everything else by number of plays."""
    by_server: dict[ServerKey, WatchTotals] = field(default_factory=dict)
    """By server and id in the same order, where users or libraries are counted: every server numbers its own. The server
    is empty where the database has only one.
    """
    total: WatchTotals = field(default_factory=WatchTotals)
    groups: Sequence[PlayGroup] = ()
    """In place of entries, where plays are counted by title: the most played first."""


async def count_plays_by(cache: Cache, by: By, window: Window, zone: tzinfo = UTC, server: str | None = None) -> Counts:
    """Count the plays of a window by one attribute, on all servers or on one.

    Days are keyed by their number since 1970, hours by 0 to 23, weekdays by 0 (Monday) to 6, months as 2026-11, all by the
    clock of `zone`; users and libraries by
    server and id, or '=' and the name where the id is unknown. Titles are groups.
    """
    if by == "title":
        return await read_kept_window(
            cache, ("titles", server), window, partial(_count_by_title, cache, window, server)
        )
    if by in _OF_DAYS:
        return await read_kept_window(
            cache, (by, zone, server), window, partial(_sum_days, by, cache, window, zone, server)
        )
    if by in _TIME_KEYS:
        by_time = await _sum_blocks(cache, (by, zone, server), window, partial(_read_by_time, by, zone, server))
        return Counts(_order_times(by_time), total=_sum_all(by_time.values()))
    if by in _STREAM_KEYS:
        read = partial(_read_by_delivery, _STREAM_KEYS[by], server)
        delivered = await _sum_blocks(cache, (by, server), window, read)
        total = _sum_all(delivered.values())
        return Counts(_sum_by_number({key: delivered[key] for key in delivered if key != UNKNOWN}), total=total)
    each = by != "platform" and server is None and len(await list_server_names(cache)) > 1
    found = await _sum_blocks(cache, (by, server, each), window, partial(_read_by_name, by, server, each))
    known = _sum_by_number({key: sums for key, sums in found.items() if key[1] != UNKNOWN})
    if by == "platform":
        return Counts({key: sums for (_, key), sums in known.items()}, total=_sum_all(found.values()))
    return Counts(by_server=known, total=_sum_all(found.values()))


async def _sum_blocks(
    cache: Cache, name: Hashable, window: Window, read: Callable[[sqlite3.Connection, Window], dict[K, WatchTotals]]
) -> dict[K, WatchTotals]:
    return await read_blocks(cache, name, window, read, _merge_sums)


def _merge_sums(parts: Iterable[dict[K, WatchTotals]]) -> dict[K, WatchTotals]:
    found: dict[K, WatchTotals] = {}
    for sums in parts:
        _add_sums(found, sums)
    return found


def _add_sums(found: dict[K, WatchTotals], more: dict[K, WatchTotals]) -> None:
    for key, sums in more.items():
        found[key] = found[key].plus(sums) if key in found else sums


async def _count_by_title(cache: Cache, window: Window, server: str | None) -> Counts:
    groups = await group_plays(cache, window, server=server)
    sums = [(one.plays, one.timed, one.watched_ms, one.estimated_ms) for one in groups]
    return Counts(groups=rank_groups(groups), total=WatchTotals(*map(sum, zip(*sums, strict=True))))


def _sum_by_number(found: dict[K, WatchTotals]) -> dict[K, WatchTotals]:
    return dict(sorted(found.items(), key=lambda item: (-item[1].plays, -item[1].watched_ms, item[0])))


def _sum_all(sums: Iterable[WatchTotals]) -> WatchTotals:
    total = WatchTotals()
    for one in sums:
        total = total.plus(one)
    return total


def _read_by_name(
    by: By, server: str | None, each: bool, connection: sqlite3.Connection, within: Window
) -> dict[ServerKey, WatchTotals]:
    rows = connection.execute(*_count_days(*_DAY_KEYS[by], within, server, by_server=each))
    return {(row["server"] if each else server or "", row["key"]): parse_watch_totals(row) for row in rows}


def _read_by_delivery(key: str, server: str | None, connection: sqlite3.Connection, within: Window) -> Sums:
    """Count plays by how they were delivered, which is not known of those from Plex's history alone."""
    sql = f"""
        SELECT {key} AS key, count(*) AS plays, count(watched_ms) AS timed, coalesce(sum(watched_ms), 0) AS watched_ms,
            0 AS estimated_ms
        FROM plays INDEXED BY plays_streams
        WHERE started_at BETWEEN :since AND :until AND ended_by IS NOT 'imported' AND {OF_SERVER} GROUP BY 1
    """  # noqa: S608 - our own expressions
    values = {"since": within.since, "until": within.until, "server": server}
    found = _parse_sums(connection.execute(sql, values))
    every = _sum_all(
        map(parse_watch_totals, connection.execute(*_count_days("''", "''", within, server, by_server=False)))
    )
    unknown = WatchTotals(*map(sub, every, _sum_all(found.values())))
    if unknown.plays:
        _add_sums(found, {UNKNOWN: unknown})
    return found


def _parse_sums(rows: Iterable[sqlite3.Row]) -> Sums:
    return {str(row["key"]): parse_watch_totals(row) for row in rows}


def _read_by_time(by: By, zone: tzinfo, server: str | None, connection: sqlite3.Connection, within: Window) -> Sums:
    """Count each stretch of one UTC offset separately, so that summer time is right."""
    found: Sums = {}
    for start, end, offset in list_offsets(zone, within.since, within.until):
        _add_sums(found, _parse_sums(connection.execute(*_count_quarters(by, Window(start, end), offset, server))))
    return found


async def _sum_days(by: By, cache: Cache, window: Window, zone: tzinfo, server: str | None) -> Counts:
    """Put weekdays or months together from days."""
    days, found = await count_plays_by(cache, "day", window, zone, server), dict[str, WatchTotals]()
    for day, sums in days.entries.items():
        _add_sums(found, {_OF_DAYS[by](int(day)): sums})
    return Counts(_order_times(found), total=days.total)


_OF_DAYS: dict[By, Callable[[int], str]] = {
    "weekday": lambda day: str((day + 3) % 7),  # 1 January 1970 was a Thursday
    "month": lambda day: (FIRST_DAY + timedelta(days=day)).isoformat()[:-3],
}
"""What is put together from days, by their number since 1970."""


def _order_times(found: Sums) -> Sums:
    """Return numbers in their order, and months as they are."""
    return {key: found[key] for key in sorted(found, key=lambda key: (len(key), key))}


async def count_plays_by_player(cache: Cache, window: Window, server: str | None = None) -> list[sqlite3.Row]:
    """Return the plays of a window by user, kind of item and player, on all servers or on one; `user` is '' if unknown."""
    sql = f"""
        SELECT coalesce(user_id, '=' || user_name, '') AS user, type, client_identifier, player_title, platform,
            max(started_at), -- beside a lone max(), other columns are those of its row
            {SUM_OF_PLAYS}
        FROM plays WHERE started_at BETWEEN :since AND :until AND {OF_SERVER}
        GROUP BY user, type, coalesce(client_identifier, {_PLAYER})
    """  # noqa: S608 - our own expressions
    return await _read_rows(cache, sql, {"since": window.since, "until": window.until, "server": server})


_PLAYER = "'=' || coalesce(player_title, '') || '/' || coalesce(platform, '')"


async def read_first_play(cache: Cache, server: str | None = None) -> int | None:
    """Return when the oldest play began, on all servers or on one; `None` if there is none."""
    sql = f"SELECT started_at AS at FROM plays INDEXED BY plays_by_time WHERE {OF_SERVER} ORDER BY started_at LIMIT 1"  # noqa: S608 - our own
    rows = await _read_rows(cache, sql, {"server": server})
    return int(rows[0]["at"]) if rows else None


def _split(window: Window, unit: int) -> dict[str, int]:
    """Return the whole units inside a window, and the partial ones before and after them."""
    first, end = -(-window.since // unit), (window.until + 1) // unit
    if end <= first:
        return {"since": window.since, "head": window.until, "first": 0, "end": 0, "tail": 1, "until": 0}
    return {
        "since": window.since,
        "head": first * unit - 1,
        "first": first,
        "end": end,
        "tail": end * unit,
        "until": window.until,
    }


def _count_days(
    of_days: str, of_plays: str, window: Window, server: str | None, *, by_server: bool
) -> tuple[str, dict[str, Any]]:
    sql = _sum_rollups("play_days", "day", of_days, of_plays, server, by_server=by_server)
    return sql, {**_split(window, DAY_MS), "server": server}


def _count_quarters(by: By, window: Window, offset: int, server: str | None) -> tuple[str, dict[str, Any]]:
    """Build the query for quarters of an hour and plays on a clock `offset` milliseconds ahead of UTC."""
    key = _TIME_KEYS[by]
    of_units, of_plays = key.format(f"quarter * {QUARTER_MS}"), key.format("started_at")
    sql = _sum_rollups("play_quarters", "quarter", of_units, of_plays, server, by_server=False)
    return sql, {**_split(window, QUARTER_MS), "offset": offset, "server": server}


def _sum_rollups(table: str, unit: str, of_units: str, of_plays: str, server: str | None, *, by_server: bool) -> str:
    keys, which = ("server, key", "server,") if by_server else ("key", "")
    limit = "AND server = :server" if server is not None else ""
    plays = f"""
        SELECT {which} {of_plays}, 1, watched_ms IS NOT NULL, coalesce(watched_ms, 0), {ESTIMATE} FROM plays
        WHERE started_at
    """  # noqa: S608 - our own expressions
    return f"""
        SELECT {keys}, {_SUMS} FROM (
            SELECT {which} {of_units} AS key, plays, timed, watched_ms, estimated_ms FROM {table}
            WHERE {unit} >= :first AND {unit} < :end {limit}
            UNION ALL {plays} BETWEEN :since AND :head {limit}
            UNION ALL {plays} BETWEEN :tail AND :until {limit}
        ) GROUP BY {keys} HAVING sum(plays) > 0
    """  # noqa: S608 - our own table and column names


async def _read_rows(cache: Cache, sql: str, values: dict[str, Any]) -> list[sqlite3.Row]:
    return list(await cache.archive.execute_fetchall(sql, values))
