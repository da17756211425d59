"""Plays and watch time over a window, by user, title, library, platform, day or hour of day."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.cache.queries.counts import Counts, Sum, count_plays_by, read_first_play
from plex_companion.cache.queries.plays import read_history_status
from plex_companion.history.filters import list_libraries, list_users
from plex_companion.history.labels import add_labels
from plex_companion.history.source import describe_import, find_server
from plex_companion.times import find_day
from plex_companion.zones import name_zone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.cache.queries.counts import By
    from plex_companion.history.source import HistorySource
    from plex_companion.times import Window

    Entry = dict[str, Any]

HOURS = 24
DAYS = 366
"""The most days that are listed, newest last. The sums count all days."""
FIRST_DAY = date(1970, 1, 1)


async def count_plays(source: HistorySource, by: By, within: Window, limit: int) -> dict[str, Any]:
    """Count the plays of a window by user, title, library, platform, day or hour, in the source's time zone.

    Days without plays and all 24 hours are included. `watched_ms` sums the known watch times: Plex reports none for imported
    plays, and `timed` says how many plays have one. A play whose user, title … is not known yet counts in the totals only.
    """
    known = await read_history_status(source.cache, find_server(source))
    found = await count_plays_by(source.cache, by, within, source.zone)
    if by == "day":
        entries, groups = await _fill_days(source, found, within)
    elif by == "hour":
        entries, groups = _fill_hours(found), HOURS
    else:
        every = await _add_names(source, by, found)
        entries, groups = add_labels(every)[:limit], len(every)
    return {
        "by": by,
        "timezone": name_zone(source.zone),
        "since": serialize.format_iso(within.since),
        "until": serialize.format_iso(within.until),
        **found.total._asdict(),
        "entries": entries,
        "count": len(entries),
        "total_entries": groups,
        "history": describe_import(known),
    }


def _build_entry(key: str | None, name: str | None, sums: Sum | None, **more: Any) -> Entry:
    return {"key": key, "name": name, **more, **(sums or Sum())._asdict()}


async def _fill_days(source: HistorySource, found: Counts, within: Window) -> tuple[list[Entry], int]:
    """Return an entry for each day of the window, and their number. An open window starts at the first play."""
    since = within.since or await read_first_play(source.cache)
    if since is None:
        return [], 0
    first, last = find_day(since, source.zone), find_day(within.until, source.zone)
    total = max(0, (last - first).days + 1)
    shown = [last - timedelta(days=back) for back in reversed(range(min(total, DAYS)))]
    return [_format_day(day, found) for day in shown], total


def _format_day(day: date, found: Counts) -> Entry:
    return _build_entry(day.isoformat(), day.isoformat(), found.entries.get(str((day - FIRST_DAY).days)))


def _fill_hours(found: Counts) -> list[Entry]:
    return [_build_entry(str(hour), f"{hour:02d}:00", found.entries.get(str(hour))) for hour in range(HOURS)]


async def _add_names(source: HistorySource, by: By, found: Counts) -> Sequence[Entry]:
    match by:
        case "user":
            return _identify(found, await list_users(source))
        case "library":
            return _identify(found, await list_libraries(source))
        case "title":
            libraries = await list_libraries(source)
            return [_choose_title(found, key, libraries) for key in found.entries]
        case _:
            return [_build_entry(key, key, sums) for key, sums in found.entries.items()]


def _identify(found: Counts, names: dict[str, str | None]) -> list[Entry]:
    """Return entries with ids and current names. An entry without an id joins the only user or library of its name."""
    ids = {name: [id_ for id_, called in names.items() if called == name] for name in names.values() if name}
    entries: dict[str, tuple[str | None, str | None, Sum]] = {}
    for key, sums in found.entries.items():
        name = key.removeprefix("=") if key.startswith("=") else names.get(key)
        fitting = ids.get(name or "", [])
        id_ = key if not key.startswith("=") else fitting[0] if len(fitting) == 1 else None
        known = entries.get(id_ or key)
        entries[id_ or key] = (id_, name, sums if known is None else known[2].plus(sums))
    told = [_build_entry(id_, name, sums, id=id_) for id_, name, sums in entries.values()]
    return sorted(told, key=lambda entry: (-entry["plays"], -entry["watched_ms"]))


def _choose_title(found: Counts, key: str, libraries: dict[str, str | None]) -> Entry:
    group = found.groups[key]
    return _build_entry(
        group.key,
        group.name,
        found.entries[key],
        type=group.kind,
        id=group.rating_key,
        guid=group.guid,
        year=group.year,
        library=libraries.get(group.library_id or ""),
        item_id=group.item_key,
    )
