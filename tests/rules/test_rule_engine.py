"""The engine of rules, round by round: what it records, what waits for the disk, and what it knows after a restart."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
from msgspec.structs import replace
from support.deadlines import HANG_SECONDS
from support.frames import listed
from support.random_scripts import Machine, Script

from plex_companion.cache.connections import run_read
from plex_companion.cache.database import open_cache
from plex_companion.events import ReceivedEvent, RuleCreated, RuleDeleted, RuleSwitched
from plex_companion.models import AlertAction, OccurrenceName, Rule, StopStreamAction
from plex_companion.occurrences.reading import read_newest_number
from plex_companion.rules.engine.loop import UNFINISHED, RuleContext, RuleEngine
from plex_companion.rules.engine.planning import ActionSettings
from plex_companion.rules.engine.stored_form import encode_definition
from plex_companion.times import DAY_MS, MINUTE_MS
from plex_companion.webhooks import WakeUp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from anyio.abc import TaskGroup

    from plex_companion.events import RuleReport
    from plex_companion.models import Moment, RulesState

LOOK = (AlertAction("Look"),)


@dataclass
class Engine:
    """A process that runs rules, one round at a time."""

    machine: Machine
    tasks: TaskGroup
    script: Script = field(default_factory=Script)
    stops: list[int] = field(default_factory=list)
    lock: anyio.Lock = field(default_factory=anyio.Lock)

    def __post_init__(self) -> None:
        self.engine = self.build()

    def build(self) -> RuleEngine:
        async def report(event: RuleReport) -> None:
            await self.handle([ReceivedEvent(event, self.now)])

        async def stop(play_id: int, _message: str) -> str:
            self.stops.append(play_id)
            return "done"

        wanted = ActionSettings(UTC, read_only=False)
        context = RuleContext(self.machine.live, self.machine.cache, WakeUp(), report, stop, wanted, lambda: self.now)
        return RuleEngine(context, self.tasks)

    @property
    def now(self) -> Moment:
        return self.script.now

    @property
    def rules(self) -> RulesState:
        return self.machine.live.state.rules

    async def handle(self, events: list[ReceivedEvent]) -> None:
        async with self.lock:
            await self.machine.handle(events, killed=False)

    async def enable(self, *when: OccurrenceName, rule: Rule | None = None) -> int:
        """Save and enable a rule; return its id."""
        made = rule or Rule(None, f"Rule {len(self.rules.stored)}", when, LOOK)
        await self.handle([ReceivedEvent(RuleCreated(made.name, encode_definition(made), made.name), self.now)])
        rule_id, newest = max(self.rules.stored), await read_newest_number(self.machine.cache)
        enabled = RuleSwitched(rule_id, enabled=True, revision=f"on {rule_id}", after=newest)
        await self.handle([ReceivedEvent(enabled, self.now)])
        return rule_id

    async def tell(self) -> None:
        """Write what the script says, and judge it."""
        events, self.script.events = self.script.events, []
        await self.handle(events)
        await self.run()

    async def run(self) -> None:
        """Judge until nothing is left to do."""
        while await self.engine.run_round() or (self.rules.pending and self.machine.live.storage == "ok"):
            await anyio.lowlevel.checkpoint()

    async def restart(self) -> None:
        """Go on as another process, whose monotonic clock is another one."""
        self.script.now = replace(self.now, tick=self.now.tick + 3 * DAY_MS)
        await self.machine.replace(self.now)
        self.engine = self.build()
        await self.engine.give_up_actions()


@asynccontextmanager
async def open_engine(folder: Path) -> AsyncIterator[Engine]:
    async with open_cache(folder / "cache.sqlite3", backups=0) as cache, anyio.create_task_group() as tasks:
        with anyio.fail_after(HANG_SECONDS):
            one = Engine(Machine(cache), tasks)
            one.script.connect()
            await one.tell()
            yield one
        tasks.cancel_scope.cancel()


async def read_position(one: Engine) -> int | None:
    """How far was judged, as a restart would find it."""
    found = await run_read(
        one.machine.cache.reader, lambda sql: sql.execute("SELECT position FROM rules_position").fetchall()
    )
    return int(found[0][0]) if found else None


async def test_what_matters_to_no_rule_is_not_recorded(tmp_path: Path) -> None:
    async with open_engine(tmp_path) as one:
        await one.enable("media.added")
        one.script.look(listed("1"))
        await one.tell()
        assert await read_newest_number(one.machine.cache) > 0
        assert (await read_position(one), one.rules.rounds) == (None, 0)
        await one.enable("play.paused")
        one.script.plays("1", "paused")
        await one.tell()
        assert await read_position(one) == one.rules.position
        assert one.rules.stored[2].fired == 1


async def test_plex_is_asked_to_stop_a_stream_only_once_that_is_on_the_disk(tmp_path: Path) -> None:
    async with open_engine(tmp_path) as one:
        await one.enable(rule=Rule(None, "Stop", ("play.started",), (StopStreamAction(),)))
        one.script.look(listed("1"))
        one.machine.live.storage = "degraded"
        await one.tell()
        assert (len(one.rules.pending), one.stops) == (1, [])
        one.machine.live.storage = "ok"
        await one.run()
        assert (len(one.rules.pending), one.stops) == (0, [1])


async def test_what_a_process_left_undone_is_not_done_by_the_next(tmp_path: Path) -> None:
    async with open_engine(tmp_path) as one:
        await one.enable(rule=Rule(None, "Stop", ("play.started",), (StopStreamAction(),)))
        one.script.look(listed("1"))
        one.machine.live.storage = "degraded"
        await one.tell()
        await one.restart()
        await one.run()
        assert (one.stops, one.rules.pending) == ([], {})
        assert one.rules.stops[1].actions[0].outcome == UNFINISHED


async def wait_for_pause(one: Engine) -> None:
    """A rule waits for a pause of ten minutes."""
    await one.enable(rule=Rule(None, "Paused", ("play.paused",), LOOK, for_ms=10 * MINUTE_MS))
    one.script.look(listed("1", "paused"))
    await one.tell()
    assert len(one.rules.timers) == 1


async def find_out(one: Engine) -> None:
    """Plex is connected again after a restart, and the pause goes on."""
    one.script.connect(listed("1", "paused"))
    await one.tell()


async def test_a_timer_goes_on_over_a_restart_and_fires_once(tmp_path: Path) -> None:
    async with open_engine(tmp_path) as one:
        await wait_for_pause(one)
        one.script.after(9 * 60)
        await one.restart()
        await find_out(one)
        assert one.rules.stored[1].fired == 0
        one.script.after(60)
        await one.run()
        await one.run()
        assert (one.rules.stored[1].fired, len(one.rules.timers)) == (1, 0)
        await one.restart()
        await find_out(one)
        assert one.rules.stored[1].fired == 1


async def test_a_clock_that_was_set_back_during_a_restart_makes_a_timer_wait_for_its_whole_time_at_most(
    tmp_path: Path,
) -> None:
    async with open_engine(tmp_path) as one:
        await wait_for_pause(one)
        one.script.clock_jumps(-86_400)
        await one.restart()
        await find_out(one)
        one.script.after(9 * 60)
        await one.run()
        assert one.rules.stored[1].fired == 0
        one.script.after(60)
        await one.run()
        assert one.rules.stored[1].fired == 1


async def test_a_clock_that_is_set_forward_fires_no_timer_early(tmp_path: Path) -> None:
    async with open_engine(tmp_path) as one:
        await wait_for_pause(one)
        one.script.after(60).clock_jumps(86_400)
        await one.run()
        assert one.rules.stored[1].fired == 0
        one.script.after(9 * 60)
        await one.run()
        assert one.rules.stored[1].fired == 1


async def test_a_deleted_rule_waits_for_nothing(tmp_path: Path) -> None:
    async with open_engine(tmp_path) as one:
        await wait_for_pause(one)
        await one.handle([ReceivedEvent(RuleDeleted(1), one.now)])
        one.script.after(3_600)
        await one.run()
        assert (one.rules.timers, one.rules.stored) == ({}, {})


async def test_what_was_judged_from_rules_as_they_no_longer_are_changes_nothing(tmp_path: Path) -> None:
    async with open_engine(tmp_path) as one:
        await one.enable("play.started")
        stale = one.build()
        one.script.look(listed("1"))
        events, one.script.events = one.script.events, []
        await one.handle(events)
        off = RuleSwitched(1, enabled=False, revision="off")
        await stale.run_round()
        before = one.rules
        await one.handle([ReceivedEvent(off, one.now)])
        await one.run()
        assert (before.stored[1].fired, one.rules.stored[1].fired) == (1, 1)
