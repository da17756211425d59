"""What is wrong with a session, or with all sessions of a user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.changes.kinds import SessionChanged, SessionEnded, SessionStarted
from plex_companion.changes.state import BUFFERING_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.changes.alerts.rules import Thresholds
    from plex_companion.changes.alerts.transitions import AlertTransitions
    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State
    from plex_companion.models import AlertKind, Session, Transcode

OF_SESSION: tuple[AlertKind, ...] = ("playback_error", "buffering", "transcode_slow", "transcode_4k", "paused_long")
"""Their subject is a session key."""
STREAMS: AlertKind = "concurrent_streams"
FOUR_K = frozenset({"4k", "2160"})


def apply_session_changes(changes: Iterable[Change], before: State) -> dict[str, Session]:
    """What plays once these changes are taken over."""
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


def evaluate_session(session: Session, before: State, book: AlertTransitions, limits: Thresholds) -> None:
    """Every rule that a session may break."""
    if _is_well(session, before, book):
        return
    key = session.session_key
    if session.state == "error":
        book.open("playback_error", key, f"Playback failed: {_format_title(session)}", **_name_user(session))
    else:
        book.resolve("playback_error", key)
    _check_buffering(session, before, book, limits)
    _check_transcoding(session, book, limits)
    if session.state != "paused" or not limits.paused_ms:
        book.clear_timer("paused_long", key)
    elif book.has_held_for("paused_long", key, limits.paused_ms):
        minutes = limits.paused_ms // 60_000
        title = (
            f"Paused for {minutes} min: {_format_title(session)}" if minutes else f"Paused: {_format_title(session)}"
        )
        book.open("paused_long", key, title, **_name_user(session))


def _is_well(session: Session, before: State, book: AlertTransitions) -> bool:
    """Whether nothing is, was or may be wrong: so it is with nearly every report, and then no rule need be asked."""
    quiet = (
        not book.open_alerts
        and not book.since
        and session.state == "playing"
        and session.session_key not in before.buffer_ticks
    )
    return quiet and (session.transcode is None or _is_fine(session.transcode, session))


def _is_fine(job: Transcode, session: Session) -> bool:
    return not job.is_slow and session.video_resolution not in FOUR_K


def _check_buffering(session: Session, before: State, book: AlertTransitions, limits: Thresholds) -> None:
    key = session.session_key
    times = [tick for tick in before.buffer_ticks.get(key, ()) if book.now.tick - tick <= BUFFERING_MS]
    known = before.sessions.get(key)
    again = known is not None and known.play_id == session.play_id and session.buffer_count > known.buffer_count
    if len(times) + again >= limits.buffering_count:
        title = f"Keeps buffering: {_format_title(session)}"
        book.open("buffering", key, title, count=len(times) + again, **_name_user(session))
    elif not times and not again:
        book.resolve("buffering", key)


def _check_transcoding(session: Session, book: AlertTransitions, limits: Thresholds) -> None:
    key, job = session.session_key, session.transcode
    if job is None or not job.is_slow:
        book.clear_timer("transcode_slow", key)
    elif book.has_held_for("transcode_slow", key, limits.slow_ms):
        title = f"The transcoder cannot keep up: {_format_title(session)}"
        book.open("transcode_slow", key, title, speed=job.speed, **_name_user(session))
    is_4k = limits.transcode_4k and session.video_resolution in FOUR_K
    if is_4k and job is not None and job.video_decision == "transcode":
        title = f"4K is transcoded: {_format_title(session)}"
        book.open("transcode_4k", key, title, height=job.height, hardware=job.hardware, **_name_user(session))
    else:
        book.resolve("transcode_4k", key)


def _format_title(session: Session) -> str:
    return session.item.full_title or f"session {session.session_key}"


def _name_user(session: Session) -> dict[str, Any]:
    return {
        "session_key": session.session_key,
        "play_id": str(session.play_id),
        "title": _format_title(session),
        "user": session.user.name if session.user else None,
    }


def suspend_timers(book: AlertTransitions) -> None:
    """What is not heard is not judged. A pause goes on unheard; that streams stayed many, or a job slow, nobody knows."""
    for kind, subject in tuple(book.since):
        if kind != "paused_long":
            book.reset_timer(kind, subject)


def forget(session_key: str, book: AlertTransitions) -> None:
    """A session is over, and so is whatever was wrong with it."""
    for kind in OF_SESSION:
        book.clear_timer(kind, session_key)


def forget_gone(playing: dict[str, Session], book: AlertTransitions) -> None:
    """Alerts of sessions that were over before this program began, or whose key another play was given since."""
    for (kind, key), alert in tuple(book.open_alerts.items()):
        session = playing.get(key)
        of_it = session is not None and alert.detail.get("play_id") in {None, str(session.play_id)}
        if kind in OF_SESSION and not of_it:
            book.clear_timer(kind, key)


def count_streams(playing: dict[str, Session], book: AlertTransitions, limits: Thresholds) -> None:
    """Users who play more at once than they may. What was not heard of for minutes is not counted."""
    users: dict[str, list[Session]] = {}
    for session in playing.values():
        user = session.user and (session.user.id or session.user.name)
        if user and not session.stale:
            users.setdefault(user, []).append(session)
    many = {user: streams for user, streams in users.items() if limits.streams and len(streams) > limits.streams}
    for kind, user in {*book.open_alerts, *book.since}:
        if kind == STREAMS and user not in many:
            book.clear_timer(STREAMS, user)
    for user, streams in many.items():
        if book.has_held_for(STREAMS, user, limits.streams_grace_ms):
            _check_stream_count(user, streams, book, limits)


def _check_stream_count(user: str, streams: list[Session], book: AlertTransitions, limits: Thresholds) -> None:
    name = streams[0].user.name if streams[0].user else None
    book.open(
        STREAMS,
        user,
        f"{name or 'A user'} plays {len(streams)} streams at once",
        user=name,
        count=len(streams),
        limit=limits.streams,
        session_keys=[session.session_key for session in streams],
        titles=[_format_title(session) for session in streams],
    )
