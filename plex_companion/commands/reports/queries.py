"""What the commands ask the database, in the shapes of the tools."""

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
PICTURED: tuple[By, ...] = ("day", "hour", "user", "title")
"""What `stats` draws unless told what to count by."""
SINCE = {"stats": "30d", "digest": "24h"}
LIMIT = {"history": 30, "stats": 10, "events": 50, "alerts": 30}
SILENT_MS = 200_000
"""A companion that listens confirms what it knows at least every minute; three times may fail."""


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """A command with its flags."""

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
        """How many entries at most."""
        return self.limit or LIMIT.get(self.command, 1)

    @property
    def is_narrow(self) -> bool:
        """Whether something was asked for that may fit nothing."""
        return any((self.since, self.until, self.user, self.title, self.library, self.kinds))


@dataclass(frozen=True, slots=True)
class Archive:
    """The database alone, at one moment."""

    cache: Cache
    state: State
    now_ms: int
    zone: tzinfo


@asynccontextmanager
async def open_archive(settings: Settings, *, demo: bool) -> AsyncIterator[Archive]:
    """The database of these settings, opened to be read.

    Raises:
        DatabaseOfAnotherServer: it belongs to another server than the one that is set.
        StartError: it is not there or cannot be used; the message says what to try.
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
            state = _find_unheard(state, now.at)
        yield Archive(cache, state, now.at, settings.zone)


def _find_unheard(state: State, now_ms: int) -> State:
    """Return the state as it was when Plex was last heard, and the connection as it has been since."""
    until = state.down_since
    if until is None:
        return replace(state, connection=Connection("offline", now_ms, detail="Nobody has listened to Plex yet."))
    detail = f"Nobody listens to Plex: it was last heard at {serialize.format_iso(until)}, and what happened since is not known."
    connection = replace(state.connection, state="offline", since_at=until, detail=detail)
    return replace(state, connection=connection, refreshed_at=until)


def _suggest_fix(settings: Settings, *, demo: bool) -> str:
    if demo:
        return "run plex-companion watch --demo for a while, so that there is something to ask about."
    if settings.database is None and settings.plex_url is None:
        return (
            "set PLEX_URL, whose database is asked, or name the file with --database; --demo asks the demo household's."
        )
    return "start plex-companion (serve or watch), which listens and writes it, or name another file with --database."


async def fetch_answers(archive: Archive, question: ReportQuery) -> list[Body]:
    """What is to be told: one answer, or for a picture of everything several.

    Raises:
        ToolError: as the tools do.
    """
    if question.command == "stats" and question.by is None:
        return [await fetch_answer(archive, replace(question, by=by)) for by in PICTURED]
    return [await fetch_answer(archive, question)]


async def fetch_answer(archive: Archive, question: ReportQuery) -> Body:
    """One answer, in the shape of its tool.

    Raises:
        ToolError: as the tool does.
    """
    return add_envelope(archive, await _fetch_body(archive, question))


async def _fetch_body(archive: Archive, question: ReportQuery) -> Body:
    since, until, now = question.since or SINCE.get(question.command), question.until, archive.now_ms
    match question.command:
        case "history":
            asked = {"user": question.user, "title": question.title, "library": question.library}
            return await list_plays(archive, question.most, since=since, until=until, **asked)
        case "stats":
            within = times.parse_window(since, until, now, archive.zone)
            return {"period": since, **await count_plays(archive, question.by or "user", within, question.most)}
        case "alerts":
            return await list_alerts(archive, question.most, since=since, until=until, kinds=question.kinds)
        case "events":
            return await _list_events(archive, question)
        case _:
            return await build_digest(archive, times.parse_window(since, until, now, archive.zone))


async def _list_events(archive: Archive, question: ReportQuery) -> Body:
    """The newest of the journal, oldest first."""
    within = times.parse_window(question.since, question.until, archive.now_ms, archive.zone)
    end, kept = await read_last_event_id(archive.cache), await read_retention_bounds(archive.cache)
    rows = await read_events_within(archive.cache, within, question.most, question.kinds)
    gap = question.since is not None and kept.events_pruned and within.since < (kept.events_at or within.until)
    told = [serialize.serialize_event(row) for row in reversed(rows)]
    return {"events": told, "count": len(told), "limit": question.most, "next_cursor": end, "gap": gap}
