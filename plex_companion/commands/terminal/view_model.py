"""The content of the live view at one moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion import wording

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from plex_companion.changes.state import State
    from plex_companion.models import Activity, Alert, Session


@dataclass(frozen=True, slots=True)
class ViewModel:
    """A committed state, with the clock, zone and alerts needed to show it."""

    state: State
    now_ms: int
    past: Sequence[Alert] = ()
    """Recent alerts, newest first. The open ones are in the state."""
    storage: str = "ok"
    zone: tzinfo | None = None
    """`None` for this machine's."""
    label: str = ""
    """How the server is called where there are several, if not by its name."""

    @property
    def server_name(self) -> str:
        """How the server is called."""
        return self.label or wording.label_servers([self.state.server])[0]

    @property
    def is_live(self) -> bool:
        """Whether Plex is connected, so that the state is current."""
        return self.state.connection.state == "live"

    @property
    def is_certain(self) -> bool:
        """Whether everything could be read, so that an empty list means that nothing is playing."""
        return self.is_live and self.state.connection.detail is None

    @property
    def is_importing(self) -> bool:
        """Whether the first import of Plex's own history is running."""
        history = self.state.history
        return self.is_live and self.state.history_page > 0 and not history.complete and history.detail is None

    @property
    def sessions(self) -> list[Session]:
        """The sessions, oldest first, so that lines do not jump."""
        return sorted(self.state.sessions.values(), key=lambda one: (one.started_at, one.play_id))

    @property
    def activities(self) -> list[Activity]:
        """The running activities, oldest first, so that lines do not jump."""
        return sorted(self.state.activities.values(), key=lambda one: (one.started_at, one.uuid))

    @property
    def alerts(self) -> list[Alert]:
        """The alerts: open ones first, then resolved ones, each newest first. Muted kinds are left out."""
        known = {one.id for one in self.state.alerts.values()}
        over = [one for one in self.past if one.resolved_at is not None and one.id not in known]
        return [one for one in (*self.open_alerts, *over) if one.kind not in self.state.muted_kinds]

    @property
    def open_alerts(self) -> list[Alert]:
        """The open alerts, newest first. Muted kinds are left out."""
        opened = sorted(self.state.alerts.values(), key=lambda one: one.id, reverse=True)
        return [one for one in opened if one.kind not in self.state.muted_kinds]

    def format_time(self, ms: int) -> str:
        """Format a wall-clock time for people, in the zone of the view."""
        return wording.format_time(ms, self.now_ms, self.zone)
