"""Random scripts of what Plex reports, and a process that may be killed while it writes what they mean."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from plex_companion.cache.load import load_state
from plex_companion.changes.state import State
from plex_companion.events import HistoryPage, Playing, ReceivedEvent, Tick, TimelineEntry
from plex_companion.ingest.live import Live
from plex_companion.models import ONLY_LINK, Connection, HistoryRow, Item, Moment
from support.frames import START, Story
from support.random_stories import Teller

if TYPE_CHECKING:
    from plex_companion.cache.database import Cache
    from plex_companion.changes.kinds import Change
    from plex_companion.events import Event


class Script(Story):
    """A story that is only written down."""

    def __init__(self) -> None:
        self.events: list[ReceivedEvent] = []
        super().__init__(connected=False)

    def receive(self, *events: Event) -> list[Change]:
        self.events += [ReceivedEvent(event, self.now) for event in events]
        return []


def write_script(seed: int, steps: int) -> list[ReceivedEvent]:
    """Random things that happen, among them frames that come again and rows of Plex's history."""
    script, dice = Script(), random.Random(seed)  # noqa: S311 - a story, not a secret
    teller = Teller(seed, script)
    for _ in range(steps):
        teller.one_more()
        if dice.random() < 0.1:
            script.receive(dice.choice([one.event for one in script.events if is_frame(one.event)] or [Tick()]))
        if dice.random() < 0.1:
            script.receive(count_a_play(dice, script.now))
        script.after(dice.choice((0, 5)))
        script.tick()
    return script.events


def is_frame(event: Event) -> bool:
    return isinstance(event, Playing | TimelineEntry)


def count_a_play(dice: random.Random, now: Moment) -> HistoryPage:
    number, key = dice.randrange(4), dice.choice(("7001", "7002"))
    item = Item(key, f"/library/metadata/{key}", type="movie", title=f"Film {key}", duration_ms=7_200_000)
    row = HistoryRow(f"/status/sessions/history/{number}", now.at // 1000, item, account_id="1")
    return HistoryPage(1, (row,))


class Machine:
    """A process that applies events in batches and writes them; it may be replaced at any moment."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.live = Live(State(Connection("offline", START)))

    async def handle(self, batch: list[ReceivedEvent], *, killed: bool) -> None:
        """Apply a batch and write it, unless the process is killed before it has."""
        applied = self.live.apply(batch)
        assert self.live.counters.malformed == 0
        if not killed:
            server = self.live.state.server or applied.state.server
            name = server.machine_identifier if server else "unknown"
            await self.cache.write(applied.changes, name, batch[-1].moment.at, committed=self.live.state.sessions)
            self.live.publish({ONLY_LINK: applied.state})

    async def replace(self, now: Moment) -> None:
        """Another process goes on from what is written; its monotonic clock is another one."""
        self.live = Live(await load_state(self.cache, now))
