"""The queries of the reports: they read the database and answer in the shapes of the tools."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from plex_companion import serialize, times
from plex_companion.cache.queries.read import read_events_within, read_last_event_id, read_retention_bounds
from plex_companion.cache.queries.servers import list_server_names
from plex_companion.commands.reports.catalogue_queries import CATALOGUE_COMMANDS, fetch_catalogue_body
from plex_companion.history.alert_pages import list_alerts
from plex_companion.history.digest import build_digest
from plex_companion.history.play_counts import count_plays
from plex_companion.history.play_pages import PlayQuery, list_plays
from plex_companion.history.source import add_envelope, describe_server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.cache.queries.counts import By
    from plex_companion.commands.reports.archive import Archive

Body = dict[str, Any]
CHARTED: tuple[By, ...] = ("day", "hour", "user", "title")
"""The charts of `stats` without `--by`."""
WEEK = "7d"
SINCE = {"stats": "30d", "digest": "24h"}
LIMIT = {
    "history": 30,
    "stats": 10,
    "events": 50,
    "alerts": 30,
    "search": 30,
    "storage": 30,
    "neglected": 30,
    "recommend": 10,
}


@dataclass(frozen=True, slots=True)
class ReportQuery:
    """A report command with its flags."""

    command: str
    since: str | None = None
    until: str | None = None
    user: str | None = None
    title: str | None = None
    library: str | None = None
    by: str | None = None
    kinds: Sequence[str] | None = None
    limit: int | None = None
    text: str | None = None
    type: str | None = None
    genre: str | None = None
    person: str | None = None
    resolution: str | None = None
    unwatched_by: str | None = None
    max_minutes: float | None = None
    sort: str | None = None
    days: int = 365
    play: str | None = None
    server: str | None = None
    message: str | None = None
    """`text` or `html`: the weekly message in place of the digest."""

    @property
    def most(self) -> int:
        """The most entries to show."""
        return self.limit or LIMIT.get(self.command, 1)

    @property
    def is_narrow(self) -> bool:
        """Whether a filter is set, which may be why nothing matches."""
        return any((self.since, self.until, self.user, self.title, self.library, self.kinds, self.server))


async def fetch_answers(archive: Archive, query: ReportQuery) -> list[Body]:
    """Return the answers to a command: one, or for `stats` without `--by` one for each chart.

    Raises:
        ToolError: as the matching tool does.
    """
    if query.command == "stats" and query.by is None:
        return [await fetch_answer(archive, replace(query, by=by)) for by in CHARTED]
    return [await fetch_answer(archive, query)]


async def fetch_answer(archive: Archive, query: ReportQuery) -> Body:
    """Return one answer, in the shape of the matching tool, or raise what that tool raises."""
    return add_envelope(archive, await _fetch_body(archive, query))


async def _fetch_body(archive: Archive, query: ReportQuery) -> Body:
    since, until, now = query.since or SINCE.get(query.command), query.until, archive.now_ms
    match query.command:
        case "history":
            asked = PlayQuery(query.user, query.title, query.library, since, until)
            return await list_plays(archive, query.most, asked)
        case "stats":
            within = times.parse_window(since, until, now, archive.zone)
            return {"period": since, **await count_plays(archive, cast("By", query.by or "user"), within, query.most)}
        case command if command in CATALOGUE_COMMANDS:
            return await fetch_catalogue_body(archive, query)
        case "alerts":
            return await list_alerts(archive, query.most, since=since, until=until, kinds=query.kinds)
        case "events":
            return await _list_events(archive, query)
        case _:
            return await build_digest(archive, times.parse_window(since, until, now, archive.zone))


async def fetch_message(archive: Archive, query: ReportQuery) -> str:
    """Return the weekly message as text with its title above, or as HTML.

    Raises:
        Invalid: a time cannot be understood.
    """
    from plex_companion.digests.message import read_digest_message  # noqa: PLC0415 - its templates take long to import

    since = query.since or WEEK
    message = await read_digest_message(archive, times.parse_window(since, query.until, archive.now_ms, archive.zone))
    return f"{message.html}\n" if query.message == "html" else f"{message.title}\n\n{message.text}\n"


async def _list_events(archive: Archive, query: ReportQuery) -> Body:
    """Return the newest journal events, oldest first."""
    within = times.parse_window(query.since, query.until, archive.now_ms, archive.zone)
    end, kept = await read_last_event_id(archive.cache), await read_retention_bounds(archive.cache)
    rows = await read_events_within(archive.cache, within, query.most, query.kinds, archive.only_server)
    names = await list_server_names(archive.cache)
    gap = query.since is not None and kept.events_pruned and within.since < (kept.events_at or within.until)
    events = [serialize.serialize_event(row) | describe_server(row["server"], names) for row in reversed(rows)]
    return {"events": events, "count": len(events), "limit": query.most, "next_cursor": end, "gap": gap}
