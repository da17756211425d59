"""The timeline of a play: events such as pauses and seeks, found by comparing a session before and after."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from msgspec import structs

from plex_companion.changes.kinds import PlayEventRecorded, SessionChanged, SessionEnded, SessionStarted
from plex_companion.changes.sessions import BLIND_MS
from plex_companion.streams.reasons import derive_reasons, describe_reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State
    from plex_companion.models import Moment, PlayEventKind, Session, Transcode

FORWARD_MS = 5_000
"""A position so far beyond what time explains is a seek (Home Assistant's rule, PLEX.md 1.2)."""
BACK_MS = 1_000
"""Time never explains going back, but clients round."""
SEEK_MS = 2_000
"""A seek shows as a pause and a resume; people do not pause and seek so quickly."""
_STATE_EVENTS: dict[str, PlayEventKind] = {
    "playing": "resumed",
    "paused": "paused",
    "buffering": "buffering",
    "error": "error",
}
_OUTPUT_FIELDS = (
    "video_decision",
    "audio_decision",
    "subtitle_decision",
    "video_codec",
    "audio_codec",
    "width",
    "height",
)
"""The output of a transcoder. A change of it is a switch, such as to another quality."""


def derive_play_events(changes: list[Change], before: State, now: Moment) -> list[Change]:
    """Return the events of plays in these changes.

    Mere progress is none, and neither are moves while Plex was not heard.
    """
    play_events: list[Change] = []
    ids: Iterator[int] | None = None
    for change in changes:
        if isinstance(change, SessionChanged):
            known = before.sessions.get(change.session.session_key)
            if known is None or known.play_id != change.session.play_id or _is_mere_progress(known, change, now):
                continue
        elif not isinstance(change, SessionStarted | SessionEnded):
            continue
        ids = ids or count(before.ids.play_event)
        play_events += _compare(change, before, now, ids)
    return play_events


def _is_mere_progress(known: Session, change: SessionChanged, now: Moment) -> bool:
    """Return whether a report only says that it plays on: nearly all do."""
    is_same = change.progress_only and change.session.transcode is known.transcode
    return is_same and not find_jump(known, change.session, now)


def _compare(
    change: SessionStarted | SessionChanged | SessionEnded, before: State, now: Moment, ids: Iterator[int]
) -> Iterator[PlayEventRecorded]:
    session = change.session

    def build_event(kind: PlayEventKind, at: int, /, **detail: Any) -> PlayEventRecorded:
        return PlayEventRecorded(next(ids), session.play_id, at, now.tick, kind, session.view_offset_ms, detail)

    match change:
        case SessionStarted():
            yield build_event("started", session.started_at, state=session.state)
        case SessionEnded(ended_by=ended_by, ended_at=ended_at):
            yield build_event("ended", ended_at, by=ended_by)
        case _:
            known = before.sessions[session.session_key]
            state_event = _STATE_EVENTS.get(session.state) if session.state != known.state else None
            if find_jump(known, session, now):
                jump = {"from_ms": known.view_offset_ms, "to_ms": session.view_offset_ms}
                paused = (
                    _find_recent_pause(before.last_play_events.get(session.play_id), now)
                    if state_event == "resumed"
                    else None
                )
                if paused is not None:
                    yield structs.replace(paused, kind="seeked", view_offset_ms=session.view_offset_ms, detail=jump)
                    state_event = None
                else:
                    yield build_event("seeked", now.at, **jump)
            if state_event is not None:
                yield build_event(state_event, now.at, **({"after": known.state} if state_event == "resumed" else {}))
            switched = _find_switch(known, session)
            if switched:
                yield build_event("decision", now.at, **switched)


def find_jump(known: Session, session: Session, now: Moment) -> bool:
    """Return whether the position moved more than time explains. One that falls behind has stalled; that is no seek."""
    passed = now.tick - known.heard_tick
    moved = session.view_offset_ms - known.view_offset_ms
    explained = passed if known.state == "playing" else 0
    return passed <= BLIND_MS and not -BACK_MS <= moved <= explained + FORWARD_MS


def _find_recent_pause(last: PlayEventRecorded | None, now: Moment) -> PlayEventRecorded | None:
    """Return the pause that was the first half of a seek, if there was one."""
    quick = last is not None and last.kind == "paused" and now.tick - last.tick <= SEEK_MS
    return last if quick else None


def _find_switch(known: Session, session: Session) -> dict[str, Any]:
    """Return how the stream reaches the player, before and now, if that or its quality has changed."""
    if known.decision is None or session.decision is None:
        return {}
    changed = _compare_transcodes(known.transcode, session.transcode)
    if session.decision == known.decision and not changed:
        return {}
    reasons = [describe_reason(reason) for reason in derive_reasons(session)]
    return {
        "from": known.decision,
        "to": session.decision,
        **({"changed": changed} if changed else {}),
        "reasons": reasons,
    }


def _compare_transcodes(known: Transcode | None, transcode: Transcode | None) -> dict[str, Any]:
    if known is None or transcode is None or known is transcode:
        return {}
    pairs = ((name, getattr(known, name), getattr(transcode, name)) for name in _OUTPUT_FIELDS)
    return {name: [old, now] for name, old, now in pairs if old != now and old is not None and now is not None}
