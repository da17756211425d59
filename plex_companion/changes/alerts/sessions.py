"""What is wrong with a session, or with all sessions of a user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.changes.kinds import SessionChanged, SessionEnded, SessionStarted
from plex_companion.changes.state import BUFFERING_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.changes.alerts.book import Book
    from plex_companion.changes.alerts.rules import Thresholds
    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State
    from plex_companion.models import AlertKind, Session, Transcode

OF_SESSION: tuple[AlertKind, ...] = ("playback_error", "buffering", "transcode_slow", "transcode_4k", "paused_long")
"""Their subject is a session key."""
STREAMS: AlertKind = "concurrent_streams"
FOUR_K = frozenset({"4k", "2160"})


def sessions_after(changes: Iterable[Change], before: State) -> dict[str, Session]:
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


def look_at(session: Session, before: State, book: Book, limits: Thresholds) -> None:
    """Every rule that a session may break."""
    if _is_well(session, before, book):
        return
    key = session.session_key
    if session.state == "error":
        book.raise_("playback_error", key, f"Playback failed: {_title(session)}", **_who(session))
    else:
        book.resolve("playback_error", key)
    _buffering(session, before, book, limits)
    _transcoding(session, book, limits)
    if session.state != "paused" or not limits.paused_ms:
        book.over("paused_long", key)
    elif book.lasts("paused_long", key, limits.paused_ms):
        minutes = limits.paused_ms // 60_000
        title = f"Paused for {minutes} min: {_title(session)}" if minutes else f"Paused: {_title(session)}"
        book.raise_("paused_long", key, title, **_who(session))


def _is_well(session: Session, before: State, book: Book) -> bool:
    """Whether nothing is, was or may be wrong: so it is with nearly every report, and then no rule need be asked."""
    quiet = (
        not book.open and not book.since and session.state == "playing" and session.session_key not in before.buffered
    )
    return quiet and (session.transcode is None or _is_fine(session.transcode, session))


def _is_fine(job: Transcode, session: Session) -> bool:
    return not job.is_slow and session.video_resolution not in FOUR_K


def _buffering(session: Session, before: State, book: Book, limits: Thresholds) -> None:
    key = session.session_key
    times = [tick for tick in before.buffered.get(key, ()) if book.now.tick - tick <= BUFFERING_MS]
    known = before.sessions.get(key)
    again = known is not None and known.play_id == session.play_id and session.buffer_count > known.buffer_count
    if len(times) + again >= limits.buffering_count:
        title = f"Keeps buffering: {_title(session)}"
        book.raise_("buffering", key, title, count=len(times) + again, **_who(session))
    elif not times and not again:
        book.resolve("buffering", key)


def _transcoding(session: Session, book: Book, limits: Thresholds) -> None:
    key, job = session.session_key, session.transcode
    if job is None or not job.is_slow:
        book.over("transcode_slow", key)
    elif book.lasts("transcode_slow", key, limits.slow_ms):
        title = f"The transcoder cannot keep up: {_title(session)}"
        book.raise_("transcode_slow", key, title, speed=job.speed, **_who(session))
    is_4k = limits.transcode_4k and session.video_resolution in FOUR_K
    if is_4k and job is not None and job.video_decision == "transcode":
        title = f"4K is transcoded: {_title(session)}"
        book.raise_("transcode_4k", key, title, height=job.height, hardware=job.hardware, **_who(session))
    else:
        book.resolve("transcode_4k", key)


def _title(session: Session) -> str:
    return session.item.full_title or f"session {session.session_key}"


def _who(session: Session) -> dict[str, Any]:
    return {
        "session_key": session.session_key,
        "play_id": str(session.play_id),
        "title": _title(session),
        "user": session.user.name if session.user else None,
    }


def unheard(book: Book) -> None:
    """What is not heard is not judged. A pause goes on unheard; that streams stayed many, or a job slow, nobody knows."""
    for kind, subject in tuple(book.since):
        if kind != "paused_long":
            book.wait_anew(kind, subject)


def forget(session_key: str, book: Book) -> None:
    """A session is over, and so is whatever was wrong with it."""
    for kind in OF_SESSION:
        book.over(kind, session_key)


def forget_gone(playing: dict[str, Session], book: Book) -> None:
    """Alerts of sessions that were over before this program began, or whose key another play was given since."""
    for (kind, key), alert in tuple(book.open.items()):
        session = playing.get(key)
        of_it = session is not None and alert.detail.get("play_id") in {None, str(session.play_id)}
        if kind in OF_SESSION and not of_it:
            book.over(kind, key)


def count_streams(playing: dict[str, Session], book: Book, limits: Thresholds) -> None:
    """Users who play more at once than they may. What was not heard of for minutes is not counted."""
    users: dict[str, list[Session]] = {}
    for session in playing.values():
        user = session.user and (session.user.id or session.user.name)
        if user and not session.stale:
            users.setdefault(user, []).append(session)
    many = {user: streams for user, streams in users.items() if limits.streams and len(streams) > limits.streams}
    for kind, user in {*book.open, *book.since}:
        if kind == STREAMS and user not in many:
            book.over(STREAMS, user)
    for user, streams in many.items():
        if book.lasts(STREAMS, user, limits.streams_grace_ms):
            _too_many(user, streams, book, limits)


def _too_many(user: str, streams: list[Session], book: Book, limits: Thresholds) -> None:
    name = streams[0].user.name if streams[0].user else None
    book.raise_(
        STREAMS,
        user,
        f"{name or 'A user'} plays {len(streams)} streams at once",
        user=name,
        count=len(streams),
        limit=limits.streams,
        session_keys=[session.session_key for session in streams],
        titles=[_title(session) for session in streams],
    )
