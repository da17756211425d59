"""Plays and watch time over a window, by user, title, library, platform, day or hour of day."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.cache.queries.counts import FIRST_DAY, Counts, WatchTotals, count_plays_by, read_first_play
from plex_companion.cache.queries.plays import read_history_status
from plex_companion.cache.queries.servers import list_server_names
from plex_companion.history.filters import list_libraries, list_users
from plex_companion.history.labels import add_labels
from plex_companion.history.scope import read_libraries, read_people
from plex_companion.history.source import describe_import, describe_server, list_servers
from plex_companion.times import find_day
from plex_companion.zones import name_zone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date, tzinfo

    from plex_companion.cache.queries.counts import By, ServerKey
    from plex_companion.cache.queries.grouping import PlayGroup
    from plex_companion.cache.queries.plays import HistoryStatus
    from plex_companion.cache.queries.servers import ServerNames
    from plex_companion.history.people import People
    from plex_companion.history.source import HistorySource
    from plex_companion.times import Window

    Entry = dict[str, Any]

HOURS = 24
DAYS = 366
"""The most days that are listed, newest last. The sums count all days."""
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


async def count_plays(
    source: HistorySource,
    by: By,
    within: Window,
    limit: int,
    *,
    zone: tzinfo | None = None,
    known: HistoryStatus | None = None,
) -> dict[str, Any]:
    """Count the plays of a window by one attribute; days, hours and the like by the clock of `zone`, by default the source's.

    Days and months without plays, all weekdays and all 24 hours are included. `watched_ms` sums the watch times, of which `estimated_ms` are
    estimates, and `timed` says how many plays have one. A play whose user, title … is not known yet counts in the totals only.
    With `known`, the state of the history is not read again.
    """
    known = known or await read_history_status(source.cache, list_servers(source))
    zone = zone or source.zone
    found = await count_plays_by(source.cache, by, within, zone, source.only_server)
    if by in {"day", "hour", "weekday", "month"}:
        entries, groups = await _fill_times(source, by, found, within, zone)
    else:
        every = await _add_names(source, by, replace(found, groups=_select_shown(found.groups, limit)))
        entries, groups = add_labels(every)[:limit], len(found.groups or every)
    return {
        "by": by,
        "timezone": name_zone(zone),
        "since": serialize.format_iso(within.since),
        "until": serialize.format_iso(within.until),
        **found.total._asdict(),
        "entries": entries,
        "count": len(entries),
        "total_entries": groups,
        "history": describe_import(known),
    }


def _select_shown(groups: Sequence[PlayGroup], limit: int) -> Sequence[PlayGroup]:
    """Return the first titles, and all others of their names, on which their labels depend."""
    names = {(one.name or "").casefold() for one in groups[:limit]}
    return [one for one in groups if (one.name or "").casefold() in names] if len(groups) > limit else groups


def _build_entry(key: str | None, name: str | None, sums: WatchTotals | None, **more: Any) -> Entry:
    plays, timed, watched_ms, estimated_ms = sums or _NOTHING
    return {
        "key": key,
        "name": name,
        **more,
        "plays": plays,
        "timed": timed,
        "watched_ms": watched_ms,
        "estimated_ms": estimated_ms,
    }


_NOTHING = WatchTotals()


async def _fill_times(
    source: HistorySource, by: By, found: Counts, within: Window, zone: tzinfo
) -> tuple[list[Entry], int]:
    """Return an entry for each unit of time, also for those without plays, and their number."""
    match by:
        case "hour":
            return [
                _build_entry(str(hour), f"{hour:02d}:00", found.entries.get(str(hour))) for hour in range(HOURS)
            ], HOURS
        case "weekday":
            entries = [_build_entry(str(n), name, found.entries.get(str(n))) for n, name in enumerate(WEEKDAYS)]
            return entries, len(WEEKDAYS)
        case "month":
            months = _list_months(*found.entries) if found.entries else []
            return [_build_entry(month, month, found.entries.get(month)) for month in months], len(months)
        case _:
            return await _fill_days(source, found, within, zone)


async def _fill_days(source: HistorySource, found: Counts, within: Window, zone: tzinfo) -> tuple[list[Entry], int]:
    """Return an entry for each day of the window, and their number. An open window starts at the first play."""
    since = within.since or await read_first_play(source.cache, source.only_server)
    if since is None:
        return [], 0
    first, last = find_day(since, zone), find_day(within.until, zone)
    total = max(0, (last - first).days + 1)
    shown = [last - timedelta(days=back) for back in reversed(range(min(total, DAYS)))]
    return [_format_day(day, found) for day in shown], total


def _format_day(day: date, found: Counts) -> Entry:
    return _build_entry(day.isoformat(), day.isoformat(), found.entries.get(str((day - FIRST_DAY).days)))


def _list_months(first: str, *others: str) -> list[str]:
    """Return all months from the first to the last of these, which are in order."""
    last = others[-1] if others else first
    start, end = (int(name[:-3]) * 12 + int(name[-2:]) - 1 for name in (first, last))
    return [f"{number // 12:04d}-{number % 12 + 1:02d}" for number in range(start, end + 1)]


async def _add_names(source: HistorySource, by: By, found: Counts) -> Sequence[Entry]:
    servers = await list_server_names(source.cache)
    if len(servers) > 1:
        return await _add_names_of_servers(source, by, found, servers)
    match by:
        case "user":
            return _identify(_join_servers(found), await list_users(source))
        case "library":
            return _identify(_join_servers(found), await list_libraries(source))
        case "title":
            libraries = await list_libraries(source)
            return [_choose_title(group, libraries.get(group.library_id or "")) for group in found.groups]
        case _:
            return [_build_entry(key, key, sums) for key, sums in found.entries.items()]


async def _add_names_of_servers(source: HistorySource, by: By, found: Counts, servers: ServerNames) -> Sequence[Entry]:
    """Return entries in which each person is one, and each library of each server."""
    match by:
        case "user":
            people = await read_people(source)
            names = {person.id: person.name for person in people.persons}
            return [_add_owned_server(one, servers) for one in _identify(_join_accounts(found, people), names)]
        case "library":
            return _identify_libraries(found, await read_libraries(source), servers)
        case "title":
            libraries = await read_libraries(source)
            return [
                _choose_title(group, libraries.get((group.server, group.library_id or "")))
                | describe_server(group.server, servers)
                for group in found.groups
            ]
        case _:
            return [_build_entry(key, key, sums) for key, sums in found.entries.items()]


def _add_owned_server(entry: Entry, servers: ServerNames) -> Entry:
    """Return the entry of an owner who is known by the server alone with that server, which tells owners of one name apart."""
    server = (entry["id"] or "").partition("@")[2]
    return entry | describe_server(server, servers) if server in servers else entry


def _join_servers(found: Counts) -> dict[str, WatchTotals]:
    return _join(found, lambda _, key: key)


def _join_accounts(found: Counts, people: People) -> dict[str, WatchTotals]:
    def find(server: str, key: str) -> str:
        if key.startswith("="):
            return people.find_by_name(server, key.removeprefix("=")) or key
        return people.find_person(server, key)

    return _join(found, find)


def _join(found: Counts, find: Callable[[str, str], str]) -> dict[str, WatchTotals]:
    joined: dict[str, WatchTotals] = {}
    for (server, key), sums in found.by_server.items():
        joined[find(server, key)] = joined.get(find(server, key), WatchTotals()).plus(sums)
    return joined


def _identify_libraries(found: Counts, names: dict[ServerKey, str | None], servers: ServerNames) -> list[Entry]:
    """Return an entry for each library of each server. One without an id joins the server's only library of its name."""
    entries: list[Entry] = []
    for server in dict.fromkeys(server for server, _ in found.by_server):
        here = {key: sums for (place, key), sums in found.by_server.items() if place == server}
        called = {id_: name for (place, id_), name in names.items() if place == server}
        where = describe_server(server, servers)
        entries += [{**one, "key": f"{server}/{one['key'] or one['name']}", **where} for one in _identify(here, called)]
    return sorted(entries, key=_rank)


def _rank(entry: Entry) -> tuple[int, int]:
    return -entry["plays"], -entry["watched_ms"]


def _identify(found: dict[str, WatchTotals], names: dict[str, str | None]) -> list[Entry]:
    """Return entries with ids and current names. An entry without an id joins the only user or library of its name."""
    ids: dict[str, list[str]] = {}
    for known_id, called in names.items():
        ids.setdefault(called or "", []).append(known_id)
    entries: dict[str, tuple[str | None, str | None, WatchTotals]] = {}
    for key, sums in found.items():
        name = key.removeprefix("=") if key.startswith("=") else names.get(key)
        fitting = ids.get(name or "", [])
        id_ = key if not key.startswith("=") else fitting[0] if len(fitting) == 1 else None
        known = entries.get(id_ or key)
        entries[id_ or key] = (id_, name, sums if known is None else known[2].plus(sums))
    rows = [_build_entry(id_, name, sums, id=id_) for id_, name, sums in entries.values()]
    return sorted(rows, key=_rank)


def _choose_title(group: PlayGroup, library: str | None) -> Entry:
    return _build_entry(
        group.key,
        group.name,
        WatchTotals(group.plays, group.timed, group.watched_ms, group.estimated_ms),
        type=group.kind,
        id=group.rating_key,
        guid=group.guid,
        year=group.year,
        library=library,
        item_id=group.item_key,
    )
