"""A batch of events and what it leads to; computed in a worker thread where that takes long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.cache.leadership import TouchedUris
from plex_companion.events import (
    Acknowledged,
    AlertKindMuted,
    CataloguePage,
    DeliveryReport,
    HistoryPage,
    Notification,
    Snapshot,
)
from plex_companion.ingest.threads import compute_off_loop
from plex_companion.models import Delivery

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plex_companion.changes.kinds import Change, Effect, RefreshRequest
    from plex_companion.changes.state import State
    from plex_companion.events import Event, ReceivedEvent
    from plex_companion.ingest.leader import LeaderRecord
    from plex_companion.ingest.live import Live

HEAVY, MANY_SESSIONS = 1_000, 50
"""A heavier batch would block the event loop for some 50 ms; a full batch of single events does not."""


@dataclass(slots=True)
class DerivedBatch:
    """The states after a batch of events, the changes that lead there, by link, and the URIs that they touch."""

    states: dict[str, State]
    changes: dict[str, list[Change]]
    requests: dict[str, list[RefreshRequest]]
    """Orders to read something from Plex again."""
    touched: TouchedUris

    def list_effects(self) -> dict[str, list[Effect]]:
        """Return the changes and orders of each link."""
        return {link: [*changes, *self.requests[link]] for link, changes in self.changes.items()}


async def derive_batch(
    events: Mapping[str, Sequence[ReceivedEvent]], live: Live, leader_record: LeaderRecord | None
) -> DerivedBatch:
    """Derive the changes of a batch; a heavy one in a worker thread, so that the event loop keeps answering."""
    about = events if len(live.states) == 1 else regroup_by_alert(events, live)

    def derive() -> DerivedBatch:
        batch = _apply_all(about, live)
        if leader_record:
            batch.touched = leader_record.begin_batch(about, batch.changes, {**live.states, **batch.states})
        return batch

    if sum(_weigh(some, live.states[link]) for link, some in about.items()) <= HEAVY:
        return derive()
    return await compute_off_loop(derive)


def _apply_all(events: Mapping[str, Sequence[ReceivedEvent]], live: Live) -> DerivedBatch:
    """Apply the events of each link to its own state; ids are counted from one to the next."""
    batch, ids = DerivedBatch({}, {}, {}, TouchedUris()), live.ids.copy()
    for link, some in events.items():
        batch.states[link], batch.changes[link], batch.requests[link] = live.apply(some, link, ids)
    return batch


def regroup_by_alert(
    events: Mapping[str, Sequence[ReceivedEvent]], live: Live
) -> Mapping[str, Sequence[ReceivedEvent]]:
    """Give each event about an alert to the link of the alert, and one about a kind to every link. Its sender may not know
    which these are.
    """
    if not any(
        isinstance(one.event, Acknowledged | AlertKindMuted | DeliveryReport)
        for some in events.values()
        for one in some
    ):
        return events
    regrouped: dict[str, list[ReceivedEvent]] = {}
    for link, some in events.items():
        for received in some:
            match received.event:
                case Acknowledged(alert_id=int(alert)) | DeliveryReport(deliveries=(Delivery(alert_id=int(alert)),)):
                    regrouped.setdefault(live.find_link_of_alert(alert) or link, []).append(received)
                case AlertKindMuted():
                    for each in live.states:
                        regrouped.setdefault(each, []).append(received)
                case _:
                    regrouped.setdefault(link, []).append(received)
    return regrouped


def _weigh(events: Sequence[ReceivedEvent], state: State) -> int:
    """Return the cost of a batch: its rows, and more with many sessions, because each event looks at all of them."""
    rows = sum(_count_rows(one.event) for one in events if not isinstance(one.event, Notification))
    return rows + len(events) * (1 + len(state.sessions) // MANY_SESSIONS)


def _count_rows(event: Event) -> int:
    match event:
        case Snapshot():
            lists = (event.sessions, event.activities, event.sections, event.accounts, event.clients, event.devices)
            return sum(len(rows) for rows in lists if rows)
        case HistoryPage(rows=rows) | CataloguePage(items=rows):
            return len(rows)
        case _:
            return 0
