"""The live state: applies batches of events, publishes committed states, and wakes what waits for the next commit."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import anyio
import anyio.lowlevel

from plex_companion.changes.deliveries import queue_deliveries
from plex_companion.changes.derive import DEFAULT_THRESHOLDS, changes_for
from plex_companion.changes.kinds import DeliveryChanged, RefreshRequest
from plex_companion.changes.progress import BatchChanges
from plex_companion.changes.state import advance
from plex_companion.events import Malformed, Notification, Snapshot, Unknown
from plex_companion.models import ONLY_LINK
from plex_companion.occurrences.derivation import derive_occurrences

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plex_companion.cache.leadership import LeaderStatus
    from plex_companion.changes.alerts.rules import Thresholds
    from plex_companion.changes.deliveries import WebhookRules
    from plex_companion.changes.kinds import Change, Effect
    from plex_companion.changes.state import NextIds, State
    from plex_companion.events import Event, ReceivedEvent
    from plex_companion.models import Moment

logger = logging.getLogger(__name__)

MOST_TYPES = 100
"""How many unknown event types are counted by name. Further ones, and very long ones, count as `other`."""
LONGEST_TYPE = 64


@dataclass(slots=True)
class Counters:
    """Counters of events since this process started."""

    events: Counter[str] = field(default_factory=Counter)
    unrecognized: int = 0
    malformed: int = 0
    irregular: int = 0
    """Notifications of known types that only the tolerant parser could read."""
    snapshots: int = 0
    connects: Counter[str] = field(default_factory=Counter)
    """First snapshots by link."""
    collapsed: int = 0

    def count(self, event: Event, link: str = ONLY_LINK) -> None:
        """Count one event."""
        match event:
            case Unknown(type=kind):
                self.unrecognized += 1
                is_counted = kind in self.events or (len(self.events) < MOST_TYPES and len(kind) <= LONGEST_TYPE)
                self.events[kind if is_counted else "other"] += 1
            case Notification(type=kind, irregular=irregular):
                self.events[kind] += 1
                self.irregular += irregular
            case Malformed():
                self.malformed += 1
            case Snapshot(first=first):
                self.snapshots += 1
                self.connects[link] += first
            case _ if hasattr(event, "raw"):
                self.events[event.type] += 1

    @property
    def reconnects(self) -> int:
        """Connections after the first of their link."""
        return sum(max(0, connects - 1) for connects in self.connects.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the counters by the names they are shown under."""
        return {
            "events": dict(sorted(self.events.items())),
            "unrecognized": self.unrecognized,
            "malformed": self.malformed,
            "irregular": self.irregular,
            "reconnects": self.reconnects,
            "snapshots": self.snapshots,
            "collapsed": self.collapsed,
        }


class AppliedBatch(NamedTuple):
    """The state after a batch of events, the changes that lead there, and what must be read from Plex."""

    state: State
    changes: list[Change]
    requests: list[RefreshRequest]


class Live:
    """The current state of each server, by link. Readers see `states`, in which a state is replaced as a whole after each
    commit that is about it.
    """

    def __init__(
        self,
        state: State,
        thresholds: Thresholds = DEFAULT_THRESHOLDS,
        webhooks: WebhookRules | None = None,
        links: Sequence[str] = (ONLY_LINK,),
    ) -> None:
        self.states = {links[0]: state, **{link: state.copy() for link in links[1:]}}
        self.thresholds = thresholds
        self.webhooks = webhooks
        self.counters = Counters()
        self.storage: Literal["ok", "degraded"] = "ok"
        self.unwritten: dict[str, list[Change]] = {}
        """Changes by link that could not be written yet."""
        self.committed_at: int | None = None
        self.now = 0
        self.listens = True
        """Whether this process listens to Plex and writes; otherwise it shows what the leader committed."""
        self.leader: LeaderStatus | None = None
        """The status of the leader, if that is another process."""
        self.serialized: dict[tuple[str, str], str] = {}
        """Serialized resources of these states, by link and URI: after a notification, many clients read the same one."""
        self._published: anyio.Event | None = None
        """Set by the next commit, where somebody waits for it."""

    @property
    def state(self) -> State:
        """The state of the first server."""
        return next(iter(self.states.values()))

    @property
    def ids(self) -> NextIds:
        """The next ids, as committed. Every published state has them."""
        return self.state.ids

    def apply(
        self, events: Sequence[ReceivedEvent], link: str | None = None, ids: NextIds | None = None
    ) -> AppliedBatch:
        """Apply events of one link to a copy of its state. Readers see nothing of it before `publish`.

        Args:
            events: what was received.
            link: whose state it is; the first one's by default.
            ids: where the state counts on, if another state of the same batch counted before.
        """
        link = next(iter(self.states)) if link is None else link
        state, changes, requests = self.states[link].copy(), BatchChanges(), list[RefreshRequest]()
        state.ids = ids or state.ids
        for event, moment, forwarded_id in events:
            self.counters.count(event, link)
            if forwarded_id is None:  # a forwarded event may be old
                self.now = moment.at
            for effect in self._derive_effects(event, state, moment):
                if isinstance(effect, RefreshRequest):
                    requests.append(effect)
                else:
                    advance(state, effect)
                    changes.add(effect)
        return AppliedBatch(state, changes.listed, requests)

    def _derive_effects(self, event: Event, state: State, moment: Moment) -> list[Effect]:
        try:
            effects = changes_for(event, state, moment, self.thresholds)
            occurred = derive_occurrences(event, effects, state, moment)
            if not occurred:
                return effects
            return [*effects, *occurred, *self._queue_deliveries(effects, occurred, state, moment)]
        except Exception:  # a rule that fails on one event must not stop all others
            self.counters.malformed += 1
            logger.exception("An event of type %s could not be handled", event.type)
            return []

    def _queue_deliveries(
        self, effects: Sequence[Effect], occurred: Sequence[Change], state: State, moment: Moment
    ) -> Sequence[Change]:
        if not self.webhooks:
            return []
        taken = max((one.delivery.id for one in effects if isinstance(one, DeliveryChanged)), default=0)
        servers = (one.server for one in self.states.values())
        names = {server.machine_identifier: server.name for server in servers if server}
        return queue_deliveries(occurred, state, moment, self.webhooks, max(state.ids.delivery, taken + 1), names)

    def publish(self, states: Mapping[str, State], ids: NextIds | None = None) -> None:
        """Show states to readers from now on, and wake what waits for them. They have counted to `ids`."""
        self.states.update(states)
        newest = ids or next(iter(states.values()), self.state).ids
        for state in self.states.values():
            state.ids = newest
        self.serialized.clear()
        if self._published is not None:
            self._published.set()
            self._published = None

    def find_link_of_alert(self, alert_id: int) -> str | None:
        """Return the link of the server that an alert is about; `None` if no state has it."""
        for link, state in self.states.items():
            known = (*state.alerts.values(), *(one.alert for one in state.recently_resolved.values()))
            if any(alert.id == alert_id for alert in known):
                return link
        return None

    def prepare_wait(self) -> anyio.Event:
        """Return the event that the next commit sets.

        Take it before reading and wait for it afterwards, so that no commit in between is missed.
        """
        if self._published is None:
            self._published = anyio.Event()
        return self._published

    async def wait_for_commit(self) -> None:
        """Wait for the next commit."""
        await self.prepare_wait().wait()
