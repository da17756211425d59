"""Opens, resolves and reopens alerts for one event: at most one is open per kind and subject."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from plex_companion.changes.alerts.rules import RULES
from plex_companion.changes.kinds import AlertOpened, AlertReopened, AlertResolved, Change, ConditionSeen
from plex_companion.models import Alert

if TYPE_CHECKING:
    from plex_companion.changes.state import State
    from plex_companion.models import AlertKind, Moment, Severity


class AlertTransitions:
    """The alerts open before an event, and the changes it makes. Ids are taken from the first free one."""

    def __init__(self, before: State, now: Moment, hold_ms: int) -> None:
        self.now = now
        self.open_alerts, self.since = before.alerts.copy(), before.condition_since.copy()
        self.changes: list[Change] = []
        self._recently_resolved, self._hold_ms, self._ids = before.recently_resolved, hold_ms, count(before.ids.alert)

    def open(self, kind: AlertKind, subject: str, title: str, /, **detail: Any) -> None:
        """Open an alert unless it is open. An alert resolved a moment ago is reopened instead."""
        if (kind, subject) in self.open_alerts:
            return
        old = self._find_returning(kind, subject, detail.get("play_id"))
        if old is None:
            self.open_new(kind, subject, title, **detail)
            return
        detail["times"] = old.detail.get("times", 1) + 1
        alert = replace(old, resolved_at=None, title=title, detail=detail)
        self.open_alerts[kind, subject] = alert
        self.changes.append(AlertReopened(alert))

    def _find_returning(self, kind: AlertKind, subject: str, play_id: str | None) -> Alert | None:
        """Return the alert to reopen, if its condition returned in time. The play must match: session keys are reused."""
        resolved = self._recently_resolved.get((kind, subject))
        if resolved is None or self.now.tick - resolved.tick >= self._hold_ms:
            return None
        return resolved.alert if resolved.alert.detail.get("play_id") == play_id else None

    def open_new(self, kind: AlertKind, subject: str, title: str, /, **detail: Any) -> None:
        """Open a new alert, whatever was before."""
        alert = Alert(next(self._ids), self.now.at, kind, RULES[kind].severity, title, detail, subject)
        self.open_alerts[kind, subject] = alert
        self.changes.append(AlertOpened(alert))

    def record(self, kind: AlertKind, subject: str, title: str, /, **detail: Any) -> None:
        """Record an alert that is over at once."""
        alert = Alert(next(self._ids), self.now.at, kind, RULES[kind].severity, title, detail, subject, self.now.at)
        self.changes.append(AlertOpened(alert))

    def record_of_server(
        self,
        server: str | None,
        kind: AlertKind,
        subject: str,
        severity: Severity,
        title: str,
        detail: dict[str, Any],
    ) -> None:
        """Record an alert that is over at once, of the severity that a person chose, about one of several servers."""
        alert = Alert(next(self._ids), self.now.at, kind, severity, title, detail, subject, self.now.at)
        self.changes.append(AlertOpened(alert, server))

    def resolve(self, kind: AlertKind, subject: str, **updates: Any) -> None:
        """Resolve an alert if it is open; `updates` replaces fields where more is known by now."""
        alert = self.open_alerts.pop((kind, subject), None)
        if alert is not None:
            self.changes.append(AlertResolved(replace(alert, resolved_at=self.now.at, **updates), self.now.tick))

    def has_held_for(self, kind: AlertKind, subject: str, milliseconds: int) -> bool:
        """Start the timer of a condition that holds now, unless it runs; return whether it has run for `milliseconds`."""
        if (since := self.since.get((kind, subject))) is None:
            since = self.since[kind, subject] = self.now.tick
            self.changes.append(ConditionSeen(kind, subject, since))
        return self.now.tick - since >= milliseconds

    def clear_timer(self, kind: AlertKind, subject: str, **updates: Any) -> None:
        """Stop the timer of a condition that no longer holds, and resolve its alert."""
        self.reset_timer(kind, subject)
        self.resolve(kind, subject, **updates)

    def reset_timer(self, kind: AlertKind, subject: str) -> None:
        """Stop the timer of a condition about which nothing is known. Its time starts again."""
        if self.since.pop((kind, subject), None) is not None:
            self.changes.append(ConditionSeen(kind, subject, None))
