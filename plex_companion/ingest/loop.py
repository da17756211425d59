"""The main loop: drain events, derive changes, write them in one transaction, commit, notify."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio.lowlevel

from plex_companion.cache.leadership import LeadershipLost
from plex_companion.ingest.batch import derive_batch
from plex_companion.ingest.queue import BATCH_SIZE
from plex_companion.ingest.retention import DEFAULT_RETENTION, Pruner
from plex_companion.ingest.writer import write_changes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.changes.kinds import Effect
    from plex_companion.ingest.leader import LeaderRecord
    from plex_companion.ingest.live import Live
    from plex_companion.ingest.queue import EventQueues
    from plex_companion.ingest.retention import Retention


async def ingest(
    event_queues: EventQueues,
    live: Live,
    cache: Cache,
    announce: Callable[[Mapping[str, Sequence[Effect]], TouchedUris], None],
    retention: Retention = DEFAULT_RETENTION,
    leader_record: LeaderRecord | None = None,
) -> None:
    """Process events forever: drain the queues, derive changes, write them in one transaction, commit, then notify.

    There is no timer. An idle system commits at once, and a burst collects into batches by itself. Subscribers get only
    what is committed. When the database cannot be written, the live state goes on, `live.storage` says `degraded`, and
    the changes wait for the next commit.

    With a leader record, every transaction also carries what the other processes on the database must know. The first
    one is written before any event, so that they learn who leads. `ingest` returns when another process has taken over
    the leadership; what is unwritten then is lost.
    """
    pruner = Pruner(cache, live, retention)
    with suppress(LeadershipLost):
        await write_changes({}, live.states, live, cache, leader_record)
        while True:
            events = await event_queues.drain(BATCH_SIZE)
            batch = await derive_batch(events, live, leader_record)
            began = time.monotonic()
            await write_changes(batch.changes, batch.states, live, cache, leader_record)
            event_queues.fit_share(time.monotonic() - began)
            live.publish(batch.states)
            announce(batch.list_effects(), batch.touched)
            if event_queues:  # clients are notified before the next batch is derived
                await anyio.lowlevel.checkpoint()
            await pruner.prune_if_due()
