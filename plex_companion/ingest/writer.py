"""Writes changes to the cache; what cannot be written now waits in memory for the next commit."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.database import StorageError
from plex_companion.cache.open_files import UNKNOWN
from plex_companion.cache.record import coalesce

if TYPE_CHECKING:
    from plex_companion.cache.database import Cache
    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State
    from plex_companion.ingest.leader import LeaderRecord
    from plex_companion.ingest.live import Live

logger = logging.getLogger(__name__)

BACKLOG = 20_000
"""Changes kept while the database cannot be written. Beyond it, only the last state of every row is kept, and half as
many journal rows."""
RETRY_LOCK_MS = 100
"""How long a write waits for another process's lock after one write failed, so that the live state goes on meanwhile."""


async def write_changes(
    changes: list[Change], state: State, live: Live, cache: Cache, leader_record: LeaderRecord | None
) -> None:
    """Write changes, and those that could not be written before, in one transaction.

    Raises:
        LeadershipLost: another process leads by now; nothing was written.
    """
    pending = [*live.unwritten, *changes]
    server = live.state.server or state.server
    commit = leader_record.build_commit(state, live.counters.as_dict(), live.now) if leader_record else None
    with anyio.CancelScope(shield=True):  # a transaction that began is finished, also when the program ends
        try:
            if pending or commit:
                term = await cache.write(pending, server.machine_identifier if server else UNKNOWN, live.now, commit)
                if leader_record and commit:
                    leader_record.mark_committed(commit, term)
        except StorageError as error:
            await _handle_failure(pending, error, live, cache)
            return
        if live.storage == "degraded":
            logger.warning("The cache can be written again")
            await cache.set_lock_timeout(cache.lock_ms)
    live.storage, live.unwritten = "ok", []
    live.committed_at = live.now if pending else live.committed_at


async def _handle_failure(pending: list[Change], error: StorageError, live: Live, cache: Cache) -> None:
    """Go on in memory. The first failed write waited for the full lock timeout; later ones give up sooner."""
    if live.storage == "ok":
        logger.warning("The cache cannot be written (%s): going on in memory", error)
        await cache.set_lock_timeout(min(RETRY_LOCK_MS, cache.lock_ms))
    live.storage = "degraded"
    live.unwritten = pending if len(pending) <= BACKLOG else coalesce(pending, BACKLOG // 2)
