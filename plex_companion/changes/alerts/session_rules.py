"""Rules about a session, or about all sessions of a user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.changes.kinds import SessionChanged, SessionEnded, SessionStarted
from plex_companion.changes.state import BUFFERING_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plex_companion.changes.alerts.rules import Thresholds
    from plex_companion.changes.alerts.transitions import AlertTransitions
    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State
    from plex_companion.models import Alert, AlertKind, Session

    Subject = tuple[AlertKind, str]
OF_SESSION: tuple[AlertKind, ...] = ("playback_error", "buffering", "transcode_slow", "transcode_4k", "paused_long")
"""Alerts whose subject is a session key."""
STREAMS: AlertKind = "concurrent_streams"
GOES_ON = frozenset({"playing", "paused"})
"""States that say nothing new when they are reported again; buffering and errors count each time."""
_NEVER_WHILE_PLAYING: tuple[AlertKind, ...] = ("playback_error", "buffering", "transcode_slow")
FOUR_K = frozenset({"4k", "2160"})


def apply_session_changes(changes: Iterable[Change], before: State) -> dict[str, Session]:
    """Return the sessions with these changes applied."""
    playing = before.sessions.copy()
    for change in changes:
        match change:
            case SessionEnded(session=session):
                playing.pop(session.session_key, None)
            case SessionStarted(session=session) | SessionChanged(session=session):
                playing[session.session_key] = session
            case _:
                pass
    return playing


def evaluate_session(session: Session, before: State, transitions: AlertTransitions, limits: Thresholds) -> None:
    """Evaluate every rule about one session."""
    if is_unremarkable(session, before, transitions.open_alerts, transitions.since, transitions.now.tick, limits):
        return
    key = session.session_key
    if session.state == "error":
        transitions.open("playback_error", key, f"Playback failed: {_format_title(session)}", **_name_user(session))
    else:
        transitions.resolve("playback_error", key)
    _check_buffering(session, before, transitions, limits)
    _check_transcoding(session, transitions, limits)
    if session.state != "paused" or not limits.paused_ms:
        transitions.clear_timer("paused_long", key)
    elif transitions.has_held_for("paused_long", key, limits.paused_ms):
        minutes = limits.paused_ms // 60_000
        title = (
            f"Paused for {minutes} min: {_format_title(session)}" if minutes else f"Paused: {_format_title(session)}"
        )
        transitions.open("paused_long", key, title, **_name_user(session))


def is_unremarkable(
    session: Session,
    before: State,
    alerts: Mapping[Subject, Alert],
    timers: Mapping[Subject, int],
    tick: int,
    limits: Thresholds,
) -> bool:
    """Return whether no rule about a session would change any of these alerts and timers.

    That holds for nearly every report and saves the rules.
    """
    key = session.session_key
    if session.state not in GOES_ON or key in before.buffer_ticks:
        return False
    if not _is_expected_transcode(session, alerts, limits):
        return False
    if not alerts and not timers:
        return session.state == "playing" or not limits.paused_ms
    for kind in _NEVER_WHILE_PLAYING:
        if (kind, key) in alerts or (kind, key) in timers:
            return False
    paused: Subject = ("paused_long", key)
    if session.state != "paused" or not limits.paused_ms:
        return paused not in alerts and paused not in timers
    return paused in timers and (paused in alerts or tick - timers[paused] < limits.paused_ms)


def _is_expected_transcode(session: Session, alerts: Mapping[Subject, Alert], limits: Thresholds) -> bool:
    """Return whether a transcode is fast enough, and its alert is open exactly if it is of a 4K video."""
    transcode = session.transcode
    if transcode is not None and transcode.is_slow:
        return False
    return _transcodes_4k(session, limits) == (("transcode_4k", session.session_key) in alerts)


def _transcodes_4k(session: Session, limits: Thresholds) -> bool:
    transcode = session.transcode
    return (
        transcode is not None
        and transcode.video_decision == "transcode"
        and limits.transcode_4k
        and session.video_resolution in FOUR_K
    )


def _check_buffering(session: Session, before: State, transitions: AlertTransitions, limits: Thresholds) -> None:
    key = session.session_key
    times = [tick for tick in before.buffer_ticks.get(key, ()) if transitions.now.tick - tick <= BUFFERING_MS]
    known = before.sessions.get(key)
    again = known is not None and known.play_id == session.play_id and session.buffer_count > known.buffer_count
    if len(times) + again >= limits.buffering_count:
        title = f"Keeps buffering: {_format_title(session)}"
        transitions.open("buffering", key, title, count=len(times) + again, **_name_user(session))
    elif not times and not again:
        transitions.resolve("buffering", key)


def _check_transcoding(session: Session, transitions: AlertTransitions, limits: Thresholds) -> None:
    key, transcode = session.session_key, session.transcode
    if transcode is None or not transcode.is_slow:
        transitions.clear_timer("transcode_slow", key)
    elif transitions.has_held_for("transcode_slow", key, limits.slow_ms):
        title = f"The transcoder cannot keep up: {_format_title(session)}"
        transitions.open("transcode_slow", key, title, speed=transcode.speed, **_name_user(session))
    if transcode is not None and _transcodes_4k(session, limits):
        title = f"Transcoding 4K: {_format_title(session)}"
        transitions.open(
            "transcode_4k", key, title, height=transcode.height, hardware=transcode.hardware, **_name_user(session)
        )
    else:
        transitions.resolve("transcode_4k", key)


def _format_title(session: Session) -> str:
    return session.item.full_title or f"session {session.session_key}"


def _name_user(session: Session) -> dict[str, Any]:
    return {
        "session_key": session.session_key,
        "play_id": str(session.play_id),
        "title": _format_title(session),
        "user": session.user.name if session.user else None,
    }


def suspend_timers(transitions: AlertTransitions) -> None:
    """Reset the timers while Plex is disconnected, when only a pause surely goes on."""
    for kind, subject in tuple(transitions.since):
        if kind != "paused_long":
            transitions.reset_timer(kind, subject)


def clear_session(session_key: str, transitions: AlertTransitions) -> None:
    """Resolve every alert of a session that has ended."""
    for kind in OF_SESSION:
        transitions.clear_timer(kind, session_key)


def clear_ended_sessions(playing: dict[str, Session], transitions: AlertTransitions) -> None:
    """Resolve alerts of sessions that ended before this program started, or whose key another play has now."""
    for (kind, key), alert in tuple(transitions.open_alerts.items()):
        session = playing.get(key)
        is_same_play = session is not None and alert.detail.get("play_id") in {None, str(session.play_id)}
        if kind in OF_SESSION and not is_same_play:
            transitions.clear_timer(kind, key)


def count_streams(playing: dict[str, Session], transitions: AlertTransitions, limits: Thresholds) -> None:
    """Evaluate how many streams each user plays at once. Stale sessions are not counted."""
    many = _find_users_with_many(playing, limits.streams) if 0 < limits.streams < len(playing) else {}
    for kind, user in {*transitions.open_alerts, *transitions.since}:
        if kind == STREAMS and user not in many:
            transitions.clear_timer(STREAMS, user)
    for user, streams in many.items():
        if transitions.has_held_for(STREAMS, user, limits.streams_grace_ms):
            _check_stream_count(user, streams, transitions, limits)


def _find_users_with_many(playing: dict[str, Session], most: int) -> dict[str, list[Session]]:
    """Return the streams of each user who plays more than this many."""
    users: dict[str, list[Session]] = {}
    for session in playing.values():
        known = session.user
        if known is not None and not session.stale and (user := known.id or known.name):
            users.setdefault(user, []).append(session)
    return {user: streams for user, streams in users.items() if len(streams) > most}


def _check_stream_count(user: str, streams: list[Session], transitions: AlertTransitions, limits: Thresholds) -> None:
    name = streams[0].user.name if streams[0].user else None
    transitions.open(
        STREAMS,
        user,
        f"{name or 'A user'} is watching {len(streams)} streams at once",
        user=name,
        count=len(streams),
        limit=limits.streams,
        session_keys=[session.session_key for session in streams],
        titles=[_format_title(session) for session in streams],
    )
