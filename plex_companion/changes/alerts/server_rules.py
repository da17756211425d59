"""What is wrong, or new, with the server: the way to it, its libraries, its devices."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from plex_companion.changes.activities import SCAN
from plex_companion.changes.additions import summarize_titles
from plex_companion.changes.kinds import ActivityEnded, ClientSeen, LibraryItemChanged, ServerSeen
from plex_companion.events import (
    Disconnected,
    Event,
    Reachability,
    SessionsUnread,
    Snapshot,
    StatusNote,
    StorageReport,
    Tick,
    UpdateState,
)
from plex_companion.text import redact_personal

if TYPE_CHECKING:
    from plex_companion.changes.alerts.rules import Thresholds
    from plex_companion.changes.alerts.transitions import AlertTransitions
    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State
    from plex_companion.models import Activity, AlertKind, Client, LibraryChange, ServerIdentity

SERVER = "plex"
GAP_MS = 1_000
"""What is shorter is a hiccup that the snapshot has made good."""
READY_MS = 120_000
"""What a scan added is given so long to become ready."""
LINK: frozenset[AlertKind] = frozenset({"connection_lost", "unauthorized", "storage"})
"""Of the way to a server, whichever it is, and of our own."""


def evaluate_server_event(event: Event, before: State, book: AlertTransitions) -> None:  # noqa: C901 - one line per kind of event
    """What an event says of the server as a whole."""
    match event:
        case Disconnected(unauthorized=True, detail=detail):
            book.resolve("connection_lost", SERVER)
            book.open("unauthorized", SERVER, "Plex refuses the token: set a new PLEX_TOKEN", reason=detail)
        case Disconnected(detail=detail):
            book.open("connection_lost", SERVER, "Plex cannot be heard", reason=detail)
        case Snapshot(first=True):
            book.resolve("connection_lost", SERVER)
            book.resolve("unauthorized", SERVER)
            _record_gap(before, book)
        case Reachability(reachable=False):
            book.open("remote_access_lost", SERVER, "Plex is not reachable from outside the home")
        case Reachability(reachable=True):
            book.resolve("remote_access_lost", SERVER)
        case StatusNote(title=title, description=description, name=name):
            words = redact_personal(description) if description else None
            book.record("plex_status", name or SERVER, redact_personal(title or "Plex says"), description=words)
        case StorageReport(subject="database", words=words):
            book.record("storage", "database", words)
        case StorageReport(subject=part, ok=False, words=words):
            book.open("storage", part, words)
        case StorageReport(subject=part):
            book.resolve("storage", part)
        case UpdateState(version=str() as version, state=state):
            _check_update(version, state, before, book)
        case Tick():
            _record_finished_scans(None, before, book)
        case _:
            pass


def evaluate_reading(event: Event, before: State, book: AlertTransitions, limits: Thresholds) -> None:
    """Whether what plays can be read."""
    match event:
        case Snapshot(is_unreadable=True):
            unreadable = True
        case SessionsUnread():
            unreadable = before.connection.state == "live"
        case Tick():
            unreadable = before.sessions_unreadable
        case Snapshot() | Disconnected():
            book.clear_timer("sessions_unreadable", SERVER)
            return
        case _:
            return
    if unreadable and book.has_held_for("sessions_unreadable", SERVER, limits.unreadable_ms):
        reason = event.detail if isinstance(event, SessionsUnread | Snapshot) else before.connection.detail
        title = "What plays cannot be read: the list of sessions may be out of date"
        book.open("sessions_unreadable", SERVER, title, reason=reason)


def _record_gap(before: State, book: AlertTransitions) -> None:
    if before.down_since is not None and book.now.at - before.down_since >= GAP_MS:
        seconds = max(0, book.now.at - before.down_since) // 1000
        title = f"Plex was not heard for {seconds} s: what began and ended in between is unknown"
        book.record("listener_gap", SERVER, title, since_ms=before.down_since, until_ms=book.now.at)


def evaluate_server_change(change: Change, event: Event, before: State, book: AlertTransitions) -> None:
    """What a change says of the server."""
    match change:
        case ActivityEnded(activity=activity) if activity.type == SCAN:
            _record_scan(activity, before, book)
        case LibraryItemChanged(change=moved):
            _record_finished_scans(moved, before, book)
        case ClientSeen(client=client, new=True) if not _is_learning(event, before) and not _is_listed(client, before):
            _record_new_device(client, book)
        case ServerSeen(server=server):
            _check_server(server, before, book)
        case _:
            pass


def _check_server(server: ServerIdentity, before: State, book: AlertTransitions) -> None:
    another = before.server is not None and before.server.machine_identifier != server.machine_identifier
    for kind, subject in tuple(book.open_alerts):
        updated = kind == "update_available" and _parse_version(subject) <= _parse_version(server.version or "")
        if (another and kind not in LINK) or (updated and server.version):
            book.clear_timer(kind, subject)


def _check_update(version: str, state: str | None, before: State, book: AlertTransitions) -> None:
    """Unverified: only the state `done` with an empty version is on record; the other words are the specification's."""
    over = state in {"done", "skipped"}
    for kind, subject in tuple(book.open_alerts):
        if kind == "update_available" and (subject == version) == over:
            book.resolve(kind, subject)
    running = before.server.version if before.server else None
    if not over and running != version:
        book.open("update_available", version, f"Plex {version} is available", state=state, running=running)


def _parse_version(version: str) -> list[int]:
    """`1.43.3.10828-8a1d3a5b5` as numbers to compare."""
    return [int(number) for number in re.findall(r"\d{1,9}", version.partition("-")[0])]


def _is_learning(event: Event, before: State) -> bool:
    """Whether this server's players are only being learnt: until it has told once what plays and who is who."""
    known = before.server
    if known is None or not before.sessions_read or not before.accounts:
        return True
    seen = event.server if isinstance(event, Snapshot) else None
    return seen is not None and seen.machine_identifier != known.machine_identifier


def _is_listed(client: Client, before: State) -> bool:
    """Whether Plex has known the player for longer than we listen."""
    return any(device.client_identifier == client.client_identifier for device in before.devices)


def _record_new_device(client: Client, book: AlertTransitions) -> None:
    name = client.title or client.product or client.platform or "a player without a name"
    book.record(
        "new_device",
        client.client_identifier,
        f"A new device: {name}",
        client_identifier=client.client_identifier,
        name=client.title,
        product=client.product,
        platform=client.platform,
        device=client.device,
        local=client.local,
    )


def _record_scan(activity: Activity, before: State, book: AlertTransitions) -> None:
    """A scan has ended. What it added is named when it is ready; a further scan meanwhile is told with this one."""
    section = str(activity.context.get("librarySectionID") or "")
    if ("scan_finished", section) in book.open_alerts:
        return
    name = _find_library(section, before)
    arrivals = _collect_new_items(section, before)
    title, detail = _describe_scan(name, before.added_counts.get(section, 0), arrivals)
    if all(item.settled for item in arrivals):
        book.record("scan_finished", section, title, **detail)
    else:
        book.open_new("scan_finished", section, title, **detail)


def _record_finished_scans(moved: LibraryChange | None, before: State, book: AlertTransitions) -> None:
    """Scans whose additions are ready by now, or take too long."""
    for kind, section in tuple(book.open_alerts):
        if kind != "scan_finished" or (moved is not None and (moved.section_id or "") != section):
            continue
        arrivals = _collect_new_items(section, before, moved)
        if not arrivals:  # they went again, or another process saw them come
            book.clear_timer(kind, section)
        elif all(item.settled for item in arrivals) or (moved is None and book.has_held_for(kind, section, READY_MS)):
            title, detail = _describe_scan(
                _find_library(section, before), before.added_counts.get(section, 0), arrivals
            )
            book.clear_timer(kind, section, title=title, detail=detail)


def _find_library(section: str, before: State) -> str | None:
    return next((known.title for known in before.sections if known.section_id == section), None)


def _collect_new_items(section: str, before: State, moved: LibraryChange | None = None) -> list[LibraryChange]:
    """What came into a library since its last scan, as known once this change is taken over."""
    items = {item: new for item, new in before.new_items.items() if (new.section_id or "") == section}
    if moved is not None and moved.item_id in items:
        if moved.change == "created":
            items[moved.item_id] = moved
        elif moved.change == "deleted":
            del items[moved.item_id]
    return list(items.values())


def _describe_scan(library: str | None, added: int, arrivals: list[LibraryChange]) -> tuple[str, dict[str, object]]:
    title = f"Scan of {library or 'a library'} finished: {added} new"
    return title, {"library": library, "added": added, "titles": summarize_titles(arrivals)}
