"""Decides when each notification may be sent: the first at once, then no more often than its window allows."""

from __future__ import annotations

from math import inf

MERGE = 0.05
"""Seconds between two notifications of one URI."""
PROGRESS = 1.0
"""Seconds between two notifications of one URI if only progress changed."""


class NotificationThrottle:
    """The notifications that wait. Pure: the caller passes the time, in seconds of a monotonic clock.

    Every `schedule` is followed by a `pop_due` that returns its key, so the last change is never lost.
    """

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._sent: dict[str, float] = {}

    def schedule(self, key: str, window: float, now: float) -> None:
        """Schedule `key` for `window` seconds after it was last sent, or for now if that has passed."""
        at = max(now, self._sent.get(key, -inf) + window)
        self._due[key] = min(at, self._due.get(key, inf))

    def pop_due(self, now: float) -> list[str]:
        """Remove and return the keys that may be sent now, longest waiting first. They count as sent."""
        ready = sorted((at, key) for key, at in self._due.items() if at <= now)
        keys = [key for _, key in ready]
        for key in keys:
            del self._due[key]
        if keys:
            self._sent = {key: at for key, at in self._sent.items() if now - at < PROGRESS}
            self._sent.update(dict.fromkeys(keys, now))
        return keys

    def find_next_time(self) -> float:
        """Return when `pop_due` will next return something; infinity if nothing waits."""
        return min(self._due.values(), default=inf)

    def count_waiting(self) -> int:
        """Count the keys that wait."""
        return len(self._due)
