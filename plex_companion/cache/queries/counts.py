"""Counts plays over a window: whole units from the roll-ups, the partial units at both ends from the plays themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from plex_companion.cache.queries.grouping import group_plays, rank_groups
from plex_companion.times import DAY_MS, HOUR_MS, Window, list_offsets

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from plex_companion.cache.database import Cache
    from plex_companion.cache.queries.grouping import PlayGroup

By = Literal["user", "title", "library", "platform", "day", "hour"]
QUARTER_MS = HOUR_MS // 4
UNKNOWN = ""
"""Stands in the roll-ups for an unknown user, library or platform: a key cannot be null."""

# A user or library whose id is unknown is '=' and its name.
_DAY_KEYS = {
    "user": ("user_id", "coalesce(user_id, '=' || user_name, '')"),
    "library": ("library", "coalesce(library_id, '=' || library, '')"),
    "platform": ("platform", "coalesce(platform, '')"),
}
_SUMS = "sum(plays) AS plays, sum(timed) AS timed, sum(watched_ms) AS watched_ms"


class Sum(NamedTuple):
    """How many plays, for how many of them the watch time is known, and that time."""

    plays: int = 0
    timed: int = 0
    watched_ms: int = 0

    def plus(self, other: Sum) -> Sum:
        """Return the sum of both."""
        return Sum(self.plays + other.plays, self.timed + other.timed, self.watched_ms + other.watched_ms)


@dataclass(slots=True)
class Counts:
    """Plays counted by one attribute. Plays whose attribute is unknown are in `total` only."""

    entries: dict[str, Sum] = field(default_factory=dict)
    """By key, in order: days and hours by time, everything else by number of plays."""
    total: Sum = field(default_factory=Sum)
    groups: dict[str, PlayGroup] = field(default_factory=dict)
    """The groups counted, by the keys of the entries, where plays are counted by title."""


async def count_plays_by(cache: Cache, by: By, window: Window, zone: tzinfo = UTC) -> Counts:
    """Count the plays of a window by one attribute.

    Days are keyed by their number since 1970 and hours by 0 to 23, both by the clock of `zone`; users and libraries by
    id, or '=' and the name where the id is unknown; titles by guid or rating key.
    """
    if by == "title":
        return _sum_by_title(await group_plays(cache, window))
    if by in {"day", "hour"}:
        return await _sum_by_time(cache, by, window, zone)
    rows = await _read_rows(cache, *_count_days(*_DAY_KEYS[by], window))
    found = {row["key"]: Sum(row["plays"], row["timed"], row["watched_ms"]) for row in rows}
    return Counts(_sum_by_number(found), _sum_all(found.values()))


def _sum_by_title(groups: list[PlayGroup]) -> Counts:
    counts = Counts(total=_sum_all(Sum(one.plays, one.timed, one.watched_ms) for one in groups))
    for place, group in enumerate(rank_groups(groups)):
        key = str(place)
        counts.groups[key] = group
        counts.entries[key] = Sum(group.plays, group.timed, group.watched_ms)
    return counts


def _sum_by_number(found: dict[str, Sum]) -> dict[str, Sum]:
    known = ((key, sums) for key, sums in found.items() if key != UNKNOWN)
    return dict(sorted(known, key=lambda item: (-item[1].plays, -item[1].watched_ms, item[0])))


def _sum_all(sums: Iterable[Sum]) -> Sum:
    total = Sum()
    for one in sums:
        total = total.plus(one)
    return total


async def _sum_by_time(cache: Cache, by: By, window: Window, zone: tzinfo) -> Counts:
    """Count each stretch of one UTC offset separately, so that summer time is right."""
    first = await read_first_play(cache)
    found: dict[int, Sum] = {}
    if first is None:
        return Counts()
    within = Window(max(window.since, first), window.until)
    for start, end, offset in list_offsets(zone, within.since, within.until):
        for row in await _read_rows(cache, *_count_quarters(by, Window(start, end), offset)):
            one = Sum(row["plays"], row["timed"], row["watched_ms"])
            found[row["key"]] = found.get(row["key"], Sum()).plus(one)
    return Counts({str(key): found[key] for key in sorted(found)}, _sum_all(found.values()))


async def count_plays_by_player(cache: Cache, window: Window) -> list[sqlite3.Row]:
    """Return the plays of a window by user, kind of item and player; `user` is '' if unknown."""
    sql = f"""
        SELECT coalesce(user_id, '=' || user_name, '') AS user, type, client_identifier, player_title, platform,
            max(started_at), -- beside a lone max(), other columns are those of its row
            count(*) AS plays, count(watched_ms) AS timed, coalesce(sum(watched_ms), 0) AS watched_ms
        FROM plays WHERE started_at BETWEEN :since AND :until
        GROUP BY user, type, coalesce(client_identifier, {_PLAYER})
    """  # noqa: S608 - our own expressions
    return await _read_rows(cache, sql, {"since": window.since, "until": window.until})


_PLAYER = "'=' || coalesce(player_title, '') || '/' || coalesce(platform, '')"


async def read_first_play(cache: Cache) -> int | None:
    """Return when the oldest play began; `None` if there is none."""
    (row,) = await cache.archive.execute_fetchall("SELECT min(started_at) AS at FROM plays")
    at: int | None = row["at"]
    return at


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


def _count_days(of_days: str, of_plays: str, window: Window) -> tuple[str, dict[str, int]]:
    return _sum_rollups("play_days", "day", of_days, of_plays), _split(window, DAY_MS)


def _count_quarters(by: By, window: Window, offset: int) -> tuple[str, dict[str, int]]:
    """Build the query for quarters of an hour and plays on a clock `offset` milliseconds ahead of UTC."""
    unit, cycle = (DAY_MS, "") if by == "day" else (HOUR_MS, " % 24")
    key = "({} + :offset) / :unit" + cycle
    sql = _sum_rollups("play_quarters", "quarter", key.format(f"quarter * {QUARTER_MS}"), key.format("started_at"))
    return sql, {**_split(window, QUARTER_MS), "offset": offset, "unit": unit}


def _sum_rollups(table: str, unit: str, of_units: str, of_plays: str) -> str:
    partial = f"SELECT {of_plays}, 1, watched_ms IS NOT NULL, coalesce(watched_ms, 0) FROM plays WHERE started_at"  # noqa: S608 - our own expressions
    return f"""
        SELECT key, {_SUMS} FROM (
            SELECT {of_units} AS key, plays, timed, watched_ms FROM {table} WHERE {unit} >= :first AND {unit} < :end
            UNION ALL {partial} BETWEEN :since AND :head
            UNION ALL {partial} BETWEEN :tail AND :until
        ) GROUP BY key HAVING sum(plays) > 0
    """  # noqa: S608 - our own table and column names


async def _read_rows(cache: Cache, sql: str, values: dict[str, Any]) -> list[sqlite3.Row]:
    return list(await cache.archive.execute_fetchall(sql, values))
