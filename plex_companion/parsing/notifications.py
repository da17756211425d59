"""Plex's notifications: the fields of their entries and the types that Plex writes them in, and the events they become.

Each kind is declared once and read in two ways: strictly, as msgspec finds it in JSON, or leniently, value by value.
Shapes and quirks: Plex's notification websocket as recorded in public issue threads and described by plex-api-spec
1.1.1.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, TypeVar

from msgspec import Meta, Struct, field
from msgspec.structs import fields

from plex_companion.events import (
    AccountUpdate,
    ActivityReport,
    BackgroundQueue,
    LogLine,
    Playing,
    Preference,
    Reachability,
    ScanProgress,
    StatusNote,
    TimelineEntry,
    TranscodeReport,
    UpdateState,
)
from plex_companion.models import Transcode
from plex_companion.parsing.values import LARGEST, LARGEST_FLOAT, parse_bool, parse_float, parse_int, parse_text
from plex_companion.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from plex_companion.events import KnownNotification

E = TypeVar("E", bound=Struct)

Text = str | None
Flag = bool | None
_Int = Annotated[int, Meta(gt=-LARGEST, lt=LARGEST)]
_Float = Annotated[float, Meta(gt=-LARGEST_FLOAT, lt=LARGEST_FLOAT)]
Whole = _Int | None
Fraction = _Float | None
Number = int | str | None
"""An identifier that Plex writes as a number."""
Anything = Any
Context = dict[str, str | bool | _Int | _Float | None]
"""The subject of an activity."""


class PlayingFields(Struct, rename="camel", gc=False):
    """A `PlaySessionStateNotification`."""

    session_key: Text = None
    client_identifier: Text = None
    rating_key: Text = None
    key: Text = None
    guid: Text = None
    state: Text = None
    view_offset: Whole = None
    transcode_session: Text = None


class TimelineFields(Struct, rename="camel", gc=False):
    """A `TimelineEntry`."""

    identifier: Text = None
    section_id: Text = field(name="sectionID", default=None)
    item_id: Text = field(name="itemID", default=None)
    parent_item_id: Text = field(name="parentItemID", default=None)
    root_item_id: Text = field(name="rootItemID", default=None)
    type: Whole = None
    title: Text = None
    state: Whole = None
    metadata_state: Text = None
    media_state: Text = None
    queue_size: Whole = None


class ActivityBody(Struct, rename="camel"):
    """The `Activity` of an `ActivityNotification`."""

    uuid: Text = None
    type: Text = None
    title: Text = None
    subtitle: Text = None
    progress: Whole = None
    cancellable: Flag = None
    user_id: Number = field(name="userID", default=None)
    context: Context = field(name="Context", default_factory=dict)


class ActivityFields(Struct):
    """An `ActivityNotification`."""

    event: Text = None
    uuid: Text = None
    activity: ActivityBody = field(name="Activity", default_factory=ActivityBody)


class TranscodeFields(Struct, rename="camel", gc=False):
    """A `TranscodeSession`, in a frame's JSON or in XML: the names are the same in both."""

    key: Text = None
    video_decision: Text = None
    audio_decision: Text = None
    subtitle_decision: Text = None
    source_video_codec: Text = None
    source_audio_codec: Text = None
    video_codec: Text = None
    audio_codec: Text = None
    container: Text = None
    protocol: Text = None
    width: Whole = None
    height: Whole = None
    speed: Fraction = None
    throttled: Flag = None
    complete: Flag = None
    progress: Fraction = None
    error: Flag = None
    audio_channels: Whole = None
    transcode_hw_requested: Flag = None
    transcode_hw_decoding: Anything = None
    transcode_hw_encoding: Anything = None


class StatusFields(Struct, rename="camel", gc=False):
    """A `StatusNotification`."""

    title: Text = None
    description: Text = None
    notification_name: Text = None


class BackgroundQueueFields(Struct, gc=False):
    """A `BackgroundProcessingQueueEventNotification`."""

    queue_id: Number = field(name="queueID", default=None)
    event: Text = None


class ReachabilityFields(Struct, gc=False):
    """A `ReachabilityNotification`."""

    reachability: Flag = None


class UpdateFields(Struct, gc=False):
    """An `AutoUpdateNotification`."""

    version: Text = None
    state: Text = None


class ProgressFields(Struct, gc=False):
    """A `ProgressNotification`."""

    message: Text = None


class PreferenceFields(Struct, gc=False):
    """A `Setting`."""

    id: Text = None


class NoFields(Struct, gc=False):
    """An entry that is kept as its original text only."""


def read_leniently(kind: type[E], values: Mapping[str, Any]) -> E:
    """Read the fields of an entry from values of any type. What is absent or unreadable is `None`."""
    return kind(**{name: read(values.get(key)) for name, key, read in _list_readers(kind)})


def _read_activity_body(value: object) -> ActivityBody:
    return read_leniently(ActivityBody, value if isinstance(value, dict) else {})


def _read_context(value: object) -> Context:
    """Read what an activity is about as plain, cleaned values. Every known context holds only those."""
    found = value if isinstance(value, dict) else {}
    return {clean(str(name)): _read_context_value(inner) for name, inner in found.items()}


def _read_context_value(value: object) -> str | int | float | bool | None:
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


def _keep(value: object) -> object:
    return value


_READERS: dict[Any, Callable[[Any], Any]] = {
    Text: parse_text,
    Number: parse_text,
    Whole: parse_int,
    Fraction: parse_float,
    Flag: parse_bool,
    Anything: _keep,
    Context: _read_context,
    ActivityBody: _read_activity_body,
}


@cache
def _list_readers(kind: type[Struct]) -> list[tuple[str, str, Callable[[Any], Any]]]:
    return [(one.name, one.encode_name, _READERS[one.type]) for one in fields(kind)]


def _build_playing(_kind: str, said: PlayingFields, raw: str) -> Playing:
    return Playing(
        said.session_key or None,
        said.client_identifier or None,
        said.rating_key or None,
        said.key or None,
        said.guid or None,
        said.state or "",
        said.view_offset,
        _strip_path(said.transcode_session),
        raw=raw,
    )


def _build_timeline(_kind: str, said: TimelineFields, raw: str) -> TimelineEntry:
    return TimelineEntry(
        identifier=said.identifier or None,
        section_id=said.section_id or None,
        item_id=said.item_id or None,
        parent_item_id=said.parent_item_id or None,
        root_item_id=said.root_item_id or None,
        media_type=said.type,
        title=said.title or None,
        state=said.state,
        metadata_state=said.metadata_state or None,
        media_state=said.media_state or None,
        queue_size=said.queue_size,
        raw=raw,
    )


def _build_activity(_kind: str, said: ActivityFields, raw: str) -> ActivityReport:
    activity = said.activity
    return ActivityReport(
        phase=said.event or "",
        uuid=said.uuid or activity.uuid or None,
        activity_type=activity.type or None,
        title=activity.title or None,
        subtitle=activity.subtitle or None,
        progress=activity.progress,
        cancellable=activity.cancellable,
        user_id=parse_text(activity.user_id),
        context={name: value for name, value in activity.context.items() if value is not None},
        raw=raw,
    )


def build_transcode(said: TranscodeFields) -> Transcode:
    """Build a transcode session from the fields of a frame or an element."""
    hardware = bool(said.transcode_hw_decoding or said.transcode_hw_encoding)
    return Transcode(
        key=_strip_path(said.key) or "",
        video_decision=said.video_decision or None,
        audio_decision=said.audio_decision or None,
        subtitle_decision=said.subtitle_decision or None,
        source_video_codec=said.source_video_codec or None,
        source_audio_codec=said.source_audio_codec or None,
        video_codec=said.video_codec or None,
        audio_codec=said.audio_codec or None,
        container=said.container or None,
        protocol=said.protocol or None,
        width=said.width,
        height=said.height,
        speed=said.speed,
        throttled=said.throttled,
        complete=said.complete,
        progress=said.progress,
        hardware=hardware if said.transcode_hw_requested is not None or hardware else None,
        error=said.error,
        audio_channels=said.audio_channels,
    )


def _strip_path(key: str | None) -> str | None:
    """Return the last part of `/transcode/sessions/<id>`; the key may already be bare."""
    return key.rsplit("/", 1)[-1] if key else None


_PHASES: dict[str, Literal["start", "update", "end"]] = {"start": "start", "update": "update"}


def _build_transcode_report(kind: str, said: TranscodeFields, raw: str) -> TranscodeReport:
    phase = _PHASES.get(kind.rsplit(".", 1)[-1], "end")
    return TranscodeReport(type=kind, phase=phase, transcode=build_transcode(said), raw=raw)


def _build_status(_kind: str, said: StatusFields, raw: str) -> StatusNote:
    return StatusNote(said.title or None, said.description or None, said.notification_name or None, raw=raw)


def _build_queue(_kind: str, said: BackgroundQueueFields, raw: str) -> BackgroundQueue:
    return BackgroundQueue(parse_text(said.queue_id), said.event or None, raw=raw)


def _build_reachability(_kind: str, said: ReachabilityFields, raw: str) -> Reachability:
    return Reachability(said.reachability, raw=raw)


def _build_update(_kind: str, said: UpdateFields, raw: str) -> UpdateState:
    return UpdateState(said.version or None, said.state or None, raw=raw)


def _build_progress(_kind: str, said: ProgressFields, raw: str) -> ScanProgress:
    return ScanProgress(said.message or None, raw=raw)


def _build_preference(_kind: str, said: PreferenceFields, raw: str) -> Preference:
    return Preference(said.id or None, raw=raw)


def _build_account(_kind: str, _said: NoFields, raw: str) -> AccountUpdate:
    return AccountUpdate(raw=raw)


def _build_log(_kind: str, _said: NoFields, raw: str) -> LogLine:
    return LogLine(raw=raw)


class NotificationKind(NamedTuple):
    """How a type of notification is read."""

    list_key: str
    """The name of the list that holds the entries."""
    fields: type[Struct]
    build: Callable[[str, Any, str], KnownNotification]
    """Builds the event from the name of the type, the fields, and the entry as JSON."""


_TRANSCODE = NotificationKind("TranscodeSession", TranscodeFields, _build_transcode_report)
KINDS: dict[str, NotificationKind] = {
    "playing": NotificationKind("PlaySessionStateNotification", PlayingFields, _build_playing),
    "timeline": NotificationKind("TimelineEntry", TimelineFields, _build_timeline),
    "activity": NotificationKind("ActivityNotification", ActivityFields, _build_activity),
    "transcodeSession.start": _TRANSCODE,
    "transcodeSession.update": _TRANSCODE,
    "transcodeSession.end": _TRANSCODE,
    "transcode.end": _TRANSCODE,  # listed by the Go client, never recorded
    "status": NotificationKind("StatusNotification", StatusFields, _build_status),
    "backgroundProcessingQueue": NotificationKind(
        "BackgroundProcessingQueueEventNotification", BackgroundQueueFields, _build_queue
    ),
    "reachability": NotificationKind("ReachabilityNotification", ReachabilityFields, _build_reachability),
    "update.statechange": NotificationKind("AutoUpdateNotification", UpdateFields, _build_update),
    "progress": NotificationKind("ProgressNotification", ProgressFields, _build_progress),
    "preference": NotificationKind("Setting", PreferenceFields, _build_preference),
    "account": NotificationKind("AccountUpdateNotification", NoFields, _build_account),
    "log": NotificationKind("LogSentNotification", NoFields, _build_log),
}
"""The types of notification that Plex is known to send, by name."""
