"""The events: one struct per type of notification that Plex sends, and one for everything else.

Shapes and quirks: Plex's notification websocket as recorded in public issue threads and described by plex-api-spec
1.1.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from msgspec import Struct

from plex_companion.models import AlertKind, ImportedRule, PlexTvUser, ToolTask  # noqa: TC001 - forwarded events are decoded by their types

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plex_companion.models import (
        Account,
        Activity,
        CatalogueItem,
        CatalogueSection,
        Client,
        Delivery,
        DeliveryProgress,
        Device,
        HistoryRow,
        LibraryCheck,
        Moment,
        PlannedFiring,
        RuleTally,
        RuleTimer,
        Section,
        ServerIdentity,
        SessionRow,
        Transcode,
        User,
    )

Raw = dict[str, Any]


class Notification(Struct, frozen=True, gc=False, kw_only=True):
    """The base of all notifications of Plex. A struct, because there may be thousands a second."""

    raw: str
    """The entry as JSON, in Plex's own words where they are regular."""
    irregular: bool = False
    """Whether the frame was not of the usual form, so that the tolerant parser read it.

    Otherwise `raw` is a single line without invisible characters, escaped ones apart.
    """


class Playing(Notification, frozen=True, gc=False):
    """A client's report of its position. It has no title, user or player: `/status/sessions` does."""

    type: ClassVar[str] = "playing"
    session_key: str | None
    client_identifier: str | None
    rating_key: str | None
    """A guid for live TV."""
    key: str | None
    guid: str | None
    state: str
    view_offset_ms: int | None
    transcode_key: str | None
    """Bare; absent on direct play, and on the first frame of a start."""


class TimelineEntry(Notification, frozen=True, gc=False):
    """A step in an item's life. State 5 with nothing pending means it is ready; 9 means deleted."""

    type: ClassVar[str] = "timeline"
    identifier: str | None
    section_id: str | None
    item_id: str | None
    parent_item_id: str | None
    root_item_id: str | None
    media_type: int | None
    title: str | None
    state: int | None
    metadata_state: str | None
    media_state: str | None
    queue_size: int | None


class ActivityReport(Notification, frozen=True, gc=False):
    """An activity started, progressed or ended."""

    type: ClassVar[str] = "activity"
    phase: str
    uuid: str | None
    activity_type: str | None
    title: str | None
    subtitle: str | None
    progress: int | None
    cancellable: bool | None
    user_id: str | None
    context: Mapping[str, Any]


class TranscodeReport(Notification, frozen=True, gc=False):
    """A transcode session started, progressed or ended. An end with a start in the same second is a restart or a seek."""

    type: str
    phase: Literal["start", "update", "end"]
    transcode: Transcode


class StatusNote(Notification, frozen=True, gc=False):
    """A sentence for people, shown at the start and end of a scan. May be localised: show it, do not parse it."""

    type: ClassVar[str] = "status"
    title: str | None
    description: str | None
    name: str | None


class BackgroundQueue(Notification, frozen=True, gc=False):
    """Plex rearranged its background work."""

    type: ClassVar[str] = "backgroundProcessingQueue"
    queue_id: str | None
    event: str | None


class Reachability(Notification, frozen=True, gc=False):
    """Remote access was checked."""

    type: ClassVar[str] = "reachability"
    reachable: bool | None


class UpdateState(Notification, frozen=True, gc=False):
    """The check for updates progressed."""

    type: ClassVar[str] = "update.statechange"
    version: str | None
    state: str | None


class ScanProgress(Notification, frozen=True, gc=False):
    """The file that a scan reads now; the source of invalid UTF-8 (PlexAutoLanguages #48)."""

    type: ClassVar[str] = "progress"
    message: str | None


class Preference(Notification, frozen=True, gc=False):
    """A server setting changed."""

    type: ClassVar[str] = "preference"
    id: str | None


class AccountUpdate(Notification, frozen=True, gc=False):
    """An account changed. No recorded payload is public: read the accounts again."""

    type: ClassVar[str] = "account"


class LogLine(Notification, frozen=True, gc=False):
    """A line of Plex's log. Plex sends it only on request; the companion does not request it."""

    type: ClassVar[str] = "log"


class Unknown(Notification, frozen=True, gc=False):
    """A notification of an undocumented type. Kept and counted, never an error."""

    type: str


class Malformed(Struct, frozen=True):
    """A frame, or an entry of one, that cannot be parsed. Counted."""

    type: ClassVar[str] = "malformed"
    reason: str


class Connecting(Struct, frozen=True):
    """The websocket is open, and the snapshot is being read."""

    type: ClassVar[str] = "connection"


class Disconnected(Struct, frozen=True):
    """The connection was lost or could not be made. `detail` is for people and holds no address."""

    type: ClassVar[str] = "connection"
    detail: str
    unauthorized: bool = False
    duplicate: bool = False
    """Whether another configured address leads to the same server. Nothing is written of this one then."""


class Snapshot(Struct, frozen=True):
    """The state of Plex as read over HTTP. `None` means "could not be read", never "nothing"."""

    type: ClassVar[str] = "snapshot"
    epoch: int
    first: bool
    """Whether it is the first of its connection, which makes the connection live."""
    requested: Moment
    """When reading began: events received since are newer."""
    server: ServerIdentity | None = None
    sessions: tuple[SessionRow, ...] | None = None
    activities: tuple[Activity, ...] | None = None
    sections: tuple[Section, ...] | None = None
    accounts: tuple[Account, ...] | None = None
    clients: tuple[Client, ...] | None = None
    devices: tuple[Device, ...] | None = None
    detail: str | None = None
    """The parts that could not be read, and why."""
    unread_keys: frozenset[str] = frozenset()
    """Keys of sessions whose rows could not be read."""
    is_complete: bool = True
    """Whether every session is in `sessions` or `unread_keys`."""
    is_unreadable: bool = False
    """Whether `sessions` is `None` because Plex's answer was invalid, rather than because only the owner may read it.
    """


class SessionsUnread(Struct, frozen=True):
    """Sessions could not be read though the websocket is open. Sent once per reason, until they can be read again."""

    type: ClassVar[str] = "snapshot"
    detail: str


class HistoryPage(Struct, frozen=True):
    """Rows of Plex's own history, and how far it was read. `None` means "as before"."""

    type: ClassVar[str] = "history"
    number: int
    """Counts the pages that a process has read."""
    rows: tuple[HistoryRow, ...] = ()
    mark_s: int | None = None
    imported: int | None = None
    total: int | None = None
    complete: bool | None = None
    detail: str | None = None
    """Why no more could be read."""


class CataloguePage(Struct, frozen=True):
    """Items as Plex has them now, items that it no longer has, and how much of each library was read."""

    type: ClassVar[str] = "catalogue"
    number: int
    """Counts the pages that a process has read."""
    server: str
    """The machine identifier of the server they were read from."""
    items: tuple[CatalogueItem, ...] = ()
    gone: tuple[str, ...] = ()
    """Rating keys."""
    sections: tuple[CatalogueSection, ...] = ()
    sections_gone: tuple[str, ...] = ()
    forget_paths: bool = False
    """Whether to remove the paths of all files, as privacy is on."""
    unannounced: frozenset[str] = frozenset()
    """Keys of items that Plex added lately and that no notification announced."""
    removed: tuple[CatalogueItem, ...] = ()
    """Items that are gone though no notification announced it, as the catalogue knew them."""
    caught_up: Mapping[str, tuple[User, ...]] = {}
    """By new episode: the users who had watched every earlier one of its show."""
    checks: tuple[LibraryCheck, ...] = ()
    """The libraries whose daily comparison has ended."""
    news: bool = True
    """Whether the items changed since they were first read. The first fill brings no changes, so it announces none."""


class Audit(Struct, frozen=True):
    """A tool that may change Plex was called. `raw` holds its arguments, its outcome, and the values before."""

    type: ClassVar[str] = "audit"
    tool: str
    outcome: str
    """`done`, a code of the error tree, or `unfinished`."""
    raw: Raw


class Acknowledged(Struct, frozen=True):
    """A person acknowledged an alert."""

    type: ClassVar[str] = "acknowledged"
    alert_id: int


class AlertKindMuted(Struct, frozen=True):
    """A person muted a kind of alert, or no longer mutes it."""

    type: ClassVar[str] = "alert_muted"
    kind: AlertKind
    muted: bool


class PlexTvUsersRead(Struct, frozen=True):
    """A tool has read the users from plex.tv."""

    type: ClassVar[str] = "plex_tv_users"
    users: tuple[PlexTvUser, ...]


class ToolTaskReport(Struct, frozen=True):
    """A tool started work that goes on in Plex, somebody cancelled it, or some of it has ended already."""

    type: ClassVar[str] = "tool_task"
    task: ToolTask
    """As it is to be: `working` or `cancelled`."""
    ended: tuple[str, ...] = ()
    """The libraries whose activity ended before the task was written."""


class StorageReport(Struct, frozen=True):
    """News about the database: it was repaired, its file is gone or back, its backup failed or succeeded."""

    type: ClassVar[str] = "storage"
    subject: str
    """`database`, `backup` or `file`."""
    ok: bool
    words: str

    @property
    def raw(self) -> Raw:
        """The payload of its journal row."""
        return {"subject": self.subject, "ok": self.ok, "message": self.words}


class DeliveryReport(Struct, frozen=True):
    """Something of the outbox was attempted; `deliveries` are its new states. To a webhook it is always one."""

    type: ClassVar[str] = "delivery"
    deliveries: tuple[Delivery, ...]


class DigestBuilt(Struct, frozen=True):
    """The weekly digest was built, for each of these targets."""

    type: ClassVar[str] = "digest"
    digest_at: int
    """The time it was due at."""
    targets: tuple[str, ...]
    body: str
    """The JSON of a `Message`."""


class SubscriptionReport(Struct, frozen=True):
    """Something about an event subscription; none of it is journaled."""

    type: ClassVar[str] = "event_subscription"
    id: str


class EventSubscribed(SubscriptionReport, frozen=True):
    """A client subscribed a webhook, or refreshed its subscription. The fields are those of `EventSubscription`."""

    type: ClassVar[str] = "event_subscribed"
    principal: str
    url: str
    name: str
    arguments: str
    secret: str
    revision: str
    refreshed_at: int
    expires_at: int
    position: str
    """Where a new subscription begins; one that is live goes on where it is."""

    def __repr__(self) -> str:
        """Show what identifies it, and none of its secrets."""
        return f"EventSubscribed({self.id}, {self.name})"


class EventUnsubscribed(SubscriptionReport, frozen=True):
    """An event subscription is over: its client or the companion ended it."""

    type: ClassVar[str] = "event_unsubscribed"


class EventsDelivered(SubscriptionReport, frozen=True):
    """Something of an event subscription was delivered, failed, or did not match."""

    type: ClassVar[str] = "events_delivered"
    created_at: int
    """Tells a subscription from a later one of the same id."""
    progress: DeliveryProgress


class RuleReport(Struct, frozen=True):
    """Something about rules that households write; none of it is journaled."""

    type: ClassVar[str] = "rule"


class RuleCreated(RuleReport, frozen=True):
    """Somebody saved a new rule, which is disabled."""

    type: ClassVar[str] = "rule_created"
    name: str
    definition: str
    """As `StoredRule.definition`."""
    revision: str


class RuleUpdated(RuleReport, frozen=True):
    """Somebody changed a rule, which disables it."""

    type: ClassVar[str] = "rule_updated"
    rule_id: int
    name: str
    definition: str
    revision: str


class RuleSwitched(RuleReport, frozen=True):
    """Somebody enabled or disabled a rule."""

    type: ClassVar[str] = "rule_switched"
    rule_id: int
    enabled: bool
    revision: str
    after: int = 0
    """The number of the newest occurrence, which a rule that is enabled now no longer fires on."""


class RuleDeleted(RuleReport, frozen=True):
    """Somebody deleted a rule."""

    type: ClassVar[str] = "rule_deleted"
    rule_id: int


class RulesImported(RuleReport, frozen=True):
    """Somebody imported a file of rules: all of them are saved, or none."""

    type: ClassVar[str] = "rules_imported"
    rules: tuple[ImportedRule, ...]
    enable: bool
    """Whether all of them run from now on."""
    after: int = 0
    """As `RuleSwitched.after`."""


class RulesEvaluated(RuleReport, frozen=True):
    """Committed occurrences were judged by the enabled rules."""

    type: ClassVar[str] = "rules_evaluated"
    rounds: int
    """`RulesState.rounds` when they were judged. If another round was recorded since, this one changes nothing."""
    position: int
    firings: tuple[PlannedFiring, ...] = ()
    tallies: tuple[RuleTally, ...] = ()
    begun: tuple[RuleTimer, ...] = ()
    ended: tuple[tuple[int, str], ...] = ()
    """Timers, by rule and subject."""


class RuleActionDone(RuleReport, frozen=True):
    """An action of a firing was done after the firing was committed, or never will be."""

    type: ClassVar[str] = "rule_action_done"
    firing_id: int
    action: str
    outcome: str


class Tick(Struct, frozen=True):
    """Time has passed; rules that wait are evaluated."""

    type: ClassVar[str] = "tick"


KnownNotification = (
    Playing
    | TimelineEntry
    | ActivityReport
    | TranscodeReport
    | StatusNote
    | BackgroundQueue
    | Reachability
    | UpdateState
    | ScanProgress
    | Preference
    | AccountUpdate
    | LogLine
)
Frame = KnownNotification | Unknown | Malformed
Event = (
    Frame
    | Connecting
    | Disconnected
    | Snapshot
    | SessionsUnread
    | HistoryPage
    | CataloguePage
    | Audit
    | Acknowledged
    | AlertKindMuted
    | PlexTvUsersRead
    | ToolTaskReport
    | StorageReport
    | DeliveryReport
    | DigestBuilt
    | SubscriptionReport
    | RuleReport
    | Tick
)


class ReceivedEvent(NamedTuple):
    """An event and when it was received."""

    event: Event
    moment: Moment
    forwarded_id: int | None = None
    """The id of its row, if another process forwarded it."""
