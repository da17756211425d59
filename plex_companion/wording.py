"""Words for people: times, positions, and who plays what, where and how."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from plex_companion.text import clean
from plex_companion.times import DAY_MS, HOUR_MS, MINUTE_MS

if TYPE_CHECKING:
    from datetime import tzinfo

    from plex_companion.changes.state import State
    from plex_companion.models import Activity, Connection, History, Session, Transcode

UNREACHED = "Not connected to Plex yet"


def format_time(ms: int, now_ms: int, zone: tzinfo | None) -> str:
    """Format a time of day as `12:03:04`, or with its date if it is not today. A zone of `None` is this machine's."""
    moment, now = _to_datetime(ms, zone), _to_datetime(now_ms, zone)
    return f"{moment:%H:%M:%S}" if moment.date() == now.date() else f"{moment:%d %b %H:%M}"


def _to_datetime(ms: int, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)


def format_duration(ms: int) -> str:
    """Format a duration or position as `1:02:03` or `2:03`."""
    minutes, seconds = divmod(max(0, ms) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def is_present(session: Session, state: State) -> bool:
    """Return whether a session's data is current, and not the last known."""
    return state.connection.state == "live" and not session.stale


def compute_position_ms(session: Session, state: State, now_ms: int) -> int:
    """Return the position now. It moves on between reports while the session plays, and stops when Plex is lost."""
    known_until = session.updated_at
    if state.connection.state != "live":
        known_until = state.refreshed_at or known_until
    elif not session.stale:
        known_until = now_ms
    moved = max(0, known_until - session.updated_at) if session.state == "playing" else 0
    offset, duration = session.view_offset_ms + moved, session.item.duration_ms
    return min(offset, duration) if duration else offset


def format_position(session: Session, state: State, now_ms: int) -> str:
    """Format position and duration as `21:03 / 1:32:00`; a broadcast has no end."""
    here = format_duration(compute_position_ms(session, state, now_ms))
    if session.item.live:
        return f"live {here}"
    return f"{here} / {format_duration(session.item.duration_ms)}" if session.item.duration_ms else here


def format_title(session: Session) -> str:
    """Return the title. A frame has only the item's number, so that stands in until the title is known."""
    return clean(session.item.full_title or f"item {session.item.rating_key or 'unknown'}")


def format_user(session: Session) -> str:
    """Return the name of the user, or `someone`."""
    return clean((session.user and session.user.name) or "someone")


def format_player(session: Session) -> str:
    """Return the name of the player, or `somewhere`."""
    player = session.player
    if player is None:
        return "unknown player"
    return clean(player.title or player.device or player.product or "unknown player")


def format_decision(session: Session) -> str:
    """Format how it is delivered: `direct play`, `direct stream`, `transcode 1.4x`."""
    return " ".join(part for part in (session.decision or "", format_speed(session.transcode)) if part)


def format_speed(job: Transcode | None) -> str:
    """Format the speed of a transcoder. Empty if it is throttled or done: its speed means nothing then."""
    if job is None or job.speed is None or job.speed <= 0 or job.throttled or job.complete:
        return ""
    return f"{job.speed:.1f}x"


def format_bandwidth(kbps: int | None) -> str:
    """Format a bandwidth as `8.1 Mbit/s` or `320 kbit/s`."""
    if not kbps:
        return ""
    return f"{kbps / 1000:.1f} Mbit/s" if kbps >= 1000 else f"{kbps} kbit/s"  # noqa: PLR2004 - kilo


def format_activity(activity: Activity) -> str:
    """Describe an activity of Plex."""
    parts = (activity.title or activity.type or "something", activity.subtitle)
    return clean(": ".join(part for part in parts if part))


def format_import(history: History) -> str:
    """Format the progress of the history import, as `12,500 of 100,000 plays`."""
    whole = "" if history.total is None else f" of {history.total:,}"
    return f"{history.imported:,}{whole} plays"


def format_connection(connection: Connection) -> str:
    """Describe the connection to Plex, and why it is lost."""
    detail = clean(connection.detail or "")
    match connection.state:
        case "live":
            return "live"
        case "connecting":
            return "connecting"
        case "unauthorized":
            return "Plex rejects the token: set a new PLEX_TOKEN"
        case "down":
            return f"Can't reach Plex: {detail}" if detail else "Can't reach Plex"
        case "offline":
            return f"{UNREACHED}: {detail}" if detail else UNREACHED


def format_server(state: State) -> str:
    """Format the name and version of the server; empty while they are unknown."""
    if state.server is None:
        return ""
    version = (state.server.version or "").split("-")[0]
    return clean(" ".join(part for part in (state.server.name, version) if part))


OWN_ALERTS = frozenset({"connection_lost", "unauthorized", "listener_gap", "sessions_unreadable", "storage"})
"""Kinds of alerts about the companion or its connection. They stay true while Plex is lost."""
_NAMES = {"h264": "H.264", "hevc": "HEVC", "mpeg2video": "MPEG-2", "mpeg4": "MPEG-4", "eac3": "E-AC-3", "ac3": "AC-3"}
_NAMES |= {"dca": "DTS", "vc1": "VC-1", "truehd": "TrueHD", "opus": "Opus", "vorbis": "Vorbis"}


def format_codec(name: str | None) -> str:
    """Return the usual name of a codec: `H.264`, `DTS`."""
    return clean(_NAMES.get(name.lower(), name.upper())) if name else "another codec"


_CLASSES = {"sd": "SD", "4k": "4K", "8k": "8K"}
_LINES = ((2160, "4K"), (1440, "1440p"), (1080, "1080p"), (720, "720p"), (480, "480p"))


def format_resolution(named: str | None) -> str:
    """Format Plex's `4k` and `1080` as `4K` and `1080p`."""
    if not named:
        return ""
    return _CLASSES.get(named, f"{named}p" if named.isdecimal() else clean(named))


def format_size(job: Transcode) -> str:
    """Return the resolution class of a transcode. A wide film has fewer lines than its class, so the width counts too."""
    lines = max(job.height or 0, round((job.width or 0) * 9 / 16))
    return next((name for least, name in _LINES if lines >= least - 8), f"{lines}p" if lines else "")


def format_quality(session: Session) -> str:
    """Format the quality of the file: `4K, 24.1 Mbit/s`."""
    return ", ".join(
        part for part in (format_resolution(session.video_resolution), format_bandwidth(session.bitrate_kbps)) if part
    )


def format_delivery_path(session: Session) -> str:
    """Format how the stream is sent: `sent at 8.1 Mbit/s over the internet`."""
    place = {"lan": "at home", "wan": "over the internet", "cellular": "over a phone network"}.get(
        session.location or ""
    )
    rate = format_bandwidth(session.bandwidth_kbps)
    return " ".join(part for part in (f"sent at {rate}" if rate else "", place) if part)


def explain_transcode(session: Session, *, past: bool = False) -> list[str]:
    """Explain what is transcoded and why, one sentence each. Plex gives no reason, so it is inferred from the codecs.

    With `past`, use the past tense: Plex is lost, and the present is unknown.
    """
    job = session.transcode
    if job is None:
        return []
    found = [_explain_picture(session, job, past=past), _explain_sound(job, past=past), _explain_subtitles(job)]
    sentences = [sentence for sentence in found if sentence]
    if not sentences and session.decision == "direct stream":
        verb = "Was repackaging" if past else "Repackaging"
        return [f"{verb} the original video and audio: the player {_cannot_play(past=past)} this container."]
    return sentences


def _cannot_play(*, past: bool) -> str:
    return "couldn't play" if past else "can't play"


def _transcoding(*, past: bool) -> str:
    return "Was transcoding" if past else "Transcoding"


def _explain_picture(session: Session, job: Transcode, *, past: bool) -> str:
    if job.video_decision != "transcode":
        return ""
    before, after = format_resolution(session.video_resolution), format_size(job)
    source = " ".join(part for part in (before, format_codec(job.source_video_codec)) if part)
    target = " ".join(part for part in (after, format_codec(job.video_codec)) if part)
    cause = _explain_picture_cause(job, before, after, past=past)
    hardware = ", in hardware" if job.hardware else ""
    return f"{_transcoding(past=past)} video ({source} → {target}{hardware}): {cause}."


def _explain_picture_cause(job: Transcode, before: str, after: str, *, past: bool) -> str:
    if job.subtitle_decision == "burn":
        return "subtitles were being burned in" if past else "subtitles are being burned in"
    if before and after and before != after:
        if past:
            return "the player wanted a lower resolution, or the connection was too slow"
        return "the player wants a lower resolution, or the connection is too slow"
    if job.source_video_codec and job.source_video_codec != job.video_codec:
        return f"the player {_cannot_play(past=past)} {format_codec(job.source_video_codec)}"
    return f"the player {'wanted' if past else 'wants'} a lower bitrate"


def _explain_sound(job: Transcode, *, past: bool) -> str:
    if job.audio_decision != "transcode":
        return ""
    before, after = format_codec(job.source_audio_codec), format_codec(job.audio_codec)
    wanted = f"the player {'wanted' if past else 'wants'} other channels or a lower bitrate"
    cause = f"the player {_cannot_play(past=past)} {before}" if before != after else wanted
    return f"{_transcoding(past=past)} audio ({before} → {after}): {cause}."


def _explain_subtitles(job: Transcode) -> str:
    match job.subtitle_decision:
        case "burn":
            return "Subtitles burned into the video."
        case "transcode":
            return "Subtitles converted."
        case _:
            return ""


_SPANS = ((MINUTE_MS, "min"), (HOUR_MS, "h"), (DAY_MS, "d"))


def format_ago(ms: int, now_ms: int) -> str:
    """Format how long ago something was: `just now`, `5 min ago`, `3 d ago`."""
    past = now_ms - ms
    fitting = [(span, name) for span, name in _SPANS if past >= span]
    if not fitting:
        return "just now"
    span, name = fitting[-1]
    return f"{past // span} {name} ago"
