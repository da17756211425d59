"""A digest of a period in one answer: plays, library changes, alerts and outages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.cache.queries.grouping import LOCAL, group_plays, pick_latest
from plex_companion.cache.queries.plays import HistoryStatus, read_history_status, read_overlapping_plays
from plex_companion.cache.queries.read import (
    RetentionBounds,
    count_alerts,
    read_connections_since,
    read_newest_alerts,
    read_retention_bounds,
)
from plex_companion.cache.queries.servers import list_server_names
from plex_companion.history.alert_pages import serialize_alerts
from plex_companion.history.filters import list_users
from plex_companion.history.labels import add_labels
from plex_companion.history.library import list_bundles
from plex_companion.history.outages import find_outages, select_overlapping
from plex_companion.history.play_pages import apply_current_names
from plex_companion.history.scope import read_people
from plex_companion.history.source import describe_import, describe_server, list_servers
from plex_companion.times import HOUR_MS, MINUTE_MS, SECOND_MS, Window
from plex_companion.zones import name_zone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plex_companion.cache.queries.grouping import PlayGroup
    from plex_companion.cache.queries.servers import ServerNames
    from plex_companion.changes.state import State
    from plex_companion.history.filters import Names
    from plex_companion.history.outages import Outage
    from plex_companion.history.source import HistorySource
    from plex_companion.models import Alert

SHOWN = 20
"""The most entries of each list. The sums count all entries."""
BLIND = ("listener_gap", "connection_lost", "unauthorized")
EVERY = 1_000_000


async def build_digest(source: HistorySource, window: Window) -> dict[str, Any]:
    """Return a digest of a window: short lists, each with the total number of entries.

    `plays` holds plays that began in the window; those that began earlier and continued into it are in `from_before`.
    `notes` name what the digest cannot know: during outages, before the start of the journal, and while the import of Plex's
    history is unfinished.
    """
    known, kept = (
        await read_history_status(source.cache, list_servers(source)),
        await read_retention_bounds(source.cache),
    )
    servers = await list_server_names(source.cache)
    changes = await list_bundles(source, window, SHOWN, servers)
    sections = {
        "plays": await _digest_plays(source, window, servers),
        "additions": changes["new"],
        "upgrades": changes["upgraded"],
        "deletions": changes["deleted"],
        "alerts": await _digest_alerts(source, window),
        "outages": await _digest_outages(source, window, kept, servers),
    }
    counts = {name: part["total"] if "total" in part else part["items"] for name, part in sections.items()}
    return {
        "timezone": name_zone(source.zone),
        "since": serialize.format_iso(window.since),
        "until": serialize.format_iso(window.until),
        "counts": {**counts, "refreshed": changes["refreshed"]},
        **sections,
        "history": describe_import(known),
        "notes": _list_notes(source, window, known, kept, sections["outages"]["blind_ms"]),
    }


async def read_digest_notes(source: HistorySource, window: Window) -> list[str]:
    """Return the notes of `build_digest` without reading its lists."""
    known, kept = (
        await read_history_status(source.cache, list_servers(source)),
        await read_retention_bounds(source.cache),
    )
    outages = await _digest_outages(source, window, kept, await list_server_names(source.cache))
    return _list_notes(source, window, known, kept, outages["blind_ms"])


async def _digest_plays(source: HistorySource, window: Window, servers: ServerNames) -> dict[str, Any]:
    only = source.only_server
    people = await read_people(source) if len(servers) > 1 else None
    users = {one.id: one.name for one in people.persons} if people else await list_users(source)
    find_person = people.find_person if people else None
    groups = await group_plays(source.cache, window, by_user=True, server=only, find_person=find_person)
    every = pick_latest(groups)
    overlapping = await read_overlapping_plays(source.cache, window, SHOWN, only)
    live = [state for state in source.states if state.connection.state == "live"]
    playing = {session.play_id for state in live for session in state.sessions.values()}
    before = zip(overlapping, apply_current_names(source, overlapping, servers), strict=True)
    where = servers if len(servers) > 1 else None
    return {
        "total": sum(group.plays for group in groups),
        "timed": sum(group.timed for group in groups),
        "watched_ms": sum(group.watched_ms for group in groups),
        "estimated_ms": sum(group.estimated_ms for group in groups),
        "entries": _distinguish([_describe_group(group, users, where) for group in every])[:SHOWN],
        "total_entries": len(every),
        "from_before": [{**play, "playing": row["id"] in playing} for row, play in before],
    }


def _describe_group(group: PlayGroup, users: Names, servers: ServerNames | None) -> dict[str, Any]:
    return {
        **(describe_server(group.server, servers) if servers else {}),
        "user": {"id": group.user_id, "name": users.get(group.user_id or "") or group.user_name},
        "title": group.name,
        "type": group.kind,
        "id": group.rating_key,
        "guid": group.guid,
        "year": group.year,
        "plays": group.plays,
        "timed": group.timed,
        "watched_ms": group.watched_ms,
        "estimated_ms": group.estimated_ms,
        "last_title": group.last_title,
        "last_at": serialize.format_iso(group.last_at),
    }


def _distinguish(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Add labels to the entries that tell apart different titles of one name, and different users of one name."""
    works = {_identify_work(entry): entry for entry in entries}
    titles = {key: one["label"] for key, one in zip(works, add_labels(list(works.values()), "title"), strict=True)}
    people = list({entry["user"]["id"]: entry["user"] for entry in entries}.values())
    names = {user["id"]: user["label"] for user in add_labels(people)}
    return [
        {
            **entry,
            "label": titles[_identify_work(entry)],
            "user_label": names[entry["user"]["id"]],
        }
        for entry in entries
    ]


def _identify_work(entry: dict[str, Any]) -> tuple[str | None, ...]:
    """Return what tells works apart: the guid, else the id on the server, else the title."""
    if entry["guid"] and not entry["guid"].startswith(LOCAL):
        return (entry["guid"],)
    return (entry.get("server"), entry["guid"] or entry["id"] or entry["title"])


async def _digest_alerts(source: HistorySource, window: Window) -> dict[str, Any]:
    found = await read_newest_alerts(source.cache, SHOWN, window=window, server=source.only_server)
    total, still_open = await count_alerts(source.cache, window, source.only_server)
    return {"total": total, "open": still_open, "entries": await serialize_alerts(source, found)}


async def _digest_outages(
    source: HistorySource, window: Window, kept: RetentionBounds, servers: ServerNames
) -> dict[str, Any]:
    states = source.states
    entries: list[dict[str, Any]] = []
    for state in states:
        known = state.server.machine_identifier if state.server else ""
        only = known if len(states) > 1 else source.only_server
        where = describe_server(only, servers) if only and len(servers) > 1 else {}
        found = await _find_outages(source, state, only, window, kept)
        entries += [{**_describe_outage(one, window), **where} for one in reversed(found)]
    return {
        "total": len(entries),
        "blind_ms": sum(one["blind_ms"] for one in entries),
        "entries": sorted(entries, key=lambda one: one["since"] or "", reverse=True)[:SHOWN],
        "listening_since": None if kept.events_pruned else serialize.format_iso(kept.events_at),
    }


async def _find_outages(
    source: HistorySource, state: State, server: str | None, window: Window, kept: RetentionBounds
) -> list[Outage]:
    connections = await read_connections_since(source.cache, window.since, server)
    alerts: list[Alert] = []
    if kept.events_pruned:
        since_before = Window(0, window.until)
        alerts = await read_newest_alerts(source.cache, EVERY, kinds=BLIND, window=since_before, server=server)
    down_since = None if state.connection.state == "live" else state.down_since
    every = find_outages(connections, alerts, down_since=down_since, journal_from=kept.events_at)
    return select_overlapping(every, window)


def _describe_outage(outage: Outage, window: Window) -> dict[str, Any]:
    return {
        "since": serialize.format_iso(outage.since),
        "until": serialize.format_iso(outage.until),
        "blind_ms": outage.measure_blind_ms(window),
    }


def _list_disconnected(source: HistorySource) -> Iterator[str]:
    """Yield a note for every server that is not connected."""
    for state in source.states:
        if state.connection.state != "live":
            name = state.server.name if state.server and len(source.states) > 1 else None
            yield f"{name or 'Plex'} is disconnected: {_explain_unknown_since(state)}"


def _explain_unknown_since(state: State) -> str:
    last_at = state.refreshed_at
    if last_at is None:
        return "anything since the last report is unknown."
    return f"it was last heard from at {serialize.format_iso(last_at)}, and anything since then is unknown."


def _format_length(ms: int) -> str:
    unit, name = (HOUR_MS, "h") if ms >= HOUR_MS else (MINUTE_MS, "min") if ms >= MINUTE_MS else (SECOND_MS, "s")
    return f"{ms / unit:.1f} {name}"


def _list_notes(
    source: HistorySource, window: Window, known: HistoryStatus, kept: RetentionBounds, blind_ms: int
) -> list[str]:
    notes = [*_list_disconnected(source)]
    if blind_ms:
        who = "Plex was" if len(source.states) == 1 else "The servers together were"
        notes.append(
            f"{who} disconnected for {_format_length(blind_ms)} of this time (see outages). Plays during an outage are "
            "included only if Plex's own history recorded them."
        )
    if kept.events_at is None:
        notes.append("Plex has sent nothing so far.")
    elif window.since < kept.events_at and not kept.events_pruned:
        notes.append(
            f"plex-companion first listened at {serialize.format_iso(kept.events_at)}; earlier plays come only from Plex's "
            "own history."
        )
    if kept.events_pruned and window.since < (kept.events_at or window.until):
        notes.append(
            f"The journal goes back to {serialize.format_iso(kept.events_at)}; earlier outages are known only from alerts."
        )
    if kept.library_pruned and window.since < (kept.library_at or window.until):
        notes.append(
            f"Library changes go back to {serialize.format_iso(kept.library_at)}; older ones are no longer kept."
        )
    if not known.complete:
        notes.append("The import of Plex's own history is not finished: plays may be missing.")
    return notes
