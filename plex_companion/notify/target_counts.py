"""Counts what was sent to a target of notifications."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class TargetCounts:
    """What this process sent to one target, and what waits for it."""

    sent: int = 0
    """Messages that the service took. Several that were sent as one count as several."""
    failed: int = 0
    """Attempts that failed."""
    waiting: int = 0
    """Messages that waited when the outbox was last read."""
