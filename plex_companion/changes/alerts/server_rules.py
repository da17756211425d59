"""Rules about the server: the connection to it, its libraries, its devices."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, assert_never

from plex_companion.changes.activities import SCAN
from plex_companion.changes.additions import summarize_titles
from plex_companion.changes.alerts import rule_alerts
from plex_companion.changes.kinds import ActivityEnded, ClientSeen, LibraryItemChanged, ServerSeen
from plex_companion.events import (
    AccountUpdate,
    Acknowledged,
    ActivityReport,
    AlertKindMuted,
    Audit,
    BackgroundQueue,
    CataloguePage,
    Connecting,
    DeliveryReport,
    DigestBuilt,
    Disconnected,
    Event,
    HistoryPage,
    LogLine,
    Malformed,
    Playing,
    PlexTvUsersRead,
    Preference,
    Reachability,
    RuleReport,
    ScanProgress,
    SessionsUnread,
    Snapshot,
    StatusNote,
    StorageReport,
    SubscriptionReport,
    Tick,
    TimelineEntry,
    ToolTaskReport,
    TranscodeReport,
    Unknown,
    UpdateState,
)

if TYPE_CHECKING:
    from plex_companion.changes.alerts.rules import Thresholds
    from plex_companion.changes.alerts.transitions import AlertTransitions
    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State
    from plex_companion.models import Activity, AlertKind, Client, LibraryChange, ServerIdentity

SERVER = "plex"
GAP_MS = 1_000
"""A shorter gap is a hiccup that the snapshot has repaired."""
READY_MS = 120_000
"""How long the items that a scan added may take to become ready."""
LINK: frozenset[AlertKind] = frozenset({"connection_lost", "unauthorized", "storage", "rule_failed"})
"""Alerts about the connection, our own storage and our own rules, whichever server it is."""


def evaluate_server_event(event: Event, before: State, transitions: AlertTransitions) -> None:  # noqa: C901, PLR0912 - one line per kind of event
    """Evaluate what an event says about the server as a whole."""
    match event:
        case Playing() | TimelineEntry() | ActivityReport() | TranscodeReport() | LogLine() | Unknown() | Malformed():
            pass
        case Disconnected(duplicate=True):
            transitions.resolve("connection_lost", SERVER)
            transitions.resolve("unauthorized", SERVER)
        case Disconnected(unauthorized=True, detail=detail):
            transitions.resolve("connection_lost", SERVER)
            transitions.open("unauthorized", SERVER, "Plex rejects the token: set a new PLEX_TOKEN", reason=detail)
        case Disconnected(detail=detail):
            transitions.open("connection_lost", SERVER, "Can't reach Plex", reason=detail)
        case Snapshot(first=True):
            transitions.resolve("connection_lost", SERVER)
            transitions.resolve("unauthorized", SERVER)
            _record_gap(before, transitions)
        case Reachability(reachable=False):
            transitions.open("remote_access_lost", SERVER, "Plex can't be reached from outside your home")
        case Reachability():
            transitions.resolve("remote_access_lost", SERVER)
        case StorageReport(subject="database", words=words):
            transitions.record("storage", "database", words)
        case StorageReport(subject=part, ok=False, words=words):
            transitions.open("storage", part, words)
        case StorageReport(subject=part):
            transitions.resolve("storage", part)
        case UpdateState(version=str() as version, state=state):
            _check_update(version, state, before, transitions)
        case Tick():
            _record_finished_scans(None, before, transitions)
        case Connecting() | Snapshot() | SessionsUnread() | HistoryPage() | UpdateState():
            pass
        case BackgroundQueue() | ScanProgress() | Preference() | AccountUpdate() | StatusNote() | ToolTaskReport():
            pass
        case Audit() | Acknowledged() | AlertKindMuted() | PlexTvUsersRead() | DeliveryReport() | CataloguePage():
            pass
        case SubscriptionReport() | DigestBuilt():
            pass
        case RuleReport():
            rule_alerts.evaluate_rule_report(event, before, transitions)
        case _:
            assert_never(event)


def evaluate_reading(event: Event, before: State, transitions: AlertTransitions, limits: Thresholds) -> None:
    """Evaluate whether sessions can be read."""
    match event:
        case Snapshot(is_unreadable=True):
            unreadable = True
        case SessionsUnread():
            unreadable = before.connection.state == "live"
        case Tick():
            unreadable = before.sessions_unreadable
        case Snapshot() | Disconnected():
            transitions.clear_timer("sessions_unreadable", SERVER)
            return
        case _:
            return
    if unreadable and transitions.has_held_for("sessions_unreadable", SERVER, limits.unreadable_ms):
        reason = event.detail if isinstance(event, SessionsUnread | Snapshot) else before.connection.detail
        title = "Sessions cannot be read: the list of what is playing may be out of date"
        transitions.open("sessions_unreadable", SERVER, title, reason=reason)


def _record_gap(before: State, transitions: AlertTransitions) -> None:
    if before.down_since is not None and transitions.now.at - before.down_since >= GAP_MS:
        seconds = max(0, transitions.now.at - before.down_since) // 1000
        title = f"Plex could not be reached for {seconds} s: plays that began and ended in that time may be missing"
        transitions.record("listener_gap", SERVER, title, since_ms=before.down_since, until_ms=transitions.now.at)


def evaluate_server_change(change: Change, event: Event, before: State, transitions: AlertTransitions) -> None:
    """Evaluate what a change says about the server."""
    match change:
        case ActivityEnded(activity=activity) if activity.type == SCAN:
            _record_scan(activity, before, transitions)
        case LibraryItemChanged(change=library_change):
            _record_finished_scans(library_change, before, transitions)
        case ClientSeen(client=client, new=True) if not _is_first_contact(event, before) and not _is_listed(
            client, before
        ):
            _record_new_device(client, transitions)
        case ServerSeen(server=server):
            _check_server(server, before, transitions)
        case _:
            pass


def _check_server(server: ServerIdentity, before: State, transitions: AlertTransitions) -> None:
    another = before.server is not None and before.server.machine_identifier != server.machine_identifier
    for kind, subject in tuple(transitions.open_alerts):
        updated = kind == "update_available" and _parse_version(subject) <= _parse_version(server.version or "")
        if (another and kind not in LINK) or (updated and server.version):
            transitions.clear_timer(kind, subject)


def _check_update(version: str, state: str | None, before: State, transitions: AlertTransitions) -> None:
    """Open or resolve the alert about an update.

    Unverified: only the state `done` with an empty version is on record; the other words are the specification's.
    """
    over = state in {"done", "skipped"}
    for kind, subject in tuple(transitions.open_alerts):
        if kind == "update_available" and (subject == version) == over:
            transitions.resolve(kind, subject)
    running = before.server.version if before.server else None
    if not over and running != version:
        transitions.open("update_available", version, f"Plex {version} is available", state=state, running=running)


def _parse_version(version: str) -> list[int]:
    """Parse `1.43.3.10828-8a1d3a5b5` into numbers to compare."""
    return [int(number) for number in re.findall(r"\d{1,9}", version.partition("-")[0])]


def _is_first_contact(event: Event, before: State) -> bool:
    """Return whether this server's players are only now being learned, until it has listed its sessions and accounts."""
    if (known := before.server) is None or not before.sessions_read or not before.accounts:
        return True
    seen = event.server if isinstance(event, Snapshot) else None
    return seen is not None and seen.machine_identifier != known.machine_identifier


def _is_listed(client: Client, before: State) -> bool:
    """Return whether Plex has known the player for longer than the companion has."""
    return any(device.client_identifier == client.client_identifier for device in before.devices)


def _record_new_device(client: Client, transitions: AlertTransitions) -> None:
    name = client.title or client.product or client.platform or "a player without a name"
    transitions.record(
        "new_device",
        client.client_identifier,
        f"New device: {name}",
        client_identifier=client.client_identifier,
        name=client.title,
        product=client.product,
        platform=client.platform,
        device=client.device,
        local=client.local,
    )


def _record_scan(activity: Activity, before: State, transitions: AlertTransitions) -> None:
    """Open or record the alert of a finished scan that added something.

    Its items are named when they are ready. Another scan in the meantime is part of the same alert.
    """
    section = str(activity.context.get("librarySectionID") or "")
    added = before.added_counts.get(section, 0)
    if not added or ("scan_finished", section) in transitions.open_alerts:
        return
    new_items = _collect_new_items(section, before)
    title, detail = _describe_scan(_find_library(section, before), added, new_items)
    if all(item.settled for item in new_items):
        transitions.record("scan_finished", section, title, **detail)
    else:
        transitions.open_new("scan_finished", section, title, **detail)


def _record_finished_scans(library_change: LibraryChange | None, before: State, transitions: AlertTransitions) -> None:
    """Record the scans whose additions are ready by now, or take too long."""
    for kind, section in tuple(transitions.open_alerts):
        if kind != "scan_finished" or (library_change is not None and (library_change.section_id or "") != section):
            continue
        new_items = _collect_new_items(section, before, library_change)
        if not new_items:  # they were deleted, or added while another process led
            transitions.clear_timer(kind, section)
        elif all(item.settled for item in new_items) or (
            library_change is None and transitions.has_held_for(kind, section, READY_MS)
        ):
            title, detail = _describe_scan(
                _find_library(section, before), before.added_counts.get(section, 0), new_items
            )
            transitions.clear_timer(kind, section, title=title, detail=detail)


def _find_library(section: str, before: State) -> str | None:
    return next((known.title for known in before.sections if known.section_id == section), None)


def _collect_new_items(section: str, before: State, library_change: LibraryChange | None = None) -> list[LibraryChange]:
    """Return what was added to a library since its last scan, with this change applied."""
    items = {item: new for item, new in before.new_items.items() if (new.section_id or "") == section}
    if library_change is not None and library_change.item_id in items:
        if library_change.change == "created":
            items[library_change.item_id] = library_change
        elif library_change.change == "deleted":
            del items[library_change.item_id]
    return list(items.values())


def _describe_scan(library: str | None, added: int, new_items: list[LibraryChange]) -> tuple[str, dict[str, object]]:
    title = f"Scan of {library or 'a library'} finished: {added} new"
    return title, {"library": library, "added": added, "titles": summarize_titles(new_items)}
