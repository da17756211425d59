"""What Plex sends: one frozen dataclass per notification type, and `parse_frame`, which never raises.

Shapes and quirks: Plex's notification websocket as recorded in public issue threads and described by plex-api-spec
1.1.1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from plex_companion.models import PlexTvUser, Transcode
from plex_companion.parsing.values import parse_bool, parse_float, parse_int, parse_text
from plex_companion.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from plex_companion.models import (
        Account,
        Activity,
        Client,
        Delivery,
        Device,
        HistoryRow,
        Moment,
        Section,
        ServerIdentity,
        SessionRow,
    )

Raw = dict[str, Any]

MOST_ENTRIES = 20_000
"""Entries of a frame that are read. Plex sends one, and a few dozen when a season is added."""


@dataclass(frozen=True, slots=True)
class Playing:
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
    raw: Raw


@dataclass(frozen=True, slots=True)
class TimelineEntry:
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
    raw: Raw


@dataclass(frozen=True, slots=True)
class ActivityReport:
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
    raw: Raw


@dataclass(frozen=True, slots=True)
class TranscodeReport:
    """A transcode session started, progressed or ended. An end with a start in the same second is a restart or a seek."""

    type: str
    phase: Literal["start", "update", "end"]
    transcode: Transcode
    raw: Raw


@dataclass(frozen=True, slots=True)
class StatusNote:
    """A sentence for people, shown at the start and end of a scan. May be localised: show it, do not parse it."""

    type: ClassVar[str] = "status"
    title: str | None
    description: str | None
    name: str | None
    raw: Raw


@dataclass(frozen=True, slots=True)
class BackgroundQueue:
    """Plex rearranged its background work."""

    type: ClassVar[str] = "backgroundProcessingQueue"
    queue_id: str | None
    event: str | None
    raw: Raw


@dataclass(frozen=True, slots=True)
class Reachability:
    """Remote access was checked."""

    type: ClassVar[str] = "reachability"
    reachable: bool | None
    raw: Raw


@dataclass(frozen=True, slots=True)
class UpdateState:
    """The check for updates progressed."""

    type: ClassVar[str] = "update.statechange"
    version: str | None
    state: str | None
    raw: Raw


@dataclass(frozen=True, slots=True)
class ScanProgress:
    """What a scan reads now; the source of invalid UTF-8 (PlexAutoLanguages #48)."""

    type: ClassVar[str] = "progress"
    message: str | None
    raw: Raw


@dataclass(frozen=True, slots=True)
class Preference:
    """A server setting changed."""

    type: ClassVar[str] = "preference"
    id: str | None
    raw: Raw


@dataclass(frozen=True, slots=True)
class AccountUpdate:
    """An account changed. No recorded payload is public: read the accounts again."""

    type: ClassVar[str] = "account"
    raw: Raw


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of Plex's log. Plex sends it only on request; the companion does not request it."""

    type: ClassVar[str] = "log"
    raw: Raw


@dataclass(frozen=True, slots=True)
class Unknown:
    """A notification of an undocumented type. Kept and counted, never an error."""

    type: str
    raw: Raw


@dataclass(frozen=True, slots=True)
class Malformed:
    """A frame, or an entry of one, that cannot be parsed. Counted."""

    type: ClassVar[str] = "malformed"
    reason: str


@dataclass(frozen=True, slots=True)
class Connecting:
    """The websocket is open, and the snapshot is being read."""

    type: ClassVar[str] = "connection"


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection was lost or could not be made. `detail` is for people and holds no address."""

    type: ClassVar[str] = "connection"
    detail: str
    unauthorized: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
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
    """What could not be read and why."""
    unread_keys: frozenset[str] = frozenset()
    """Keys of sessions whose rows could not be read."""
    is_complete: bool = True
    """Whether every session is in `sessions` or `unread_keys`."""
    is_unreadable: bool = False
    """Whether `sessions` is `None` because Plex's answer was invalid, rather than because only the owner may read it.
    """


@dataclass(frozen=True, slots=True)
class SessionsUnread:
    """Sessions could not be read though the websocket is open. Sent once per reason, until they can be read again."""

    type: ClassVar[str] = "snapshot"
    detail: str


@dataclass(frozen=True, slots=True)
class HistoryPage:
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


@dataclass(frozen=True, slots=True)
class Audit:
    """A tool that may change Plex was called. `raw` holds its arguments, its outcome, and the values before."""

    type: ClassVar[str] = "audit"
    tool: str
    outcome: str
    """`done`, a code of the error tree, or `unfinished`."""
    raw: Raw


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A person acknowledged an alert."""

    type: ClassVar[str] = "acknowledged"
    alert_id: int


@dataclass(frozen=True, slots=True)
class PlexTvUsersRead:
    """A tool has read the users from plex.tv."""

    type: ClassVar[str] = "plex_tv_users"
    users: tuple[PlexTvUser, ...]

    def __post_init__(self) -> None:
        """Convert users that another process forwarded as JSON objects."""
        given: tuple[Any, ...] = self.users
        known = tuple(one if isinstance(one, PlexTvUser) else PlexTvUser(**one) for one in given)
        object.__setattr__(self, "users", known)


@dataclass(frozen=True, slots=True)
class StorageReport:
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


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """A delivery to a webhook was attempted; `delivery` is its new state."""

    type: ClassVar[str] = "delivery"
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; rules that wait are evaluated."""

    type: ClassVar[str] = "tick"


Frame = (
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
    | Unknown
    | Malformed
)
Event = (
    Frame
    | Connecting
    | Disconnected
    | Snapshot
    | SessionsUnread
    | HistoryPage
    | Audit
    | Acknowledged
    | PlexTvUsersRead
    | StorageReport
    | DeliveryReport
    | Tick
)


class ReceivedEvent(NamedTuple):
    """An event and when it was received."""

    event: Event
    moment: Moment
    forwarded_id: int | None = None
    """The id of its row, if another process forwarded it."""


def parse_frame(text: str | bytes) -> list[Frame]:
    """Parse a frame into one event per entry, in order.

    Never raises: what cannot be parsed becomes `Malformed`.
    """
    if isinstance(text, bytes | bytearray | memoryview):
        text = bytes(text).decode("utf-8", errors="replace")
    try:
        frame = _DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        return [Malformed(f"not JSON: {type(error).__name__}")]
    if not isinstance(frame, dict):
        return [Malformed("not a JSON object")]
    container = frame.get("NotificationContainer")
    if container is None and frame.get("_elementType") == "NotificationContainer":
        container = frame  # PMS before 1.3 (2016), as Tautulli still falls back to
    if not isinstance(container, dict):
        return [Malformed("no NotificationContainer")]
    kind = container.get("type")
    if not isinstance(kind, str) or not kind:
        return [Malformed("a container without a type")]
    return _parse_entries(clean(kind), container)


def _parse_entries(kind: str, container: Raw) -> list[Frame]:
    key, read = _KINDS.get(kind, ("", None))
    listed = container.get(key) if key in container else container.get("_children", _find_first_list(container))
    if isinstance(listed, dict):
        listed = [listed]
    if not isinstance(listed, list) or not listed:
        return [Unknown(kind, container)]
    found = [_parse_entry(kind, read, entry) for entry in listed[:MOST_ENTRIES]]
    return found if len(listed) <= MOST_ENTRIES else [*found, Malformed(f"more than {MOST_ENTRIES} entries")]


def _parse_entry(kind: str, read: Callable[[str, Raw], Frame] | None, entry: object) -> Frame:
    if not isinstance(entry, dict):
        return Malformed(f"an entry of '{kind}' that is not an object")
    return read(kind, entry) if read else Unknown(kind, entry)


def _find_first_list(container: Raw) -> object:
    return next((value for value in container.values() if isinstance(value, list)), None)


def _reject_constant(constant: str) -> float:
    message = f"{constant} is not JSON"
    raise ValueError(message)


_DECODER = json.JSONDecoder(parse_constant=_reject_constant)


def _strip_path(value: object) -> str | None:
    """Return the last part of `/transcode/sessions/<id>`; the key may already be bare."""
    text = parse_text(value)
    return text.rsplit("/", 1)[-1] if text else None


def _parse_playing(_kind: str, raw: Raw) -> Frame:
    return Playing(
        session_key=parse_text(raw.get("sessionKey")),
        client_identifier=parse_text(raw.get("clientIdentifier")),
        rating_key=parse_text(raw.get("ratingKey")),
        key=parse_text(raw.get("key")),
        guid=parse_text(raw.get("guid")),
        state=parse_text(raw.get("state")) or "",
        view_offset_ms=parse_int(raw.get("viewOffset")),
        transcode_key=_strip_path(raw.get("transcodeSession")),
        raw=raw,
    )


def _parse_timeline(_kind: str, raw: Raw) -> Frame:
    return TimelineEntry(
        identifier=parse_text(raw.get("identifier")),
        section_id=parse_text(raw.get("sectionID")),
        item_id=parse_text(raw.get("itemID")),
        parent_item_id=parse_text(raw.get("parentItemID")),
        root_item_id=parse_text(raw.get("rootItemID")),
        media_type=parse_int(raw.get("type")),
        title=parse_text(raw.get("title")),
        state=parse_int(raw.get("state")),
        metadata_state=parse_text(raw.get("metadataState")),
        media_state=parse_text(raw.get("mediaState")),
        queue_size=parse_int(raw.get("queueSize")),
        raw=raw,
    )


def _parse_activity(_kind: str, raw: Raw) -> Frame:
    inner = raw.get("Activity")
    activity: Raw = inner if isinstance(inner, dict) else {}
    context = activity.get("Context")
    return ActivityReport(
        phase=parse_text(raw.get("event")) or "",
        uuid=parse_text(raw.get("uuid")) or parse_text(activity.get("uuid")),
        activity_type=parse_text(activity.get("type")),
        title=parse_text(activity.get("title")),
        subtitle=parse_text(activity.get("subtitle")),
        progress=parse_int(activity.get("progress")),
        cancellable=parse_bool(activity.get("cancellable")),
        user_id=parse_text(activity.get("userID")),
        context=_parse_context(context) if isinstance(context, dict) else {},
        raw=raw,
    )


def _parse_context(context: Raw) -> Raw:
    """Return what an activity is about as plain, cleaned values. Every known context holds only those."""
    plain = {clean(str(name)): _parse_context_value(value) for name, value in context.items()}
    return {name: value for name, value in plain.items() if value is not None}


def _parse_context_value(value: object) -> str | int | float | bool | None:
    match value:
        case bool():
            return value
        case str():
            return clean(value)
        case int():
            return parse_int(value)
        case float():
            return parse_float(value)
        case _:
            return None


def build_transcode(raw: Mapping[str, Any]) -> Transcode:
    """Build a transcode session from a frame's JSON or an element's attributes: the names are the same in both."""
    hardware = [raw.get(name) for name in ("transcodeHwDecoding", "transcodeHwEncoding")]
    requested = parse_bool(raw.get("transcodeHwRequested"))
    return Transcode(
        key=_strip_path(raw.get("key")) or "",
        video_decision=parse_text(raw.get("videoDecision")),
        audio_decision=parse_text(raw.get("audioDecision")),
        subtitle_decision=parse_text(raw.get("subtitleDecision")),
        source_video_codec=parse_text(raw.get("sourceVideoCodec")),
        source_audio_codec=parse_text(raw.get("sourceAudioCodec")),
        video_codec=parse_text(raw.get("videoCodec")),
        audio_codec=parse_text(raw.get("audioCodec")),
        container=parse_text(raw.get("container")),
        protocol=parse_text(raw.get("protocol")),
        width=parse_int(raw.get("width")),
        height=parse_int(raw.get("height")),
        speed=parse_float(raw.get("speed")),
        throttled=parse_bool(raw.get("throttled")),
        complete=parse_bool(raw.get("complete")),
        progress=parse_float(raw.get("progress")),
        hardware=any(hardware) if requested is not None or any(hardware) else None,
        error=parse_bool(raw.get("error")),
    )


def _parse_transcode(kind: str, raw: Raw) -> Frame:
    phases: dict[str, Literal["start", "update", "end"]] = {"start": "start", "update": "update"}
    return TranscodeReport(
        type=kind,
        phase=phases.get(kind.rsplit(".", 1)[-1], "end"),
        transcode=build_transcode(raw),
        raw=raw,
    )


def _parse_status(_kind: str, raw: Raw) -> Frame:
    return StatusNote(
        parse_text(raw.get("title")),
        parse_text(raw.get("description")),
        parse_text(raw.get("notificationName")),
        raw,
    )


def _parse_queue(_kind: str, raw: Raw) -> Frame:
    return BackgroundQueue(parse_text(raw.get("queueID")), parse_text(raw.get("event")), raw)


def _parse_reachability(_kind: str, raw: Raw) -> Frame:
    return Reachability(parse_bool(raw.get("reachability")), raw)


def _parse_update(_kind: str, raw: Raw) -> Frame:
    return UpdateState(parse_text(raw.get("version")), parse_text(raw.get("state")), raw)


def _parse_progress(_kind: str, raw: Raw) -> Frame:
    return ScanProgress(parse_text(raw.get("message")), raw)


def _parse_preference(_kind: str, raw: Raw) -> Frame:
    return Preference(parse_text(raw.get("id")), raw)


def _parse_account(_kind: str, raw: Raw) -> Frame:
    return AccountUpdate(raw)


def _parse_log(_kind: str, raw: Raw) -> Frame:
    return LogLine(raw)


_KINDS: dict[str, tuple[str, Callable[[str, Raw], Frame]]] = {
    "playing": ("PlaySessionStateNotification", _parse_playing),
    "timeline": ("TimelineEntry", _parse_timeline),
    "activity": ("ActivityNotification", _parse_activity),
    "transcodeSession.start": ("TranscodeSession", _parse_transcode),
    "transcodeSession.update": ("TranscodeSession", _parse_transcode),
    "transcodeSession.end": ("TranscodeSession", _parse_transcode),
    "transcode.end": ("TranscodeSession", _parse_transcode),  # listed by the Go client, never recorded
    "status": ("StatusNotification", _parse_status),
    "backgroundProcessingQueue": ("BackgroundProcessingQueueEventNotification", _parse_queue),
    "reachability": ("ReachabilityNotification", _parse_reachability),
    "update.statechange": ("AutoUpdateNotification", _parse_update),
    "progress": ("ProgressNotification", _parse_progress),
    "preference": ("Setting", _parse_preference),
    "account": ("AccountUpdateNotification", _parse_account),
    "log": ("LogSentNotification", _parse_log),
}

KNOWN = frozenset(_KINDS)
"""The types that Plex is known to send."""
