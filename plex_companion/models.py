"""What is known of a session, a client, an activity or a library, as plain frozen dataclasses.

Times are integers: milliseconds since 1970 in UTC (`…_at`), or of a monotonic clock (`…_tick`) for durations.
Identifiers are strings, as Plex's own are. Unknown values are `None`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal

from plex_companion.text import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Mapping

Decision = Literal["direct play", "direct stream", "transcode"]
EndedBy = Literal["stopped", "replaced", "inferred", "stale", "imported"]
LinkState = Literal["live", "connecting", "down", "unauthorized", "offline"]
Severity = Literal["info", "warning", "error"]
AlertKind = Literal[
    "connection_lost",
    "unauthorized",
    "remote_access_lost",
    "update_available",
    "transcode_slow",
    "transcode_4k",
    "buffering",
    "playback_error",
    "concurrent_streams",
    "paused_long",
    "new_device",
    "scan_finished",
    "listener_gap",
    "sessions_unreadable",
    "plex_status",
    "storage",
]


PlayEventKind = Literal["started", "paused", "resumed", "seeked", "buffering", "decision", "error", "ended"]


class MediaType(IntEnum):
    """The numbers that Plex gives to kinds of media, in timeline entries and as `type=` in requests (PLEX.md 1.2)."""

    MOVIE = 1
    SHOW = 2
    SEASON = 3
    EPISODE = 4
    TRAILER = 5
    COMIC = 6
    PERSON = 7
    ARTIST = 8
    ALBUM = 9
    TRACK = 10
    PICTURE = 11
    CLIP = 12
    PHOTO = 13
    PHOTOALBUM = 14
    PLAYLIST = 15
    PLAYLISTFOLDER = 16
    COLLECTION = 18
    OPTIMIZEDVERSION = 42


TYPE_NUMBERS = {one.name.lower(): one for one in MediaType}
"""The number of each kind by its name, as Plex writes it in the attribute `type`."""
TYPE_NAMES = {number.value: name for name, number in TYPE_NUMBERS.items()}


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was received: wall clock for people, monotonic clock for durations. Both in milliseconds."""

    at: int
    tick: int


@dataclass(frozen=True, slots=True)
class ServerIdentity:
    """`GET /` of the server."""

    machine_identifier: str
    name: str | None = None
    version: str | None = None
    platform: str | None = None
    platform_version: str | None = None


@dataclass(frozen=True, slots=True)
class Connection:
    """The connection to Plex. `epoch` counts connections: a session key means nothing in another epoch."""

    state: LinkState
    since_at: int
    epoch: int = 0
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """The item that is played."""

    rating_key: str | None = None
    key: str | None = None
    """Plex's path: `/library/metadata/N`, or `/livetv/sessions/<uuid>`."""
    guid: str | None = None
    type: str | None = None
    title: str | None = None
    grandparent_title: str | None = None
    parent_title: str | None = None
    index: int | None = None
    parent_index: int | None = None
    year: int | None = None
    library: str | None = None
    library_id: str | None = None
    duration_ms: int | None = None
    live: bool = False
    grandparent_rating_key: str | None = None
    """The show of an episode, the artist of a track."""
    grandparent_guid: str | None = None
    performer: str | None = None
    """The performer of a track if that is not the artist of its album, as on a compilation."""
    edition: str | None = None
    """The edition of a film, such as "Director's Cut"."""

    @property
    def full_title(self) -> str | None:
        """One line for people: `Show - S01E02 - Title`, `Performer - Album - Title`, `Title (Year) - Edition`."""
        if self.title is None:
            return None
        above = self.performer or self.grandparent_title
        if above is None:
            dated = f"{self.title} ({self.year})" if self.year and self.type == "movie" else self.title
            return f"{dated} - {self.edition}" if self.edition else dated
        middle = self.parent_title
        if self.type == "episode":
            known = self.index is not None and self.parent_index is not None
            middle = f"S{self.parent_index:02d}E{self.index:02d}" if known else self.parent_title
        return " - ".join(part for part in (above, middle, self.title) if part)


@dataclass(frozen=True, slots=True)
class User:
    """The user who plays. The name is masked when it is an e-mail address, unless privacy is off."""

    id: str | None = None
    name: str | None = None

    @property
    def handle(self) -> str | None:
        """What history is queried for: the name, or the id of a user whose name is a masked e-mail address."""
        return self.id if self.name is None or self.name == HIDDEN else self.name


@dataclass(frozen=True, slots=True)
class Player:
    """The player. `address` is masked unless privacy is off."""

    client_identifier: str | None = None
    title: str | None = None
    product: str | None = None
    platform: str | None = None
    device: str | None = None
    version: str | None = None
    address: str | None = None
    local: bool | None = None


@dataclass(frozen=True, slots=True)
class Transcode:
    """One transcode session. `key` is bare: the last part of `/transcode/sessions/<id>`."""

    key: str
    video_decision: str | None = None
    audio_decision: str | None = None
    subtitle_decision: str | None = None
    source_video_codec: str | None = None
    source_audio_codec: str | None = None
    video_codec: str | None = None
    audio_codec: str | None = None
    container: str | None = None
    protocol: str | None = None
    width: int | None = None
    height: int | None = None
    speed: float | None = None
    throttled: bool | None = None
    complete: bool | None = None
    progress: float | None = None
    hardware: bool | None = None
    """Whether the graphics hardware decodes or encodes."""
    error: bool | None = None

    @property
    def decision(self) -> Decision:
        """A transcode session that only remuxes is a direct stream; one that converts video or audio, or burns
        subtitles, transcodes.
        """
        converts = {self.video_decision, self.audio_decision, self.subtitle_decision} & {"transcode", "burn"}
        return "transcode" if converts else "direct stream"

    @property
    def is_slow(self) -> bool:
        """Whether it falls behind real time. A throttled transcoder pauses because it is far enough ahead."""
        return self.speed is not None and self.speed < 1 and not self.throttled and not self.complete


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One entry of `/status/sessions`, the only source of a session's title, user and player (PLEX.md 0.5)."""

    session_key: str | None
    """Absent from some live TV rows."""
    session_id: str | None
    """`<Session id>`: what `/status/sessions/terminate` expects. Not the session key."""
    item: Item
    user: User | None
    player: Player | None
    state: str | None
    view_offset_ms: int | None
    transcode: Transcode | None
    decision: Decision | None
    bandwidth_kbps: int | None
    location: str | None
    video_resolution: str | None = None
    """Of the file, as Plex writes it: `sd`, `720`, `1080`, `4k`."""
    bitrate_kbps: int | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A session that plays now, and its row in `plays` once it has ended."""

    play_id: int
    epoch: int
    session_key: str
    item: Item
    state: str
    started_at: int
    updated_at: int
    heard_tick: int
    session_id: str | None = None
    user: User | None = None
    player: Player | None = None
    view_offset_ms: int = 0
    watched_ms: int = 0
    paused_ms: int = 0
    buffer_count: int = 0
    transcode_key: str | None = None
    transcode: Transcode | None = None
    decision: Decision | None = None
    bandwidth_kbps: int | None = None
    location: str | None = None
    video_resolution: str | None = None
    bitrate_kbps: int | None = None
    listed: bool = False
    """Whether `/status/sessions` has listed it."""
    stale: bool = False
    """It has not reported for five minutes, or the connection is lost."""

    @property
    def client_identifier(self) -> str | None:
        """The player's identifier."""
        return self.player.client_identifier if self.player else None


@dataclass(frozen=True, slots=True)
class Timeline:
    """The position of a client, or its last one."""

    client_identifier: str
    state: str
    type: str | None
    rating_key: str | None
    title: str | None
    view_offset_ms: int
    duration_ms: int | None
    session_key: str | None
    updated_at: int


@dataclass(frozen=True, slots=True)
class Client:
    """A player that was seen in a session or in `/clients`."""

    client_identifier: str
    title: str | None = None
    product: str | None = None
    platform: str | None = None
    device: str | None = None
    version: str | None = None
    address: str | None = None
    local: bool | None = None
    provides: str | None = None
    """What `/clients` says it supports: `timeline,playback,navigation…`; `None` when seen only in a session."""
    first_seen_at: int = 0
    last_seen_at: int = 0


@dataclass(frozen=True, slots=True)
class Activity:
    """Something Plex is doing: a scan, a refresh, a download."""

    uuid: str
    type: str | None = None
    title: str | None = None
    subtitle: str | None = None
    progress: int | None = None
    """0 to 100; -1 when Plex does not know."""
    cancellable: bool | None = None
    user_id: str | None = None
    context: Mapping[str, Any] = field(default_factory=dict)
    started_at: int = 0
    updated_at: int = 0


@dataclass(frozen=True, slots=True)
class LibraryChange:
    """One item that was added, changed or deleted."""

    id: int
    at: int
    item_id: str
    section_id: str | None
    type: str | None
    title: str | None
    change: Literal["created", "updated", "deleted"]
    settled: bool
    """Plex has finished processing it: title and metadata are final."""
    parent_item_id: str | None = None
    root_item_id: str | None = None
    analyzed: bool = False
    """Plex has analyzed its file meanwhile. If the item is not new, the file was replaced."""


@dataclass(frozen=True, slots=True)
class Section:
    """A library."""

    section_id: str
    title: str
    type: str
    uuid: str | None = None
    agent: str | None = None
    scanner: str | None = None
    language: str | None = None
    count: int | None = None
    """Items of the library's own type (movies, shows, artists, photos)."""
    refreshing: bool = False
    updated_at: int | None = None
    scanned_at: int | None = None
    content_changed_at: int | None = None
    """Plex's own counter, which moves only when the content does. Not a time."""
    locations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Account:
    """A user as this server knows them (`/accounts`); 1 is the owner."""

    id: str
    name: str | None


@dataclass(frozen=True, slots=True)
class PlexTvUser:
    """A user as plex.tv names them. `id` is the server's account id: plex.tv's own number, but 1 for the owner."""

    id: str
    plex_tv_id: str
    username: str | None = None
    title: str | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A player as this server numbers it (`/devices`); rows of its history name no other."""

    id: str
    name: str | None = None
    platform: str | None = None
    client_identifier: str | None = None


KEYLESS = "keyless:"
"""The prefix of keys that we give to history rows without one."""


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """A row of Plex's own history: what was watched, by which account and on which device, as numbers only."""

    history_key: str
    viewed_at_s: int
    """When Plex counted it, by Plex's clock: the only time it has."""
    item: Item
    account_id: str | None = None
    device_id: str | None = None


@dataclass(frozen=True, slots=True)
class ImportedPlay:
    """A row of Plex's history as a play, with names instead of numbers."""

    play_id: int
    history_key: str
    viewed_at: int
    item: Item
    user: User | None = None
    player: Player | None = None


@dataclass(frozen=True, slots=True)
class History:
    """How far Plex's own history was read."""

    mark_s: int = 0
    """Everything counted up to here is in the cache. Seconds, by Plex's clock."""
    imported: int = 0
    """Rows that are in the cache."""
    total: int | None = None
    """Rows that Plex has; `None` if it does not say."""
    complete: bool = False
    """Whether it was read to its end at the last attempt."""
    detail: str | None = None
    """Why it cannot be read."""


@dataclass(frozen=True, slots=True)
class Alert:
    """Something that needs attention. When its condition ends, `resolved_at` is set."""

    id: int
    at: int
    kind: AlertKind
    severity: Severity
    title: str
    detail: Mapping[str, Any]
    subject: str
    """What it is about; at most one alert of a kind is open per subject."""
    resolved_at: int | None = None
    acknowledged_at: int | None = None
    """When a person acknowledged it."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An alert queued for a webhook."""

    id: int
    webhook: str
    """A digest of the address, which may hold a secret."""
    alert_id: int
    body: str
    """JSON, as it is sent and signed."""
    created_at: int
    due_at: int
    tries: int = 0
    done_at: int | None = None
    outcome: str | None = None
    """The result of the last attempt."""

    @property
    def is_held(self) -> bool:
        """Whether it is held back on purpose and has not been tried."""
        return self.tries == 0 and self.done_at is None and self.due_at > self.created_at
