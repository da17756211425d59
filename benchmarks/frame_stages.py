"""What the first stages of a notification cost in CPU time, relative to one `json.loads` of its frame.

Run it as `python -m benchmarks.frame_stages`.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import anyio

from benchmarks.figures import REPEATS, compare, describe_machine, print_table
from benchmarks.simulated_load import build_household_with_players, build_mixed_frames, start_sessions
from plex_companion.changes.derive import changes_for
from plex_companion.changes.journal import journal_event
from plex_companion.changes.kinds import RefreshRequest
from plex_companion.changes.state import State, advance
from plex_companion.demo import open_demo
from plex_companion.models import Connection, Moment
from plex_companion.parsing.websocket_frames import parse_frame, parse_tolerantly

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from plex_companion.events import Frame

FRAMES = 5_000
PEOPLE = 20


async def build_load() -> list[bytes]:
    async with open_demo(alive=False, household=build_household_with_players(PEOPLE)) as demo:
        return [text.encode() for text in build_mixed_frames(demo, start_sessions(demo, PEOPLE), FRAMES)]


def build_state(events: Iterable[Frame], now: Moment) -> State:
    """Build the state after the events, so that journal rows have their usual sentences."""
    state = State(Connection("live", now.at, 1))
    for event in events:
        for effect in changes_for(event, state, now):
            if not isinstance(effect, RefreshRequest):
                advance(state, effect)
    return state


def measure(work: Callable[[Any], object], items: Sequence[object]) -> float:
    """Return the CPU microseconds per item."""
    began = time.process_time()
    for item in items:
        work(item)
    return (time.process_time() - began) / len(items) * 1e6


def main() -> None:
    frames, now = anyio.run(build_load), Moment(1_795_370_400_000, 0)
    events = [event for data in frames for event in parse_frame(data)]
    state = build_state(events, now)
    stages: dict[str, tuple[Callable[[Any], object], Sequence[object]]] = {
        "parse": (parse_frame, frames),
        "parse tolerantly": (parse_tolerantly, frames),
        "journal row": (lambda event: journal_event(event, state, now), events),
    }
    floor: dict[str, list[float]] = {name: [] for name in stages}
    ours: dict[str, list[float]] = {name: [] for name in stages}
    for _ in range(REPEATS):
        for name, (work, items) in stages.items():
            floor[name].append(measure(json.loads, frames))
            ours[name].append(measure(work, items))
    figures = [compare("-", name, ours[name], floor[name], unit="µs") for name in stages]
    print_table(figures, describe_machine())


if __name__ == "__main__":
    main()
