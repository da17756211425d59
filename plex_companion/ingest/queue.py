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
from plex_companion.ingest.loop import EVERYTHING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plex_companion.events import Event, ReceivedEvent
    from plex_companion.ingest.live import Counters

QUEUE_LIMIT = 4_096
"""Events that may wait; some 2 kB each."""


class EventQueue:
    """What was heard and waits to be written. Bounded: when full, repeated progress collapses, then the sender waits."""

    def __init__(self, limit: int, counters: Counters) -> None:
        self.limit, self.counters = limit, counters
        self._heard: deque[ReceivedEvent] = deque()
        self._filled, self._drained = anyio.Event(), anyio.Event()

    def __len__(self) -> int:
        """How much waits."""
        return len(self._heard)

    async def put(self, heard: Sequence[ReceivedEvent]) -> None:
        """Take in what was heard, in order."""
        for one in heard:
            while len(self._heard) >= self.limit:
                self._collapse()
                await anyio.lowlevel.checkpoint()
                if len(self._heard) >= self.limit - self.limit // 16:  # or every event would look through all of them
                    if self._drained.is_set():  # otherwise another sender waits for it already
                        self._drained = anyio.Event()
                    await self._drained.wait()
            self._heard.append(one)
            self._filled.set()
        await anyio.lowlevel.checkpoint()  # a reader that never suspends starves the rest during a burst

    async def drain(self, most: int) -> list[ReceivedEvent]:
        """Wait for something, then take what is there."""
        if not self._heard:
            self._filled = anyio.Event()
            await self._filled.wait()
        taken = [self._heard.popleft() for _ in range(min(most, len(self._heard)))]
        self._drained.set()
        return taken

    def put_back(self, heard: Sequence[ReceivedEvent]) -> None:
        """What was taken out comes next again."""
        self._heard.extendleft(reversed(heard))
        self._filled.set()

    def filter(self, wanted: Callable[[ReceivedEvent], bool]) -> None:
        """Forget all but these."""
        self._heard = deque(heard for heard in self._heard if wanted(heard))

    def _collapse(self) -> None:
        """Of a run of reports that only move a session, a job or an activity on, keep the first, which may begin it,
        and the newest. State changes stay, and a run ends where something else is said of its subject.
        """
        runs: dict[str, _ProgressRun] = {}
        kept: list[ReceivedEvent | None] = []
        for heard in self._heard:
            subject, said = _split_progress(heard.event)
            if subject == EVERYTHING:
                runs.clear()
            elif subject is not None:
                run = runs.get(subject)
                if said is None or run is None or run.identity != said:
                    runs[subject] = _ProgressRun(said)
                else:
                    if run.newest is not None:
                        kept[run.newest] = None
                    run.newest = len(kept)
            kept.append(heard)
        self._heard = deque(heard for heard in kept if heard is not None)
        self.counters.collapsed += len(kept) - len(self._heard)


@dataclass(slots=True)
class _ProgressRun:
    """Reports on one subject that say the same but for progress, and where the newest of them is kept."""

    identity: object
    newest: int | None = None


def _split_progress(event: Event) -> tuple[str | None, object]:
    """What an event is about, and what it says beyond progress: `None` when it says more than that."""
    match event:
        case Playing(session_key=None) | Snapshot() | SessionsUnread() | Connecting() | Disconnected():
            return EVERYTHING, None
        case Playing(state="playing" | "paused"):
            return f"session {event.session_key}", (event.state, event.rating_key, event.transcode_key)
        case Playing():
            return f"session {event.session_key}", None
        case TranscodeReport(phase=phase, transcode=job):
            return f"job {job.key}", phase if phase == "update" else None
        case ActivityReport(phase=phase):
            return f"activity {event.uuid}", phase if phase == "updated" else None
        case _:
            return None, None
