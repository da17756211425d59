"""Plays grouped by what was played: by identity, never by name. A show's episodes and an artist's tracks are one group.

The identity is the guid where there is one, else the rating key. SQL groups the rows of one guid and one key; what a guid
has had under several keys, and rows that know the key only, are merged here. What SQL groups is kept in memory by block of
14 days until a play in it changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from plex_companion.cache.connections import run_read
from plex_companion.cache.queries.play_blocks import read_blocks
from plex_companion.cache.queries.servers import OF_SERVER
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator

    from plex_companion.cache.database import Cache
    from plex_companion.times import Window

    FindPerson = Callable[[str, str], str]
    """Returns the id of the person who has an account, by server and id of the account."""

KEPT_MS = 100 * DAY_MS
"""The rows of longer windows, and those by user, are read at each question: kept, they would take tens of megabytes."""

ESTIMATE = "CASE ended_by WHEN 'imported' THEN coalesce(watched_ms, 0) ELSE 0 END"
"""The part of a play's watch time that is estimated."""
SUM_OF_PLAYS = (
    "count(*) AS plays, count(watched_ms) AS timed, coalesce(sum(watched_ms), 0) AS watched_ms, "
    f"sum({ESTIMATE}) AS estimated_ms"
)
LOCAL = "local://"
"""The beginning of the guid of an item that no agent has matched; the rating key follows, so it says nothing elsewhere."""
_IS_PART = (
    "(type IN ('episode', 'track') AND coalesce(grandparent_guid, grandparent_rating_key, grandparent_title) NOT NULL)"
)
_KIND = "CASE type WHEN 'episode' THEN 'show' WHEN 'track' THEN 'artist' ELSE type END"
_IDENTIFIED = f"""
    SELECT id, server, user_id, user_name, title, library, library_id, rating_key AS item_key, watched_ms, started_at, ended_by,
        {_KIND} AS kind,
        CASE WHEN {_IS_PART} THEN grandparent_guid ELSE guid END AS guid,
        CASE WHEN {_IS_PART} THEN grandparent_rating_key ELSE rating_key END AS rating_key,
        CASE WHEN {_IS_PART} THEN grandparent_title ELSE title END AS name,
        CASE WHEN {_IS_PART} THEN NULL ELSE year END AS year
    FROM plays WHERE started_at BETWEEN :since AND :until AND {OF_SERVER}
"""  # noqa: S608 - our own expressions


@dataclass(slots=True)
class PlayGroup:
    """The plays of one film, show, artist or the like. Names, keys and times are those of the latest play."""

    server: str
    user_id: str | None
    user_name: str | None
    kind: str | None
    name: str | None
    guid: str | None
    rating_key: str | None
    year: int | None
    library_id: str | None
    last_title: str | None
    item_key: str | None
    """The rating key of the item itself, such as the episode."""
    last_at: int
    plays: int
    timed: int
    watched_ms: int
    estimated_ms: int

    @property
    def key(self) -> str | None:
        """The identity it is counted by; a name only where neither guid nor rating key is known."""
        return self.guid or self.rating_key or self.name

    def add(self, other: PlayGroup) -> None:
        """Add the plays of another group, and take over fields that are unknown here or newer there."""
        late = other.last_at > self.last_at
        elsewhere = other.server != self.server
        for name in ("server", *_IDS) if elsewhere and late else ():  # ids of one server say nothing on another
            setattr(self, name, getattr(other, name))
        for name in _COMMON if elsewhere else (*_COMMON, *_IDS):
            mine, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, (theirs if late else mine) or mine or theirs)
        self.last_at = max(self.last_at, other.last_at)
        self.plays += other.plays
        self.timed += other.timed
        self.watched_ms += other.watched_ms
        self.estimated_ms += other.estimated_ms


_COMMON = ("kind", "name", "guid", "year", "last_title", "user_name")
_IDS = ("rating_key", "library_id", "item_key")


async def group_plays(
    cache: Cache,
    window: Window,
    *,
    by_user: bool = False,
    server: str | None = None,
    find_person: FindPerson | None = None,
) -> list[PlayGroup]:
    """Group the plays of a window by what was played, and with `by_user` by user too; in no particular order.

    `find_person` says who has an account on a server, where a person may have accounts on more than one.
    """
    read = partial(_read_rows, server, by_user=by_user)
    if by_user or window.until - window.since > KEPT_MS:
        rows = await run_read(cache.archive, lambda connection: read(connection, window))
    else:
        rows = await read_blocks(cache, ("groups", server), window, read, _join_rows)
    groups = [PlayGroup(*row) for row in rows.values()]
    if not by_user:
        return merge(groups)
    by_person: dict[str | None, list[PlayGroup]] = {}
    for group in groups:
        if find_person and group.user_id:
            group.user_id = find_person(group.server, group.user_id)
        by_person.setdefault(group.user_id or group.user_name, []).append(group)
    return [group for some in by_person.values() for group in merge(some)]


class _GroupRow(NamedTuple):
    """The fields of a `PlayGroup`, as SQL groups plays. It is kept, so it never changes."""

    server: str
    user_id: str | None
    user_name: str | None
    kind: str | None
    name: str | None
    guid: str | None
    rating_key: str | None
    year: int | None
    library_id: str | None
    last_title: str | None
    item_key: str | None
    last_at: int
    plays: int
    timed: int
    watched_ms: int
    estimated_ms: int


_Rows = dict[tuple[object, ...], _GroupRow]
"""Rows by what SQL groups them by."""


def _read_rows(server: str | None, connection: sqlite3.Connection, window: Window, *, by_user: bool) -> _Rows:
    user = "coalesce(user_id, '=' || user_name)" if by_user else "NULL"
    unknown = "CASE WHEN coalesce(guid, rating_key) IS NULL THEN"
    keys = (
        f"{user}, server, guid, rating_key, kind, name IS NULL, {unknown} name END, {unknown} year END, "
        f"{unknown} library_id END"
    )
    sql = f"""
        SELECT server, user_id, user_name, kind, name, guid, rating_key, year, library_id, title AS last_title, item_key,
            max(started_at) AS last_at, -- beside a lone max(), other columns are those of its row
            {SUM_OF_PLAYS}, {keys}
        FROM ({_IDENTIFIED}) GROUP BY {keys}
    """  # noqa: S608 - our own expressions
    values = {"since": window.since, "until": window.until, "server": server}
    rows = map(tuple, connection.execute(sql, values))
    return {row[_WIDTH:]: _GroupRow(*row[:_WIDTH]) for row in rows}


_WIDTH = len(_GroupRow._fields)


def _join_rows(parts: Iterable[_Rows]) -> _Rows:
    found: _Rows = {}
    for rows in parts:
        if not found:
            found = dict(rows)
            continue
        for key, row in rows.items():
            known = found.get(key)
            found[key] = row if known is None else _join_row(known, row)
    return found


def _join_row(one: _GroupRow, other: _GroupRow) -> _GroupRow:
    """Return the fields of the row with the latest play, with the plays of both."""
    late, early = (other, one) if other.last_at >= one.last_at else (one, other)
    return late._replace(
        plays=late.plays + early.plays,
        timed=late.timed + early.timed,
        watched_ms=late.watched_ms + early.watched_ms,
        estimated_ms=late.estimated_ms + early.estimated_ms,
    )


def merge(rows: Iterable[PlayGroup]) -> list[PlayGroup]:
    """Merge groups of one identity: of one guid, or of one rating key where there is no guid.

    Plays that know neither join the only group of their kind and name, if there is just one that does not contradict.
    """
    merged: dict[tuple[str | None, ...], PlayGroup] = {}
    by_key: dict[tuple[str, str], PlayGroup] = {}
    ordered = sorted(rows, key=lambda row: (row.guid is None, row.rating_key is None, -row.last_at))
    unidentified: list[PlayGroup] = []
    for row in ordered:
        if row.guid is None and row.rating_key is None:
            unidentified.append(row)
            continue
        key = (row.server, row.rating_key) if row.rating_key else None
        identity = _identify_by_guid(row) if row.guid else (None, *(key or ()))
        known = merged.get(identity) if row.guid else by_key.get(key or ("", ""))
        if known is None:
            known = merged[identity] = row
        else:
            known.add(row)
        if key is not None:
            by_key.setdefault(key, known)
    found = list(merged.values())
    _join_by_name(found, unidentified)
    return found


def _identify_by_guid(group: PlayGroup) -> tuple[str | None, ...]:
    return (group.guid, group.server) if (group.guid or "").startswith(LOCAL) else (group.guid,)


def _join_by_name(found: list[PlayGroup], unidentified: list[PlayGroup]) -> None:
    """Merge plays without identity into the group of their name, or add them as groups of their own."""
    if not unidentified:
        return
    named: dict[tuple[str | None, str | None], list[PlayGroup]] = {}
    for group in found:
        named.setdefault((group.kind, group.name), []).append(group)
    for row in unidentified:
        same = named.setdefault((row.kind, row.name), [])
        fitting = [group for group in same if _is_compatible(group, row)]
        if len(fitting) == 1:
            fitting[0].add(row)
        else:
            same.append(row)
            found.append(row)


def _is_compatible(group: PlayGroup, row: PlayGroup) -> bool:
    """Return whether plays may belong to a group: neither their year nor, on one server, their library differs."""
    libraries = (group.library_id, row.library_id) if group.server == row.server else (None, None)
    pairs = ((group.year, row.year), libraries)
    return all(mine is None or theirs is None or mine == theirs for mine, theirs in pairs)


def rank_groups(groups: Iterable[PlayGroup]) -> list[PlayGroup]:
    """Return the groups that have a name, the most played first."""
    return sorted(_name_groups(groups), key=lambda one: (-one.plays, -one.watched_ms, one.name or "", one.key or ""))


def pick_latest(groups: Iterable[PlayGroup]) -> list[PlayGroup]:
    """Return the groups that have a name, the one played last first."""
    return sorted(_name_groups(groups), key=lambda one: (-one.last_at, -one.plays, one.name or "", one.key or ""))


def _name_groups(groups: Iterable[PlayGroup]) -> Iterator[PlayGroup]:
    return (group for group in groups if group.name is not None)
