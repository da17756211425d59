"""What tools and resources may use: the live state, the cache, and the gateway to Plex."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from plex_companion import __version__
from plex_companion.models import Moment
from plex_companion.settings import APP
from plex_companion.text import SecretFilter

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from plex_companion.cache.database import Cache
    from plex_companion.changes.state import State
    from plex_companion.ingest.live import Live
    from plex_companion.ingest.queue import EventQueue
    from plex_companion.plex.gateway import Gateway
    from plex_companion.plex.ttl_cache import TtlCache
    from plex_companion.settings import Settings


def read_clock() -> Moment:
    """Return the present: milliseconds since 1970, and milliseconds of a clock that never jumps."""
    return Moment(int(time.time() * 1000), int(time.monotonic() * 1000))


def read_versions() -> dict[str, str]:
    """Return the versions of this program, of Python, and of the libraries whose behaviour matters."""
    names = ("mcp", "plexapi", "websockets", "aiosqlite")
    return {APP: __version__, "python": platform.python_version(), **{name: version(name) for name in names}}


@dataclass(frozen=True, slots=True)
class Companion:
    """The parts of one running companion."""

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
    secrets: SecretFilter = field(init=False)
    """Hides the secrets of the settings in what leaves the program."""

    def __post_init__(self) -> None:
        """Build the filter from the settings."""
        object.__setattr__(self, "secrets", SecretFilter(self.settings.list_secrets()))

    @property
    def state(self) -> State:
        """The present state, as committed to the database."""
        return self.live.state

    @property
    def zone(self) -> tzinfo:
        """The time zone of days, of hours, and of times that are written without a zone."""
        return self.settings.zone

    @property
    def now_ms(self) -> int:
        """Wall clock, milliseconds since 1970."""
        return self.clock().at

    @property
    def is_live(self) -> bool:
        """Whether the connection to Plex is up, so that the cached state is the present one."""
        return self.state.connection.state == "live"

    def read_counters(self) -> dict[str, Any]:
        """Count the events received since the leading process began to listen."""
        other = self.live.leader
        if other is not None and not self.live.listens:
            return {**other.counters, "queued": 0}
        return {**self.live.counters.as_dict(), "queued": len(self.event_queue)}

    def describe_process(self) -> dict[str, Any]:
        """Return the role of this process, its id, and the id of the process that listens."""
        other = self.live.leader
        if self.live.listens:
            return {"role": "listener", "pid": self.pid, "listener_pid": self.pid}
        return {"role": "reader", "pid": self.pid, "listener_pid": other.pid or None if other else None}
