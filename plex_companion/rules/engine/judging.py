"""Judges occurrences by rules, in order: which fire, which nearly do, which wait and which fail. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, NamedTuple

from plex_companion.changes.rule_reports import MOST_ERRORS
from plex_companion.models import NearMiss, RuleTally, RuleTimer, StreamCounts
from plex_companion.rules.engine.causes import compute_depth, find_cause, may_fire
from plex_companion.rules.engine.lasting import list_ended_subjects, name_subject
from plex_companion.rules.engine.stream_facts import build_facts
from plex_companion.text import encode_json

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from plex_companion.models import Moment, Rule, RulesState, StoredRule
    from plex_companion.occurrences.reading import NumberedOccurrence
    from plex_companion.rules.conditions import Condition, Verdict
    from plex_companion.rules.engine.causes import RuleCause
    from plex_companion.serialize import Json

TimerKey = tuple[int, str]


@dataclass(frozen=True, slots=True)
class ActiveRule:
    """An enabled rule, ready to be judged by."""

    stored: StoredRule
    rule: Rule
    condition: Condition | None = None
    """`None` if the rule has none, or if it cannot be compiled."""
    problem: str | None = None
    """Why its condition cannot be compiled."""

    def renew(self, stored: StoredRule) -> ActiveRule:
        """Return the rule with what it has done meanwhile."""
        return replace(self, stored=stored)


class FoundFiring(NamedTuple):
    """A rule that fires."""

    active: ActiveRule
    row: Json
    at: int
    depth: int


@dataclass(slots=True)
class RuleRound:
    """One round of judging: what is known of the rules before, and what was found."""

    rules: Mapping[int, ActiveRule]
    before: RulesState
    now: Moment
    due_ticks: Mapping[TimerKey, int]
    """When a timer has run out by the clock that never jumps. One that began in this round is not in it."""
    firings: list[FoundFiring] = field(default_factory=list)
    begun: dict[TimerKey, RuleTimer] = field(default_factory=dict)
    ended: set[TimerKey] = field(default_factory=set)
    near_misses: dict[int, list[NearMiss]] = field(default_factory=dict)
    errors: dict[int, tuple[int, str | None]] = field(default_factory=dict)
    """By rule: how many evaluations in a row have failed, and why."""
    last_fired: dict[int, int] = field(default_factory=dict)

    @property
    def timers(self) -> dict[TimerKey, RuleTimer]:
        """The timers that run now."""
        known = {key: timer for key, timer in self.before.timers.items() if key not in self.ended}
        return known | self.begun

    def judge(self, occurrences: Sequence[NumberedOccurrence]) -> None:
        """Judge occurrences in their order."""
        for occurrence in occurrences:
            self._end_timers(occurrence)
            cause = find_cause(occurrence.row, self.before.stops)
            for active in self.rules.values():
                if self._concerns(active, occurrence) and may_fire(active.stored.id, cause):
                    self._judge_by(active, occurrence, cause)

    def fire_due_timers(self, reachable: Collection[str | None]) -> None:
        """Fire what has lasted long enough. Of plays it is known only while their server can be heard."""
        for key, timer in self.timers.items():
            if self._has_run_out(key, timer, self.now.at):
                row = json.loads(timer.occurrence)
                if not row["type"].startswith("play.") or row["data"]["server"] in reachable:
                    self._fire_timer(key, timer, row)

    def list_tallies(self) -> tuple[RuleTally, ...]:
        """Return what was found of each rule, apart from firings."""
        tallies = []
        for rule_id in dict.fromkeys((*self.near_misses, *self.errors)):
            stored = self.rules[rule_id].stored
            errors, problem = self.errors.get(rule_id, (stored.errors, None))
            near_misses = tuple(self.near_misses.get(rule_id, ()))
            if near_misses or errors != stored.errors or problem:
                tallies.append(RuleTally(rule_id, stored.revision, near_misses, errors, problem))
        return tuple(tallies)

    def _concerns(self, active: ActiveRule, occurrence: NumberedOccurrence) -> bool:
        """Return whether an occurrence is of a type that a rule waits for, and not from before it was enabled."""
        stored = active.stored
        if occurrence.row["type"] not in active.rule.when or occurrence.number <= stored.enabled_after:
            return False
        if self._has_failed(stored.id):
            return False
        enabled_at = stored.enabled_at or 0
        return occurrence.at >= enabled_at or self.now.at < enabled_at  # the clock was set back since

    def _has_failed(self, rule_id: int) -> bool:
        return self.errors.get(rule_id, (0, None))[0] >= MOST_ERRORS

    def _judge_by(self, active: ActiveRule, occurrence: NumberedOccurrence, cause: RuleCause | None) -> None:
        verdict = _judge_condition(active, occurrence)
        if verdict is not None:
            self._count_error(active, verdict.error)
            if verdict.failed:
                miss = NearMiss(occurrence.at, verdict.failed, occurrence.row["id"])
                self.near_misses.setdefault(active.stored.id, []).append(miss)
        if verdict is None or verdict.matched:
            self._match(active, occurrence, compute_depth(cause))

    def _count_error(self, active: ActiveRule, error: str | None) -> None:
        rule_id = active.stored.id
        before, _ = self.errors.get(rule_id, (active.stored.errors, None))
        if error is not None or before:
            self.errors[rule_id] = (before + 1, error) if error is not None else (0, None)

    def _match(self, active: ActiveRule, occurrence: NumberedOccurrence, depth: int) -> None:
        if active.rule.for_ms is None:
            self._fire(active, occurrence.row, occurrence.at, depth)
            return
        subject = name_subject(occurrence.row)
        if subject is None or (active.stored.id, subject) in self.timers:
            return
        key, due_at = (active.stored.id, subject), occurrence.at + active.rule.for_ms
        self.begun[key] = RuleTimer(
            active.stored.id, active.stored.revision, subject, due_at, encode_json(occurrence.row), depth
        )

    def _fire(self, active: ActiveRule, row: Json, at: int, depth: int) -> None:
        """Fire, unless the rule has fired within its cooldown. The clock may have been set back since."""
        last = self.last_fired.get(active.stored.id, active.stored.last_fired_at)
        cooldown = active.rule.cooldown_ms
        if cooldown is not None and last is not None and abs(at - last) < cooldown:
            return
        self.last_fired[active.stored.id] = at
        self.firings.append(FoundFiring(active, row, at, depth))

    def _end_timers(self, occurrence: NumberedOccurrence) -> None:
        """End what an occurrence is the opposite of, and fire first what had lasted long enough by then.

        What was only found out afterwards may have ended at any time before.
        """
        subjects = list_ended_subjects(occurrence.row)
        if not subjects:
            return
        for key, timer in self.timers.items():
            if key[1] in subjects:
                if not occurrence.row["inferred"] and self._has_run_out(key, timer, occurrence.at):
                    self._fire_timer(key, timer, json.loads(timer.occurrence))
                self._end_timer(key)

    def _has_run_out(self, key: TimerKey, timer: RuleTimer, at: int) -> bool:
        """Return whether a timer had run out at a time. Within this process, the clock that never jumps decides."""
        due_tick = self.due_ticks.get(key)
        return at >= timer.due_at if due_tick is None else self.now.tick >= due_tick

    def _fire_timer(self, key: TimerKey, timer: RuleTimer, row: Json) -> None:
        self._end_timer(key)
        active = self.rules.get(timer.rule_id)
        if active is not None and active.stored.revision == timer.revision:
            self._fire(active, row, timer.due_at, timer.depth)

    def _end_timer(self, key: TimerKey) -> None:
        if self.begun.pop(key, None) is None:
            self.ended.add(key)


def _judge_condition(active: ActiveRule, occurrence: NumberedOccurrence) -> Verdict | None:
    """Judge an occurrence by the condition of a rule; `None` if the rule has none."""
    from plex_companion.rules.conditions import Verdict  # noqa: PLC0415 - households without rules do without

    if active.problem is not None:
        return Verdict(matched=False, failed=None, error=active.problem)
    if active.condition is None:
        return None
    return active.condition.judge(occurrence.row, build_facts(occurrence.streams or StreamCounts()))
