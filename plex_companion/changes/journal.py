"""Builds the journal row of an event: a subject, a sentence, and what Plex sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never

from plex_companion.changes.kinds import Journaled
from plex_companion.events import (
    AccountUpdate,
    Acknowledged,
    ActivityReport,
    Audit,
    BackgroundQueue,
    Connecting,
    DeliveryReport,
    Disconnected,
    HistoryPage,
    LogLine,
    Malformed,
    Playing,
    PlexTvUsersRead,
    Preference,
    Reachability,
    ScanProgress,
    SessionsUnread,
    Snapshot,
    StatusNote,
    StorageReport,
    Tick,
    TimelineEntry,
    TranscodeReport,
    Unknown,
    UpdateState,
)
from plex_companion.text import HIDDEN, LONGEST, clean, encode_json, redact_personal

if TYPE_CHECKING:
    from plex_companion.changes.state import State
    from plex_companion.events import Event
    from plex_companion.models import Moment

_Summarized = (
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
    | Unknown
    | Audit
    | StorageReport
)
"""Events that are journaled with their own words; a new kind is a type error until it is here or in `journal_event`."""

_SECRET_NAMES = ("token", "secret", "password", "api_key", "apikey")
_SECRET_SETTINGS = (*_SECRET_NAMES, "mail")


def journal_event(event: Event, before: State, now: Moment) -> Journaled | None:
    """Return the journal row of an event.

    Events that say nothing new (ticks, later snapshots) have none, and neither have log lines, which would feed back.
    """
    subject: str | None
    kind = event.type
    match event:
        case (
            Tick()
            | Connecting()
            | DeliveryReport()
            | Malformed()
            | LogLine()
            | HistoryPage()
            | PlexTvUsersRead()
            | Snapshot(first=False)
            | SessionsUnread()
        ):
            return None
        case Snapshot():
            kind = Disconnected.type  # so that the end of an outage has the type of its beginning
            subject, summary, raw = "live", *_journal_connection(event, before, now)
        case Disconnected():
            state = "unauthorized" if event.unauthorized else "down"
            subject, summary, raw = (
                state,
                f"Lost the connection to Plex: {event.detail}",
                {"state": state, "detail": event.detail},
            )
        case Acknowledged(alert_id=alert):
            subject, summary, raw = str(alert), f"alert {alert} acknowledged", {"alert_id": str(alert)}
        case _:
            subject, summary = _summarize(event, before)
            raw = event.raw
    return Journaled(before.next_event, now.at, kind, subject, redact_personal(summary), encode_payload(event, raw))


def _journal_connection(event: Snapshot, before: State, now: Moment) -> tuple[str, dict[str, Any]]:
    """Return the sentence and payload of a restored connection.

    They say since when Plex was disconnected: without that, a quiet hour and an outage would look alike.
    """
    raw: dict[str, Any] = {"state": "live", "epoch": event.epoch}
    if before.down_since is None:
        return "Connected to Plex", raw
    blind_ms = max(0, now.at - before.down_since)
    return f"Connected to Plex again, after {blind_ms / 1000:.1f} s", {
        **raw,
        "blind_since_ms": before.down_since,
        "blind_ms": blind_ms,
    }


def encode_payload(event: Event, raw: dict[str, Any]) -> str:
    """Encode what Plex sent as JSON, without secrets, addresses and control characters."""
    if isinstance(event, Preference) and any(word in (event.id or "").lower() for word in _SECRET_SETTINGS):
        raw = {**raw, "value": HIDDEN, "default": HIDDEN}
    try:
        text = encode_json(raw)
        foreign = len(text) > LONGEST or clean(text) != text
        if foreign or "\\" in text or _may_hold_secrets(text) or redact_personal(text) != text:
            # Each text by itself: masking the encoded JSON could break an escape or remove a quote.
            text = encode_json(_sanitize(raw))
    except (RecursionError, ValueError):
        return '{"unreadable":true}'
    return text


def _sanitize(value: Any) -> Any:
    match value:
        case str():
            return redact_personal(clean(value))
        case dict():
            return {redact_personal(clean(name)): _sanitize_field(name, inner) for name, inner in value.items()}
        case list():
            return [_sanitize(inner) for inner in value]
        case _:
            return value


def _sanitize_field(name: str, value: Any) -> Any:
    return HIDDEN if value and value is not True and _may_hold_secrets(name) else _sanitize(value)


def _may_hold_secrets(text: str) -> bool:
    small = text.lower()
    return any(word in small for word in _SECRET_NAMES)


def _summarize(event: _Summarized, before: State) -> tuple[str | None, str]:  # noqa: C901, PLR0911, PLR0912 - one line per kind of event
    match event:
        case Playing(session_key=key, state=state):
            session = before.sessions.get(key or "")
            title = session.item.full_title if session else None
            return key, f"{state} {title or event.rating_key or 'an unknown item'}".strip()
        case TimelineEntry(item_id=item, title=title, state=state):
            return item, f"{event.metadata_state or f'state {state}'}: {title or item}"
        case ActivityReport(uuid=uuid, phase=phase):
            return uuid, " ".join(part for part in (event.title, event.subtitle, phase) if part)
        case TranscodeReport(transcode=transcode, phase=phase):
            return transcode.key, f"transcode {phase}, speed {transcode.speed}"
        case StatusNote(title=title, description=description, name=name):
            return name, title or description or "status"
        case Reachability(reachable=reachable):
            return None, "reachable from outside" if reachable else "not reachable from outside"
        case UpdateState(version=version, state=state):
            return version, f"update {state}"
        case ScanProgress(message=message):
            return None, message or "progress"
        case Preference(id=setting):
            return setting, f"setting {setting} changed"
        case Audit(tool=tool, outcome=outcome):
            return tool, f"{tool}: {outcome}"
        case StorageReport(subject=part, words=words):
            return part, words
        case BackgroundQueue(queue_id=queue, event=what):
            return queue, what or "background queue"
        case AccountUpdate() | Unknown():
            return None, event.type
        case _:
            assert_never(event)
