"""What happened while somebody was away: plays, the libraries, alerts, and when nobody listened, in one answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.cache.queries.grouping import group_plays, pick_latest
from plex_companion.cache.queries.plays import HistoryStatus, read_history_status, read_overlapping_plays
from plex_companion.cache.queries.read import (
    RetentionBounds,
    count_alerts,
    read_connections_since,
    read_newest_alerts,
    read_retention_bounds,
)
from plex_companion.history.filters import list_users
from plex_companion.history.labels import add_labels
from plex_companion.history.library import list_bundles
from plex_companion.history.outages import find_outages, select_within
from plex_companion.history.play_pages import apply_current_names
from plex_companion.history.source import describe_import, find_server
from plex_companion.times import HOUR_MS, MINUTE_MS, SECOND_MS, Window
from plex_companion.zones import name_zone

if TYPE_CHECKING:
    from plex_companion.cache.queries.grouping import PlayGroup
    from plex_companion.history.filters import Names
    from plex_companion.history.source import HistorySource

SHOWN = 20
"""Entries of each list; the sums are of all."""
BLIND = ("listener_gap", "connection_lost", "unauthorized")
EVERY = 1_000_000


async def build_digest(memory: HistorySource, window: Window) -> dict[str, Any]:
    """Everything of a window in a few short lists, each with the number of all there are.

    Plays are those that began in it; the ones that went on into it from before are told apart. `notes` say what this
    cannot know: while nobody listened, before the journal reaches, while Plex's history is being imported.
    """
    known, kept = (
        await read_history_status(memory.cache, find_server(memory)),
        await read_retention_bounds(memory.cache),
    )
    moved = await list_bundles(memory, window, SHOWN)
    told = {
        "plays": await _digest_plays(memory, window),
        "additions": moved["new"],
        "upgrades": moved["upgraded"],
        "deletions": moved["deleted"],
        "alerts": await _digest_alerts(memory, window),
        "outages": await _digest_outages(memory, window, kept),
    }
    counts = {name: part["total"] if "total" in part else part["items"] for name, part in told.items()}
    return {
        "timezone": name_zone(memory.zone),
        "since": serialize.format_iso(window.since),
        "until": serialize.format_iso(window.until),
        "counts": {**counts, "refreshed": moved["refreshed"]},
        **told,
        "history": describe_import(known),
        "notes": _list_notes(memory, window, known, kept, told["outages"]["blind_ms"]),
    }


async def _digest_plays(memory: HistorySource, window: Window) -> dict[str, Any]:
    users = await list_users(memory)
    groups = await group_plays(memory.cache, window, by_user=True)
    every = pick_latest(groups)
    carried = await read_overlapping_plays(memory.cache, window, SHOWN)
    live = memory.state.connection.state == "live"
    playing = {session.play_id for session in memory.state.sessions.values()} if live else set()
    before = zip(carried, apply_current_names(memory, carried), strict=True)
    return {
        "total": sum(group.plays for group in groups),
        "timed": sum(group.timed for group in groups),
        "watched_ms": sum(group.watched_ms for group in groups),
        "entries": _distinguish([_describe_group(group, users) for group in every])[:SHOWN],
        "total_entries": len(every),
        "from_before": [{**play, "playing": row["id"] in playing} for row, play in before],
    }


def _describe_group(group: PlayGroup, users: Names) -> dict[str, Any]:
    return {
        "user": {"id": group.user_id, "name": users.get(group.user_id or "") or group.user_name},
        "title": group.name,
        "type": group.kind,
        "id": group.rating_key,
        "guid": group.guid,
        "year": group.year,
        "plays": group.plays,
        "timed": group.timed,
        "watched_ms": group.watched_ms,
        "last_title": group.last_title,
        "last_at": serialize.format_iso(group.last_at),
    }


def _distinguish(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries with labels: of what was played, where two have one title, and of users of one name."""
    works = {(entry["guid"] or entry["id"] or entry["title"]): entry for entry in entries}
    titles = {key: one["label"] for key, one in zip(works, add_labels(list(works.values()), "title"), strict=True)}
    people = list({entry["user"]["id"]: entry["user"] for entry in entries}.values())
    names = {user["id"]: user["label"] for user in add_labels(people)}
    return [
        {
            **entry,
            "label": titles[entry["guid"] or entry["id"] or entry["title"]],
            "user_label": names[entry["user"]["id"]],
        }
        for entry in entries
    ]


async def _digest_alerts(memory: HistorySource, window: Window) -> dict[str, Any]:
    found = await read_newest_alerts(memory.cache, SHOWN, window=window)
    total, still_open = await count_alerts(memory.cache, window)
    return {"total": total, "open": still_open, "entries": [serialize.serialize_alert(alert) for alert in found]}


async def _digest_outages(memory: HistorySource, window: Window, kept: RetentionBounds) -> dict[str, Any]:
    connections = await read_connections_since(memory.cache, window.since)
    since_before = Window(0, window.until)
    alerts = (
        await read_newest_alerts(memory.cache, EVERY, kinds=BLIND, window=since_before) if kept.events_pruned else []
    )
    down_since = None if memory.state.connection.state == "live" else memory.state.down_since
    every = find_outages(connections, alerts, down_since=down_since, journal_from=kept.events_at)
    found = select_within(every, window)
    entries = [
        {
            "since": serialize.format_iso(one.since),
            "until": serialize.format_iso(one.until),
            "blind_ms": one.measure_blind_ms(window),
        }
        for one in reversed(found)
    ]
    return {
        "total": len(found),
        "blind_ms": sum(one.measure_blind_ms(window) for one in found),
        "entries": entries[:SHOWN],
        "listening_since": None if kept.events_pruned else serialize.format_iso(kept.events_at),
    }


def _find_unknown_since(memory: HistorySource) -> str:
    heard = memory.state.refreshed_at
    if heard is None:
        return "what happened since the last report is not known."
    return f"it was last heard at {serialize.format_iso(heard)}, and what happened since is not known."


def _format_length(ms: int) -> str:
    unit, name = (HOUR_MS, "h") if ms >= HOUR_MS else (MINUTE_MS, "min") if ms >= MINUTE_MS else (SECOND_MS, "s")
    return f"{ms / unit:.1f} {name}"


def _list_notes(
    memory: HistorySource, window: Window, known: HistoryStatus, kept: RetentionBounds, blind_ms: int
) -> list[str]:
    notes = []
    if memory.state.connection.state != "live":
        notes.append(f"Plex is not heard now: {_find_unknown_since(memory)}")
    if blind_ms:
        notes.append(
            f"Nobody listened for {_format_length(blind_ms)} of this time: see outages. What was played meanwhile is told "
            "only as far as Plex's history had it afterwards."
        )
    if kept.events_at is None:
        notes.append("Nothing was heard of Plex so far.")
    elif window.since < kept.events_at and not kept.events_pruned:
        notes.append(
            f"Nobody listened before {serialize.format_iso(kept.events_at)}: of the time before, only Plex's history tells."
        )
    if kept.events_pruned and window.since < (kept.events_at or window.until):
        notes.append(
            f"The journal reaches back to {serialize.format_iso(kept.events_at)}: outages before are known from alerts only."
        )
    if kept.library_pruned and window.since < (kept.library_at or window.until):
        notes.append(
            f"Library changes reach back to {serialize.format_iso(kept.library_at)}: older ones are no longer kept."
        )
    if not known.complete:
        notes.append("Plex's own history is not imported completely yet: plays may be missing.")
    return notes
