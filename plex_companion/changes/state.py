"""The live state, and how a change alters it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import structs

from plex_companion.changes.kinds import (
    AccountsSeen,
    ActivityChanged,
    ActivityEnded,
    AlertAcknowledged,
    AlertMuteChanged,
    AlertOpened,
    AlertReopened,
    AlertResolved,
    CatalogueChanged,
    CataloguePageWritten,
    CatalogueRowsRead,
    ClientSeen,
    ConditionSeen,
    ConnectionChanged,
    DeliveryChanged,
    DevicesSeen,
    EventSubscriptionChanged,
    EventSubscriptionRemoved,
    HistoryPageWritten,
    HistoryProgressed,
    Journaled,
    LibraryItemChanged,
    MediaReported,
    MediaWaits,
    MilestonesReached,
    OccurrenceRecorded,
    PlayEventRecorded,
    PlaysImported,
    PlaysRepeated,
    PlexTvUsersSeen,
    ReadabilityChanged,
    RuleChanged,
    RuleFired,
    SectionsSeen,
    ServerSeen,
    SessionChanged,
    SessionEnded,
    SessionStarted,
    StateConfirmed,
    ToolTaskChanged,
    TranscodeSeen,
)
from plex_companion.changes.rules_state import advance_rules
from plex_companion.models import (
    Account,
    Activity,
    Alert,
    AlertKind,
    Client,
    Connection,
    Delivery,
    Device,
    EndedPlay,
    EventSubscription,
    History,
    LibraryChange,
    PendingMedia,
    PlayMilestones,
    PlexTvUser,
    RulesState,
    Section,
    ServerIdentity,
    Session,
    Timeline,
    ToolTask,
    Transcode,
)

if TYPE_CHECKING:
    from plex_companion.changes.kinds import Change
    from plex_companion.changes.rules_state import RuleChange

K = TypeVar("K")
V = TypeVar("V")

OUR_OWN = frozenset({"connection", "audit", "acknowledged", "alert_muted", "storage"})
"""Types of journal rows that do not come from Plex."""
RECENT = 100
"""How many library changes are kept in memory."""
BUFFERING_MS = 5 * 60_000
"""How long a buffering of a session counts."""
REMEMBERED = 256
"""How many ended sessions, unclaimed transcode sessions, unsettled items and resolved alerts are remembered."""
MOST_PER_KIND = 2_000
"""How many sessions, activities, clients and timelines are kept, of each: more than any household has."""
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
class NextIds:
    """The first id of each table that was never used. All servers in one database share it."""

    event: int = 1
    play: int = 1
    alert: int = 1
    change: int = 1
    play_event: int = 1
    delivery: int = 1
    rule: int = 1
    firing: int = 1

    def copy(self) -> NextIds:
        """Return a copy to count on."""
        return NextIds(*_read_ids(self))


_read_ids = attrgetter(*NextIds.__dataclass_fields__)


@dataclass(slots=True)
class State:
    """Everything live of one server. Readers hold a committed state; ingest alters a copy and publishes it after the commit."""

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
    muted_kinds: dict[str, int] = field(default_factory=dict)
    """By kind of alert: since when a person mutes it. All servers have the same."""
    condition_since: dict[tuple[AlertKind, str], int] = field(default_factory=dict)
    """The tick since which the condition of an alert has held."""
    last_play_events: dict[int, PlayEventRecorded] = field(default_factory=dict)
    """The last event of each play."""
    buffer_ticks: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """By session key: ticks at which it buffered in the last minutes."""
    waiting_deliveries: dict[int, tuple[Delivery, ...]] = field(default_factory=dict)
    """By alert: messages that it was resolved, held back until it can no longer be reopened."""
    event_subscriptions: dict[str, EventSubscription] = field(default_factory=dict)
    """By id: webhooks of clients. Only the process that listens knows them from here."""
    rules: RulesState = field(default_factory=RulesState)
    """Rules that households write. The state of the first link has them, whichever servers they are about."""
    added_counts: dict[str, int] = field(default_factory=dict)
    """By library: items added since its last scan ended, without those that contain others."""
    new_items: dict[str, LibraryChange] = field(default_factory=dict)
    """By item: what was added since the last scan of its library ended, as known by now."""
    milestones: dict[int, PlayMilestones] = field(default_factory=dict)
    """By play that goes on: the occurrences that were recorded."""
    ended_plays: dict[int, EndedPlay] = field(default_factory=dict)
    """By play: those that ended recently, which Plex's history may count later."""
    tool_tasks: dict[str, ToolTask] = field(default_factory=dict)
    """By id: tasks whose work goes on."""
    pending_media: dict[int, PendingMedia] = field(default_factory=dict)
    """By change of the library: those that wait for the rest of their season or album."""
    known_media: dict[str, LibraryChange] = field(default_factory=dict)
    """By item: that it was added or deleted lately. What is analyzed or reported again is no news."""
    sections: tuple[Section, ...] = ()
    accounts: tuple[Account, ...] = ()
    plex_tv_users: tuple[PlexTvUser, ...] = ()
    """Users as plex.tv named them when it was last asked."""
    devices: tuple[Device, ...] = ()
    history: History = field(default_factory=History)
    history_page: int = 0
    """The last page of Plex's history that was applied."""
    catalogue_page: int = 0
    """The last page of the catalogue that was applied."""
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
    server_since: int | None = None
    """When this server was first reached: plays that Plex counted earlier are the past, not news."""
    ids: NextIds = field(default_factory=NextIds)

    @property
    def next_event(self) -> int:
        """The id of the next row of the journal."""
        return self.ids.event

    @property
    def next_play(self) -> int:
        """The id of the next play."""
        return self.ids.play

    @property
    def next_alert(self) -> int:
        """The id of the next alert."""
        return self.ids.alert

    def copy(self) -> State:
        """Return a copy to alter: its tables are its own, the frozen values in them are shared."""
        return State(*[value.copy() if type(value) in _TABLE_TYPES else value for value in _read_fields(self)])

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


_TABLE_TYPES = (dict, deque, NextIds)
_read_fields = attrgetter(*State.__dataclass_fields__)


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
    match change:  # the most frequent kinds first: each case that does not match takes time
        case Journaled():
            state.ids.event = change.id + 1
            if change.type not in OUR_OWN:
                state.last_event_at = state.refreshed_at = change.at
        case SessionChanged(session=session) | SessionStarted(session=session):
            _put_session(state, session)
        case TranscodeSeen(transcode=transcode, ended=ended):
            state.transcodes.pop(transcode.key, None)
            if not ended:
                _remember(state.transcodes, transcode.key, transcode)
        case PlayEventRecorded():
            _put_play_event(state, change)
        case OccurrenceRecorded() | MilestonesReached() | MediaWaits() | MediaReported():
            _advance_occurrences(state, change)
        case ConditionSeen():
            _update_condition(state, change)
        case SessionEnded():
            _end_session(state, change)
        case ClientSeen(client=client):
            _remember(state.clients, client.client_identifier, client, MOST_PER_KIND)
        case ActivityChanged() | ActivityEnded() | ToolTaskChanged():
            _advance_activity(state, change)
        case LibraryItemChanged(change=library_change):
            _change_library_item(state, library_change)
        case SectionsSeen() | AccountsSeen() | DevicesSeen() | PlexTvUsersSeen():
            _replace_listed(state, change)
        case PlaysImported() | PlaysRepeated() | HistoryProgressed() | HistoryPageWritten():
            _advance_history(state, change)
        case CatalogueRowsRead() | CatalogueChanged() | CataloguePageWritten():
            _advance_catalogue(state, change)
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
        case AlertAcknowledged() | AlertMuteChanged():
            _note_person(state, change)
        case DeliveryChanged() | EventSubscriptionChanged() | EventSubscriptionRemoved():
            _update_webhooks(state, change)
        case _:
            _advance_rules(state, change)  # a kind that is missing above is a type error here


def _advance_activity(state: State, change: ActivityChanged | ActivityEnded | ToolTaskChanged) -> None:
    """Apply what Plex is doing, and which tool started it."""
    match change:
        case ActivityChanged(activity=activity):
            state.activities[activity.uuid] = activity
        case ActivityEnded(activity=activity):
            state.activities.pop(activity.uuid, None)
        case ToolTaskChanged(task=task):
            state.tool_tasks.pop(task.id, None)
            if task.status == "working":
                state.tool_tasks[task.id] = task


def _update_freshness(state: State, change: StateConfirmed | ReadabilityChanged) -> None:
    """Update how fresh the state is."""
    match change:
        case StateConfirmed(at=at, sessions=sessions, first_snapshot_tick=tick):
            state.refreshed_at = at
            state.server_since = state.server_since or at
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
    state.ids.play = max(state.ids.play, session.play_id + 1)
    if known is not None and session.buffer_count > known.buffer_count:
        recent = (tick for tick in state.buffer_ticks.get(key, ()) if session.heard_tick - tick <= BUFFERING_MS)
        state.buffer_ticks[key] = (*recent, session.heard_tick)


def _put_play_event(state: State, play_event: PlayEventRecorded) -> None:
    state.ids.play_event = max(state.ids.play_event, play_event.mark_id + 1)
    if play_event.kind == "ended":
        state.last_play_events.pop(play_event.play_id, None)
    else:
        _remember(state.last_play_events, play_event.play_id, play_event)


def _advance_occurrences(
    state: State, change: MilestonesReached | OccurrenceRecorded | MediaWaits | MediaReported
) -> None:
    """Remember what plays have reached, and which media waits. The occurrences themselves are in the database only."""
    match change:
        case OccurrenceRecorded():
            pass
        case MilestonesReached(play_id=play_id, milestones=milestones):
            ended = state.ended_plays.get(play_id)
            if ended is not None:
                state.ended_plays[play_id] = structs.replace(ended, milestones=milestones)
            else:
                state.milestones[play_id] = milestones
        case MediaWaits(pending=pending):
            state.pending_media[pending.change.id] = pending
            if pending.news != "media.upgraded":
                _remember(state.known_media, pending.change.item_id, pending.change, MOST_NEW_ITEMS)
        case MediaReported(change_ids=change_ids):
            for change_id in change_ids:
                state.pending_media.pop(change_id, None)


def _advance_rules(state: State, change: RuleChange) -> None:
    """Apply what became of the rules, and count on from the ids they have taken."""
    match change:
        case RuleChanged(rule=rule):
            state.ids.rule = max(state.ids.rule, rule.id + 1)
        case RuleFired(firing=firing):
            state.ids.firing = max(state.ids.firing, firing.id + 1)
        case _:
            pass
    state.rules = advance_rules(state.rules, change, REMEMBERED)


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
            state.ended_plays,
            state.pending_media,
            state.known_media,
        )
        for table in tables:
            table.clear()
        state.recent.clear()
        state.known_history_keys.clear()
        state.sections, state.accounts, state.devices = (), (), ()
        state.plex_tv_users = ()
        state.history = History()
        state.server_since = None
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
                state.ids.play = max(state.ids.play, play.play_id + 1)
        case HistoryProgressed(history=history):
            state.history = history
        case HistoryPageWritten(number=number):
            state.history_page = number


def _advance_catalogue(state: State, change: CatalogueRowsRead | CatalogueChanged | CataloguePageWritten) -> None:
    """Apply what was read of the catalogue: its rows are in the database only."""
    if isinstance(change, CataloguePageWritten):
        state.catalogue_page = change.number


def _end_session(state: State, change: SessionEnded) -> None:
    key, session = change.session_key, change.session
    state.sessions.pop(key, None)
    state.buffer_ticks.pop(key, None)
    reached = state.milestones.pop(session.play_id, PlayMilestones())
    _remember(state.ended_plays, session.play_id, EndedPlay(session, change.ended_at, change.ended_by, reached))
    if session.epoch == state.connection.epoch:
        _remember(state.ended, key, session)
    timeline = build_timeline(session, "stopped")
    if timeline is not None:
        _remember(state.timelines, timeline.client_identifier, timeline, MOST_PER_KIND)


def _open_alert(state: State, alert: Alert) -> None:
    state.ids.alert = max(state.ids.alert, alert.id + 1)
    if alert.resolved_at is None:
        state.alerts[alert.kind, alert.subject] = alert
        state.recently_resolved.pop((alert.kind, alert.subject), None)
    else:
        _forget_new_items(state, alert)


def _resolve_alert(state: State, resolved: RecentlyResolved) -> None:
    alert = resolved.alert
    state.ids.alert = max(state.ids.alert, alert.id + 1)
    state.alerts.pop((alert.kind, alert.subject), None)
    _remember(state.recently_resolved, (alert.kind, alert.subject), resolved)
    _forget_new_items(state, alert)


def _forget_new_items(state: State, alert: Alert) -> None:
    """Forget what a scan added, once its alert has named it."""
    if alert.kind == "scan_finished":
        state.added_counts.pop(alert.subject, None)
        for item in [item for item, new in state.new_items.items() if (new.section_id or "") == alert.subject]:
            del state.new_items[item]


def _note_person(state: State, change: AlertAcknowledged | AlertMuteChanged) -> None:
    """Apply what a person has said about alerts."""
    match change:
        case AlertAcknowledged():
            _acknowledge(state, change)
        case AlertMuteChanged(kind=kind, muted=muted, at=at):
            state.muted_kinds.pop(kind, None)
            if muted:
                state.muted_kinds[kind] = at


def _acknowledge(state: State, change: AlertAcknowledged) -> None:
    for key, alert in state.alerts.items():
        if alert.id == change.alert_id and alert.acknowledged_at is None:
            state.alerts[key] = structs.replace(alert, acknowledged_at=change.at)
    for key, resolved in state.recently_resolved.items():
        if resolved.alert.id == change.alert_id and resolved.alert.acknowledged_at is None:
            state.recently_resolved[key] = replace(
                resolved, alert=structs.replace(resolved.alert, acknowledged_at=change.at)
            )


def _update_delivery(state: State, delivery: Delivery) -> None:
    state.ids.delivery = max(state.ids.delivery, delivery.id + 1)
    if delivery.alert_id is None:
        return
    others = tuple(one for one in state.waiting_deliveries.pop(delivery.alert_id, ()) if one.id != delivery.id)
    held = (*others, delivery) if delivery.is_held else others
    if held:
        _remember(state.waiting_deliveries, delivery.alert_id, held)


def _update_webhooks(
    state: State, change: DeliveryChanged | EventSubscriptionChanged | EventSubscriptionRemoved
) -> None:
    match change:
        case DeliveryChanged(delivery=delivery):
            _update_delivery(state, delivery)
        case EventSubscriptionChanged(subscription=subscription):
            state.event_subscriptions[subscription.id] = subscription
        case EventSubscriptionRemoved(id=subscription_id):
            state.event_subscriptions.pop(subscription_id, None)


def _change_library_item(state: State, library_change: LibraryChange) -> None:
    is_new = library_change.id >= state.ids.change
    state.ids.change = max(state.ids.change, library_change.id + 1)
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
