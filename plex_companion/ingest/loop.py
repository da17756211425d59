"""The heart: write down what changed, then tell whoever asked."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from plex_companion.cache.database import StorageError
from plex_companion.cache.leadership import LeadershipLost, TouchedUris
from plex_companion.cache.open_files import UNKNOWN
from plex_companion.cache.record import coalesce
from plex_companion.events import HistoryPage, Snapshot
from plex_companion.ingest.threads import compute_off_loop
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State
    from plex_companion.events import Event, ReceivedEvent
    from plex_companion.ingest.leader import LeaderRecord
    from plex_companion.ingest.live import Live
    from plex_companion.ingest.queue import EventQueue

logger = logging.getLogger(__name__)
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


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is kept. Plays are kept for ever."""

    events_ms: int = 7 * DAY_MS
    events_rows: int = 200_000
    alerts_ms: int = 90 * DAY_MS


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


EVERYTHING = "*"
