"""The facts known of a session, a client, an activity or a library, as frozen structs of msgspec.

Times are integers: milliseconds since 1970 in UTC (`…_at`), or of a monotonic clock (`…_tick`) for durations.
Identifiers are strings, as Plex's own are. Unknown values are `None`. Replacing fields takes a frozen dataclass 6 µs and
a struct 0.4, and defining one takes half a millisecond of every start and a struct a thirtieth of that.
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, field

from plex_companion.text import HIDDEN

if TYPE_CHECKING:
    from collections.abc import Mapping

Decision = Literal["direct play", "direct stream", "transcode"]
EndedBy = Literal["stopped", "replaced", "inferred", "stale", "imported"]
LinkState = Literal["live", "connecting", "down", "unauthorized", "offline"]
SAME_SERVER = "the same server as"
"""How the detail of a connection begins that leads to a server which another configured address leads to as well."""
ONLY_LINK = ""
"""The link to the only server, where nobody named it."""
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
    "rule",
    "rule_failed",
]


OccurrenceName = Literal[
    "play.started",
    "play.paused",
    "play.resumed",
    "play.stopped",
    "play.watched",
    "play.quality_changed",
    "play.buffering",
    "media.added",
    "media.upgraded",
    "media.removed",
    "alert.opened",
    "alert.resolved",
    "connection.lost",
    "connection.restored",
    "client.new",
    "scan.finished",
    "library.checked",
    "server.updated",
    "rule.fired",
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


class Moment(Struct, frozen=True):
    """When something was received: wall clock for people, monotonic clock for durations. Both in milliseconds."""

    at: int
    tick: int


class ServerIdentity(Struct, frozen=True):
    """`GET /` of the server."""

    machine_identifier: str
    name: str | None = None
    version: str | None = None
    platform: str | None = None
    platform_version: str | None = None


class Connection(Struct, frozen=True):
    """The connection to Plex. `epoch` counts connections: a session key means nothing in another epoch."""

    state: LinkState
    since_at: int
    epoch: int = 0
    detail: str | None = None


class Titles(Struct, frozen=True):
    """What an item is called, apart from the rest of it."""

    type: str | None
    title: str | None
    grandparent_title: str | None
    parent_title: str | None
    index: int | None
    parent_index: int | None
    year: int | None
    performer: str | None
    edition: str | None

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


class Item(Struct, frozen=True):
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
        """One line for people, as `Titles.full_title`."""
        return Titles(
            self.type,
            self.title,
            self.grandparent_title,
            self.parent_title,
            self.index,
            self.parent_index,
            self.year,
            self.performer,
            self.edition,
        ).full_title


class User(Struct, frozen=True):
    """The user who plays. The name is masked when it is an e-mail address, unless privacy is off."""

    id: str | None = None
    name: str | None = None

    @property
    def handle(self) -> str | None:
        """The value to query history for: the name, or the id of a user whose name is a masked e-mail address."""
        return self.id if self.name is None or self.name == HIDDEN else self.name


class Player(Struct, frozen=True):
    """The player. `address` is masked unless privacy is off."""

    client_identifier: str | None = None
    title: str | None = None
    product: str | None = None
    platform: str | None = None
    device: str | None = None
    version: str | None = None
    address: str | None = None
    local: bool | None = None


class Transcode(Struct, frozen=True):
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
    audio_channels: int | None = None

    @property
    def decision(self) -> Decision:
        """A transcode session that only remuxes is a direct stream; one that converts video or audio, or burns
        subtitles, transcodes.
        """
        decisions = (self.video_decision, self.audio_decision, self.subtitle_decision)
        return "transcode" if "transcode" in decisions or "burn" in decisions else "direct stream"

    @property
    def is_slow(self) -> bool:
        """Whether it falls behind real time. A throttled transcoder pauses because it is far enough ahead."""
        return self.speed is not None and self.speed < 1 and not self.throttled and not self.complete


class SourceFile(Struct, frozen=True):
    """The file that a stream is made from. `exact`: as its item has it; else as the titles of the session's streams say."""

    container: str | None = None
    resolution: str | None = None
    hdr: bool | None = None
    video_codec: str | None = None
    audio_codec: str | None = None
    channels: int | None = None
    bitrate_kbps: int | None = None
    exact: bool = False


class SessionRow(Struct, frozen=True):
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
    media_id: str | None = None
    source: SourceFile | None = None
    """The file, while it is not played as it is."""


class Session(Struct, frozen=True):
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
    source: SourceFile | None = None
    listed: bool = False
    """Whether `/status/sessions` has listed it."""
    stale: bool = False
    """It has not reported for five minutes, or the connection is lost."""

    @property
    def client_identifier(self) -> str | None:
        """The player's identifier."""
        return self.player.client_identifier if self.player else None


class Timeline(Struct, frozen=True):
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


class Client(Struct, frozen=True):
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
    """The capabilities in `/clients`: `timeline,playback,navigation…`; `None` when seen only in a session."""
    first_seen_at: int = 0
    last_seen_at: int = 0


class Activity(Struct, frozen=True):
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


class ToolTask(Struct, frozen=True):
    """A call of a tool whose work goes on in Plex after the answer: a scan, a refresh, a maintenance task."""

    id: str
    principal: str
    """Who called, and so may ask about it."""
    tool: str
    activity: str
    """The type of Plex's activities that are this work."""
    result: str
    """The result of the call as JSON."""
    status: Literal["working", "completed", "cancelled"] = "working"
    message: str | None = None
    sections: tuple[str, ...] = ()
    """The libraries whose activity has not ended yet; empty if the work is not of a library."""
    running: tuple[str, ...] = ()
    """The ids of its activities that run now."""
    created_at: int = 0
    updated_at: int = 0
    finished_at: int | None = None
    """When its last activity ended; null also if Plex never reported one."""


class LibraryChange(Struct, frozen=True):
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


class Section(Struct, frozen=True):
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


class Account(Struct, frozen=True):
    """A user as this server knows them (`/accounts`); 1 is the owner."""

    id: str
    name: str | None


class PlexTvUser(Struct, frozen=True):
    """A user as plex.tv names them. `id` is the server's account id: plex.tv's own number, but 1 for the owner."""

    id: str
    plex_tv_id: str
    username: str | None = None
    title: str | None = None


class Device(Struct, frozen=True):
    """A player as this server numbers it (`/devices`); rows of its history name no other."""

    id: str
    name: str | None = None
    platform: str | None = None
    client_identifier: str | None = None


KEYLESS = "keyless:"
"""The prefix of keys that we give to history rows without one."""


class HistoryRow(Struct, frozen=True):
    """A row of Plex's own history: what was watched, by which account and on which device, as numbers only."""

    history_key: str
    viewed_at_s: int
    """When Plex counted it, by Plex's clock: the only time it has."""
    item: Item
    account_id: str | None = None
    device_id: str | None = None


class ImportedPlay(Struct, frozen=True):
    """A row of Plex's history as a play, with names instead of numbers."""

    play_id: int
    history_key: str
    viewed_at: int
    item: Item
    user: User | None = None
    player: Player | None = None


class History(Struct, frozen=True):
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


class MediaFile(Struct, frozen=True):
    """One version (`Media`) of an item of the catalogue. Its parts are taken together."""

    media_id: str
    size_bytes: int | None = None
    parts: int = 1
    container: str | None = None
    resolution: str | None = None
    """As Plex writes it: `4k`, `1080`, `720`, `sd`."""
    hdr: bool | None = None
    """Unknown until its streams were read."""
    video_codec: str | None = None
    audio_codec: str | None = None
    channels: int | None = None
    bitrate_kbps: int | None = None
    duration_ms: int | None = None
    present: bool | None = None
    """Whether the file exists, where Plex says so."""
    paths: tuple[str, ...] = ()
    """Empty unless privacy is off."""


class CatalogueItem(Struct, frozen=True):
    """An item of a library as the catalogue keeps it. Times are milliseconds by Plex's clock."""

    rating_key: str
    section_id: str | None
    type: str
    title: str = ""
    """Empty if Plex has none."""
    guid: str | None = None
    imdb_id: str | None = None
    tmdb_id: str | None = None
    tvdb_id: str | None = None
    sort_title: str | None = None
    """Only where it differs from the title."""
    original_title: str | None = None
    """Of a track: its performer."""
    edition: str | None = None
    year: int | None = None
    originally_available_at: str | None = None
    item_index: int | None = None
    parent_index: int | None = None
    parent_key: str | None = None
    grandparent_key: str | None = None
    parent_title: str | None = None
    grandparent_title: str | None = None
    added_at: int | None = None
    updated_at: int | None = None
    duration_ms: int | None = None
    content_rating: str | None = None
    critic_rating: float | None = None
    audience_rating: float | None = None
    user_rating: float | None = None
    studio: str | None = None
    summary: str | None = None
    view_count: int | None = None
    last_viewed_at: int | None = None
    view_offset_ms: int | None = None
    leaf_count: int | None = None
    genres: tuple[str, ...] = ()
    directors: tuple[str, ...] = ()
    actors: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    countries: tuple[str, ...] = ()
    files: tuple[MediaFile, ...] = ()
    detailed: bool = False
    """Whether it was read by itself: a listing has at most two genres and three actors, and no streams."""


class CatalogueSection(Struct, frozen=True):
    """How much of a library is in the catalogue."""

    section_id: str
    title: str
    type: str
    uuid: str | None = None
    as_of: int | None = None
    """When it last was as Plex has it, by our clock."""
    total: int | None = None
    """Items that Plex has, all types together."""
    complete: bool = False
    """Whether the first fill has ended."""
    filled: Mapping[str, int] = field(default_factory=dict)
    """How many rows of each type the first fill has read."""
    photos: int | None = None
    detail: str | None = None
    """Why it could not be read."""


class LibraryCheck(Struct, frozen=True):
    """What the daily comparison found a library to be."""

    section_id: str
    title: str
    type: str
    count: int | None = None
    """Movies, episodes or tracks; `None` of photos, whose files the catalogue does not know."""
    size_bytes: int | None = None
    scanned_at: int | None = None
    """When Plex scanned it last."""
    added_at: int | None = None
    """When the newest of its items was added."""


class Alert(Struct, frozen=True):
    """Something that needs attention. When its condition ends, `resolved_at` is set."""

    id: int
    at: int
    kind: AlertKind
    severity: Severity
    title: str
    detail: Mapping[str, Any]
    subject: str
    """The thing it is about; at most one alert of a kind is open per subject."""
    resolved_at: int | None = None
    acknowledged_at: int | None = None
    """When a person acknowledged it."""


NOTIFY_PREFIX = "notify:"
"""Begins the `target` of a delivery that is a message for a target of notifications; its name follows."""


class Poster(Struct, frozen=True):
    """The item whose picture a message shows."""

    server: str
    """The machine identifier of the server that has it."""
    rating_key: str


class Message(Struct, frozen=True):
    """A message to people. Delivered to a target of notifications, it is the JSON of a `Delivery`."""

    title: str
    text: str
    html: str | None = None
    """The text again, for targets that show HTML."""
    poster: Poster | None = None
    inline: tuple[Poster, ...] = ()
    """The pictures that `html` shows, the first one as `cid:picture-1.jpg`. Mail has them attached; other targets show none."""


class Delivery(Struct, frozen=True):
    """An alert for a webhook or a message for a target of notifications, in the outbox."""

    id: int
    target: str
    """A digest of a webhook's address, which may hold a secret, or `notify:` and the name of a target."""
    alert_id: int | None
    """The alert that it tells of; a message of a rule may have none."""
    body: str
    """JSON. To a webhook it is sent and signed as it is, for a target of notifications it is a `Message`."""
    created_at: int
    due_at: int
    tries: int = 0
    done_at: int | None = None
    outcome: str | None = None
    """The result of the last attempt."""
    rule_id: int | None = None
    """The rule that caused it; `None` for alerts, which go to webhooks without a rule."""
    digest_at: int | None = None
    """The time that a weekly digest was due at; `None` for everything else."""

    @property
    def is_held(self) -> bool:
        """Whether it says that an alert was resolved, is held back until the alert cannot reopen, and was not tried."""
        is_about_alert = self.alert_id is not None and self.rule_id is None
        return is_about_alert and self.tries == 0 and self.done_at is None and self.due_at > self.created_at


class UserStreams(Struct, frozen=True, array_like=True):
    """How many streams a user plays at once."""

    id: str | None
    name: str | None
    streams: int


class StreamCounts(Struct, frozen=True, array_like=True):
    """What plays on a server at one moment. Stale sessions are not counted."""

    streams: int = 0
    bandwidth_kbps: int = 0
    """Of all of them together, as far as Plex has said."""
    users: tuple[UserStreams, ...] = ()


class Occurrence(Struct, frozen=True):
    """Something that happened, by its type. The database gives it its id."""

    type: OccurrenceName
    at: int
    data: Mapping[str, Any]
    inferred: bool = False
    """Whether it was not reported, but found out afterwards."""
    history_key: str | None = None
    """The row of Plex's history it follows from. A row that was imported before causes none."""
    server: str | None = None
    """The server it is of, if that is not the one that answers now."""
    streams: StreamCounts | None = None
    """What played at that moment, for rules."""


class PlayMilestones(Struct, frozen=True):
    """The occurrences of a play that were recorded, so that none is recorded twice."""

    started: bool = False
    paused: bool = False
    """Whether the last of pauses and resumptions was a pause."""
    watched: bool = False
    history_key: str | None = None
    """The row of Plex's history that counts this play."""


class EndedPlay(Struct, frozen=True):
    """A play that ended recently: Plex's history may count it later."""

    session: Session
    ended_at: int
    ended_by: EndedBy
    milestones: PlayMilestones


class PendingDelivery(Struct, frozen=True):
    """A message of an event subscription that was tried and is tried again, each on its own."""

    before: str
    """The cursor before its occurrence: reading from there finds it again, and everything up to there is settled."""
    event_id: str
    """Empty for a message that occurrences were lost, which has none."""
    due_at: int
    tries: int = 1


class DeliveryProgress(Struct, frozen=True):
    """How far the occurrences of an event subscription were delivered."""

    position: str
    """The cursor after the last occurrence that was tried or does not match."""
    pending: tuple[PendingDelivery, ...] = ()
    """In the order of their occurrences."""
    last_delivered_at: int | None = None
    last_error: str | None = None
    """The category of the last failure, if nothing was delivered since."""
    failed_since: int | None = None
    suspended: bool = False
    """Whether it failed for so long that nothing is tried until the subscriber refreshes it."""

    @property
    def watermark(self) -> str:
        """The cursor up to which everything is delivered or given up."""
        return self.pending[0].before if self.pending else self.position


class EventSubscription(Struct, frozen=True):
    """A webhook that a client of MCP Events subscribed, and how far it was served."""

    id: str
    principal: str
    """A digest that stands for the authenticated caller."""
    url: str
    name: str
    """The type of occurrence."""
    arguments: str
    """The filter, as canonical JSON."""
    secret: str
    """The client's key of signatures: `whsec_` and base64."""
    revision: str
    """Differs after each refresh, so that the caller sees that its own was written."""
    refreshed_at: int
    expires_at: int
    progress: DeliveryProgress
    created_at: int = 0
    """When it was first subscribed, without a lapse since."""
    previous_secret: str | None = None
    """The key before the last one: signatures are made with both for a while."""
    previous_until: int | None = None

    def __repr__(self) -> str:
        """Show what identifies it, and none of its secrets."""
        return f"EventSubscription({self.id}, {self.name})"


MediaNews = Literal["media.added", "media.upgraded", "media.removed"]
MEDIA_NEWS: dict[str, MediaNews] = {
    "created": "media.added",
    "updated": "media.upgraded",
    "deleted": "media.removed",
}
"""What a change of the library means as an occurrence."""


class PendingMedia(Struct, frozen=True):
    """A change of the library that waits for the rest of its season or album."""

    news: MediaNews
    change: LibraryChange
    since_tick: int
    tick: int
    """When it last went on."""
    item: CatalogueItem | None = None
    """The item, once the catalogue has read it."""
    caught_up: tuple[User, ...] = ()
    """The users who had watched every earlier episode of the show."""
    inferred: bool = False
    """Whether no notification announced it: the catalogue found it."""


class QuietHours(Struct, frozen=True):
    """A time of day in which no message is sent, in minutes since midnight. It may pass midnight."""

    start_minute: int
    """Included."""
    end_minute: int
    """Not included."""


class NotifyAction(Struct, frozen=True, tag_field="action", tag="notify"):
    """Tell people. The texts may have placeholders, as `{data.item.full_title}`."""

    targets: tuple[str, ...]
    """Names of targets, as they are set."""
    title: str
    text: str = ""


class AlertAction(Struct, frozen=True, tag_field="action", tag="alert"):
    """Open an alert."""

    title: str
    severity: Severity = "info"


class StopStreamAction(Struct, frozen=True, tag_field="action", tag="stop_stream"):
    """Stop the play."""

    message: str = ""
    """What the viewer reads."""


class WebhookAction(Struct, frozen=True, tag_field="action", tag="webhook"):
    """Call the configured webhooks."""


RuleAction = NotifyAction | AlertAction | StopStreamAction | WebhookAction


class Rule(Struct, frozen=True):
    """What to do when something happens."""

    id: int | None
    """`None` before it is saved."""
    name: str
    when: tuple[OccurrenceName, ...]
    then: tuple[RuleAction, ...]
    only_if: str = ""
    """A condition in CEL. Empty if there is none."""
    for_ms: int | None = None
    """How long it must last."""
    cooldown_ms: int | None = None
    """How long it does not fire again."""
    quiet: QuietHours | None = None
    enabled: bool = False


class NearMiss(Struct, frozen=True):
    """An occurrence at which a rule would have fired, had one part of its condition been true."""

    at: int
    failed: str
    """That part, as the rule writes it."""
    occurrence: str
    """The id of the occurrence."""


class StoredRule(Struct, frozen=True):
    """A rule in the database, and what it has done so far."""

    id: int
    name: str
    definition: str
    """The `Rule` as JSON, without its id and whether it is enabled."""
    revision: str
    """Differs after each change by a person."""
    created_at: int
    updated_at: int
    enabled: bool = False
    enabled_at: int | None = None
    enabled_after: int = 0
    """The number of the newest occurrence when it was enabled."""
    last_fired_at: int | None = None
    fired: int = 0
    near_misses: int = 0
    last_near_misses: tuple[NearMiss, ...] = ()
    """The newest last."""
    errors: int = 0
    """How many evaluations in a row have failed."""
    last_error: str | None = None
    disabled_because: str | None = None
    """Why the companion has disabled it."""


class ImportedRule(Struct, frozen=True):
    """A rule of a file that is imported, beside the rule of its name that there was when the file was read."""

    name: str
    definition: str | None
    """As `StoredRule.definition`; `None` if the rule stays as it is."""
    revision: str
    """Its revision from now on, if anything about it changes."""
    replaced: str | None
    """The revision of the rule of its name; `None` if there was none."""


class RuleTimer(Struct, frozen=True):
    """Something that lasts and matches a rule: the rule fires when it has lasted long enough."""

    rule_id: int
    revision: str
    subject: str
    """The play, alert or connection that it is about. Its opposite ends the timer."""
    due_at: int
    occurrence: str
    """The occurrence as JSON, as it is read."""
    depth: int = 1
    """As `RuleFiring.depth`, once it fires."""


class FiredAction(Struct, frozen=True):
    """An action of a firing, and what became of it."""

    action: str
    outcome: str
    """`queued`, `opened`, `done`, `read_only`, `pending` or a code of the error tree."""
    targets: tuple[str, ...] = ()
    message: str | None = None
    """What a viewer reads whose stream is stopped."""


class RuleFiring(Struct, frozen=True):
    """One time that a rule fired."""

    id: int
    """0 until it is recorded."""
    rule_id: int
    at: int
    """When it happened, not when it was recorded."""
    recorded_at: int
    occurrence: str
    """The id of the occurrence that it fired on."""
    occurrence_type: str
    reason: str
    actions: tuple[FiredAction, ...]
    server: str | None = None
    play_id: int | None = None
    depth: int = 1
    """1, or 2 for a rule that fired on what another rule caused."""

    @property
    def is_pending(self) -> bool:
        """Whether an action is still to be done."""
        return any(action.outcome == PENDING for action in self.actions)


PENDING = "pending"
"""The outcome of an action that is done after the firing was committed."""


class PlannedDelivery(Struct, frozen=True):
    """Something that a firing puts into the outbox."""

    target: str
    body: str
    due_at: int


class PlannedFiring(Struct, frozen=True):
    """A firing that was found and is not recorded yet."""

    firing: RuleFiring
    rule_name: str
    revision: str
    deliveries: tuple[PlannedDelivery, ...] = ()
    alerts: tuple[tuple[str, Severity], ...] = ()
    """Titles and severities of alerts to open."""


class RuleTally(Struct, frozen=True):
    """What judging some occurrences has told about a rule, apart from firings."""

    rule_id: int
    revision: str
    near_misses: tuple[NearMiss, ...] = ()
    errors: int = 0
    """How many evaluations in a row have failed by now."""
    last_error: str | None = None


class RulesState(Struct, frozen=True):
    """Everything that is known of rules. A change makes a new one."""

    stored: Mapping[int, StoredRule] = field(default_factory=dict)
    timers: Mapping[tuple[int, str], RuleTimer] = field(default_factory=dict)
    """By rule and subject."""
    pending: Mapping[int, RuleFiring] = field(default_factory=dict)
    """By id: firings whose actions are not done."""
    stops: Mapping[int, RuleFiring] = field(default_factory=dict)
    """By play: the last firings that stopped one."""
    position: int | None = None
    """The number of the last occurrence that was judged and may not be judged again."""
    rounds: int = 0
    """How often occurrences were judged in this process. What was judged in an earlier round counts once."""
