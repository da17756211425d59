"""How a change alters what is known of rules. Pure: each change makes a new `RulesState`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, assert_never

from msgspec.structs import replace

from plex_companion.changes.kinds import (
    RuleChanged,
    RuleFired,
    RuleFiringChanged,
    RuleRemoved,
    RulesPositionMoved,
    RuleTimerBegun,
    RuleTimerEnded,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plex_companion.models import RuleFiring, RulesState

K = TypeVar("K")
V = TypeVar("V")

RuleChange = (
    RuleChanged | RuleRemoved | RuleFired | RuleFiringChanged | RuleTimerBegun | RuleTimerEnded | RulesPositionMoved
)


def advance_rules(rules: RulesState, change: RuleChange, remembered: int) -> RulesState:
    """Return what is known of rules after a change.

    Args:
        rules: what was known before.
        change: the change.
        remembered: how many plays are remembered that a rule has stopped.
    """
    match change:
        case RuleChanged(rule=rule):
            return replace(rules, stored={**rules.stored, rule.id: rule})
        case RuleRemoved(rule_id=rule_id):
            return replace(rules, stored=_remove(rules.stored, rule_id))
        case RuleFired(firing=firing) | RuleFiringChanged(firing=firing):
            return _put_firing(rules, firing, remembered)
        case RuleTimerBegun(timer=timer):
            return replace(rules, timers={**rules.timers, (timer.rule_id, timer.subject): timer})
        case RuleTimerEnded(rule_id=rule_id, subject=subject):
            return replace(rules, timers=_remove(rules.timers, (rule_id, subject)))
        case RulesPositionMoved(position=position):
            return replace(rules, position=position, rounds=rules.rounds + 1)
        case _:
            assert_never(change)


def _put_firing(rules: RulesState, firing: RuleFiring, remembered: int) -> RulesState:
    pending, stops = _remove(rules.pending, firing.id), rules.stops
    if firing.is_pending:
        pending = {**pending, firing.id: firing}
    if firing.play_id is not None:
        stops = dict([*_remove(stops, firing.play_id).items(), (firing.play_id, firing)][-remembered:])
    return replace(rules, pending=pending, stops=stops)


def _remove(table: Mapping[K, V], key: K) -> dict[K, V]:
    return {other: value for other, value in table.items() if other != key}
