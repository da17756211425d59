"""What occurrences say of a rule that fired."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plex_companion.changes.kinds import RuleFired
    from plex_companion.occurrences.collector import OccurrenceCollector


def record_firing(change: RuleFired, collector: OccurrenceCollector) -> None:
    """Record that a rule fired, on what, and what it does."""
    firing = change.firing
    data = {
        "rule": {"id": str(firing.rule_id), "name": change.rule_name},
        "reason": firing.reason,
        "cause": {"id": firing.occurrence, "type": firing.occurrence_type},
        "actions": [action.action for action in firing.actions],
        "depth": firing.depth,
    }
    collector.record("rule.fired", collector.now.at, data, server=firing.server)
