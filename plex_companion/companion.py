"""What tools and resources may use: the live state, the cache, the way to Plex."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from plex_companion.cache import Cache
    from plex_companion.changes import State
    from plex_companion.ingest import Inbox, Live
    from plex_companion.models import Moment
    from plex_companion.plex.gateway import Gateway
    from plex_companion.plex.known import Known
    from plex_companion.settings import Settings


@dataclass(frozen=True, slots=True)
class Companion:
    """Everything one running companion is made of."""

    settings: Settings
    live: Live
    cache: Cache
    gateway: Gateway
    inbox: Inbox
    clock: Callable[[], Moment]
    versions: dict[str, str]
    known: Known

    @property
    def state(self) -> State:
        """What is known now, committed."""
        return self.live.state

    @property
    def now_ms(self) -> int:
        """Wall clock, milliseconds since 1970."""
        return self.clock().at

    @property
    def is_live(self) -> bool:
        """Whether Plex is heard, so that what is cached is the present."""
        return self.state.connection.state == "live"

    def counters(self) -> dict[str, Any]:
        """What was heard since this process started."""
        counters = self.live.counters
        return {
            "events": dict(sorted(counters.events.items())),
            "unrecognized": counters.unrecognized,
            "malformed": counters.malformed,
            "reconnects": max(0, counters.connects - 1),
            "snapshots": counters.snapshots,
            "queued": len(self.inbox),
            "collapsed": counters.collapsed,
        }
