"""A batch means what its events mean one by one, though progress in it is overtaken by later progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from support.evening import STRICT, Evening
from support.frames import START, Story, frame, listed, of, report

from plex_companion.cache.record import coalesce
from plex_companion.changes.derive import apply_rules
from plex_companion.changes.kinds import Journaled, PlayEventRecorded, RefreshRequest, SessionChanged
from plex_companion.changes.state import advance
from plex_companion.events import ReceivedEvent, Snapshot
from plex_companion.ingest.live import Live
from plex_companion.models import ONLY_LINK, Moment
from plex_companion.occurrences.derivation import derive_occurrences
from plex_companion.parsing.websocket_frames import parse_frame
from plex_companion.resources.registry import find_touched_uris

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State


def apply_one_by_one(told: Sequence[ReceivedEvent], state: State) -> list[Change]:
    """Apply every rule to each event."""
    changes: list[Change] = []
    for event, moment, _ in told:
        if isinstance(event, Snapshot) and not event.first and event.epoch != state.connection.epoch:
            continue
        effects = apply_rules(event, state, moment, STRICT)
        for effect in [*effects, *derive_occurrences(event, effects, state, moment)]:
            if not isinstance(effect, RefreshRequest):
                advance(state, effect)
                changes.append(effect)
    return changes


def list_material(changes: Sequence[Change]) -> list[Change]:
    return [change for change in changes if not (isinstance(change, SessionChanged) and change.progress_only)]


@pytest.mark.parametrize("seed", range(30))
def test_a_batch_leaves_what_its_events_leave_one_by_one(seed: int) -> None:
    evening = Evening(seed)
    told, dice = evening.tell(400), evening.dice
    live = Live(Story(connected=False).state, STRICT)
    state, overtaken = live.state.copy(), 0
    while told:
        size = dice.choice((1, 2, 5, 40, 200))
        batch, told = told[:size], told[size:]
        expected = apply_one_by_one(batch, state)
        applied = live.apply(batch)
        live.publish({ONLY_LINK: applied.state})
        assert live.counters.malformed == 0
        assert applied.state == state
        assert list_material(applied.changes) == list_material(expected)
        assert sorted(map(repr, coalesce(applied.changes))) == sorted(map(repr, coalesce(expected)))
        assert find_touched_uris(applied.changes) == find_touched_uris(expected)
        overtaken += len(expected) - len(applied.changes)
    assert overtaken > 20


def say_at_once(*entries: dict[str, object]) -> list[ReceivedEvent]:
    now = Moment(START, 60_000_000)
    return [ReceivedEvent(event, now) for entry in entries for event in parse_frame(frame("playing", entry))]


def test_of_progress_in_a_batch_every_report_is_journaled_and_the_last_position_counts() -> None:
    story = Story(connected=False)
    story.connect(listed("1"))
    live = Live(story.state)
    state, changes, _ = live.apply(say_at_once(*(report("1", at=second) for second in range(50))))
    assert len(of(changes, Journaled)) == 50
    assert [change.session.view_offset_ms for change in of(changes, SessionChanged)] == [49_000]
    assert state.sessions["1"].view_offset_ms == 49_000


def test_reports_that_arrive_late_and_together_are_no_seek() -> None:
    story = Story(connected=False)
    story.connect(listed("1"))
    _, changes, _ = Live(story.state).apply(say_at_once(*(report("1", at=second) for second in range(0, 50, 4))))
    assert of(changes, PlayEventRecorded) == []


def test_a_seek_among_progress_of_one_batch_is_recorded() -> None:
    story = Story(connected=False)
    story.connect(listed("1"))
    positions = (0, 1, 2, 900, 901, 902)
    _, changes, _ = Live(story.state).apply(say_at_once(*(report("1", at=second) for second in positions)))
    (seek,) = of(changes, PlayEventRecorded)
    assert (seek.kind, dict(seek.detail)) == ("seeked", {"from_ms": 2_000, "to_ms": 900_000})
