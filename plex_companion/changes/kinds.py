"""What may change, as values. Attributes that are fields of a resource's URI carry the same names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plex_companion.models import (
        Account,
        Activity,
        Alert,
        AlertKind,
        Client,
        Connection,
        Delivery,
        Device,
        EndedBy,
        History,
        ImportedPlay,
        LibraryChange,
        PlayEventKind,
        PlexTvUser,
        Section,
        ServerIdentity,
        Session,
        Transcode,
    )


@dataclass(frozen=True, slots=True)
class Journaled:
    """One row of the journal: what Plex said, as it said it."""

    id: int
    at: int
    type: str
    subject: str | None
    summary: str
    payload: str
    """JSON."""


@dataclass(frozen=True, slots=True)
class SessionChange:
    """What the changes of a session share."""

    session: Session

    @property
    def id(self) -> str:
        """Of the play that the session becomes."""
        return str(self.session.play_id)

    @property
    def session_key(self) -> str:
        """Plex's key of the session."""
        return self.session.session_key

    @property
    def client_identifier(self) -> str | None:
        """Where it plays."""
        return self.session.client_identifier

    @property
    def user(self) -> str | None:
        """Who plays, as history is asked for."""
        return self.session.user.handle if self.session.user else None


@dataclass(frozen=True, slots=True)
class SessionStarted(SessionChange):
    """A session nobody knew plays."""


@dataclass(frozen=True, slots=True)
class SessionChanged(SessionChange):
    """A session moved on. `progress_only`: nothing but its position and what follows from it."""

    progress_only: bool = False


@dataclass(frozen=True, slots=True)
class SessionEnded(SessionChange):
    """A session is over. `session` is how it was last seen."""

    ended_by: EndedBy
    ended_at: int


@dataclass(frozen=True, slots=True)
class PlayEventRecorded:
    """A turn in the course of a play. The same `mark_id` again corrects it."""

    mark_id: int
    play_id: int
    at: int
    tick: int
    kind: PlayEventKind
    view_offset_ms: int | None
    detail: Mapping[str, Any]

    @property
    def id(self) -> str:
        """Of the play, as its resource names it."""
        return str(self.play_id)


@dataclass(frozen=True, slots=True)
class ClientSeen:
    """A player was seen; `new` when never before."""

    client: Client
    new: bool

    @property
    def client_identifier(self) -> str:
        """Plex's identifier of the player."""
        return self.client.client_identifier


@dataclass(frozen=True, slots=True)
class TranscodeSeen:
    """A transcoder job reported; kept until the session it belongs to names it."""

    transcode: Transcode
    ended: bool


@dataclass(frozen=True, slots=True)
class ActivityChanged:
    """An activity started or moved on."""

    activity: Activity


@dataclass(frozen=True, slots=True)
class ActivityEnded:
    """An activity is over."""

    activity: Activity


@dataclass(frozen=True, slots=True)
class LibraryItemChanged:
    """An item came, changed or went, or came closer to being ready."""

    change: LibraryChange


@dataclass(frozen=True, slots=True)
class SectionsSeen:
    """The libraries as Plex lists them now."""

    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class AccountsSeen:
    """The users this server knows."""

    accounts: tuple[Account, ...]


@dataclass(frozen=True, slots=True)
class DevicesSeen:
    """The players this server knows by number."""

    devices: tuple[Device, ...]


@dataclass(frozen=True, slots=True)
class PlaysImported:
    """Plays of one user that Plex's history tells of, and that no page told of before."""

    plays: tuple[ImportedPlay, ...]
    user: str | None
    """As history is asked for."""


@dataclass(frozen=True, slots=True)
class PlaysRepeated:
    """Plays that were told of before: what has become known since may link them to the companion's own."""

    plays: tuple[ImportedPlay, ...]


@dataclass(frozen=True, slots=True)
class HistoryProgressed:
    """Plex's history was read further, to its end, or could not be."""

    history: History


@dataclass(frozen=True, slots=True)
class HistoryPageWritten:
    """A page of it was taken in, so that the next may be read."""

    number: int


@dataclass(frozen=True, slots=True)
class ServerSeen:
    """Which server this is."""

    server: ServerIdentity


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """We began or ceased to hear Plex."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class StateConfirmed:
    """A snapshot agreed with what was known, or was taken over: knowledge is as fresh as `at`."""

    at: int
    sessions: bool | None = None
    """Whether it could tell what plays; `None` when it says nothing of that."""
    first_snapshot_tick: int | None = None
    """Of the first snapshot of a connection: when Plex had told what plays. What was heard before may be over."""


@dataclass(frozen=True, slots=True)
class ReadabilityChanged:
    """What plays cannot be read though Plex is heard, or can be read again."""

    unreadable: bool


@dataclass(frozen=True, slots=True)
class AlertOpened:
    """Something wants attention."""

    alert: Alert


@dataclass(frozen=True, slots=True)
class AlertResolved:
    """It no longer does; `alert.resolved_at` is set. `tick`: since when it rests."""

    alert: Alert
    tick: int = 0


@dataclass(frozen=True, slots=True)
class AlertReopened:
    """It wants attention again, soon after it no longer did: the same alert, with `times` in its detail."""

    alert: Alert


@dataclass(frozen=True, slots=True)
class PlexTvUsersSeen:
    """What plex.tv calls users; of those it does not name now the names stay."""

    users: tuple[PlexTvUser, ...]


@dataclass(frozen=True, slots=True)
class AlertAcknowledged:
    """A person knows of it; the first time counts."""

    alert_id: int
    at: int


@dataclass(frozen=True, slots=True)
class ConditionSeen:
    """What a rule waits for began to hold at `tick`, or (`None`) holds no longer."""

    kind: AlertKind
    subject: str
    tick: int | None


@dataclass(frozen=True, slots=True)
class DeliveryChanged:
    """An alert was sent on its way to a webhook, or came closer to its end."""

    delivery: Delivery


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
    | ServerSeen
    | ConnectionChanged
    | StateConfirmed
    | ReadabilityChanged
    | AlertOpened
    | AlertResolved
    | AlertReopened
    | AlertAcknowledged
    | ConditionSeen
    | DeliveryChanged
)
"""Where a kind must be handled, `match` ends in `assert_never`: a new kind is then a type error until it is."""


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """An order to read something from Plex again, because an event alone does not say enough. It changes nothing."""

    what: Literal["sessions", "library", "history"]


Effect = Change | RefreshRequest
"""What an event leads to: changes to write down, and orders to read from Plex."""
