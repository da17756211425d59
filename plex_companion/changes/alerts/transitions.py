"""The alerts one event opens, resolves and opens again: at most one is open per kind and subject."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

from plex_companion.changes.alerts.rules import RULES
from plex_companion.changes.kinds import AlertOpened, AlertReopened, AlertResolved, Change, ConditionSeen
from plex_companion.models import Alert

if TYPE_CHECKING:
    from plex_companion.changes.state import State
    from plex_companion.models import AlertKind, Moment


class AlertTransitions:
    """What was open before, and what changes; ids are taken from the first free one."""

    def __init__(self, before: State, now: Moment, hold_ms: int) -> None:
        self.now = now
        self.open_alerts, self.since = before.alerts.copy(), before.condition_since.copy()
        self.changes: list[Change] = []
        self._rested, self._hold_ms, self._ids = before.recently_resolved, hold_ms, count(before.next_alert)

    def open(self, kind: AlertKind, subject: str, title: str, /, **detail: Any) -> None:
        """Open an alert unless it is open. One that was resolved a moment ago is opened again instead of a new one."""
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
        """The alert that rests, if what it tells of returned in time. Session keys are given anew, so the play counts."""
        rested = self._rested.get((kind, subject))
        if rested is None or self.now.tick - rested.tick >= self._hold_ms:
            return None
        return rested.alert if rested.alert.detail.get("play_id") == play_id else None

    def open_new(self, kind: AlertKind, subject: str, title: str, /, **detail: Any) -> None:
        """Open an alert of its own, whatever was before."""
        alert = Alert(next(self._ids), self.now.at, kind, RULES[kind].severity, title, detail, subject)
        self.open_alerts[kind, subject] = alert
        self.changes.append(AlertOpened(alert))

    def record(self, kind: AlertKind, subject: str, title: str, /, **detail: Any) -> None:
        """Something that happened and is over at once."""
        alert = Alert(next(self._ids), self.now.at, kind, RULES[kind].severity, title, detail, subject, self.now.at)
        self.changes.append(AlertOpened(alert))

    def resolve(self, kind: AlertKind, subject: str, **told: Any) -> None:
        """Resolve an alert if it is open; `told` replaces what it said, where more is known by now."""
        alert = self.open_alerts.pop((kind, subject), None)
        if alert is not None:
            self.changes.append(AlertResolved(replace(alert, resolved_at=self.now.at, **told), self.now.tick))

    def has_held_for(self, kind: AlertKind, subject: str, milliseconds: int) -> bool:
        """What a rule waits for holds now: whether it has held for so long."""
        since = self.since.get((kind, subject))
        if since is None:
            since = self.since[kind, subject] = self.now.tick
            self.changes.append(ConditionSeen(kind, subject, since))
        return self.now.tick - since >= milliseconds

    def clear_timer(self, kind: AlertKind, subject: str, **told: Any) -> None:
        """What a rule waits for does not hold."""
        self.reset_timer(kind, subject)
        self.resolve(kind, subject, **told)

    def reset_timer(self, kind: AlertKind, subject: str) -> None:
        """Whether what a rule waits for still holds is not known: its time begins again."""
        if self.since.pop((kind, subject), None) is not None:
            self.changes.append(ConditionSeen(kind, subject, None))
