"""What there is to show, at one moment."""

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
    """A committed state and what is needed to read it."""

    state: State
    now_ms: int
    past: Sequence[Alert] = ()
    """Alerts of late, newest first; the open ones are in the state."""
    storage: str = "ok"
    zone: tzinfo | None = None
    """`None` for this machine's."""

    @property
    def is_live(self) -> bool:
        """Whether Plex is heard, so that this is the present."""
        return self.state.connection.state == "live"

    @property
    def is_certain(self) -> bool:
        """Whether all was read, so that what is not here is not there."""
        return self.is_live and self.state.connection.detail is None

    @property
    def is_importing(self) -> bool:
        """Whether Plex's own history is being read for the first time."""
        history = self.state.history
        return self.is_live and self.state.history_page > 0 and not history.complete and history.detail is None

    @property
    def sessions(self) -> list[Session]:
        """Oldest first, so that nothing jumps."""
        return sorted(self.state.sessions.values(), key=lambda one: (one.started_at, one.play_id))

    @property
    def activities(self) -> list[Activity]:
        """The same."""
        return sorted(self.state.activities.values(), key=lambda one: (one.started_at, one.uuid))

    @property
    def alerts(self) -> list[Alert]:
        """The open ones first, newest first."""
        opened = sorted(self.state.alerts.values(), key=lambda one: one.id, reverse=True)
        known = {one.id for one in opened}
        over = [one for one in self.past if one.resolved_at is not None and one.id not in known]
        return [*opened, *over]

    def format_time(self, ms: int) -> str:
        """A wall-clock time for people."""
        return wording.format_time(ms, self.now_ms, self.zone)
