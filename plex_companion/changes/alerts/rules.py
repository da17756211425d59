"""The kinds of alerts, in one place: severity, what opens it, what resolves it, which settings limit it.

`docs/alerts.md` is generated from this table; the rules themselves are in `server_rules.py` and `session_rules.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plex_companion.models import AlertKind, Severity

AT_ONCE = "Immediately: it reports something that is over."


@dataclass(frozen=True, slots=True)
class AlertRule:
    """One kind of alert. `settings` are fields of `Settings`."""

    severity: Severity
    opens: str
    resolves: str
    settings: tuple[str, ...] = ()


RULES: dict[AlertKind, AlertRule] = {
    "connection_lost": AlertRule("error", "The connection to Plex is lost.", "Plex is connected again."),
    "unauthorized": AlertRule("error", "Plex rejects the token.", "Plex accepts a token again."),
    "remote_access_lost": AlertRule(
        "warning", "Plex reports that it can't be reached from outside your home.", "Plex reports that it can."
    ),
    "update_available": AlertRule(
        "info",
        "Plex reports that a newer version is available.",
        "Plex runs that version or a later one, offers another one, or reports that this one was skipped.",
    ),
    "transcode_slow": AlertRule(
        "warning",
        "A transcoder has been slower than real time for this many seconds. A throttled one, which is far enough ahead, is not slow.",
        "It keeps up, or the session ends.",
        ("alert_slow_seconds",),
    ),
    "transcode_4k": AlertRule(
        "warning",
        "The video of a 4K file is being transcoded.",
        "It no longer is, or the session ends.",
        ("alert_transcode_4k",),
    ),
    "buffering": AlertRule(
        "warning",
        "A session has buffered this many times within five minutes.",
        "It has not buffered for five minutes, or it ends.",
        ("alert_buffering_count",),
    ),
    "playback_error": AlertRule("error", "A player reports an error.", "It plays again, or the session ends."),
    "concurrent_streams": AlertRule(
        "warning",
        "A user has had more than this many concurrent streams for longer than the grace period.",
        "The user has this many streams or fewer.",
        ("alert_streams", "alert_streams_grace_seconds"),
    ),
    "paused_long": AlertRule(
        "info",
        "A session has been paused for this many minutes.",
        "It resumes, or it ends.",
        ("alert_paused_minutes",),
    ),
    "new_device": AlertRule(
        "info",
        "A player appears that was never seen before and that Plex does not list among its devices. "
        "Players found while a server is first read are not new.",
        AT_ONCE,
    ),
    "scan_finished": AlertRule(
        "info",
        "A scan of a library has ended and added something. Scans that add nothing make no alert.",
        "When everything it added is ready (after two minutes at the latest); the alert then lists it.",
    ),
    "listener_gap": AlertRule(
        "warning", "Plex is connected again after an outage; the alert says how long it was.", AT_ONCE
    ),
    "sessions_unreadable": AlertRule(
        "warning",
        "Plex has been connected for this many seconds, but its sessions could not be read: the list may be out of date.",
        "They can be read again, or the connection is lost.",
        ("alert_unreadable_seconds",),
    ),
    "storage": AlertRule(
        "error",
        "The database was damaged at start and repaired, its file was removed or replaced while in use, or its daily "
        "backup failed.",
        "Immediately when it was repaired; otherwise when the file is back, or a backup succeeds.",
    ),
    "rule": AlertRule("info", "A rule with this action fires. The rule says how severe it is.", AT_ONCE),
    "rule_failed": AlertRule(
        "error",
        "The condition of a rule failed three times in a row, so the rule was disabled.",
        "The rule is enabled, changed or deleted.",
    ),
    "plex_status": AlertRule(
        "info",
        "Never: messages that Plex shows, such as at the end of a scan, are in the event journal only. Alerts of "
        "earlier versions have this kind.",
        AT_ONCE,
    ),
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The limits of the rules. Counts and times of 0 switch `concurrent_streams` and `paused_long` off."""

    buffering_count: int = 3
    """Buffering this often within five minutes."""
    slow_ms: int = 20_000
    """A transcoder slower than real time for this long."""
    transcode_4k: bool = True
    streams: int = 3
    """How many streams a user may play at once."""
    streams_grace_ms: int = 10_000
    paused_ms: int = 30 * 60_000
    unreadable_ms: int = 120_000
    """Sessions could not be read for this long."""
    hold_ms: int = 60_000
    """A condition that returns this soon after it was resolved reopens the same alert."""
