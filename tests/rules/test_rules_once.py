"""A rule fires once on each occurrence that it is for, whatever is killed when: over restarts, takeovers and replays."""

from __future__ import annotations

import json
import random
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from support.deadlines import HANG_SECONDS
from support.random_scripts import Machine, write_script

from plex_companion.cache.connections import run_read
from plex_companion.cache.database import open_cache
from plex_companion.events import ReceivedEvent, RuleActionDone, RuleCreated, RuleSwitched
from plex_companion.models import AlertAction, Moment, NotifyAction, Rule, StopStreamAction
from plex_companion.occurrences.reading import read_newest_number, read_occurrences
from plex_companion.rules.engine.loop import RuleContext, RuleEngine
from plex_companion.rules.engine.planning import ActionSettings
from plex_companion.rules.engine.stored_form import encode_definition
from plex_companion.times import HOUR_MS, MINUTE_MS
from plex_companion.webhooks import WakeUp

if TYPE_CHECKING:
    import sqlite3

    from anyio.abc import TaskGroup

    from plex_companion.events import RuleReport

TELL = NotifyAction(("family",), "{data.user.name}")
RULES = (
    Rule(None, "Tells", ("play.started", "play.paused"), (TELL, AlertAction("It began"))),
    Rule(None, "Waits", ("play.paused",), (TELL,), for_ms=MINUTE_MS),
    Rule(None, "Rests", ("play.started", "play.stopped"), (TELL,), cooldown_ms=HOUR_MS),
    Rule(None, "Stops", ("play.resumed",), (StopStreamAction("Good night"),)),
    Rule(None, "Follows", ("rule.fired",), (AlertAction("A rule fired"),)),
)
TELLS, WAITS, RESTS, STOPS, FOLLOWS = (1, 2, 3, 4, 5)


class ProcessKilled(Exception):
    """The process ends here."""


@dataclass
class Household:
    """Processes that run the rules one after another, each of which may be killed at any moment."""

    machine: Machine
    dice: random.Random
    tasks: TaskGroup
    now: Moment
    stops: list[tuple[int, int]] = field(default_factory=list)
    """The plays that Plex was asked to stop, and by which process."""
    processes: int = 0
    danger: float = 0.1
    after: int = 0
    """The number of the newest occurrence when the rules were enabled."""
    enabled_at: int = 0
    lock: anyio.Lock = field(default_factory=anyio.Lock)

    async def begin(self) -> RuleEngine:
        """Begin a process."""
        self.processes += 1
        number = self.processes

        async def report(event: RuleReport) -> None:
            if number != self.processes:  # its task goes on, but the process is gone
                return
            fate = self.dice.random()
            if fate > self.danger / 2:
                await self.handle([ReceivedEvent(event, self.now)])
            if fate < self.danger and number == self.processes:
                self.processes += 1
                if not isinstance(event, RuleActionDone):  # which is reported by a task of its own
                    raise ProcessKilled

        async def stop(play_id: int, _message: str) -> str:
            if number == self.processes:
                self.stops.append((play_id, number))
            return "done"

        wanted = ActionSettings(UTC, read_only=False, targets=("family",))
        context = RuleContext(self.machine.live, self.machine.cache, WakeUp(), report, stop, wanted, lambda: self.now)
        engine = RuleEngine(context, self.tasks)
        await engine.give_up_actions()
        return engine

    def check_alive(self, number: int) -> None:
        """Check that a process goes on.

        Raises:
            ProcessKilled: it was killed while it did an action.
        """
        if number != self.processes:
            raise ProcessKilled

    async def handle(self, batch: list[ReceivedEvent]) -> None:
        """Write a batch, one after another as ingest does."""
        async with self.lock:
            await self.machine.handle(batch, killed=False)

    async def enable_rules(self) -> None:
        """Save and enable the rules."""
        made = [RuleCreated(rule.name, encode_definition(rule), rule.name) for rule in RULES]
        await self.handle([ReceivedEvent(event, self.now) for event in made])
        self.after, self.enabled_at = await read_newest_number(self.machine.cache), self.now.at
        ids = self.machine.live.state.rules.stored
        enabled = [RuleSwitched(rule_id, enabled=True, revision=f"e{rule_id}", after=self.after) for rule_id in ids]
        await self.handle([ReceivedEvent(event, self.now) for event in enabled])


async def play(events: list[ReceivedEvent], dice: random.Random, folder: Path) -> tuple[Household, dict[str, Any]]:
    """Apply a script while rules run and processes are killed; return what was written."""
    async with open_cache(folder / "cache.sqlite3", backups=0) as cache, anyio.create_task_group() as tasks:
        machine = Machine(cache)
        await machine.handle(events[:3], killed=False)
        household = Household(machine, dice, tasks, events[2].moment)
        await household.enable_rules()
        engine, events, shift = None, events[3:], 0
        while events:
            size = dice.choice((1, 1, 3, 20))
            batch, events = events[:size], events[size:]
            batch = [one._replace(moment=replace(one.moment, tick=one.moment.tick + shift)) for one in batch]
            household.now = batch[-1].moment
            try:
                engine = engine or await household.begin()
                number = household.processes
                await household.handle(batch)
                for _ in range(dice.choice((0, 1, 2))):
                    await engine.run_round()
                    await anyio.lowlevel.checkpoint()
                    household.check_alive(number)
            except ProcessKilled:
                shift += dice.randrange(-10_000, 10_000_000)
                household.now = Moment(household.now.at, batch[-1].moment.tick + shift)
                async with household.lock:
                    await machine.replace(household.now)
                engine = None
        household.danger = 0.0
        await machine.replace(household.now)
        engine = await household.begin()
        while await engine.run_round() or machine.live.state.rules.pending:
            await anyio.lowlevel.checkpoint()
        found = await run_read(cache.reader, select_all)
        found["occurrences"] = (await read_occurrences(cache, None, limit=100_000)).occurrences
    return household, found


async def play_within_deadline(
    events: list[ReceivedEvent], dice: random.Random, folder: Path
) -> tuple[Household, dict[str, Any]]:
    with anyio.fail_after(HANG_SECONDS):
        return await play(events, dice, folder)


def select_all(connection: sqlite3.Connection) -> dict[str, Any]:
    tables = ("rule_firings", "deliveries", "alerts", "rule_timers", "rules")
    return {
        table: [dict(row) for row in connection.execute(f"SELECT * FROM {table}")]  # noqa: S608 - our own names
        for table in tables
    }


def check_counts(found: dict[str, Any]) -> None:
    """Whatever a firing causes is there as often as the firing."""
    fired = Counter(row["rule_id"] for row in found["rule_firings"])
    sent = Counter(row["rule_id"] for row in found["deliveries"])
    alerts = Counter(int(json.loads(row["detail"])["rule_id"]) for row in found["alerts"] if row["kind"] == "rule")
    reported = Counter(int(row["data"]["rule"]["id"]) for row in found["occurrences"] if row["type"] == "rule.fired")
    assert {rule: fired[rule] for rule in (TELLS, WAITS, RESTS)} == {rule: sent[rule] for rule in (TELLS, WAITS, RESTS)}
    assert {rule: fired[rule] for rule in (TELLS, FOLLOWS)} == {rule: alerts[rule] for rule in (TELLS, FOLLOWS)}
    assert reported == fired
    assert {row["id"]: row["fired"] for row in found["rules"]} == {
        row["id"]: fired[row["id"]] for row in found["rules"]
    }


def check_each_once(found: dict[str, Any], household: Household) -> None:
    """A rule without conditions fires once on everything that it is for."""
    for rule_id, types in ((TELLS, {"play.started", "play.paused"}), (STOPS, {"play.resumed"})):
        own = [row["occurrence"] for row in found["rule_firings"] if row["rule_id"] == rule_id]
        wanted = [row for row in list_since(found, household) if row["type"] in types]
        assert len(own) == len(set(own))
        assert set(own) <= {row["id"] for row in wanted}
        missing = [row for row in wanted if row["id"] not in own]
        assert all(read_ms(row) < household.enabled_at for row in missing)  # by a clock that was set back


def list_since(found: dict[str, Any], household: Household) -> list[dict[str, Any]]:
    return [row for row in found["occurrences"] if int(row["cursor"].partition("-")[2]) > household.after]


def read_ms(row: dict[str, Any]) -> int:
    return int(row["id"].rpartition("-")[2], 16)


def check_follower(found: dict[str, Any], household: Household) -> None:
    """A rule fires on the firings of others, one step deep, and never on its own."""
    fired = [row for row in found["occurrences"] if row["type"] == "rule.fired"]
    others = [row for row in fired if row["data"]["rule"]["id"] != str(FOLLOWS) and row["data"]["depth"] == 1]
    causes = [row["occurrence"] for row in found["rule_firings"] if row["rule_id"] == FOLLOWS]
    assert len(causes) == len(set(causes))
    assert set(causes) <= {row["id"] for row in others}
    assert all(read_ms(row) < household.enabled_at for row in others if row["id"] not in causes)


def check_stops(found: dict[str, Any], household: Household) -> None:
    """Plex is asked to stop a play at most once for each firing, and exactly once where it is known to be done."""
    outcomes = Counter(
        json.loads(row["actions"])[0]["outcome"] for row in found["rule_firings"] if row["rule_id"] == STOPS
    )
    assert set(outcomes) <= {"done", "unfinished"}
    assert outcomes["done"] <= len(household.stops) <= outcomes.total()


def check_waits_and_rests(found: dict[str, Any]) -> None:
    """A pause fires a rule that waits for it once at most, and a rule that rests does rest."""
    waits = Counter(row["occurrence"] for row in found["rule_firings"] if row["rule_id"] == WAITS)
    assert all(count == 1 for count in waits.values())
    rests = [row["at"] for row in found["rule_firings"] if row["rule_id"] == RESTS]
    assert all(abs(later - earlier) >= HOUR_MS for earlier, later in pairwise(rests))


@pytest.mark.slow
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), steps=st.integers(5, 80))
def test_a_rule_fires_once_whatever_is_killed_when(seed: int, steps: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        dice = random.Random(seed)  # noqa: S311 - a story, not a secret
        household, found = anyio.run(play_within_deadline, write_script(seed, steps), dice, Path(folder))
    check_counts(found)
    check_each_once(found, household)
    check_follower(found, household)
    check_stops(found, household)
    check_waits_and_rests(found)
