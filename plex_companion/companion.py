"""What tools and resources may use: the live state, the cache, the way to Plex."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from plex_companion.cache.database import Cache
    from plex_companion.changes.state import State
    from plex_companion.ingest.live import Live
    from plex_companion.ingest.queue import EventQueue
    from plex_companion.models import Moment
    from plex_companion.plex.gateway import Gateway
    from plex_companion.plex.ttl_cache import TtlCache
    from plex_companion.settings import Settings


@dataclass(frozen=True, slots=True)
class Companion:
    """Everything one running companion is made of."""

    settings: Settings
    live: Live
    cache: Cache
    gateway: Gateway
    event_queue: EventQueue
    clock: Callable[[], Moment]
    versions: dict[str, str]
    ttl_cache: TtlCache
    hidden_tools: int = 0
    """How many of the served tools are not listed while the companion is read-only."""
    pid: int = field(default_factory=os.getpid)

    @property
    def state(self) -> State:
        """What is known now, committed."""
        return self.live.state

    @property
    def zone(self) -> tzinfo:
        """The time zone of days, hours and times that are written without one."""
        return self.settings.zone

    @property
    def now_ms(self) -> int:
        """Wall clock, milliseconds since 1970."""
        return self.clock().at

    @property
    def is_live(self) -> bool:
        """Whether Plex is heard, so that what is cached is the present."""
        return self.state.connection.state == "live"

    def read_counters(self) -> dict[str, Any]:
        """What was heard since the process that listens has been listening."""
        other = self.live.leader
        if other is not None and not self.live.listens:
            return {**other.counters, "queued": 0}
        return {**self.live.counters.as_dict(), "queued": len(self.event_queue)}

    def describe_process(self) -> dict[str, Any]:
        """Whether this process listens itself, and which one does."""
        other = self.live.leader
        if self.live.listens:
            return {"role": "listener", "pid": self.pid, "listener_pid": self.pid}
        return {"role": "reader", "pid": self.pid, "listener_pid": other.pid or None if other else None}
