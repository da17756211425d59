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
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from plex_companion.events import Event, ReceivedEvent
    from plex_companion.ingest.live import Counters

QUEUE_LIMIT = 4_096
"""Events that may wait; some 2 kB each."""
BATCH_SIZE = 500
"""Events per transaction at most, so that a flood never blocks the event loop for long."""
LEAST_SHARE = 32
"""Events that one of several links has in a batch at least, if they wait: they take about a millisecond."""
SHARE_PER_SECOND = LEAST_SHARE / 0.002
"""Events that cost about as much as a second of writing."""
PAUSE_AFTER = 32
"""Events after which a sender lets other tasks run. A round of the event loop costs more than the rest of an event does."""
ALL_SUBJECTS = "*"


class FilledSignal:
    """Set while events wait in a queue. Several queues may share one."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        """Wake what waits."""
        self._event.set()

    async def wait_again(self) -> None:
        """Wait until it is set from now on."""
        self._event = anyio.Event()
        await self._event.wait()


class EventQueue:
    """Received events that wait to be written. When it is full, repeated progress collapses, then senders wait."""

    def __init__(self, limit: int, counters: Counters, filled: FilledSignal | None = None) -> None:
        self.limit, self.counters = limit, counters
        self._waiting: deque[ReceivedEvent] = deque()
        self._since_pause = 0
        self._filled, self._drained = filled or FilledSignal(), anyio.Event()

    def __len__(self) -> int:
        """Return how many events wait."""
        return len(self._waiting)

    async def put(self, events: Sequence[ReceivedEvent]) -> None:
        """Append events, in order. Wait while the queue is full, and let other tasks run after some events."""
        for event in events:
            while len(self._waiting) >= self.limit:
                self._collapse()
                await anyio.lowlevel.checkpoint()
                if len(self._waiting) >= self.limit - self.limit // 16:  # or every event would walk through the queue
                    if self._drained.is_set():  # otherwise another sender waits for it already
                        self._drained = anyio.Event()
                    await self._drained.wait()
            if not self._waiting:  # otherwise nobody waits for one
                self._filled.set()
            self._waiting.append(event)
        self._since_pause += len(events)
        if self._since_pause >= PAUSE_AFTER:  # a reader that never suspends starves the rest during a burst
            self._since_pause = 0
            await anyio.lowlevel.checkpoint()

    async def drain(self, most: int) -> list[ReceivedEvent]:
        """Wait until there are events, then remove and return up to `most` of them, oldest first."""
        while not self._waiting:
            await self._filled.wait_again()
        return self.take(most)

    def take(self, most: int) -> list[ReceivedEvent]:
        """Remove and return up to `most` events, oldest first; none if none waits."""
        taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        self._drained.set()
        return taken

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


class EventQueues:
    """A queue for each link, so that a server that floods takes no place of another's events, nor much of their time."""

    def __init__(self, links: Iterable[str], limit: int, counters: Counters) -> None:
        self._filled = FilledSignal()
        self.by_link = {link: EventQueue(limit, counters, self._filled) for link in links}
        self.share = LEAST_SHARE
        """Events that one link may have in a batch, where there are several links."""
        self._left_out = False

    def __len__(self) -> int:
        """Return how many events wait, of all links."""
        return sum(map(len, self.by_link.values()))

    @property
    def first(self) -> EventQueue:
        """The queue of the first link, for what is about no server."""
        return next(iter(self.by_link.values()))

    def find(self, link: str | None) -> EventQueue:
        """Return the queue of a link; the first one if it is unknown."""
        return self.by_link.get(link or "", self.first)

    async def drain(self, most: int) -> dict[str, list[ReceivedEvent]]:
        """Wait until there are events, then remove and return up to `most` of them by link, oldest first of each.

        All links that have events get the same share; what one does not need goes to those after it. Of several links,
        none gets more than `share`, and one that has more is left out every second time, so that an event of another
        link waits neither for a long batch nor in one.
        """
        while not (waiting := [link for link, queue in self.by_link.items() if queue]):
            await self._filled.wait_again()
        if len(self.by_link) == 1:
            return {link: self.by_link[link].take(most) for link in waiting}
        drained: dict[str, list[ReceivedEvent]] = {}
        left, chosen = most, self._choose_links(waiting)
        for number, link in enumerate(chosen):
            drained[link] = self.by_link[link].take(min(self.share, max(1, left // (len(chosen) - number))))
            left -= len(drained[link])
        return drained

    def _choose_links(self, waiting: Sequence[str]) -> Sequence[str]:
        """Choose whose events are next, those with the fewest first."""
        few = [link for link in waiting if len(self.by_link[link]) <= self.share]
        self._left_out = 0 < len(few) < len(waiting) and not self._left_out
        return sorted(few if self._left_out else waiting, key=lambda link: len(self.by_link[link]))

    def fit_share(self, seconds: float) -> None:
        """Fit `share` to the time that a batch took to be written, so that its events take about as long as that.

        Where the disk is slow, fewer would be written than it can take, and the others wait for it anyway.
        """
        fitting = min(BATCH_SIZE, int(seconds * SHARE_PER_SECOND))
        self.share = max(LEAST_SHARE, (3 * self.share + fitting) // 4)

    def put_back(self, events: Mapping[str, Sequence[ReceivedEvent]]) -> None:
        """Return drained events to the front of their queues, in their order."""
        for link, some in events.items():
            self.by_link[link].put_back(some)

    def filter(self, keep: Callable[[ReceivedEvent], bool]) -> None:
        """Drop every event for which `keep` is false."""
        for queue in self.by_link.values():
            queue.filter(keep)


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
