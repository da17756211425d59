"""Plays of one item that were resumed: a person who goes on within twelve hours has watched once, in parts."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from plex_companion.cache.connections import run_read
from plex_companion.cache.queries.kept_totals import count_plays_kept
from plex_companion.cache.queries.plays import MOST_COUNTED, KeysetPosition
from plex_companion.history.play_pages import describe_page, read_first_matching, read_rows, resolve_query
from plex_companion.times import HOUR_MS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from plex_companion.cache.rows import Row
    from plex_companion.history.play_pages import PlayPageRows, PlayQuery
    from plex_companion.history.source import HistorySource

RESUMED_MS = 12 * HOUR_MS
"""A play that begins so soon after the end of another belongs to it."""
AROUND = 100
"""Plays read before and after a page, to find the parts of a play that stand on another page."""


async def list_resumed_plays(
    source: HistorySource, query: PlayQuery, limit: int, after: str | None = None
) -> dict[str, Any]:
    """Return a page of plays as `list_plays` does, with `total`, and in `groups` its plays that were resumed as one.

    A group has the positions of its plays in `plays`, the newest first, and stands on the page of its newest play.
    `plays` goes on after the page as far as groups do. `total` counts plays, at least `MOST_COUNTED` where `more_than` is true.

    Raises:
        Invalid, NotFound, Ambiguous: as `list_plays`.
    """
    resolved, cache = await resolve_query(source, query), source.cache
    count = partial(count_plays_kept, figures=cache.figures, generation=cache.generation)

    def read(connection: sqlite3.Connection) -> tuple[PlayPageRows, list[Row], int]:
        found = read_first_matching(connection, resolved, after, limit + AROUND)
        return found, _read_newer(connection, found), sum(count(connection, filters=one) for one in found.filters)

    found, newer, total = await run_read(cache.archive, read)
    groups = group_resumed([*reversed(newer), *found.rows])
    mine = [[place - len(newer) for place in group] for group in groups]
    shown = [group for group in mine if 0 <= group[0] < limit]
    is_cut = total > MOST_COUNTED and not all(one.is_counted for one in found.filters)
    rows = max((place for group in shown for place in group), default=-1) + 1
    return {
        **describe_page(source, found, limit, rows),
        "groups": shown,
        "total": min(total, MOST_COUNTED) if is_cut else total,
        "more_than": is_cut,
    }


def _read_newer(connection: sqlite3.Connection, found: PlayPageRows) -> list[Row]:
    """Return the plays before the page, the nearest first, that may belong together with plays on it."""
    if found.place is None or not found.rows:
        return []
    nearest = KeysetPosition(found.rows[0]["started_at"], found.rows[0]["id"])
    return read_rows(connection, found.filters, AROUND, nearest, upwards=True)


def group_resumed(rows: Sequence[Row]) -> list[list[int]]:
    """Return which of these plays, the newest first, belong together, by their positions. Pure."""
    groups: list[list[int]] = []
    latest: dict[tuple[Any, ...], list[int]] = {}
    for place, row in enumerate(rows):
        key = _identify(row)
        group = latest.get(key)
        if group is not None and rows[group[-1]]["started_at"] - (row["ended_at"] or row["started_at"]) <= RESUMED_MS:
            group.append(place)
        else:
            latest[key] = group = [place]
            groups.append(group)
    return groups


def _identify(row: Row) -> tuple[Any, ...]:
    """Return what is the same for the parts of one play: the server, the item, the user and the player."""
    item = row["guid"] or row["rating_key"] or (row["grandparent_title"], row["title"])
    return row["server"], item, row["user_id"] or row["user_name"], row["client_identifier"] or row["player_title"]
