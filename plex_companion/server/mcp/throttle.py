"""When each thing may be said: at once, then not more often than its window allows."""

from __future__ import annotations

from math import inf

MERGE = 0.05
"""Seconds between two notifications of one URI."""
PROGRESS = 1.0
"""The same for a change that is progress only."""


class NotificationThrottle:
    """What is waiting to be said. Pure: the caller passes the time, in seconds of a monotonic clock.

    Every `schedule` is answered by a `pop_due` that comes after it, so the last change is never lost.
    """

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._said: dict[str, float] = {}

    def schedule(self, key: str, window: float, now: float) -> None:
        """Say `key` as soon as `window` seconds have passed since it was last said."""
        at = max(now, self._said.get(key, -inf) + window)
        self._due[key] = min(at, self._due.get(key, inf))

    def pop_due(self, now: float) -> list[str]:
        """What may be said now, the longest waiting first; it counts as said."""
        ready = sorted((at, key) for key, at in self._due.items() if at <= now)
        keys = [key for _, key in ready]
        for key in keys:
            del self._due[key]
        if keys:
            self._said = {key: at for key, at in self._said.items() if now - at < PROGRESS}
            self._said.update(dict.fromkeys(keys, now))
        return keys

    def find_next_time(self) -> float:
        """When `pop_due` will have something; infinity when nothing waits."""
        return min(self._due.values(), default=inf)

    def count_waiting(self) -> int:
        """How many things wait to be said."""
        return len(self._due)
