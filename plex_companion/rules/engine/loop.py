"""Runs the rules: judges what was committed, records what fires, and then does what can only be done afterwards.

What a round finds is one event, so one transaction holds the firings, everything that they cause, and how far was judged. A
process that ends before has fired nothing; one that ends afterwards does not judge the same again.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache.database import StorageError
from plex_companion.events import RuleActionDone, RulesEvaluated
from plex_companion.ingest.threads import compute_off_loop
from plex_companion.models import PENDING
from plex_companion.occurrences.reading import read_numbered
from plex_companion.rules.engine.judging import RuleRound
from plex_companion.rules.engine.lasting import ENDING
from plex_companion.rules.engine.planning import plan_firing
from plex_companion.rules.engine.stored_form import prepare_rule

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

    from plex_companion.cache.database import Cache
    from plex_companion.changes.state import State
    from plex_companion.events import RuleReport
    from plex_companion.ingest.live import Live
    from plex_companion.models import Moment, RuleFiring, RulesState
    from plex_companion.occurrences.reading import NumberedPage
    from plex_companion.rules.engine.judging import ActiveRule, TimerKey
    from plex_companion.rules.engine.planning import ActionSettings
    from plex_companion.webhooks import WakeUp

logger = logging.getLogger(__name__)

PAGE = 200
LONGEST_WAIT_SECONDS = 60.0
"""The longest time between two looks: the database may be out of reach for a while."""
RECORD_SECONDS = 30.0
"""How long a round may take to be recorded. It is judged again then; the first one to be recorded counts."""
RETRY_SECONDS = 1.0
STORED_EVERY = 1_000
"""After so many occurrences it is recorded that none of them mattered, so that a restart does not judge them again."""
UNFINISHED = "unfinished"
"""The outcome of an action that may have been begun by a process that has ended: it is not done again."""


@dataclass(frozen=True, slots=True)
class RuleContext:
    """The surroundings of rules. `report` queues what was found, which ingest writes to the database."""

    live: Live
    cache: Cache
    wake_up: WakeUp
    """Wakes when an occurrence, a rule or the connection has changed."""
    report: Callable[[RuleReport], Awaitable[None]]
    stop_stream: Callable[[int, str], Awaitable[str]]
    """Stops a play with a message to the viewer, and returns what became of it."""
    settings: ActionSettings
    now: Callable[[], Moment]
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep

    @property
    def rules(self) -> RulesState:
        """The rules, as committed."""
        return self.live.state.rules


async def run_rules(context: RuleContext) -> None:
    """Judge every occurrence that is committed by the enabled rules, forever."""
    async with anyio.create_task_group() as tasks:
        await RuleEngine(context, tasks).run()


def _name_server(state: State) -> str | None:
    return state.server.machine_identifier if state.server else None


def _is_reachable(state: State) -> bool:
    """Return whether it is known which plays of a server go on."""
    return state.connection.state == "live" and not state.sessions_unreadable


@dataclass(slots=True)
class RuleEngine:
    """Judges in rounds. What it keeps in memory only saves work: the database knows what has fired."""

    context: RuleContext
    tasks: TaskGroup
    _judged: int = 0
    """The number of the last occurrence that was judged, also where nothing came of it."""
    _prepared: dict[int, ActiveRule] = field(default_factory=dict)
    _due_ticks: dict[TimerKey, int] = field(default_factory=dict)
    _begun_actions: set[int] = field(default_factory=set)
    """Firings whose actions this process does."""

    async def run(self) -> None:
        """Judge whatever is committed, forever."""
        await self.give_up_actions()
        while True:
            woken = self.context.wake_up.prepare_wait()
            try:
                is_busy = await self.run_round()
            except StorageError:
                await self.context.sleep(RETRY_SECONDS)
                continue
            if not is_busy:
                await self._wait(woken)

    async def give_up_actions(self) -> None:
        """Record that actions of an earlier process may not have been done. Doing them now could be doing them twice."""
        for firing in self.context.rules.pending.values():
            self._begun_actions.add(firing.id)
            for action in firing.actions:
                if action.outcome == PENDING:
                    await self.context.report(RuleActionDone(firing.id, action.action, UNFINISHED))

    async def run_round(self) -> bool:
        """Judge the next occurrences. Return whether there may be more to do at once.

        Raises:
            StorageError: the database cannot be read.
        """
        self._begin_actions()
        rules = self.context.rules
        await self._prepare(rules)
        self._follow_timers(rules)
        if not self._prepared:
            self._judged = 0
            return False
        reachable = {_name_server(state) for state in self.context.live.states.values() if _is_reachable(state)}
        page = await self._read(rules)
        found = await self._judge(rules, page, reachable)
        if not (found.firings or found.begun or found.ended or found.list_tallies()):
            is_behind = page.end - (rules.position or 0) >= STORED_EVERY
            self._judged = page.end
            if not is_behind:
                return page.is_full
        await self._record(found, page.end)
        return True

    async def _prepare(self, rules: RulesState) -> None:
        """Make the enabled rules ready that are new or were changed."""
        enabled = {rule.id: rule for rule in rules.stored.values() if rule.enabled}
        prepared: dict[int, ActiveRule] = {}
        for rule_id, stored in enabled.items():
            known = self._prepared.get(rule_id)
            if known is None or known.stored.revision != stored.revision:
                prepared[rule_id] = await compute_off_loop(partial(prepare_rule, stored, self.context.settings.zone))
            else:
                prepared[rule_id] = known.renew(stored)
        self._prepared = prepared

    def _follow_timers(self, rules: RulesState) -> None:
        """Measure by the clock that never jumps how long timers still run. After a restart only the other one is known."""
        now = self.context.now()
        for key, timer in rules.timers.items():
            if key not in self._due_ticks and timer.rule_id in self._prepared:
                most = self._prepared[timer.rule_id].rule.for_ms or 0
                self._due_ticks[key] = now.tick + min(max(0, timer.due_at - now.at), most)
        self._due_ticks = {key: tick for key, tick in self._due_ticks.items() if key in rules.timers}

    async def _read(self, rules: RulesState) -> NumberedPage:
        """Read what no rule has judged yet. Nobody needs what happened before the first of them was enabled."""
        first = min(active.stored.enabled_after for active in self._prepared.values())
        after = max(self._judged, first, rules.position or 0)
        types = {name for active in self._prepared.values() for name in active.rule.when}
        return await read_numbered(self.context.cache, after, types | {*ENDING}, PAGE)

    async def _judge(self, rules: RulesState, page: NumberedPage, reachable: set[str | None]) -> RuleRound:
        found = RuleRound(self._prepared, rules, self.context.now(), self._due_ticks)

        def judge() -> None:
            found.judge(page.occurrences)
            if not page.is_full:  # what ends a timer may still come
                found.fire_due_timers(reachable)

        if page.occurrences or self._is_due(found.now):
            await compute_off_loop(judge)
        return found

    def _is_due(self, now: Moment) -> bool:
        return any(tick <= now.tick for tick in self._due_ticks.values())

    async def _record(self, found: RuleRound, position: int) -> None:
        """Queue what a round found, and wait until it is recorded."""
        settings, now = self.context.settings, self.context.now().at
        event = RulesEvaluated(
            found.before.rounds,
            position,
            tuple(plan_firing(one, settings, now) for one in found.firings),
            found.list_tallies(),
            tuple(found.begun.values()),
            tuple(found.ended),
        )
        await self.context.report(event)
        with anyio.move_on_after(RECORD_SECONDS):
            while True:
                committed = self.context.live.prepare_wait()
                if self.context.rules.rounds != found.before.rounds:
                    self._judged = max(self._judged, position)
                    return
                await committed.wait()

    def _begin_actions(self) -> None:
        """Do what firings have left to do, once they are committed."""
        if self.context.live.storage != "ok":
            return
        for firing in self.context.rules.pending.values():
            if firing.id not in self._begun_actions:
                self._begun_actions.add(firing.id)
                self.tasks.start_soon(self._do_actions, firing)

    async def _do_actions(self, firing: RuleFiring) -> None:
        for action in firing.actions:
            if action.outcome == PENDING and firing.play_id is not None:
                outcome = await self.context.stop_stream(firing.play_id, action.message or "")
                await self.context.report(RuleActionDone(firing.id, action.action, outcome))

    async def _wait(self, woken: anyio.Event) -> None:
        """Wait until something was committed that rules need, or a timer has run out."""
        now = self.context.now()
        soonest = min((tick for tick in self._due_ticks.values() if tick > now.tick), default=None)
        seconds = LONGEST_WAIT_SECONDS if soonest is None else (soonest - now.tick) / 1000
        async with anyio.create_task_group() as waiting:

            async def wait_for_wake_up() -> None:
                await woken.wait()
                waiting.cancel_scope.cancel()

            waiting.start_soon(wait_for_wake_up)
            await self.context.sleep(min(seconds, LONGEST_WAIT_SECONDS))
            waiting.cancel_scope.cancel()
