"""Alerts about rules that households write: those they open, and that one of them fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.changes.rule_reports import list_current_firings, list_failed_rules, pair_imported
from plex_companion.events import RuleDeleted, RulesEvaluated, RulesImported, RuleSwitched, RuleUpdated

if TYPE_CHECKING:
    from plex_companion.changes.alerts.transitions import AlertTransitions
    from plex_companion.changes.state import State
    from plex_companion.events import RuleReport
    from plex_companion.models import PlannedFiring


def evaluate_rule_report(event: RuleReport, before: State, transitions: AlertTransitions) -> None:
    """Open the alerts of rules that fired, and one for each rule that was disabled because it fails.

    The second is resolved once a person has enabled, changed or deleted the rule.
    """
    match event:
        case RulesEvaluated():
            for fired in list_current_firings(event, before):
                _record_alerts(fired, transitions)
            for rule, tally in list_failed_rules(event, before):
                title = f"The rule '{rule.name}' is disabled because it keeps failing: {tally.last_error}"
                transitions.open("rule_failed", str(rule.id), title, rule_id=str(rule.id), rule=rule.name)
        case RuleSwitched(rule_id=rule_id) | RuleUpdated(rule_id=rule_id) | RuleDeleted(rule_id=rule_id):
            transitions.resolve("rule_failed", str(rule_id))
        case RulesImported():
            for one, known in pair_imported(event, before.rules):
                if known is not None and (event.enable or one.definition is not None):
                    transitions.resolve("rule_failed", str(known.id))
        case _:
            pass


def _record_alerts(fired: PlannedFiring, transitions: AlertTransitions) -> None:
    firing = fired.firing
    detail = {
        "rule_id": str(firing.rule_id),
        "rule": fired.rule_name,
        "rule_depth": firing.depth,
        "occurrence": firing.occurrence,
        "reason": firing.reason,
    }
    for title, severity in fired.alerts:
        transitions.record_of_server(firing.server, "rule", str(firing.rule_id), severity, title, detail)
