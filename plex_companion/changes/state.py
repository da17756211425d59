"""The live state, and how a change alters it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar, assert_never

from plex_companion.changes.kinds import (
    AccountsSeen,
    ActivityChanged,
    ActivityEnded,
    AlertAcknowledged,
    AlertOpened,
    AlertReopened,
    AlertResolved,
    ClientSeen,
    ConditionSeen,
    ConnectionChanged,
    DeliveryChanged,
    DevicesSeen,
    HistoryPageWritten,
    HistoryProgressed,
    Journaled,
    LibraryItemChanged,
    PlayEventRecorded,
    PlaysImported,
    PlaysRepeated,
    PlexTvUsersSeen,
    ReadabilityChanged,
    SectionsSeen,
    ServerSeen,
    SessionChanged,
    SessionEnded,
    SessionStarted,
    StateConfirmed,
    TranscodeSeen,
)
from plex_companion.models import (
    Account,
    Activity,
    Alert,
    AlertKind,
    Client,
    Connection,
    Delivery,
    Device,
    History,
    LibraryChange,
    PlexTvUser,
    Section,
    ServerIdentity,
    Session,
    Timeline,
    Transcode,
)

if TYPE_CHECKING:
    from plex_companion.changes.kinds import Change

K = TypeVar("K")
V = TypeVar("V")

OUR_OWN = frozenset({"connection", "audit", "acknowledged", "storage"})
"""Types of journal rows that do not come from Plex."""
RECENT = 100
"""How many library changes are kept in memory."""
BUFFERING_MS = 5 * 60_000
"""How long a buffering of a session counts."""
REMEMBERED = 256
"""How many ended sessions, unclaimed transcode sessions, unsettled items and resolved alerts are remembered."""
MOST = 2_000
"""How many sessions, activities and clients are kept: more than any household has."""
MOST_HISTORY_KEYS = 4_096
"""How many rows of Plex's history are remembered: more than a day has."""
MOST_NEW_ITEMS = 2_000
"""How many new items are remembered by name until the scan that found them has ended."""
CONTAINERS = frozenset({"show", "season", "artist", "album", "photoalbum", "collection", "playlist", "playlistfolder"})
"""Types of items that contain the items that are counted."""


@dataclass(frozen=True, slots=True)
class RecentlyResolved:
    """A resolved alert, and the tick at which it was resolved."""

    alert: Alert
    tick: int


@dataclass(slots=True)
class State:
    """Everything live. Readers hold a committed state; ingest alters a copy and publishes it after the commit."""

    connection: Connection
    server: ServerIdentity | None = None
    sessions: dict[str, Session] = field(default_factory=dict)
    """By session key. A key of an earlier connection stays until a snapshot has confirmed or ended it."""
    ended: dict[str, Session] = field(default_factory=dict)
    """By session key: sessions that ended recently. Late and repeated stops of them mean nothing, and Plex may still
    list them for a while.
    """
    transcodes: dict[str, Transcode] = field(default_factory=dict)
    """By bare key: transcode sessions report before a session names them."""
    timelines: dict[str, Timeline] = field(default_factory=dict)
    """The last known position of clients without a session."""
    clients: dict[str, Client] = field(default_factory=dict)
    activities: dict[str, Activity] = field(default_factory=dict)
    unsettled: dict[str, LibraryChange] = field(default_factory=dict)
    """By item: changes that Plex has not finished processing."""
    recent: deque[LibraryChange] = field(default_factory=lambda: deque(maxlen=RECENT))
    """Newest last, one entry per change."""
    alerts: dict[tuple[AlertKind, str], Alert] = field(default_factory=dict)
    """The open alerts, by kind and subject."""
    recently_resolved: dict[tuple[AlertKind, str], RecentlyResolved] = field(default_factory=dict)
    """The last resolved alert by kind and subject: soon after, it is reopened instead of a new one opened."""
    condition_since: dict[tuple[AlertKind, str], int] = field(default_factory=dict)
    """The tick since which the condition of an alert has held."""
    last_play_events: dict[int, PlayEventRecorded] = field(default_factory=dict)
    """The last event of each play."""
    buffer_ticks: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """By session key: ticks at which it buffered in the last minutes."""
    waiting_deliveries: dict[int, tuple[Delivery, ...]] = field(default_factory=dict)
    """By alert: messages that it was resolved, held back until it can no longer be reopened."""
    added_counts: dict[str, int] = field(default_factory=dict)
    """By library: items added since its last scan ended, without those that contain others."""
    new_items: dict[str, LibraryChange] = field(default_factory=dict)
    """By item: what was added since the last scan of its library ended, as known by now."""
    sections: tuple[Section, ...] = ()
    accounts: tuple[Account, ...] = ()
    plex_tv_users: tuple[PlexTvUser, ...] = ()
    """Users as plex.tv named them when it was last asked."""
    devices: tuple[Device, ...] = ()
    history: History = field(default_factory=History)
    history_page: int = 0
    """The last page of Plex's history that was applied."""
    known_history_keys: dict[str, None] = field(default_factory=dict)
    """Keys of history rows read recently: they are read again, and are not new then."""
    last_event_at: int | None = None
    refreshed_at: int | None = None
    """When a frame or a snapshot last confirmed what is known."""
    down_since: int | None = None
    sessions_read: bool = False
    """Whether Plex has listed its sessions on this connection. It lists them only to the owner."""
    sessions_unreadable: bool = False
    """Whether sessions could not be read at the last attempt, though Plex is connected."""
    first_snapshot_tick: int = 0
    """When Plex first listed its sessions on this connection."""
    next_event: int = 1
    next_play: int = 1
    next_alert: int = 1
    next_change: int = 1
    next_play_event: int = 1
    next_delivery: int = 1

    def copy(self) -> State:
        """Return a copy to alter: its tables are its own, the frozen values in them are shared."""
        values = ((name, getattr(self, name)) for name in self.__dataclass_fields__)
        tables: dict[str, Any] = {name: value.copy() for name, value in values if isinstance(value, dict | deque)}
        return replace(self, **tables)

    def find_sessions(self, client_identifier: str) -> list[Session]:
        """Return the sessions that play on a client now; mostly there is one."""
        return [session for session in self.sessions.values() if session.client_identifier == client_identifier]

    def find_timeline(self, client_identifier: str) -> Timeline | None:
        """Return the position of a client, or its last one; of several sessions, the one that reported last decides."""
        session = max(self.find_sessions(client_identifier), key=lambda one: one.heard_tick, default=None)
        return build_timeline(session) if session else self.timelines.get(client_identifier)

    def list_timelines(self) -> dict[str, Timeline]:
        """Return the timeline of every client that has one, in one pass over the sessions."""
        playing = sorted(self.sessions.values(), key=lambda session: session.heard_tick)
        present = (build_timeline(session) for session in playing)
        return {**self.timelines, **{timeline.client_identifier: timeline for timeline in present if timeline}}


def build_timeline(session: Session, state: str | None = None) -> Timeline | None:
    """Build the timeline of the client that a session plays on; `None` if the client is unknown."""
    if session.client_identifier is None:
        return None
    return Timeline(
        client_identifier=session.client_identifier,
        state=state or session.state,
        type=session.item.type,
        rating_key=session.item.rating_key,
        title=session.item.full_title,
        view_offset_ms=session.view_offset_ms,
        duration_ms=session.item.duration_ms,
        session_key=session.session_key,
        updated_at=session.updated_at,
    )


def advance(state: State, change: Change) -> None:  # noqa: C901, PLR0912 - one flat table of every kind of change
    """Apply one change to the state."""
    match change:
        case Journaled():
            state.next_event = change.id + 1
            if change.type not in OUR_OWN:
                state.last_event_at = state.refreshed_at = change.at
        case SessionEnded():
            _end_session(state, change)
        case SessionStarted(session=session) | SessionChanged(session=session):
            _put_session(state, session)
        case PlayEventRecorded():
            _put_play_event(state, change)
        case ClientSeen(client=client):
            _remember(state.clients, client.client_identifier, client, MOST)
        case TranscodeSeen(transcode=transcode, ended=ended):
            state.transcodes.pop(transcode.key, None)
            if not ended:
                _remember(state.transcodes, transcode.key, transcode)
        case ActivityChanged(activity=activity):
            state.activities[activity.uuid] = activity
        case ActivityEnded(activity=activity):
            state.activities.pop(activity.uuid, None)
        case LibraryItemChanged(change=library_change):
            _change_library_item(state, library_change)
        case SectionsSeen() | AccountsSeen() | DevicesSeen() | PlexTvUsersSeen():
            _replace_listed(state, change)
        case PlaysImported() | PlaysRepeated() | HistoryProgressed() | HistoryPageWritten():
            _advance_history(state, change)
        case ServerSeen(server=server):
            _switch_server(state, server)
        case ConnectionChanged(connection=connection):
            _change_connection(state, connection)
        case StateConfirmed() | ReadabilityChanged():
            _update_freshness(state, change)
        case AlertResolved(alert=alert, tick=tick):
            _resolve_alert(state, RecentlyResolved(alert, tick))
        case AlertOpened(alert=alert) | AlertReopened(alert=alert):
            _open_alert(state, alert)
        case AlertAcknowledged():
            _acknowledge(state, change)
        case ConditionSeen():
            _update_condition(state, change)
        case DeliveryChanged(delivery=delivery):
            _update_delivery(state, delivery)
        case _:
            assert_never(change)


def _update_freshness(state: State, change: StateConfirmed | ReadabilityChanged) -> None:
    """Update how fresh the state is."""
    match change:
        case StateConfirmed(at=at, sessions=sessions, first_snapshot_tick=tick):
            state.refreshed_at = at
            state.sessions_read = state.sessions_read if sessions is None else sessions
            state.first_snapshot_tick = tick or state.first_snapshot_tick
        case ReadabilityChanged(unreadable=unreadable):
            state.sessions_unreadable = unreadable


def _update_condition(state: State, change: ConditionSeen) -> None:
    """Update since when the condition of an alert has held."""
    state.condition_since.pop((change.kind, change.subject), None)
    if change.tick is not None:
        state.condition_since[change.kind, change.subject] = change.tick


def _put_session(state: State, session: Session) -> None:
    key = session.session_key
    known = state.sessions.get(key)
    state.sessions[key] = session
    state.ended.pop(key, None)
    state.next_play = max(state.next_play, session.play_id + 1)
    if known is not None and session.buffer_count > known.buffer_count:
        recent = (tick for tick in state.buffer_ticks.get(key, ()) if session.heard_tick - tick <= BUFFERING_MS)
        state.buffer_ticks[key] = (*recent, session.heard_tick)


def _put_play_event(state: State, play_event: PlayEventRecorded) -> None:
    state.next_play_event = max(state.next_play_event, play_event.mark_id + 1)
    if play_event.kind == "ended":
        state.last_play_events.pop(play_event.play_id, None)
    else:
        _remember(state.last_play_events, play_event.play_id, play_event)


def _switch_server(state: State, server: ServerIdentity) -> None:
    if state.server is not None and state.server.machine_identifier != server.machine_identifier:
        tables: tuple[dict[Any, Any], ...] = (
            state.clients,
            state.timelines,
            state.activities,
            state.unsettled,
            state.added_counts,
            state.new_items,
            state.recently_resolved,
            state.condition_since,
        )
        for table in tables:
            table.clear()
        state.recent.clear()
        state.known_history_keys.clear()
        state.sections, state.accounts, state.devices = (), (), ()
        state.plex_tv_users = ()
        state.history = History()
    state.server = server


def _replace_listed(state: State, change: SectionsSeen | AccountsSeen | DevicesSeen | PlexTvUsersSeen) -> None:
    """Replace what Plex lists as a whole."""
    match change:
        case SectionsSeen(sections=sections):
            state.sections = sections
        case AccountsSeen(accounts=accounts):
            state.accounts = accounts
        case DevicesSeen(devices=devices):
            state.devices = devices
        case PlexTvUsersSeen(users=users):
            state.plex_tv_users = tuple({user.id: user for user in (*state.plex_tv_users, *users)}.values())


def _advance_history(
    state: State, change: PlaysImported | PlaysRepeated | HistoryProgressed | HistoryPageWritten
) -> None:
    """Apply what was read of Plex's history."""
    match change:
        case PlaysImported(plays=plays) | PlaysRepeated(plays=plays):
            for play in plays:
                _remember(state.known_history_keys, play.history_key, None, MOST_HISTORY_KEYS)
                state.next_play = max(state.next_play, play.play_id + 1)
        case HistoryProgressed(history=history):
            state.history = history
        case HistoryPageWritten(number=number):
            state.history_page = number


def _end_session(state: State, change: SessionEnded) -> None:
    key, session = change.session_key, change.session
    state.sessions.pop(key, None)
    state.buffer_ticks.pop(key, None)
    if session.epoch == state.connection.epoch:
        _remember(state.ended, key, session)
    timeline = build_timeline(session, "stopped")
    if timeline is not None:
        _remember(state.timelines, timeline.client_identifier, timeline, MOST)


def _open_alert(state: State, alert: Alert) -> None:
    state.next_alert = max(state.next_alert, alert.id + 1)
    if alert.resolved_at is None:
        state.alerts[alert.kind, alert.subject] = alert
        state.recently_resolved.pop((alert.kind, alert.subject), None)
    else:
        _forget_new_items(state, alert)


def _resolve_alert(state: State, resolved: RecentlyResolved) -> None:
    alert = resolved.alert
    state.next_alert = max(state.next_alert, alert.id + 1)
    state.alerts.pop((alert.kind, alert.subject), None)
    _remember(state.recently_resolved, (alert.kind, alert.subject), resolved)
    _forget_new_items(state, alert)


def _forget_new_items(state: State, alert: Alert) -> None:
    """Forget what a scan added, once its alert has named it."""
    if alert.kind == "scan_finished":
        state.added_counts.pop(alert.subject, None)
        for item in [item for item, new in state.new_items.items() if (new.section_id or "") == alert.subject]:
            del state.new_items[item]


def _acknowledge(state: State, change: AlertAcknowledged) -> None:
    for key, alert in state.alerts.items():
        if alert.id == change.alert_id and alert.acknowledged_at is None:
            state.alerts[key] = replace(alert, acknowledged_at=change.at)
    for key, resolved in state.recently_resolved.items():
        if resolved.alert.id == change.alert_id and resolved.alert.acknowledged_at is None:
            state.recently_resolved[key] = replace(resolved, alert=replace(resolved.alert, acknowledged_at=change.at))


def _update_delivery(state: State, delivery: Delivery) -> None:
    state.next_delivery = max(state.next_delivery, delivery.id + 1)
    others = tuple(one for one in state.waiting_deliveries.pop(delivery.alert_id, ()) if one.id != delivery.id)
    held = (*others, delivery) if delivery.is_held else others
    if held:
        _remember(state.waiting_deliveries, delivery.alert_id, held)


def _change_library_item(state: State, library_change: LibraryChange) -> None:
    is_new = library_change.id >= state.next_change
    state.next_change = max(state.next_change, library_change.id + 1)
    known = next((old for old in reversed(state.recent) if old.id == library_change.id), None)
    if known is not None:
        state.recent[state.recent.index(known)] = library_change
    else:
        state.recent.append(library_change)
    if library_change.change == "created":
        _update_new_items(state, library_change, is_new=is_new)
    elif library_change.change == "deleted" and library_change.item_id in state.new_items:
        _count_new_item(state, state.new_items.pop(library_change.item_id), -1)
    state.unsettled.pop(library_change.item_id, None)
    if not library_change.settled:
        _remember(state.unsettled, library_change.item_id, library_change)


def _update_new_items(state: State, item: LibraryChange, *, is_new: bool) -> None:
    if is_new:
        _count_new_item(state, item, 1)
        _remember(state.new_items, item.item_id, item, MOST_NEW_ITEMS)
    elif item.item_id in state.new_items:
        state.new_items[item.item_id] = item


def _count_new_item(state: State, item: LibraryChange, more: int) -> None:
    section = item.section_id or ""
    if item.type not in CONTAINERS:
        state.added_counts[section] = max(0, state.added_counts.get(section, 0) + more)


def _change_connection(state: State, connection: Connection) -> None:
    if connection.epoch != state.connection.epoch:
        state.transcodes.clear()
    if connection.state == "live":
        state.down_since = None
    elif state.connection.state == "live":
        state.down_since = connection.since_at
        state.sessions_unreadable = False
    state.connection = connection


def _remember(table: dict[K, V], key: K, value: V, most: int = REMEMBERED) -> None:
    table.pop(key, None)
    table[key] = value
    while len(table) > most:
        del table[next(iter(table))]
