"""Merges notifications: first by time, for each URI, then by reader, for each subscriber.

A notification says "read this again", so two that wait are worth one. `MergeWindows` decides when a URI is due for its
subscribers; what changes until then is merged. `PendingUpdates` holds what is due and not yet read by one subscriber; what
becomes due until then is merged too.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import anyio

MERGE_SECONDS = 0.05
"""Seconds between two notifications of one URI."""
PROGRESS_SECONDS = 1.0
"""Seconds between a notification of a URI and the next one that only says that progress was made."""
WINDOW_GROWTH = 2.0
"""A window lasts at least this many times as long as a round of deliveries, so that deliveries never take all of the time."""


@dataclass(slots=True)
class _Sent:
    """When a URI was last notified, and when it last was for a change of state."""

    at: float
    immediate_at: float


class MergeWindows:
    """The notifications that are not due yet. Pure: the caller passes the time, in seconds of a monotonic clock.

    The first change of a URI is due at once. A later change of state is due when the window after the last change of state
    has passed, so it never waits because of progress. Progress is due a second after the last notification. Every scheduled
    key is returned by a later `pop_due`, so the last change is never lost.
    """

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._immediate: set[str] = set()
        self._sent: dict[str, _Sent] = {}
        self._window = MERGE_SECONDS

    def schedule(self, key: str, now: float, *, progress_only: bool = False) -> None:
        """Schedule `key` for the end of its window, or for now if that has passed."""
        sent = self._sent.get(key)
        if progress_only:
            at = sent.at + PROGRESS_SECONDS if sent else now
        else:
            at = sent.immediate_at + self._window if sent else now
            self._immediate.add(key)
        self._due[key] = min(max(now, at), self._due.get(key, inf))

    def pop_due(self, now: float) -> list[str]:
        """Remove and return the keys that are due, longest waiting first. They count as sent."""
        keys = [key for _, key in sorted((at, key) for key, at in self._due.items() if at <= now)]
        if keys:
            self._sent = {key: sent for key, sent in self._sent.items() if now - sent.at < PROGRESS_SECONDS}
        for key in keys:
            del self._due[key]
            before = self._sent.get(key)
            immediate_at = now if key in self._immediate else before.immediate_at if before else -inf
            self._sent[key] = _Sent(now, immediate_at)
            self._immediate.discard(key)
        return keys

    def is_overtaken(self, key: str, now: float) -> bool:
        """Return whether a change of state is due for `key`, which was last sent for progress only."""
        sent = self._sent.get(key)
        only_progress = sent is not None and sent.immediate_at < sent.at
        return only_progress and key in self._immediate and self._due[key] <= now

    def record_round(self, seconds: float) -> None:
        """Record how long the last round of deliveries took. Windows grow with it, up to that of progress."""
        self._window = min(max(MERGE_SECONDS, WINDOW_GROWTH * seconds), PROGRESS_SECONDS)

    def find_next_time(self) -> float:
        """Return when `pop_due` will next return something; infinity if nothing waits."""
        return min(self._due.values(), default=inf)

    def count_waiting(self) -> int:
        """Count the keys that wait."""
        return len(self._due)


class PendingUpdates:
    """The updates that one subscriber has not read yet: a set, so that a subscriber that stops reading costs little.

    It is never larger than the subscriptions of its owner.
    """

    def __init__(self) -> None:
        self._pending: dict[str, None] = {}
        self._closed = False
        self._wake = anyio.Event()

    def __len__(self) -> int:
        """Return the number of waiting updates."""
        return len(self._pending)

    def add(self, key: str) -> None:
        """Add an update. Never blocks; does nothing after `close`."""
        if not self._closed:
            self._pending[key] = None
            self._wake.set()

    def remove(self, key: str) -> None:
        """Remove an update that was not read."""
        self._pending.pop(key, None)

    def close(self) -> None:
        """Accept no more updates. The reader ends after the ones that wait."""
        self._closed = True
        self._wake.set()

    def __aiter__(self) -> PendingUpdates:
        """Return the iterator over updates, which ends after `close`."""
        return self

    async def __anext__(self) -> str:
        """Return the update that has waited longest. No other task runs between choosing and removing it."""
        while not self._pending:
            if self._closed:
                raise StopAsyncIteration
            self._wake = anyio.Event()
            await self._wake.wait()
        key = next(iter(self._pending))
        del self._pending[key]
        return key
