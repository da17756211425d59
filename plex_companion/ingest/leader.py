"""Collects what the leader's next commit announces to the other processes on its database."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from plex_companion.cache.database import StorageError
from plex_companion.cache.forwarded_events import read_forwarded
from plex_companion.cache.leadership import NO_LEADER, LeaderCommit, LeaderStatus, LinkStatus, LoadPoint, TouchedUris

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State
    from plex_companion.events import ReceivedEvent
    from plex_companion.ingest.queue import EventQueues
    from plex_companion.models import Connection, Moment

    CountEvents = Callable[[], dict[str, Any]]

POLL_SECONDS = 0.2
"""How often the leader checks for forwarded events."""
STATUS_INTERVAL_MS = 1_000
"""How often the leader's status is written when only times and counters changed."""


@dataclass(slots=True)
class LeaderRecord:
    """The leader's last written status, and what the next commit must add."""

    pid: int
    find_uris: Callable[[Mapping[str, Sequence[Change]], Mapping[str, State]], TouchedUris]
    """Finds the URIs that changes touch, given the changes by link, and the states of all links after them."""
    term: int | None = None
    """`None` until the first commit has begun a term."""
    load_point: LoadPoint | None = None
    """When the state was loaded."""
    unannounced: TouchedUris = field(default_factory=TouchedUris)
    received_ids: list[int] = field(default_factory=list)
    """Forwarded events that were received and are not yet written."""
    _last_status: LeaderStatus | None = None
    _last_status_at: int = 0
    _last_links: dict[str, LinkStatus] = field(default_factory=dict)

    def begin_batch(
        self,
        batch: Mapping[str, Sequence[ReceivedEvent]],
        changes: Mapping[str, Sequence[Change]],
        states: Mapping[str, State],
    ) -> TouchedUris:
        """Record what a batch means to the other processes; return the URIs it touches."""
        touched = self.find_uris(changes, states)
        self.unannounced.add(touched)
        self.received_ids += [
            event.forwarded_id for some in batch.values() for event in some if event.forwarded_id is not None
        ]
        return touched

    def build_commit(
        self, states: Mapping[str, State], count: CountEvents, at: int, moved: Collection[str] = ()
    ) -> LeaderCommit:
        """Build what the next transaction adds; it is false when everything in it can wait.

        Args:
            states: the states that may have changed, by link.
            count: returns what was counted so far.
            at: the time of the transaction.
            moved: the links that the transaction changes rows of.
        """
        is_old = not 0 <= at - self._last_status_at < STATUS_INTERVAL_MS
        return LeaderCommit(
            at,
            self.term,
            self.unannounced,
            self._find_due_status(count, is_old=is_old),
            self._list_due_links(states, is_old=is_old),
            moved,
            tuple(self.received_ids),
            self.load_point,
        )

    def _find_due_status(self, count: CountEvents, *, is_old: bool) -> LeaderStatus | None:
        last = self._last_status
        if last is not None and last.pid == self.pid and not is_old:
            return None
        status = LeaderStatus(self.pid, count())
        return status if status != last else None

    def _list_due_links(self, states: Mapping[str, State], *, is_old: bool) -> list[LinkStatus]:
        """Return the links of which something is new. What only grows fresher waits until the last status is old."""
        known = self._last_links
        found = (
            _describe_link(link, state)
            for link, state in states.items()
            if is_old or link not in known or known[link].essential != _read_essential(state)
        )
        return [status for status in found if status != known.get(status.link)]

    def build_final_commit(self, states: Mapping[str, State], count: CountEvents, at: int) -> LeaderCommit:
        """Build what the last transaction adds: the status, whether it could wait or not, without a leader."""
        self._last_status, self._last_links, self.pid = None, {}, NO_LEADER
        return self.build_commit(states, count, at)

    def mark_committed(self, commit: LeaderCommit, term: int | None) -> None:
        """Record that this was committed, in this term."""
        self.term = term
        self.unannounced, self.received_ids = TouchedUris(), []
        self._last_links |= {link.link: link for link in commit.links}
        if commit.status is not None:
            self._last_status = commit.status
        if commit.status is not None or commit.links:
            self._last_status_at = commit.at


def _describe_link(link: str, state: State) -> LinkStatus:
    server, connection, sessions_read = _read_essential(state)
    return LinkStatus(link, server, connection, sessions_read, state.last_event_at, state.refreshed_at)


def _read_essential(state: State) -> tuple[str | None, Connection, bool]:
    """Return what `LinkStatus.essential` is of a state."""
    return state.server.machine_identifier if state.server else None, state.connection, state.sessions_read


async def receive_forwarded(cache: Cache, queues: EventQueues, now: Callable[[], Moment]) -> None:
    """Receive events that other processes forward, forever. The commit that writes their changes deletes them."""
    last: int = 0
    version: tuple[int, int] | None = None
    while True:
        with suppress(StorageError):  # the next commit reports what is wrong
            latest = await cache.read_data_version()
            if latest != version:
                found = await read_forwarded(cache, last, now())
                version = latest
                for link, event in found:
                    last = max(last, event.forwarded_id or 0)
                    await queues.find(link).put([event])
        await anyio.sleep(POLL_SECONDS)
