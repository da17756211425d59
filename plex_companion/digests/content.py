"""What the weekly digest tells: new titles, what was watched, and open alerts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plex_companion.cache.queries.servers import list_server_names
from plex_companion.history.digest import read_digest_notes
from plex_companion.history.play_counts import count_plays
from plex_companion.occurrences.reading import read_cursor_before, read_occurrences
from plex_companion.text import clean
from plex_companion.wording import localize_times

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from plex_companion.history.source import HistorySource
    from plex_companion.serialize import Json
    from plex_companion.times import Window

SHOWN = 30
"""The most new titles that are named."""
TOP = 5
"""The most watched titles, and the users who watched most."""
_PAGE = 500


@dataclass(frozen=True, slots=True)
class NewTitle:
    """A film, season, album or the like that was added."""

    title: str
    library: str | None
    items: int
    """How many episodes, tracks or the like were added of it."""
    kind: str | None
    resolution: str | None
    server: str | None
    server_name: str | None
    rating_key: str | None


@dataclass(frozen=True, slots=True)
class WatchedRow:
    """A title or a user, with plays and the time watched."""

    name: str
    plays: int
    watched_ms: int


@dataclass(frozen=True, slots=True)
class OpenAlert:
    """An alert whose cause is still there."""

    title: str
    since: int
    """In milliseconds since 1970."""
    server_name: str | None


@dataclass(frozen=True, slots=True)
class DigestContent:
    """What happened in a window."""

    window: Window
    servers: Sequence[str]
    """The names of the servers that it is about."""
    new: Sequence[NewTitle]
    total_new: int
    plays: int
    watched_ms: int
    titles: Sequence[WatchedRow]
    users: Sequence[WatchedRow]
    alerts: Sequence[OpenAlert]
    notes: Sequence[str]
    """What it cannot know, as sentences."""


async def read_digest(source: HistorySource, window: Window) -> DigestContent:
    """Read the digest of a window. Plex is not asked."""
    several = len(await list_server_names(source.cache)) > 1
    new = [_describe_addition(row["data"], several=several) async for row in _read_additions(source, window)]
    titles = await count_plays(source, "title", window, TOP)
    users = await count_plays(source, "user", window, TOP)
    return DigestContent(
        window=window,
        servers=[clean(state.server.name or "Plex") for state in source.states if state.server],
        new=new[:SHOWN],
        total_new=len(new),
        plays=titles["plays"],
        watched_ms=titles["watched_ms"],
        titles=_list_watched(titles),
        users=_list_watched(users),
        alerts=list(_list_open_alerts(source, several=several)),
        notes=[_read_note(note, source) for note in await read_digest_notes(source, window)],
    )


def _read_note(note: str, source: HistorySource) -> str:
    """Return a note in the words of a message, which has no list of outages, with the times of the household's clock."""
    return localize_times(note.replace(" (see outages)", ""), source.zone)


async def _read_additions(source: HistorySource, window: Window) -> AsyncIterator[Json]:
    """Yield the additions that were recorded in a window, oldest first."""
    cursor = await read_cursor_before(source.cache, window.since or 0)
    while True:
        page = await read_occurrences(source.cache, cursor, ["media.added"], _PAGE, source.only_server)
        for row in page.occurrences:
            yield row
        if len(page.occurrences) < _PAGE:
            return
        cursor = page.next_cursor


def _describe_addition(data: Json, *, several: bool) -> NewTitle:
    first = data["items"][0]
    return NewTitle(
        title=clean(_name_addition(data, first)),
        library=data["library"],
        items=data["count"],
        kind=data["type"],
        resolution=data["resolution"],
        server=data["server"],
        server_name=data["server_name"] if several else None,
        rating_key=first["rating_key"],
    )


def _name_addition(data: Json, first: Json) -> str:
    title = data["title"] or "Something without a title"
    if data["type"] == "episode" and first["show"] and first["show"] not in title:
        title = f"{first['show']} - {title}"
    if data["type"] in {"movie", "album"} and first["year"]:
        title = f"{title} ({first['year']})"
    return str(title)


def _list_watched(counted: dict[str, Any]) -> list[WatchedRow]:
    return [
        WatchedRow(clean(entry.get("label") or entry["name"] or "Somebody"), entry["plays"], entry["watched_ms"])
        for entry in counted["entries"]
    ]


def _list_open_alerts(source: HistorySource, *, several: bool) -> Iterator[OpenAlert]:
    for state in source.states:
        server = clean(state.server.name or "") if several and state.server else None
        for alert in sorted(state.alerts.values(), key=lambda one: one.at):
            yield OpenAlert(clean(alert.title), alert.at, server)
