"""Derives the changes that an event means; `changes_for` alters nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from msgspec.structs import replace

from plex_companion.changes import (
    activities,
    catalogue_page,
    history_page,
    library,
    rule_reports,
    sessions,
    subscriptions,
)
from plex_companion.changes.alerts.evaluate import evaluate_alerts
from plex_companion.changes.alerts.rules import Thresholds
from plex_companion.changes.deliveries import queue_digest
from plex_companion.changes.journal import journal_event
from plex_companion.changes.kinds import (
    AccountsSeen,
    AlertMuteChanged,
    Change,
    ClientSeen,
    ConnectionChanged,
    DeliveryChanged,
    DevicesSeen,
    Effect,
    PlexTvUsersSeen,
    ReadabilityChanged,
    RefreshRequest,
    SectionsSeen,
    ServerSeen,
    SessionEnded,
    SessionStarted,
    StateConfirmed,
)
from plex_companion.changes.play_events import derive_play_events
from plex_companion.changes.progress import derive_progress
from plex_companion.changes.state import State, advance
from plex_companion.changes.tool_tasks import derive_task_changes
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
from plex_companion.models import Connection

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.models import Client, LinkState, Moment


DEFAULT_THRESHOLDS = Thresholds()


def changes_for(event: Event, before: State, now: Moment, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> list[Effect]:
    """Return the changes that an event means, given what was known, then the orders to read more from Plex.

    Pure: nothing is altered. An empty list means that the event says nothing new.
    """
    if isinstance(event, Snapshot) and not _is_current(event, before):
        return []
    progress = derive_progress(event, before, now, thresholds)
    if progress is not None:
        row = journal_event(event, before, now)
        return [row, *progress] if row else [*progress]
    return apply_rules(event, before, now, thresholds)


def apply_rules(event: Event, before: State, now: Moment, thresholds: Thresholds) -> list[Effect]:
    """Apply every rule there is to an event."""
    effects = _derive_effects(event, before, now)
    requests = [effect for effect in effects if isinstance(effect, RefreshRequest)]
    changes = [effect for effect in effects if not isinstance(effect, RefreshRequest)]
    row = journal_event(event, before, now)
    play_events = derive_play_events(changes, before, now)
    alerts = evaluate_alerts(event, changes, before, now, thresholds)
    tasks = derive_task_changes(event, changes, before, now)
    if any(isinstance(change, SessionEnded) for change in changes):
        requests.append(RefreshRequest("history"))
    return [*([row] if row else []), *changes, *play_events, *alerts, *tasks, *requests]


def _derive_effects(event: Event, before: State, now: Moment) -> list[Effect]:  # noqa: C901, PLR0911, PLR0912 - one line per kind of event
    match event:
        case Playing():
            return sessions.handle_playing(event, before, now)
        case TranscodeReport():
            return [*sessions.handle_transcode(event, before)]
        case ActivityReport():
            return activities.handle_activity(event, before, now)
        case TimelineEntry():
            return library.handle_timeline(event, before, now)
        case Snapshot():
            return _handle_snapshot(event, before, now)
        case SessionsUnread(detail=detail):
            return [*_handle_unread(detail, before, now)]
        case HistoryPage():
            return [*history_page.handle_history_page(event, before)]
        case CataloguePage():
            return [*catalogue_page.handle_catalogue_page(event, before)]
        case Tick():
            return [*sessions.handle_tick(before, now), *subscriptions.expire_subscriptions(before, now)]
        case Connecting():
            return [*_change_connection(before, now, "connecting", None)]
        case Disconnected():
            return [*_handle_disconnect(event, before, now), *sessions.mark_stale(before)]
        case DigestBuilt():
            return [*queue_digest(event, before, now)]
        case DeliveryReport(deliveries=deliveries):
            return [DeliveryChanged(delivery) for delivery in deliveries]
        case SubscriptionReport():
            return [*subscriptions.handle_report(event, before)]
        case RuleReport():
            return [*rule_reports.handle_rule_report(event, before, now)]
        case PlexTvUsersRead(users=users):
            new_users = tuple(user for user in users if user not in before.plex_tv_users)
            return [PlexTvUsersSeen(new_users)] if new_users else []
        case AlertKindMuted(kind=kind, muted=muted):
            return [] if (kind in before.muted_kinds) == muted else [AlertMuteChanged(kind, muted, now.at)]
        case AccountUpdate():
            return [RefreshRequest("library")]
        case StatusNote() | BackgroundQueue() | Reachability() | UpdateState() | ScanProgress() | Preference():
            return []  # journaled, and some raise alerts
        case LogLine() | Unknown() | Malformed() | Audit() | Acknowledged() | StorageReport() | ToolTaskReport():
            return []  # the same, or our own doing
        case _:
            assert_never(event)


def _is_current(event: Snapshot, before: State) -> bool:
    """Return whether a snapshot is of the current connection. Only the first of a new connection may be ahead."""
    return event.first or event.epoch == before.connection.epoch


def _change_connection(before: State, now: Moment, state: LinkState, detail: str | None) -> list[Change]:
    known = before.connection
    if (known.state, known.detail) == (state, detail):
        return []
    since = known.since_at if known.state == state else now.at
    return [ConnectionChanged(replace(known, state=state, since_at=since, detail=detail))]


def _handle_disconnect(event: Disconnected, before: State, now: Moment) -> list[Change]:
    if event.unauthorized:
        return _change_connection(before, now, "unauthorized", event.detail)
    if event.duplicate:
        return _change_connection(before, now, "down", event.detail)
    never_connected = before.refreshed_at is None
    return _change_connection(before, now, "offline" if never_connected else "down", event.detail)


def _handle_snapshot(event: Snapshot, before: State, now: Moment) -> list[Effect]:
    """Derive what differs from the state. If another server answers, all sessions end before anything else is compared."""
    changes: list[Effect] = []
    if event.server is not None and _is_another_server(event, before):
        replaced = [*sessions.end_all(before), ServerSeen(event.server)]
        changes += replaced
        before = _apply_changes(before, replaced)
    elif event.server is not None and event.server != before.server:
        changes.append(ServerSeen(event.server))
    live = Connection("live", now.at, event.epoch, event.detail)
    if not event.first:
        live = replace(before.connection, detail=event.detail)
    if live != before.connection:
        changes.append(ConnectionChanged(live))
    if event.is_unreadable != before.sessions_unreadable:
        changes.append(ReadabilityChanged(event.is_unreadable))
    if event.is_unreadable:
        changes += sessions.mark_stale(before)
    changes += sessions.handle_session_snapshot(event, before, now)
    changes += activities.handle_activity_snapshot(event, before, now)
    if event.sections is not None and event.sections != before.sections:
        changes.append(SectionsSeen(event.sections))
    if event.accounts is not None and event.accounts != before.accounts:
        changes.append(AccountsSeen(event.accounts))
    if event.devices is not None and event.devices != before.devices:
        changes.append(DevicesSeen(event.devices))
    changes += _derive_clients(event.clients or (), changes, before, now)
    sessions_read = None if event.sessions is None and not event.first else event.sessions is not None
    first_snapshot_tick = now.tick if event.first and event.sessions is not None else None
    return [*changes, StateConfirmed(now.at, sessions_read, first_snapshot_tick)]


def _handle_unread(detail: str, before: State, now: Moment) -> list[Change]:
    """Mark sessions as stale: events still arrive, but nothing confirms which sessions play."""
    if before.connection.state != "live":
        return []
    changed: list[Change] = [] if before.sessions_unreadable else [ReadabilityChanged(unreadable=True)]
    return [*_change_connection(before, now, "live", detail), *changed, *sessions.mark_stale(before)]


def _is_another_server(event: Snapshot, before: State) -> bool:
    """Return whether another machine answers at the address, so that nothing known is of that server."""
    known, seen = before.server, event.server
    return known is not None and seen is not None and known.machine_identifier != seen.machine_identifier


def _apply_changes(before: State, changes: list[Change]) -> State:
    state = before.copy()
    for change in changes:
        advance(state, change)
    return state


def _derive_clients(listed: tuple[Client, ...], changes: Iterable[Effect], before: State, now: Moment) -> list[Change]:
    """Return the clients that announce themselves in `/clients` and changed; a session on a client knows it better."""
    playing = {change.client_identifier for change in changes if isinstance(change, SessionStarted | ClientSeen)}
    seen: list[Change] = []
    for client in listed:
        known = before.clients.get(client.client_identifier)
        if client.client_identifier in playing:
            continue
        first = known.first_seen_at if known else now.at
        fresh = replace(client, first_seen_at=first, last_seen_at=known.last_seen_at if known else now.at)
        if fresh != known:
            seen.append(ClientSeen(replace(fresh, last_seen_at=now.at), new=known is None))
    return seen
