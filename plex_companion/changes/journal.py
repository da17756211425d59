"""Builds the journal row of an event: a subject, a sentence, and what Plex sent."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, assert_never

from plex_companion.changes.kinds import Journaled
from plex_companion.events import (
    AccountUpdate,
    Acknowledged,
    ActivityReport,
    AlertKindMuted,
    Audit,
    BackgroundQueue,
    CataloguePage,
    Connecting,
    DeliveryReport,
    DigestBuilt,
    Disconnected,
    HistoryPage,
    LogLine,
    Malformed,
    Notification,
    Playing,
    PlexTvUsersRead,
    Preference,
    Reachability,
    RuleReport,
    ScanProgress,
    SessionsUnread,
    Snapshot,
    StatusNote,
    StorageReport,
    SubscriptionReport,
    Tick,
    TimelineEntry,
    ToolTaskReport,
    TranscodeReport,
    Unknown,
    UpdateState,
)
from plex_companion.parsing.websocket_frames import UNREADABLE
from plex_companion.text import HIDDEN, SECRET_NAMES, clean, encode_json, fold_case, is_harmless, redact_personal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plex_companion.changes.state import State
    from plex_companion.events import Event
    from plex_companion.models import Moment

_Journaled = (
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
)
"""Notifications that are journaled; a new kind is a type error until it is here or in `journal_event`."""

_SECRET_SETTINGS = (*SECRET_NAMES, "mail")
_NOTHING: Mapping[str, Any] = MappingProxyType({})


def journal_event(event: Event, before: State, now: Moment) -> Journaled | None:
    """Return the journal row of an event.

    Events that say nothing new (ticks, later snapshots) have none, and neither have log lines, which would feed back.
    """
    if isinstance(event, Notification):
        return None if isinstance(event, LogLine) else _journal_notification(event, before, now)
    subject: str | None
    kind = event.type
    match event:
        case (
            Tick()
            | Connecting()
            | DeliveryReport()
            | DigestBuilt()
            | SubscriptionReport()
            | RuleReport()
            | Malformed()
            | HistoryPage()
            | CataloguePage()
            | PlexTvUsersRead()
            | Snapshot(first=False)
            | SessionsUnread()
            | Disconnected(duplicate=True)
            | ToolTaskReport()
        ):
            return None
        case Snapshot():
            kind = Disconnected.type  # so that the end of an outage has the type of its beginning
            subject, summary, raw = "live", *_journal_connection(event, before, now)
        case Disconnected():
            subject = "unauthorized" if event.unauthorized else "down"
            words = "Plex rejects the token ({})" if event.unauthorized else "Can't reach Plex: {}"
            summary, raw = words.format(event.detail), {"state": subject, "detail": event.detail}
        case Acknowledged(alert_id=alert):
            subject, summary, raw = str(alert), f"alert {alert} acknowledged", {"alert_id": str(alert)}
        case AlertKindMuted(kind=name, muted=muted):
            words = f"alerts of the kind {name} are {'muted' if muted else 'no longer muted'}"
            subject, summary, raw = name, words, {"kind": name, "muted": muted}
        case Audit(tool=tool, outcome=outcome):
            subject, summary, raw = tool, f"{tool}: {outcome}", event.raw
        case StorageReport(subject=part, words=words):
            subject, summary, raw = part, words, event.raw
        case _:
            assert_never(event)
    return Journaled(before.ids.event, now.at, kind, subject, redact_personal(summary), _encode_payload(raw))


def _journal_notification(event: _Journaled, before: State, now: Moment) -> Journaled:
    subject, summary = _summarize(event, before)
    payload = event.raw
    if event.irregular or "\\" in payload or _names_secret(event) or not is_harmless(summary + payload):
        summary, payload = redact_personal(summary), _store_payload(event)
    return Journaled(before.ids.event, now.at, event.type, subject, summary, payload)


def _names_secret(event: _Journaled) -> bool:
    """Return whether an event is about a setting that holds a secret."""
    return isinstance(event, Preference) and _contains(event.id or "", _SECRET_SETTINGS)


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


def _store_payload(event: _Journaled) -> str:
    """Return what Plex sent as JSON, in its own words where they hold no secret, address or control character."""
    text = event.raw
    if _names_secret(event):
        return _encode_payload(text, {"value": HIDDEN, "default": HIDDEN})
    return _encode_payload(text) if event.irregular or "\\" in text or not is_harmless(text) else text


def _encode_payload(raw: dict[str, Any] | str, more: Mapping[str, Any] = _NOTHING) -> str:
    """Encode a payload as JSON, without secrets, addresses and control characters. `more` replaces fields of it.

    Each text is made safe by itself: masking encoded JSON could break an escape or remove a quote.
    """
    try:
        values = json.loads(raw) if isinstance(raw, str) else raw
        return encode_json(_sanitize({**values, **more}))
    except (RecursionError, ValueError):
        return UNREADABLE


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
    return HIDDEN if value and value is not True and _contains(name, SECRET_NAMES) else _sanitize(value)


def _contains(name: str, words: Iterable[str]) -> bool:
    folded = fold_case(name)
    return any(word in folded for word in words)


def _summarize(event: _Journaled, before: State) -> tuple[str | None, str]:  # noqa: C901, PLR0911 - one line per kind of event
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
        case BackgroundQueue(queue_id=queue, event=what):
            return queue, what or "background queue"
        case AccountUpdate() | Unknown():
            return None, event.type
        case _:
            assert_never(event)
