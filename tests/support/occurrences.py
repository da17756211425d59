"""Stories that are recorded as occurrences."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from msgspec import structs

from plex_companion.changes.derive import changes_for
from plex_companion.changes.kinds import Change, OccurrenceRecorded, RefreshRequest
from plex_companion.changes.state import advance
from plex_companion.occurrences.derivation import derive_occurrences
from support.frames import Story

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.events import Event


class OccurrenceStory(Story):
    """A story whose changes include the occurrences they cause."""

    def receive(self, *events: Event) -> list[Change]:
        found: list[Change] = []
        for event in events:
            effects = changes_for(event, self.state, self.now, self.thresholds)
            occurred = derive_occurrences(event, effects, self.state, self.now)
            for change in [*effects, *occurred]:
                if not isinstance(change, RefreshRequest):
                    advance(self.state, change)
                    found.append(change)
        self.changes += found
        return found


def list_occurrences(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """The occurrences among changes, as plain values, without what only rules ask about."""
    return [
        json.loads(json.dumps(structs.asdict(structs.replace(change.occurrence, streams=None))))
        for change in changes
        if isinstance(change, OccurrenceRecorded)
    ]


def list_names(changes: Iterable[Change]) -> list[str]:
    """The types of the occurrences among changes."""
    return [one["type"] for one in list_occurrences(changes)]
