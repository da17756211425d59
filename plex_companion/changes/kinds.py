"""The kinds of changes. Attributes that are fields of a resource's URI have the same names."""

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
    """One row of the journal: an event as Plex sent it."""

    id: int
    at: int
    type: str
    subject: str | None
    summary: str
    payload: str
    """JSON."""


@dataclass(frozen=True, slots=True)
class SessionChange:
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


@dataclass(frozen=True, slots=True)
class SessionStarted(SessionChange):
    """A new session plays."""


@dataclass(frozen=True, slots=True)
class SessionChanged(SessionChange):
    """A session changed. `progress_only`: only its position and what follows from it."""

    progress_only: bool = False


@dataclass(frozen=True, slots=True)
class SessionEnded(SessionChange):
    """A session ended. `session` is its last known state."""

    ended_by: EndedBy
    ended_at: int


@dataclass(frozen=True, slots=True)
class PlayEventRecorded:
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


@dataclass(frozen=True, slots=True)
class ClientSeen:
    """A player was seen; `new` if for the first time."""

    client: Client
    new: bool

    @property
    def client_identifier(self) -> str:
        """Plex's identifier of the player."""
        return self.client.client_identifier


@dataclass(frozen=True, slots=True)
class TranscodeSeen:
    """A transcode session reported; kept until the session it belongs to names it."""

    transcode: Transcode
    ended: bool


@dataclass(frozen=True, slots=True)
class ActivityChanged:
    """An activity started or progressed."""

    activity: Activity


@dataclass(frozen=True, slots=True)
class ActivityEnded:
    """An activity ended."""

    activity: Activity


@dataclass(frozen=True, slots=True)
class LibraryItemChanged:
    """An item was added, changed, deleted, or processed further."""

    change: LibraryChange


@dataclass(frozen=True, slots=True)
class SectionsSeen:
    """The libraries as Plex lists them now."""

    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class AccountsSeen:
    """The accounts as Plex lists them now."""

    accounts: tuple[Account, ...]


@dataclass(frozen=True, slots=True)
class DevicesSeen:
    """The devices as Plex lists them now."""

    devices: tuple[Device, ...]


@dataclass(frozen=True, slots=True)
class PlaysImported:
    """New plays of one user from Plex's history."""

    plays: tuple[ImportedPlay, ...]
    user: str | None
    """The user as history is queried for them."""


@dataclass(frozen=True, slots=True)
class PlaysRepeated:
    """Plays from Plex's history that were imported before: with what is known now, they may be linked to the
    companion's own.
    """

    plays: tuple[ImportedPlay, ...]


@dataclass(frozen=True, slots=True)
class HistoryProgressed:
    """Plex's history was read further, read to its end, or could not be read."""

    history: History


@dataclass(frozen=True, slots=True)
class HistoryPageWritten:
    """A page of Plex's history was applied, so that the next may be read."""

    number: int


@dataclass(frozen=True, slots=True)
class ServerSeen:
    """The server has identified itself."""

    server: ServerIdentity


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """The connection to Plex was made or lost."""

    connection: Connection


@dataclass(frozen=True, slots=True)
class StateConfirmed:
    """A snapshot confirmed or replaced what was known: it is as fresh as `at`."""

    at: int
    sessions: bool | None = None
    """Whether the snapshot listed the sessions; `None` if it did not try to."""
    first_snapshot_tick: int | None = None
    """For the first snapshot of a connection: when Plex listed its sessions. Sessions reported earlier may have ended.
    """


@dataclass(frozen=True, slots=True)
class ReadabilityChanged:
    """Sessions cannot be read though Plex is connected, or can be read again."""

    unreadable: bool


@dataclass(frozen=True, slots=True)
class AlertOpened:
    """An alert opened."""

    alert: Alert


@dataclass(frozen=True, slots=True)
class AlertResolved:
    """An alert was resolved; `alert.resolved_at` is set. `tick`: when."""

    alert: Alert
    tick: int = 0


@dataclass(frozen=True, slots=True)
class AlertReopened:
    """An alert that was resolved a moment ago opened again, with `times` in its detail."""

    alert: Alert


@dataclass(frozen=True, slots=True)
class PlexTvUsersSeen:
    """The users as plex.tv names them; users it does not name now keep their names."""

    users: tuple[PlexTvUser, ...]


@dataclass(frozen=True, slots=True)
class AlertAcknowledged:
    """A person acknowledged an alert; only the first time counts."""

    alert_id: int
    at: int


@dataclass(frozen=True, slots=True)
class ConditionSeen:
    """The condition of a rule began to hold at `tick`, or (`None`) no longer holds."""

    kind: AlertKind
    subject: str
    tick: int | None


@dataclass(frozen=True, slots=True)
class DeliveryChanged:
    """A delivery to a webhook was queued, tried or finished."""

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
"""Where every kind must be handled, `match` ends in `assert_never`, so that a new kind is a type error until it is."""


@dataclass(frozen=True, slots=True)
class RefreshRequest:
    """An order to read something from Plex again, because an event does not say enough. It changes nothing."""

    what: Literal["sessions", "library", "history"]


Effect = Change | RefreshRequest
"""What an event leads to: changes to write, and orders to read from Plex."""
