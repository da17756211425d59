"""Stored rules and their firings as JSON: for tools, resources and pages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from plex_companion.rules.engine.stored_form import decode_rule
from plex_companion.rules.explain import explain
from plex_companion.rules.rule_format import format_rule
from plex_companion.serialize import format_iso

if TYPE_CHECKING:
    from plex_companion.models import Delivery, NearMiss, RuleFiring, RulesState, RuleTimer, StoredRule
    from plex_companion.serialize import Json


def describe_rule(stored: StoredRule) -> str:
    """Return a rule as a sentence."""
    return explain(decode_rule(stored))


def serialize_rule(stored: StoredRule) -> Json:
    """Serialize a rule as people write it."""
    return format_rule(decode_rule(stored))


def serialize_status(stored: StoredRule) -> Json:
    """Serialize what a rule has done so far."""
    return {
        "id": str(stored.id),
        "name": stored.name,
        "enabled": stored.enabled,
        "sentence": describe_rule(stored),
        "fired": stored.fired,
        "last_fired_at": format_iso(stored.last_fired_at),
        "near_misses": stored.near_misses,
        "enabled_at": format_iso(stored.enabled_at),
        "updated_at": format_iso(stored.updated_at),
        "last_error": stored.last_error,
        "disabled_because": stored.disabled_because,
    }


def serialize_rule_details(stored: StoredRule, rules: RulesState) -> Json:
    """Serialize a rule, what it has done, and what it waits for."""
    waiting = [_serialize_timer(timer) for (rule_id, _), timer in rules.timers.items() if rule_id == stored.id]
    status = serialize_status(stored)
    return {"rule": serialize_rule(stored), "sentence": status["sentence"], "status": status, "waiting": waiting}


def serialize_firing(firing: RuleFiring) -> Json:
    """Serialize one time that a rule fired."""
    return {
        "id": str(firing.id),
        "at": format_iso(firing.at),
        "reason": firing.reason,
        "occurrence": {"id": firing.occurrence, "type": firing.occurrence_type},
        "actions": [
            {
                "action": action.action,
                "outcome": action.outcome,
                **({"targets": [*action.targets]} if action.targets else {}),
            }
            for action in firing.actions
        ],
    }


def serialize_near_miss(miss: NearMiss) -> Json:
    """Serialize an occurrence at which a rule would have fired, had one part of its condition been true."""
    return {"at": format_iso(miss.at), "failed": miss.failed, "occurrence": miss.occurrence}


def serialize_rule_delivery(delivery: Delivery) -> Json:
    """Serialize a message of a rule, without its text. An address may hold a secret, so of webhooks only the digest is there."""
    return {
        "target": delivery.target,
        "queued_at": format_iso(delivery.created_at),
        "due_at": format_iso(delivery.due_at),
        "done_at": format_iso(delivery.done_at),
        "tries": delivery.tries,
        "outcome": delivery.outcome,
    }


def _serialize_timer(timer: RuleTimer) -> Json:
    row = json.loads(timer.occurrence)
    return {"due_at": format_iso(timer.due_at), "occurrence": {"id": row["id"], "type": row["type"]}}
