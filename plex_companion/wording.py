"""Words for people: times, positions, and who plays what, where and how."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from plex_companion.streams.names import format_bandwidth, format_resolution
from plex_companion.streams.reasons import derive_reasons
from plex_companion.text import clean, format_count
from plex_companion.times import DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from plex_companion.changes.state import State
    from plex_companion.models import Activity, Connection, History, ServerIdentity, Session, Transcode

_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", re.ASCII)
SHORT_IDENTIFIER = 8
"""How many characters of a machine identifier tell apart servers of one name."""
NOT_RUNNING, OUT_OF_REACH = "plex-companion is not running", "plex-companion can't reach it"
"""Why nothing is known of the present, where only the database is read."""
FORMER = "This server is not configured any more."
UNREACHED = "Not connected to Plex yet"


def format_time(ms: int, now_ms: int, zone: tzinfo | None) -> str:
    """Format a time of day as `12:03:04`, or with its date if it is not today. A zone of `None` is this machine's."""
    moment, now = _to_datetime(ms, zone), _to_datetime(now_ms, zone)
    return f"{moment:%H:%M:%S}" if moment.date() == now.date() else f"{moment:%d %b %H:%M}"


def localize_times(text: str, zone: tzinfo) -> str:
    """Replace the times of ISO 8601 in a text by those of a zone, as `29 Nov 2026, 21:22`."""
    return _ISO.sub(lambda found: f"{datetime.fromisoformat(found[0]).astimezone(zone):%d %b %Y, %H:%M}", text)


def _to_datetime(ms: int, zone: tzinfo | None) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(zone)


def format_duration(ms: int) -> str:
    """Format a duration or position as `1:02:03` or `2:03`."""
    minutes, seconds = divmod(max(0, ms) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def format_length(ms: int) -> str:
    """Format a length as `40 s`, `45 min`, `3 h 20 min` or `1,200 h`."""
    if ms < MINUTE_MS:
        return f"{ms // SECOND_MS} s"
    hours, minutes = ms // HOUR_MS, ms % HOUR_MS // MINUTE_MS
    if not hours:
        return f"{minutes} min"
    return f"{hours:,} h {minutes} min" if minutes and hours < _MINUTES_UNTIL else f"{hours:,} h"


_MINUTES_UNTIL = 100
"""From this many hours on, minutes say nothing."""


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


def format_speed(transcode: Transcode | None) -> str:
    """Format the speed of a transcoder. Empty if it is throttled or done: its speed means nothing then."""
    speed = _read_speed(transcode)
    return "" if speed is None else f"{speed:.1f}x"


def is_too_slow(transcode: Transcode | None) -> bool:
    """Return whether a transcoder is slower than the item plays."""
    speed = _read_speed(transcode)
    return speed is not None and speed < 1


def _read_speed(transcode: Transcode | None) -> float | None:
    if transcode is None or transcode.throttled or transcode.complete:
        return None
    return transcode.speed if transcode.speed and transcode.speed > 0 else None


def format_activity(activity: Activity) -> str:
    """Describe an activity of Plex."""
    parts = (activity.title or activity.type or "something", activity.subtitle)
    return clean(": ".join(part for part in parts if part))


def format_import(history: History) -> str:
    """Format the progress of the history import, as `12,500 of 100,000 plays`."""
    if history.total is None:
        return format_count(history.imported, "play")
    return f"{history.imported:,} of {format_count(history.total, 'play')}"


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


def label_servers(servers: Sequence[ServerIdentity | None]) -> list[str]:
    """Return how each of the configured servers is called: by its name, as long as no other has that name.

    One of several with one name has the beginning of its identifier behind it. One that has not said who it is yet is
    called by its place among the addresses.
    """
    names = Counter(server.name.casefold() for server in servers if server and server.name)
    return [_label_server(server, names, f"server {n} of {len(servers)}") for n, server in enumerate(servers, 1)]


def _label_server(server: ServerIdentity | None, names: Counter[str], place: str) -> str:
    if server is None:
        return place
    if not server.name:
        return clean(server.machine_identifier)
    shared = names[server.name.casefold()] > 1
    return clean(f"{server.name} ({server.machine_identifier[:SHORT_IDENTIFIER]})" if shared else server.name)


OWN_ALERTS = frozenset({"connection_lost", "unauthorized", "listener_gap", "sessions_unreadable", "storage"})
"""Kinds of alerts about the companion or its connection. They stay true while Plex is lost."""


def format_quality(session: Session) -> str:
    """Format the quality of the file: `4K, 24.1 Mbit/s`."""
    return ", ".join(
        part for part in (format_resolution(session.video_resolution), format_bandwidth(session.bitrate_kbps)) if part
    )


_PLACES = {"lan": "at home", "wan": "over the internet", "cellular": "over a phone network"}


def format_delivery_path(session: Session) -> str:
    """Format how the stream is sent: `sent at 8.1 Mbit/s over the internet`."""
    place = _PLACES.get(session.location or "")
    rate = format_bandwidth(session.bandwidth_kbps)
    return " ".join(part for part in (f"sent at {rate}" if rate else "", place) if part)


def explain_transcode(session: Session, *, past: bool = False) -> list[str]:
    """Explain what is transcoded and why, one sentence for each reason.

    With `past`, use the past tense: Plex is lost, and the present is unknown.
    """
    return [reason.past if past else reason.sentence for reason in derive_reasons(session)]


_SPANS = ((MINUTE_MS, "min"), (HOUR_MS, "h"), (DAY_MS, "d"))


def format_ago(ms: int, now_ms: int) -> str:
    """Format how long ago something was: `just now`, `5 min ago`, `3 d ago`."""
    past = now_ms - ms
    fitting = [(span, name) for span, name in _SPANS if past >= span]
    if not fitting:
        return "just now"
    span, name = fitting[-1]
    return f"{past // span} {name} ago"
