"""A batch of events and what it leads to; computed in a worker thread where that takes long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from plex_companion.cache.leadership import TouchedUris
from plex_companion.events import HistoryPage, Snapshot
from plex_companion.ingest.threads import compute_off_loop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.changes.kinds import Change, RefreshRequest
    from plex_companion.changes.state import State
    from plex_companion.events import Event, ReceivedEvent
    from plex_companion.ingest.leader import LeaderRecord
    from plex_companion.ingest.live import Live

HEAVY, MANY_SESSIONS = 1_000, 50
"""A heavier batch would block the event loop for some 50 ms; a full batch of single events does not."""


@dataclass(frozen=True, slots=True)
class DerivedBatch:
    """The state after a batch of events, the changes that lead there, and the URIs that they touch."""

    state: State
    changes: list[Change]
    requests: list[RefreshRequest]
    """What must be read from Plex again."""
    touched: TouchedUris


async def derive_batch(events: Sequence[ReceivedEvent], live: Live, leader_record: LeaderRecord | None) -> DerivedBatch:
    """Derive the changes of a batch; a heavy one in a worker thread, so that the event loop keeps answering."""

    def derive() -> DerivedBatch:
        applied = live.apply(events)
        touched = leader_record.begin_batch(events, applied.changes) if leader_record else TouchedUris()
        return DerivedBatch(*applied, touched)

    if _weigh(events, live.state) <= HEAVY:
        return derive()
    return await compute_off_loop(derive)


def _weigh(events: Sequence[ReceivedEvent], state: State) -> int:
    """Return the number of rows in a batch, and more where there are many sessions: each event looks at all of them."""
    rows = sum(_count_rows(received.event) for received in events)
    return rows + len(events) * (1 + len(state.sessions) // MANY_SESSIONS)


def _count_rows(event: Event) -> int:
    match event:
        case Snapshot():
            lists = (event.sessions, event.activities, event.sections, event.accounts, event.clients, event.devices)
            return sum(len(rows) for rows in lists if rows)
        case HistoryPage(rows=rows):
            return len(rows)
        case _:
            return 0
