"""The heart: write down what changed, then tell whoever asked."""

from __future__ import annotations

import logging
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import anyio
import anyio.lowlevel

from plex_companion.cache import UNKNOWN, StorageError, coalesce
from plex_companion.cache.board import LeadershipLost, TouchedUris
from plex_companion.changes import DEFAULT, State, Thresholds, advance, changes_for
from plex_companion.changes.deliveries import queue_deliveries
from plex_companion.events import (
    ActivityReport,
    Connecting,
    Disconnected,
    HistoryPage,
    Malformed,
    Playing,
    SessionsUnread,
    Snapshot,
    TranscodeReport,
    Unknown,
)
from plex_companion.threads import compute_off_loop

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plex_companion.cache import Cache
    from plex_companion.cache.board import LeaderStatus
    from plex_companion.changes.deliveries import WebhookRules
    from plex_companion.changes.kinds import Change
    from plex_companion.desk import LeaderRecord
    from plex_companion.events import Event, ReceivedEvent
    from plex_companion.models import Moment

logger = logging.getLogger(__name__)

QUEUE_LIMIT = 4_096
"""Events that may wait; some 2 kB each."""
BATCH = 500
"""Events per transaction at most, so that a flood never keeps the loop from answering."""
HEAVY, MANY_SESSIONS = 1_000, 50
"""A batch that weighs more would keep the loop from answering for some 50 ms: a full one of single events does not."""
PRUNE_EVERY_MS = 60_000
ANNOUNCED_MS = 60_000
"""How long other processes may take to look at what was announced."""
BACKLOG = 20_000
"""Changes kept while the storage refuses; beyond it the last state of every row is kept, and of the journal so many."""
RETRY_LOCK_MS = 100
"""How long a write waits for another process once one was refused: the live state goes on meanwhile."""
KINDS = 100
"""Unknown types counted by name; what is more, or longer than any type on record, counts as `other`."""
LONGEST_KIND = 64


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is kept. Plays are kept for ever."""

    events_ms: int = 7 * 86_400_000
    events_rows: int = 200_000
    alerts_ms: int = 90 * 86_400_000


DEFAULT_RETENTION = Retention()


async def ingest(
    inbox: EventQueue,
    live: Live,
    cache: Cache,
    announce: Callable[[Sequence[Change], TouchedUris], None],
    retention: Retention = DEFAULT_RETENTION,
    desk: LeaderRecord | None = None,
) -> None:
    """Drain what was heard, decide what it means, write it in one transaction, commit, announce. For ever.

    No timer: an idle system commits at once, a burst batches itself. What is announced is committed; when the
    storage refuses, the live state goes on, `storage` says `degraded`, and the changes wait for the next commit.

    With a desk, each transaction also tells the other processes on the database, from the first one on, which tells
    them that this one listens. It returns when another has begun to listen instead: what is unwritten then is lost.
    """
    pruned_at = 0
    with suppress(LeadershipLost):
        await _write([], live.state, live, cache, desk)
        while True:
            batch = await inbox.drain(BATCH)
            state, changes, touched = await _derive(batch, live, desk)
            await _write(changes, state, live, cache, desk)
            live.publish(state)
            announce(changes, touched)
            if not 0 <= live.now - pruned_at < PRUNE_EVERY_MS and not await _prune(live, cache, retention):
                pruned_at = live.now


async def _derive(
    batch: Sequence[ReceivedEvent], live: Live, desk: LeaderRecord | None
) -> tuple[State, list[Change], TouchedUris]:
    """The state after a batch, the changes that lead there and the URIs they touch; off the loop where that takes long."""

    def understand() -> tuple[State, list[Change], TouchedUris]:
        state, changes = live.apply(batch)
        return state, changes, desk.begin_batch(batch, changes) if desk else TouchedUris()

    if _weight(batch, live.state) <= HEAVY:
        return understand()
    return await compute_off_loop(understand)


def _weight(batch: Sequence[ReceivedEvent], state: State) -> int:
    """How many rows a batch holds; each event looks at the sessions, which counts where there are many."""
    rows = sum(_rows(heard.event) for heard in batch)
    return rows + len(batch) * (1 + len(state.sessions) // MANY_SESSIONS)


def _rows(event: Event) -> int:
    match event:
        case Snapshot():
            lists = (event.sessions, event.activities, event.sections, event.accounts, event.clients, event.devices)
            return sum(len(rows) for rows in lists if rows)
        case HistoryPage(rows=rows):
            return len(rows)
        case _:
            return 0


async def _prune(live: Live, cache: Cache, retention: Retention) -> bool:
    """One step, between batches. Returns whether the next batch should be followed by another."""
    with suppress(StorageError):  # the next commit says what is wrong
        return await cache.prune(
            events_before=live.now - retention.events_ms,
            events_kept=retention.events_rows,
            alerts_before=live.now - retention.alerts_ms,
            announced_before=live.now - ANNOUNCED_MS,
        )
    return False


async def _write(changes: list[Change], state: State, live: Live, cache: Cache, desk: LeaderRecord | None) -> None:
    pending = [*live.unwritten, *changes]
    server = live.state.server or state.server
    bulletin = desk.build_commit(state, live.counters.as_dict(), live.now) if desk else None
    with anyio.CancelScope(shield=True):  # what was begun is finished, also when the program ends
        try:
            if pending or bulletin:
                term = await cache.write(pending, server.machine_identifier if server else UNKNOWN, live.now, bulletin)
                if desk and bulletin:
                    desk.mark_committed(bulletin, term)
        except StorageError as error:
            await _handle_write_failure(pending, error, live, cache)
            return
        if live.storage == "degraded":
            logger.warning("The cache can be written again")
            await cache.set_lock_timeout(cache.lock_ms)
    live.storage, live.unwritten = "ok", []
    live.committed_at = live.now if pending else live.committed_at


async def _handle_write_failure(pending: list[Change], error: StorageError, live: Live, cache: Cache) -> None:
    """Go on in memory. The first time a write waited as long as it may; from now on nothing waits that long."""
    if live.storage == "ok":
        logger.warning("The cache cannot be written (%s): going on in memory", error)
        await cache.set_lock_timeout(min(RETRY_LOCK_MS, cache.lock_ms))
    live.storage = "degraded"
    live.unwritten = pending if len(pending) <= BACKLOG else coalesce(pending, BACKLOG // 2)


@dataclass(slots=True)
class Counters:
    """What was heard since this process started."""

    events: Counter[str] = field(default_factory=Counter)
    unrecognized: int = 0
    malformed: int = 0
    snapshots: int = 0
    connects: int = 0
    collapsed: int = 0

    def count(self, event: Event) -> None:
        """Count one event."""
        match event:
            case Malformed():
                self.malformed += 1
            case Snapshot(first=first):
                self.snapshots += 1
                self.connects += first
            case Unknown(type=kind):
                self.unrecognized += 1
                few = kind in self.events or (len(self.events) < KINDS and len(kind) <= LONGEST_KIND)
                self.events[kind if few else "other"] += 1
            case _ if hasattr(event, "raw"):
                self.events[event.type] += 1

    def as_dict(self) -> dict[str, Any]:
        """As they are shown."""
        return {
            "events": dict(sorted(self.events.items())),
            "unrecognized": self.unrecognized,
            "malformed": self.malformed,
            "reconnects": max(0, self.connects - 1),
            "snapshots": self.snapshots,
            "collapsed": self.collapsed,
        }


class Live:
    """What is known now. `state` is what readers see: it is replaced as a whole, after the commit."""

    def __init__(self, state: State, thresholds: Thresholds = DEFAULT, webhooks: WebhookRules | None = None) -> None:
        self.state = state
        self.thresholds = thresholds
        self.webhooks = webhooks
        self.counters = Counters()
        self.storage: Literal["ok", "degraded"] = "ok"
        self.unwritten: list[Change] = []
        self.committed_at: int | None = None
        self.now = 0
        self.listens = True
        """Whether this process hears Plex and writes; otherwise it shows what another one committed."""
        self.leader: LeaderStatus | None = None
        """What that other one says of itself."""
        self.written_out: dict[str, str] = {}
        """What readers were told of this very state, by URI: after a notification many read the same."""
        self._shown = anyio.Event()

    def apply(self, batch: Sequence[ReceivedEvent]) -> tuple[State, list[Change]]:
        """The state after a batch and the changes that lead there. Nothing is visible yet."""
        state, changes = self.state.copy(), []
        for event, moment, letter in batch:
            self.counters.count(event)
            if letter is None:  # which may be old
                self.now = moment.at
            for change in self._derive_changes(event, state, moment):
                advance(state, change)
                changes.append(change)
        return state, changes

    def _derive_changes(self, event: Event, state: State, moment: Moment) -> list[Change]:
        try:
            changes = changes_for(event, state, moment, self.thresholds)
            return changes + (queue_deliveries(changes, state, moment, self.webhooks) if self.webhooks else [])
        except Exception:  # a rule that fails on one event must not make the program deaf to all others
            self.counters.malformed += 1
            logger.exception("An event of type %s could not be understood", event.type)
            return []

    def publish(self, state: State) -> None:
        """Readers see this from now on, and whoever waits is woken."""
        self.state = state
        self.written_out.clear()
        self._shown.set()
        self._shown = anyio.Event()

    def prepare_wait(self) -> anyio.Event:
        """What the next commit sets. Take it before reading, wait for it after: nothing falls between."""
        return self._shown

    async def wait_for_commit(self) -> None:
        """Wait for the next commit."""
        await self._shown.wait()


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


EVERYTHING = "*"


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
