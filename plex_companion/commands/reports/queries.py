"""The queries of the reports: they read the database and answer in the shapes of the tools."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from plex_companion import serialize, times
from plex_companion.cache.load import load_state
from plex_companion.cache.queries.read import (
    read_events_within,
    read_last_event_at,
    read_last_event_id,
    read_retention_bounds,
)
from plex_companion.cache.read_only import open_read_only, read_live_since
from plex_companion.errors import DatabaseUnusable
from plex_companion.history.alert_pages import list_alerts
from plex_companion.history.digest import build_digest
from plex_companion.history.play_counts import count_plays
from plex_companion.history.play_pages import list_plays
from plex_companion.history.source import add_envelope
from plex_companion.models import Connection, Moment
from plex_companion.processes.ownership import require_own_database
from plex_companion.settings import find_database_path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import tzinfo

    from plex_companion.cache.database import Cache
    from plex_companion.cache.queries.counts import By
    from plex_companion.changes.state import State
    from plex_companion.settings import Settings

Body = dict[str, Any]
CHARTED: tuple[By, ...] = ("day", "hour", "user", "title")
"""The charts of `stats` without `--by`."""
SINCE = {"stats": "30d", "digest": "24h"}
LIMIT = {"history": 30, "stats": 10, "events": 50, "alerts": 30}
SILENT_MS = 200_000
"""A companion that listens confirms its state every minute; after three missed confirmations it counts as gone."""


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """A report command with its flags."""

    command: str
    since: str | None = None
    until: str | None = None
    user: str | None = None
    title: str | None = None
    library: str | None = None
    by: By | None = None
    kinds: Sequence[str] | None = None
    limit: int | None = None

    @property
    def most(self) -> int:
        """The most entries to show."""
        return self.limit or LIMIT.get(self.command, 1)

    @property
    def is_narrow(self) -> bool:
        """Whether a filter is set, which may be why nothing matches."""
        return any((self.since, self.until, self.user, self.title, self.library, self.kinds))


@dataclass(frozen=True, slots=True)
class Archive:
    """A database opened for reading, and its state at one moment."""

    cache: Cache
    state: State
    now_ms: int
    zone: tzinfo


@asynccontextmanager
async def open_archive(settings: Settings, *, demo: bool) -> AsyncIterator[Archive]:
    """Open the database of these settings for reading, in a context manager.

    Raises:
        DatabaseOfAnotherServer: it belongs to another server than the one in the settings.
        StartError: it does not exist or cannot be used; the message says what to try.
    """
    path = find_database_path(settings, demo=demo)
    if not path.exists():
        raise DatabaseUnusable(f"There is no database {path} yet: {_suggest_fix(settings, demo=demo)}")
    if not demo:
        await require_own_database(path, settings)
    now = Moment(int(time.time() * 1000), int(time.monotonic() * 1000))
    async with open_read_only(path) as cache:
        state = await load_state(cache, now)
        since = await read_live_since(cache, now, SILENT_MS)
        state = replace(state, last_event_at=await read_last_event_at(cache))
        if since is not None:
            state = replace(state, connection=Connection("live", since), down_since=None, refreshed_at=now.at)
        else:
            state = _mark_offline(state, now.at)
        yield Archive(cache, state, now.at, settings.zone)


def _mark_offline(state: State, now_ms: int) -> State:
    """Return the last known state with a connection that is offline since Plex was last heard."""
    until = state.down_since
    if until is None:
        return replace(
            state, connection=Connection("offline", now_ms, detail="No plex-companion has connected to Plex yet.")
        )
    detail = f"plex-companion is not running. It last heard from Plex at {serialize.format_iso(until)}; anything since then is unknown."
    connection = replace(state.connection, state="offline", since_at=until, detail=detail)
    return replace(state, connection=connection, refreshed_at=until)


def _suggest_fix(settings: Settings, *, demo: bool) -> str:
    if demo:
        return "run plex-companion watch --demo for a while to fill it."
    if settings.database is None and settings.plex_url is None:
        return "set PLEX_URL to read that server's database, name a file with --database, or use --demo for the demo household."
    return "start plex-companion (serve or watch), which creates it, or name another file with --database."


async def fetch_answers(archive: Archive, query: ReportQuery) -> list[Body]:
    """Return the answers to a command: one, or for `stats` without `--by` one for each chart.

    Raises:
        ToolError: as the matching tool does.
    """
    if query.command == "stats" and query.by is None:
        return [await fetch_answer(archive, replace(query, by=by)) for by in CHARTED]
    return [await fetch_answer(archive, query)]


async def fetch_answer(archive: Archive, query: ReportQuery) -> Body:
    """Return one answer, in the shape of the matching tool.

    Raises:
        ToolError: as that tool does.
    """
    return add_envelope(archive, await _fetch_body(archive, query))


async def _fetch_body(archive: Archive, query: ReportQuery) -> Body:
    since, until, now = query.since or SINCE.get(query.command), query.until, archive.now_ms
    match query.command:
        case "history":
            filters = {"user": query.user, "title": query.title, "library": query.library}
            return await list_plays(archive, query.most, since=since, until=until, **filters)
        case "stats":
            within = times.parse_window(since, until, now, archive.zone)
            return {"period": since, **await count_plays(archive, query.by or "user", within, query.most)}
        case "alerts":
            return await list_alerts(archive, query.most, since=since, until=until, kinds=query.kinds)
        case "events":
            return await _list_events(archive, query)
        case _:
            return await build_digest(archive, times.parse_window(since, until, now, archive.zone))


async def _list_events(archive: Archive, query: ReportQuery) -> Body:
    """Return the newest journal events, oldest first."""
    within = times.parse_window(query.since, query.until, archive.now_ms, archive.zone)
    end, kept = await read_last_event_id(archive.cache), await read_retention_bounds(archive.cache)
    rows = await read_events_within(archive.cache, within, query.most, query.kinds)
    gap = query.since is not None and kept.events_pruned and within.since < (kept.events_at or within.until)
    events = [serialize.serialize_event(row) for row in reversed(rows)]
    return {"events": events, "count": len(events), "limit": query.most, "next_cursor": end, "gap": gap}
