"""Decides what becomes of rules: saved, switched, deleted, fired, failed. Pure."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from msgspec.structs import replace

from plex_companion.changes.kinds import (
    DeliveryChanged,
    RuleChanged,
    RuleFired,
    RuleFiringChanged,
    RuleRemoved,
    RulesPositionMoved,
    RuleTimerBegun,
    RuleTimerEnded,
)
from plex_companion.events import (
    RuleActionDone,
    RuleCreated,
    RuleDeleted,
    RulesEvaluated,
    RulesImported,
    RuleSwitched,
    RuleUpdated,
)
from plex_companion.models import PENDING, Delivery, StoredRule
from plex_companion.text import fold_case

if TYPE_CHECKING:
    from collections.abc import Iterator

    from plex_companion.changes.kinds import Change
    from plex_companion.changes.state import State
    from plex_companion.events import RuleReport
    from plex_companion.models import ImportedRule, Moment, PlannedFiring, RulesState, RuleTally

MOST_ERRORS = 3
"""A rule whose condition fails this many times in a row is disabled."""
MOST_NEAR_MISSES = 20
"""How many near misses of a rule are kept."""


def handle_rule_report(event: RuleReport, before: State, now: Moment) -> list[Change]:
    """Return the changes of a report about rules. What no longer fits the rules changes nothing."""
    match event:
        case RulesEvaluated():
            return _record(event, before, now)
        case RuleActionDone():
            return _finish(event, before)
        case _:
            return _follow_request(event, before, now)


def _follow_request(event: RuleReport, before: State, now: Moment) -> list[Change]:
    """Do what a person asked for."""
    match event:
        case RuleCreated():
            return _create(event, before, now)
        case RuleUpdated():
            return _update(event, before, now)
        case RuleSwitched():
            return _switch(event, before, now)
        case RuleDeleted(rule_id=rule_id):
            known = rule_id in before.rules.stored
            return [*_end_timers(before.rules, rule_id), RuleRemoved(rule_id)] if known else []
        case RulesImported():
            return _import(event, before, now)
        case _:
            return []


def find_rule_by_name(rules: RulesState, name: str) -> StoredRule | None:
    """Return the rule of a name, without regard to case."""
    folded = fold_case(name)
    return next((rule for rule in rules.stored.values() if fold_case(rule.name) == folded), None)


def index_rules(rules: RulesState) -> dict[str, StoredRule]:
    """Return the rules by name, without regard to case."""
    return {fold_case(rule.name): rule for rule in rules.stored.values()}


def _create(event: RuleCreated, before: State, now: Moment) -> list[Change]:
    if find_rule_by_name(before.rules, event.name):
        return []
    return [RuleChanged(StoredRule(before.ids.rule, event.name, event.definition, event.revision, now.at, now.at))]


def _update(event: RuleUpdated, before: State, now: Moment) -> list[Change]:
    """Change a rule. It is disabled then, since a person has agreed to the rule as it was."""
    rule, namesake = before.rules.stored.get(event.rule_id), find_rule_by_name(before.rules, event.name)
    if rule is None or (namesake and namesake.id != rule.id):
        return []
    changed = _redefine(rule, event.name, event.definition, event.revision, now)
    return [*_end_timers(before.rules, rule.id), RuleChanged(changed)]


def _redefine(rule: StoredRule, name: str, definition: str, revision: str, now: Moment) -> StoredRule:
    return replace(
        rule,
        name=name,
        definition=definition,
        revision=revision,
        updated_at=now.at,
        enabled=False,
        errors=0,
        last_error=None,
        disabled_because=None,
    )


def _switch(event: RuleSwitched, before: State, now: Moment) -> list[Change]:
    rule = before.rules.stored.get(event.rule_id)
    if rule is None or rule.enabled == event.enabled:
        return []
    if event.enabled:
        return [RuleChanged(_enable(rule, event.revision, event.after, now))]
    disabled = replace(rule, enabled=False, revision=event.revision, disabled_because=None)
    return [*_end_timers(before.rules, rule.id), RuleChanged(disabled)]


def _enable(rule: StoredRule, revision: str, after: int, now: Moment) -> StoredRule:
    return replace(
        rule,
        enabled=True,
        revision=revision,
        enabled_at=now.at,
        enabled_after=after,
        errors=0,
        last_error=None,
        disabled_because=None,
    )


def _import(event: RulesImported, before: State, now: Moment) -> list[Change]:
    """Save the rules of a file, and disable those that are changed, as when they are changed one by one."""
    changes: list[Change] = []
    ids = count(before.ids.rule)
    for one, known in pair_imported(event, before.rules):
        rule = known or StoredRule(next(ids), one.name, "", one.revision, now.at, now.at)
        if one.definition is not None:
            rule = _redefine(rule, one.name, one.definition, one.revision, now)
        if event.enable and not rule.enabled:
            rule = _enable(rule, one.revision, event.after, now)
        if rule is not known:
            changes += [*_end_timers(before.rules, rule.id), RuleChanged(rule)]
    return changes


def pair_imported(event: RulesImported, rules: RulesState) -> list[tuple[ImportedRule, StoredRule | None]]:
    """Return the rules of an import, each with the rule of its name; none if one of those is not as it was when the file
    was read.
    """
    by_name = index_rules(rules)
    found = [(one, by_name.get(fold_case(one.name))) for one in event.rules]
    return found if all(one.replaced == (known and known.revision) for one, known in found) else []


def _end_timers(rules: RulesState, rule_id: int) -> Iterator[Change]:
    return (RuleTimerEnded(rule, subject) for rule, subject in rules.timers if rule == rule_id)


def list_current_firings(event: RulesEvaluated, before: State) -> list[PlannedFiring]:
    """Return the firings that count: none if another round was recorded meanwhile, and none of a rule that was changed
    or disabled.
    """
    if event.rounds != before.rules.rounds:
        return []
    return [one for one in event.firings if _find_current(before.rules, one.firing.rule_id, one.revision)]


def list_failed_rules(event: RulesEvaluated, before: State) -> list[tuple[StoredRule, RuleTally]]:
    """Return the rules that have failed too often in a row, which are disabled now."""
    if event.rounds != before.rules.rounds:
        return []
    found = ((_find_current(before.rules, one.rule_id, one.revision), one) for one in event.tallies)
    return [(rule, tally) for rule, tally in found if rule is not None and tally.errors >= MOST_ERRORS]


def _find_current(rules: RulesState, rule_id: int, revision: str) -> StoredRule | None:
    """Return a rule if it is enabled and is as it was when it was judged."""
    rule = rules.stored.get(rule_id)
    return rule if rule is not None and rule.enabled and rule.revision == revision else None


def _record(event: RulesEvaluated, before: State, now: Moment) -> list[Change]:
    """Record firings with everything that they cause, and how far was judged, all in one transaction."""
    rules = before.rules
    if event.rounds != rules.rounds:
        return []
    fired = list_current_firings(event, before)
    failed = {rule.id for rule, _ in list_failed_rules(event, before)}
    ended = [key for key in event.ended if key in rules.timers]
    begun = [timer for timer in event.begun if _find_current(rules, timer.rule_id, timer.revision)]
    lasting = (timer for timer in begun if timer.rule_id not in failed)
    stopped = (key for key in rules.timers if key[0] in failed and key not in ended)
    return [
        *(RuleTimerEnded(*key) for key in (*ended, *stopped)),
        *map(RuleTimerBegun, lasting),
        *map(RuleChanged, _tally_rules(event, fired, rules)),
        *_record_firings(fired, before, now),
        RulesPositionMoved(event.position),
    ]


def _tally_rules(event: RulesEvaluated, fired: list[PlannedFiring], rules: RulesState) -> Iterator[StoredRule]:
    """Yield the rules that have fired, nearly fired or failed, as they are from now on."""
    tallies = {one.rule_id: one for one in event.tallies if _find_current(rules, one.rule_id, one.revision)}
    times = [(one.firing.rule_id, one.firing.at) for one in fired]
    for rule_id in dict.fromkeys((*tallies, *(rule_id for rule_id, _ in times))):
        rule, own = rules.stored[rule_id], [at for fired_id, at in times if fired_id == rule_id]
        if own:
            rule = replace(rule, fired=rule.fired + len(own), last_fired_at=own[-1])
        yield _add_tally(rule, tallies[rule_id]) if rule_id in tallies else rule


def _add_tally(rule: StoredRule, tally: RuleTally) -> StoredRule:
    failed = tally.errors >= MOST_ERRORS
    return replace(
        rule,
        near_misses=rule.near_misses + len(tally.near_misses),
        last_near_misses=(*rule.last_near_misses, *tally.near_misses)[-MOST_NEAR_MISSES:],
        errors=tally.errors,
        last_error=tally.last_error or rule.last_error,
        enabled=not failed,
        disabled_because=tally.last_error if failed else None,
    )


def _record_firings(fired: list[PlannedFiring], before: State, now: Moment) -> Iterator[Change]:
    deliveries, firings = count(before.ids.delivery), count(before.ids.firing)
    for one in fired:
        yield RuleFired(replace(one.firing, id=next(firings), recorded_at=now.at), one.rule_name)
        for planned in one.deliveries:
            delivery = Delivery(
                next(deliveries),
                planned.target,
                None,
                planned.body,
                now.at,
                planned.due_at,
                rule_id=one.firing.rule_id,
            )
            yield DeliveryChanged(delivery)


def _finish(event: RuleActionDone, before: State) -> list[Change]:
    firing = before.rules.pending.get(event.firing_id)
    if firing is None:
        return []
    actions = tuple(
        replace(one, outcome=event.outcome) if (one.action, one.outcome) == (event.action, PENDING) else one
        for one in firing.actions
    )
    return [RuleFiringChanged(replace(firing, actions=actions))]
