"""How long what takes in a chronicle."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ChronicleTimeouts:
    """In seconds."""

    idle: float = 30.0
    """After this long without a statement, PostgreSQL ends a session and frees its lock; so does a leader that hangs."""
    statement: float = 5.0
    """The longest that a statement may take before its session counts as lost."""
    connect: float = 3.0
    poll: float = 0.2
    """Between two looks at the chronicle."""
    retry: float = 0.5
    """Between two attempts to connect."""
    returning: float = 3.0
    """How long others leave the lock to the leader of before, after PostgreSQL was away for all of them."""
    prune: float = 600.0
    """Between two prunings."""


DEFAULT_CHRONICLE_TIMEOUTS = ChronicleTimeouts()
