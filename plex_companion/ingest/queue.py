"""Events that wait to be written: bounded, and repeated progress collapses when there are too many."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from plex_companion.events import (
    ActivityReport,
    Connecting,
    Disconnected,
    Playing,
    SessionsUnread,
    Snapshot,
    TranscodeReport,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plex_companion.events import Event, ReceivedEvent
    from plex_companion.ingest.live import Counters

QUEUE_LIMIT = 4_096
"""Events that may wait; some 2 kB each."""
BATCH_SIZE = 500
"""Events per transaction at most, so that a flood never blocks the event loop for long."""
ALL_SUBJECTS = "*"


class EventQueue:
    """Received events that wait to be written. When it is full, repeated progress collapses, then senders wait."""

    def __init__(self, limit: int, counters: Counters) -> None:
        self.limit, self.counters = limit, counters
        self._waiting: deque[ReceivedEvent] = deque()
        self._filled, self._drained = anyio.Event(), anyio.Event()

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self._waiting)

    async def put(self, events: Sequence[ReceivedEvent]) -> None:
        """Append events, in order. Wait while the queue is full."""
        for event in events:
            while len(self._waiting) >= self.limit:
                self._collapse()
                await anyio.lowlevel.checkpoint()
                if len(self._waiting) >= self.limit - self.limit // 16:  # or every event would walk through the queue
                    if self._drained.is_set():  # otherwise another sender waits for it already
                        self._drained = anyio.Event()
                    await self._drained.wait()
            self._waiting.append(event)
            self._filled.set()
        await anyio.lowlevel.checkpoint()  # a reader that never suspends starves the rest during a burst

    async def drain(self, most: int) -> list[ReceivedEvent]:
        """Wait until there are events, then remove and return up to `most` of them, oldest first."""
        if not self._waiting:
            self._filled = anyio.Event()
            await self._filled.wait()
        drained = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        self._drained.set()
        return drained

    def put_back(self, events: Sequence[ReceivedEvent]) -> None:
        """Return drained events to the front of the queue, in their order."""
        self._waiting.extendleft(reversed(events))
        self._filled.set()

    def filter(self, keep: Callable[[ReceivedEvent], bool]) -> None:
        """Drop every event for which `keep` is false."""
        self._waiting = deque(event for event in self._waiting if keep(event))

    def _collapse(self) -> None:
        """Drop repeated progress: of a run of reports that only move a session, a transcode or an activity on.

        The first report of a run stays, because it may begin the session, and so does the newest. State changes stay.
        A run ends where something else is reported of its subject.
        """
        runs: dict[str, _ProgressRun] = {}
        kept: list[ReceivedEvent | None] = []
        for received in self._waiting:
            subject, identity = _split_progress(received.event)
            if subject == ALL_SUBJECTS:
                runs.clear()
            elif subject is not None:
                run = runs.get(subject)
                if identity is None or run is None or run.identity != identity:
                    runs[subject] = _ProgressRun(identity)
                else:
                    if run.newest is not None:
                        kept[run.newest] = None
                    run.newest = len(kept)
            kept.append(received)
        self._waiting = deque(received for received in kept if received is not None)
        self.counters.collapsed += len(kept) - len(self._waiting)


@dataclass(slots=True)
class _ProgressRun:
    """Reports on one subject that differ only in progress, and the index of the newest."""

    identity: object
    newest: int | None = None


def _split_progress(event: Event) -> tuple[str | None, object]:
    """Return the subject of an event and what it says apart from progress; `None` when it says more than progress."""
    match event:
        case Playing(session_key=None) | Snapshot() | SessionsUnread() | Connecting() | Disconnected():
            return ALL_SUBJECTS, None
        case Playing(state="playing" | "paused"):
            return f"session {event.session_key}", (event.state, event.rating_key, event.transcode_key)
        case Playing():
            return f"session {event.session_key}", None
        case TranscodeReport(phase=phase, transcode=transcode):
            return f"transcode {transcode.key}", phase if phase == "update" else None
        case ActivityReport(phase=phase):
            return f"activity {event.uuid}", phase if phase == "updated" else None
        case _:
            return None, None
