"""What every kind of alert means, in one place: how grave it is, what opens it, what resolves it, what sets its limits.

`docs/alerts.md` is written from this table; the rules themselves are in `server.py` and `sessions.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plex_companion.models import AlertKind, Severity

AT_ONCE = "At once: it tells of something that is over."


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of alert. `settings` are fields of `Settings`."""

    severity: Severity
    opens: str
    resolves: str
    settings: tuple[str, ...] = ()


RULES: dict[AlertKind, Rule] = {
    "connection_lost": Rule("error", "Plex cannot be heard.", "Plex is heard again."),
    "unauthorized": Rule("error", "Plex refuses the token.", "Plex accepts a token again."),
    "remote_access_lost": Rule(
        "warning", "Plex says that it cannot be reached from outside the home.", "Plex says that it can."
    ),
    "update_available": Rule(
        "info",
        "Plex says that a newer version of itself is available.",
        "Plex runs that version or a later one, offers another one, or says that this one was skipped.",
    ),
    "transcode_slow": Rule(
        "warning",
        "A transcoder has been slower than real time for these seconds. One that rests, being far enough ahead, is not slow.",
        "It keeps up, or the session ends.",
        ("alert_slow_seconds",),
    ),
    "transcode_4k": Rule(
        "warning",
        "The picture of a 4K file is transcoded.",
        "It is not any more, or the session ends.",
        ("alert_transcode_4k",),
    ),
    "buffering": Rule(
        "warning",
        "A session ran dry this often within five minutes.",
        "It has not for five minutes, or it ends.",
        ("alert_buffering_count",),
    ),
    "playback_error": Rule("error", "A player reports an error.", "It plays again, or the session ends."),
    "concurrent_streams": Rule(
        "warning",
        "A user has played more streams at once than this for longer than the time of grace.",
        "They are that many or fewer.",
        ("alert_streams", "alert_streams_grace_seconds"),
    ),
    "paused_long": Rule(
        "info",
        "A session has been paused for these minutes.",
        "It goes on, or it ends.",
        ("alert_paused_minutes",),
    ),
    "new_device": Rule(
        "info",
        "A player plays or announces itself that was never seen before and that Plex did not list among its devices. "
        "What is found while a server is first learnt is not new.",
        AT_ONCE,
    ),
    "scan_finished": Rule(
        "info",
        "A scan of a library has ended.",
        "At once when it added nothing; otherwise when everything it added is ready (after two minutes at the latest): "
        "then the alert says what that is.",
    ),
    "listener_gap": Rule("warning", "Plex is heard again after an outage, whose length the alert tells.", AT_ONCE),
    "sessions_unreadable": Rule(
        "warning",
        "For these seconds Plex has been heard, but what plays could not be read: the list may be out of date.",
        "It can be read again, or Plex is not heard any more.",
        ("alert_unreadable_seconds",),
    ),
    "storage": Rule(
        "error",
        "The database was found damaged at start and mended, its file was removed or replaced while in use, or its backup "
        "of the day failed.",
        "At once when it was mended; otherwise when the file is in its place, or a backup succeeds.",
    ),
    "plex_status": Rule("info", "Plex has a sentence for people.", AT_ONCE),
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a rule speaks up. Counts and times of 0 switch `concurrent_streams` and `paused_long` off."""

    buffering_count: int = 3
    """Running dry so often within five minutes."""
    slow_ms: int = 20_000
    """A transcoder slower than real time for so long."""
    transcode_4k: bool = True
    streams: int = 3
    """A user may play so many at once."""
    streams_grace_ms: int = 10_000
    paused_ms: int = 30 * 60_000
    unreadable_ms: int = 120_000
    """What plays could not be read for so long."""
    hold_ms: int = 60_000
    """What returns so soon after it was over is the same alert."""
