"""The product on one screen: drain events, derive changes, write them in one transaction, commit, notify."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from plex_companion.cache.leadership import LeadershipLost
from plex_companion.ingest.batch import derive_batch
from plex_companion.ingest.queue import BATCH_SIZE
from plex_companion.ingest.retention import DEFAULT_RETENTION, Pruner
from plex_companion.ingest.writer import write_changes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.changes.kinds import Effect
    from plex_companion.ingest.leader import LeaderRecord
    from plex_companion.ingest.live import Live
    from plex_companion.ingest.queue import EventQueue
    from plex_companion.ingest.retention import Retention


async def ingest(
    event_queue: EventQueue,
    live: Live,
    cache: Cache,
    announce: Callable[[Sequence[Effect], TouchedUris], None],
    retention: Retention = DEFAULT_RETENTION,
    leader_record: LeaderRecord | None = None,
) -> None:
    """Process events forever: drain the queue, derive changes, write them in one transaction, commit, then notify.

    There is no timer. An idle system commits at once, and a burst collects into batches by itself. Subscribers get only
    what is committed. When the database cannot be written, the live state goes on, `live.storage` says `degraded`, and
    the changes wait for the next commit.

    With a leader record, every transaction also carries what the other processes on the database must know. The first
    one is written before any event, so that they learn who leads. `ingest` returns when another process has taken over
    the leadership; what is unwritten then is lost.
    """
    pruner = Pruner(cache, live, retention)
    with suppress(LeadershipLost):
        await write_changes([], live.state, live, cache, leader_record)
        while True:
            events = await event_queue.drain(BATCH_SIZE)
            batch = await derive_batch(events, live, leader_record)
            await write_changes(batch.changes, batch.state, live, cache, leader_record)
            live.publish(batch.state)
            announce([*batch.changes, *batch.requests], batch.touched)
            await pruner.prune_if_due()
