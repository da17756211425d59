"""The kinds of changes. Attributes that are fields of a resource's URI have the same names.

They are structs, because every report makes one, and a frozen dataclass takes five times as long to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plex_companion.models import (
        Account,
        Activity,
        Alert,
        AlertKind,
        CatalogueItem,
        CatalogueSection,
        Client,
        Connection,
        Delivery,
        Device,
        EndedBy,
        EventSubscription,
        History,
        ImportedPlay,
        LibraryChange,
        Occurrence,
        PendingMedia,
        PlayEventKind,
        PlayMilestones,
        PlexTvUser,
        RuleFiring,
        RuleTimer,
        Section,
        ServerIdentity,
        Session,
        StoredRule,
        ToolTask,
        Transcode,
    )


class Journaled(Struct, frozen=True):
    """One row of the journal: an event as Plex sent it."""

    id: int
    at: int
    type: str
    subject: str | None
    summary: str
    payload: str
    """JSON."""


class SessionChange(Struct, frozen=True):
    """The attributes that all changes of a session share."""

    session: Session

    @property
    def id(self) -> str:
        """The id of the play that the session becomes."""
        return str(self.session.play_id)

    @property
    def session_key(self) -> str:
        """Plex's key of the session."""
        return self.session.session_key

    @property
    def client_identifier(self) -> str | None:
        """The player's identifier."""
        return self.session.client_identifier

    @property
    def user(self) -> str | None:
        """The user as history is queried for them."""
        return self.session.user.handle if self.session.user else None


class SessionStarted(SessionChange, frozen=True):
    """A new session plays."""


class SessionChanged(SessionChange, frozen=True):
    """A session changed. `progress_only`: only its position and what follows from it."""

    progress_only: bool = False


class SessionEnded(SessionChange, frozen=True):
    """A session ended. `session` is its last known state."""

    ended_by: EndedBy
    ended_at: int


class PlayEventRecorded(Struct, frozen=True):
    """An event in the timeline of a play, such as a pause. A second one with the same `mark_id` corrects the first."""

    mark_id: int
    play_id: int
    at: int
    tick: int
    kind: PlayEventKind
    view_offset_ms: int | None
    detail: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The id of the play, as its resource names it."""
        return str(self.play_id)


class ClientSeen(Struct, frozen=True):
    """A player was seen; `new` if for the first time."""

    client: Client
    new: bool

    @property
    def client_identifier(self) -> str:
        """Plex's identifier of the player."""
        return self.client.client_identifier


class TranscodeSeen(Struct, frozen=True):
    """A transcode session reported; kept until the session it belongs to names it."""

    transcode: Transcode
    ended: bool


class ActivityChanged(Struct, frozen=True):
    """An activity started or progressed."""

    activity: Activity


class ActivityEnded(Struct, frozen=True):
    """An activity ended."""

    activity: Activity


class LibraryItemChanged(Struct, frozen=True):
    """An item was added, changed, deleted, or processed further."""

    change: LibraryChange


class SectionsSeen(Struct, frozen=True):
    """The libraries as Plex lists them now."""

    sections: tuple[Section, ...]


class AccountsSeen(Struct, frozen=True):
    """The accounts as Plex lists them now."""

    accounts: tuple[Account, ...]


class DevicesSeen(Struct, frozen=True):
    """The devices as Plex lists them now."""

    devices: tuple[Device, ...]


class PlaysImported(Struct, frozen=True):
    """New plays of one user from Plex's history."""

    plays: tuple[ImportedPlay, ...]
    user: str | None
    """The user as history is queried for them."""


class PlaysRepeated(Struct, frozen=True):
    """Plays from Plex's history that were imported before: with what is known now, they may be linked to the
    companion's own.
    """

    plays: tuple[ImportedPlay, ...]


class HistoryProgressed(Struct, frozen=True):
    """Plex's history was read further, read to its end, or could not be read."""

    history: History


class HistoryPageWritten(Struct, frozen=True):
    """A page of Plex's history was applied, so that the next may be read."""

    number: int


class ServerSeen(Struct, frozen=True):
    """The server has identified itself."""

    server: ServerIdentity


class ConnectionChanged(Struct, frozen=True):
    """The connection to Plex was made or lost."""

    connection: Connection


class StateConfirmed(Struct, frozen=True):
    """A snapshot confirmed or replaced what was known: it is as fresh as `at`."""

    at: int
    sessions: bool | None = None
    """Whether the snapshot listed the sessions; `None` if it did not try to."""
    first_snapshot_tick: int | None = None
    """For the first snapshot of a connection: when Plex listed its sessions. Sessions reported earlier may have ended.
    """


class ReadabilityChanged(Struct, frozen=True):
    """Sessions cannot be read though Plex is connected, or can be read again."""

    unreadable: bool


class AlertOpened(Struct, frozen=True):
    """An alert opened."""

    alert: Alert
    server: str | None = None
    """The server it is of, if a rule opened it: several servers share the rules."""


class AlertResolved(Struct, frozen=True):
    """An alert was resolved; `alert.resolved_at` is set. `tick`: when."""

    alert: Alert
    tick: int = 0


class AlertReopened(Struct, frozen=True):
    """An alert that was resolved a moment ago opened again, with `times` in its detail."""

    alert: Alert


class PlexTvUsersSeen(Struct, frozen=True):
    """The users as plex.tv names them; users it does not name now keep their names."""

    users: tuple[PlexTvUser, ...]


class AlertAcknowledged(Struct, frozen=True):
    """A person acknowledged an alert; only the first time counts."""

    alert_id: int
    at: int


class AlertMuteChanged(Struct, frozen=True):
    """A kind of alert was muted, or is no longer."""

    kind: AlertKind
    muted: bool
    at: int


class ConditionSeen(Struct, frozen=True):
    """The condition of a rule began to hold at `tick`, or (`None`) no longer holds."""

    kind: AlertKind
    subject: str
    tick: int | None


class ToolTaskChanged(Struct, frozen=True):
    """Work that a tool started in Plex began, progressed or ended."""

    task: ToolTask


class DeliveryChanged(Struct, frozen=True):
    """Something in the outbox was queued, tried or finished."""

    delivery: Delivery


class OccurrenceRecorded(Struct, frozen=True):
    """Something happened that has a type of its own."""

    occurrence: Occurrence


class RuleChanged(Struct, frozen=True):
    """A rule was saved, switched, or has done something."""

    rule: StoredRule

    @property
    def id(self) -> str:
        """The id of the rule, as its resource names it."""
        return str(self.rule.id)


class RuleRemoved(Struct, frozen=True):
    """A rule was deleted, with its timers."""

    rule_id: int

    @property
    def id(self) -> str:
        """The id of the rule, as its resource names it."""
        return str(self.rule_id)


class RuleFired(Struct, frozen=True):
    """A rule fired."""

    firing: RuleFiring
    rule_name: str


class RuleFiringChanged(Struct, frozen=True):
    """More is known of what became of a firing."""

    firing: RuleFiring

    @property
    def id(self) -> str:
        """The id of the rule, as its resource names it."""
        return str(self.firing.rule_id)


class RuleTimerBegun(Struct, frozen=True):
    """Something lasts that a rule waits for."""

    timer: RuleTimer


class RuleTimerEnded(Struct, frozen=True):
    """A rule no longer waits: what it waited for is over, or has lasted long enough."""

    rule_id: int
    subject: str


class RulesPositionMoved(Struct, frozen=True):
    """Occurrences were judged up to here."""

    position: int


class MilestonesReached(Struct, frozen=True):
    """Other occurrences of a play were recorded."""

    play_id: int
    milestones: PlayMilestones


class EventSubscriptionChanged(Struct, frozen=True):
    """A client subscribed a webhook to occurrences or refreshed that, or it was served further."""

    subscription: EventSubscription


class EventSubscriptionRemoved(Struct, frozen=True):
    """An event subscription was ended, or expired."""

    id: str


class MediaWaits(Struct, frozen=True):
    """A change of the library waits for the rest of its season or album, or more is known of one that does."""

    pending: PendingMedia


class MediaReported(Struct, frozen=True):
    """Changes of the library no longer wait: an occurrence reports them, or they amount to nothing."""

    change_ids: tuple[int, ...]


class CatalogueRowsRead(Struct, frozen=True):
    """Items of the catalogue as Plex has them now; rows of `gone` keys and sections are removed."""

    server: str
    items: tuple[CatalogueItem, ...]
    gone: tuple[str, ...]
    sections: tuple[CatalogueSection, ...]
    sections_gone: tuple[str, ...]
    forget_paths: bool = False
    """Whether to remove the paths of all files."""


class CatalogueChanged(Struct, frozen=True):
    """Something in a library, or an item that may have been shown already, is different in the catalogue."""

    id: str | None
    """The id of the library."""
    rating_key: str | None = None


class CataloguePageWritten(Struct, frozen=True):
    """A page of the catalogue was applied, so that the next may be read."""

    number: int


Change = (
    Journaled
    | SessionStarted
    | SessionChanged
    | SessionEnded
    | PlayEventRecorded
    | ClientSeen
    | TranscodeSeen
    | ActivityChanged
    | ActivityEnded
    | LibraryItemChanged
    | SectionsSeen
    | AccountsSeen
    | PlexTvUsersSeen
    | DevicesSeen
    | PlaysImported
    | PlaysRepeated
    | HistoryProgressed
    | HistoryPageWritten
    | CatalogueRowsRead
    | CatalogueChanged
    | CataloguePageWritten
    | ServerSeen
    | ConnectionChanged
    | StateConfirmed
    | ReadabilityChanged
    | AlertOpened
    | AlertResolved
    | AlertReopened
    | AlertAcknowledged
    | AlertMuteChanged
    | ConditionSeen
    | DeliveryChanged
    | OccurrenceRecorded
    | MilestonesReached
    | EventSubscriptionChanged
    | EventSubscriptionRemoved
    | ToolTaskChanged
    | MediaWaits
    | MediaReported
    | RuleChanged
    | RuleRemoved
    | RuleFired
    | RuleFiringChanged
    | RuleTimerBegun
    | RuleTimerEnded
    | RulesPositionMoved
)
"""Where every kind must be handled, `match` ends in `assert_never`, so that a new kind is a type error until it is."""


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """An order to read something from Plex again, because an event does not say enough. It changes nothing."""

    what: Literal["sessions", "library", "history"]


Effect = Change | RefreshRequest
"""The effects of an event: changes to write, and orders to read from Plex."""
