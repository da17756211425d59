"""Collects the occurrences of one event, and which of them plays have reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.changes.kinds import Change, MilestonesReached, OccurrenceRecorded
from plex_companion.models import Occurrence, PlayMilestones
from plex_companion.occurrences.stream_counts import count_streams

if TYPE_CHECKING:
    from plex_companion.changes.state import State
    from plex_companion.events import Event
    from plex_companion.models import Moment, OccurrenceName, Session, StreamCounts


_NOTHING_REACHED = PlayMilestones()


def find_milestones(state: State, play_id: int) -> PlayMilestones:
    """Return which occurrences of a play were recorded."""
    ended = state.ended_plays.get(play_id)
    return ended.milestones if ended else state.milestones.get(play_id, _NOTHING_REACHED)


class OccurrenceCollector:
    """The occurrences that an event causes, given what was known before it."""

    def __init__(self, event: Event, before: State, now: Moment) -> None:
        self.event, self.before, self.now = event, before, now
        self.changes: list[Change] = []
        self.former_server: str | None = None
        """The server before, while its plays end because another one answers."""
        self._reached: dict[int, PlayMilestones] = {}
        self._sessions: dict[str, Session] = {}
        self._ended: set[str] = set()
        self._streams: StreamCounts | None = None

    def record(
        self,
        name: OccurrenceName,
        at: int,
        data: dict[str, Any],
        *,
        inferred: bool = False,
        history_key: str | None = None,
        server: str | None = None,
    ) -> None:
        """Record an occurrence. `server`: the one it is of, if that is not the one the event is of."""
        of_server, streams = server or self.former_server, self._count_streams()
        self.changes.append(OccurrenceRecorded(Occurrence(name, at, data, inferred, history_key, of_server, streams)))

    def see(self, session: Session) -> None:
        """Remember a session as the event leaves it."""
        self._sessions[session.session_key] = session
        self._ended.discard(session.session_key)
        self._streams = None

    def leave(self, session: Session) -> None:
        """Remember that a session has ended."""
        self._ended.add(session.session_key)
        self._streams = None

    def _count_streams(self) -> StreamCounts:
        """Return what plays, as far as the event was followed."""
        if self._streams is None:
            playing = {**self.before.sessions, **self._sessions}
            for key in self._ended:
                playing.pop(key, None)
            self._streams = count_streams(playing.values())
        return self._streams

    def find_session(self, session_key: str) -> Session | None:
        """Return the session of a key, as the event leaves it."""
        return self._sessions.get(session_key) or self.before.sessions.get(session_key)

    def find_play(self, play_id: int) -> Session | None:
        """Return the session of a play, as the event leaves it."""
        sessions = (*self._sessions.values(), *self.before.sessions.values())
        return next((session for session in sessions if session.play_id == play_id), None)

    def find_milestones(self, play_id: int) -> PlayMilestones:
        """Return which occurrences of a play were recorded, those of this event included."""
        return self._reached.get(play_id) or find_milestones(self.before, play_id)

    def reach(self, play_id: int, milestones: PlayMilestones) -> None:
        """Remember that occurrences of a play were recorded."""
        self._reached[play_id] = milestones
        self.changes.append(MilestonesReached(play_id, milestones))
