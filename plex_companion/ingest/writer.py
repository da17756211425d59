"""Writes changes to the cache; what cannot be written now waits in memory for the next commit."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.database import StorageError
from plex_companion.cache.open_files import UNKNOWN, name_unknown
from plex_companion.cache.record import NO_SESSIONS, ServerBatch, coalesce
from plex_companion.cache.replication.entry import EntryWaits

if TYPE_CHECKING:
    from collections.abc import Mapping

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
    changes: Mapping[str, list[Change]],
    states: Mapping[str, State],
    live: Live,
    cache: Cache,
    leader_record: LeaderRecord | None,
) -> None:
    """Write changes, and those that could not be written before, in one transaction.

    Raises:
        LeadershipLost: another process leads by now; nothing was written.
    """
    batches = _list_batches(changes, states, live)
    about = {link: states.get(link) or live.states[link] for link in (*states, *live.unwritten)}
    moved = _list_changed(changes, live) if len(live.states) > 1 else ()  # of a single one, everything is read again
    commit = leader_record.build_commit(about, live.counters.as_dict, live.now, moved) if leader_record else None
    with anyio.CancelScope(shield=True):  # a transaction that began is finished, also when the program ends
        try:
            if batches or commit:
                term = await cache.write_batches(batches, live.now, commit)
                if leader_record and commit:
                    leader_record.mark_committed(commit, term)
            else:
                await cache.settle()
        except EntryWaits as error:  # the changes are in it, so they are as good as committed
            if leader_record and commit:
                leader_record.mark_committed(commit, error.term)
            live.unwritten = {}
            await _handle_failure({}, error, live, cache)
            return
        except StorageError as error:
            await _handle_failure(changes, error, live, cache)
            return
        if live.storage == "degraded":
            logger.warning("The cache can be written again")
            await cache.set_lock_timeout(cache.lock_ms)
    live.storage, live.unwritten = "ok", {}
    live.committed_at = live.now if batches else live.committed_at


def _list_changed(changes: Mapping[str, list[Change]], live: Live) -> set[str]:
    """Return the links that a transaction changes rows of."""
    return {link for link, some in changes.items() if some} | live.unwritten.keys()


def _list_batches(changes: Mapping[str, list[Change]], states: Mapping[str, State], live: Live) -> list[ServerBatch]:
    """Return what there is to write for each server."""
    batches = []
    for link in dict.fromkeys((*live.unwritten, *changes)):
        pending = [*live.unwritten.get(link, ()), *changes.get(link, ())]
        if not pending:
            continue
        known = live.states[link]
        server = known.server or states.get(link, known).server
        committed = NO_SESSIONS if link in live.unwritten else known.sessions
        unknown = name_unknown(link, len(live.states))
        owner = server.machine_identifier if server else unknown
        batches.append(ServerBatch(pending, owner, unknown, committed, _list_unknown(link, live)))
    return batches


def _list_unknown(link: str, live: Live) -> tuple[str, ...]:
    """Return the names under which rows of a link may wait; without a link in it, it was the only one, and is the first."""
    own = f"{UNKNOWN}:{link}"
    return (UNKNOWN, own) if link == next(iter(live.states)) else (own,)


async def _handle_failure(changes: Mapping[str, list[Change]], error: StorageError, live: Live, cache: Cache) -> None:
    """Go on in memory. The first failed write waited for the full lock timeout; later ones give up sooner."""
    if live.storage == "ok":
        logger.warning("The cache cannot be written (%s): going on in memory", error)
        await cache.set_lock_timeout(min(RETRY_LOCK_MS, cache.lock_ms))
    live.storage = "degraded"
    for link, some in changes.items():
        live.unwritten[link] = [*live.unwritten.get(link, ()), *some]
    if sum(map(len, live.unwritten.values())) > BACKLOG:
        most = BACKLOG // 2 // len(live.unwritten)
        live.unwritten = {link: coalesce(pending, most) for link, pending in live.unwritten.items()}
