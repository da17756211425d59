"""The live state: applies batches of events, publishes committed states, and wakes what waits for the next commit."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import anyio
import anyio.lowlevel

from plex_companion.changes.deliveries import queue_deliveries
from plex_companion.changes.derive import DEFAULT, changes_for
from plex_companion.changes.kinds import RefreshRequest
from plex_companion.changes.state import State, advance
from plex_companion.events import Malformed, Snapshot, Unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.cache.leadership import LeaderStatus
    from plex_companion.changes.alerts.rules import Thresholds
    from plex_companion.changes.deliveries import WebhookRules
    from plex_companion.changes.kinds import Change, Effect
    from plex_companion.events import Event, ReceivedEvent
    from plex_companion.models import Moment

logger = logging.getLogger(__name__)

MOST_TYPES = 100
"""How many unknown event types are counted by name. Further ones, and very long ones, count as `other`."""


LONGEST_TYPE = 64


@dataclass(slots=True)
class Counters:
    """What was received since this process started."""

    events: Counter[str] = field(default_factory=Counter)
    unrecognized: int = 0
    malformed: int = 0
    snapshots: int = 0
    connects: int = 0
    collapsed: int = 0

    def count(self, event: Event) -> None:
        """Count one event."""
        match event:
            case Malformed():
                self.malformed += 1
            case Snapshot(first=first):
                self.snapshots += 1
                self.connects += first
            case Unknown(type=kind):
                self.unrecognized += 1
                is_counted = kind in self.events or (len(self.events) < MOST_TYPES and len(kind) <= LONGEST_TYPE)
                self.events[kind if is_counted else "other"] += 1
            case _ if hasattr(event, "raw"):
                self.events[event.type] += 1

    def as_dict(self) -> dict[str, Any]:
        """Return the counters by the names they are shown under."""
        return {
            "events": dict(sorted(self.events.items())),
            "unrecognized": self.unrecognized,
            "malformed": self.malformed,
            "reconnects": max(0, self.connects - 1),
            "snapshots": self.snapshots,
            "collapsed": self.collapsed,
        }


class AppliedBatch(NamedTuple):
    """The state after a batch of events, the changes that lead there, and what must be read from Plex."""

    state: State
    changes: list[Change]
    requests: list[RefreshRequest]


class Live:
    """The current state. Readers see `state`, which is replaced as a whole after each commit."""

    def __init__(self, state: State, thresholds: Thresholds = DEFAULT, webhooks: WebhookRules | None = None) -> None:
        self.state = state
        self.thresholds = thresholds
        self.webhooks = webhooks
        self.counters = Counters()
        self.storage: Literal["ok", "degraded"] = "ok"
        self.unwritten: list[Change] = []
        self.committed_at: int | None = None
        self.now = 0
        self.listens = True
        """Whether this process listens to Plex and writes; otherwise it shows what the leader committed."""
        self.leader: LeaderStatus | None = None
        """The status of the leader, if that is another process."""
        self.serialized: dict[str, str] = {}
        """Serialized resources of this state, by URI: after a notification, many clients read the same one."""
        self._published = anyio.Event()

    def apply(self, events: Sequence[ReceivedEvent]) -> AppliedBatch:
        """Apply a batch of events to a copy of the state. Readers see nothing of it before `publish`."""
        batch = AppliedBatch(self.state.copy(), [], [])
        for event, moment, forwarded_id in events:
            self.counters.count(event)
            if forwarded_id is None:  # a forwarded event may be old
                self.now = moment.at
            for effect in self._derive_effects(event, batch.state, moment):
                if isinstance(effect, RefreshRequest):
                    batch.requests.append(effect)
                else:
                    advance(batch.state, effect)
                    batch.changes.append(effect)
        return batch

    def _derive_effects(self, event: Event, state: State, moment: Moment) -> list[Effect]:
        try:
            effects = changes_for(event, state, moment, self.thresholds)
            return effects + (queue_deliveries(effects, state, moment, self.webhooks) if self.webhooks else [])
        except Exception:  # a rule that fails on one event must not stop all others
            self.counters.malformed += 1
            logger.exception("An event of type %s could not be handled", event.type)
            return []

    def publish(self, state: State) -> None:
        """Show a state to readers from now on, and wake what waits for it."""
        self.state = state
        self.serialized.clear()
        self._published.set()
        self._published = anyio.Event()

    def prepare_wait(self) -> anyio.Event:
        """Return the event that the next commit sets.

        Take it before reading and wait for it afterwards, so that no commit in between is missed.
        """
        return self._published

    async def wait_for_commit(self) -> None:
        """Wait for the next commit."""
        await self._published.wait()
