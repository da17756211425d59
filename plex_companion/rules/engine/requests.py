"""Changes that people ask for: as events, and what must be true once they are committed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from plex_companion.changes.rule_reports import find_rule_by_name
from plex_companion.errors import Conflict, NotFound
from plex_companion.events import RuleCreated, RuleDeleted, RuleSwitched, RuleUpdated
from plex_companion.rules.engine.stored_form import encode_definition
from plex_companion.text import fold_case

if TYPE_CHECKING:
    from collections.abc import Callable

    from plex_companion.events import RuleReport
    from plex_companion.models import Rule, RulesState, StoredRule

LONGEST_SHOWN = 60


class RuleRequest(NamedTuple):
    """A change of rules. `is_done` says of the rules whether they have it."""

    event: RuleReport
    is_done: Callable[[RulesState], bool]


def find_stored_rule(rules: RulesState, text: str) -> StoredRule:
    """Return the rule with an id or, without regard to case, a name.

    Raises:
        NotFound: there is none.
    """
    wanted = text.strip()
    for rule in rules.stored.values():
        if str(rule.id) == wanted:
            return rule
    if found := find_rule_by_name(rules, wanted):
        return found
    names = [f"{rule.id} '{rule.name}'" for rule in rules.stored.values()]
    known = f"Rules: {', '.join(names)}." if names else "There are no rules yet; rule_create saves one."
    raise NotFound(f"There is no rule {wanted[:LONGEST_SHOWN]!r}. {known}", what="rule", available=names)


def request_creation(rules: RulesState, rule: Rule, revision: str) -> RuleRequest:
    """Return the request to save a new rule.

    Raises:
        Conflict: another rule has its name.
    """
    check_name(rules, rule.name, None)
    event = RuleCreated(rule.name, encode_definition(rule), revision)
    return RuleRequest(event, lambda after: find_revision(after, revision) is not None)


def request_update(rules: RulesState, stored: StoredRule, rule: Rule, revision: str) -> RuleRequest:
    """Return the request to change a rule.

    Raises:
        Conflict: another rule has its new name.
    """
    check_name(rules, rule.name, stored.id)
    event = RuleUpdated(stored.id, rule.name, encode_definition(rule), revision)
    return RuleRequest(event, lambda after: find_revision(after, revision) is not None)


def request_switch(stored: StoredRule, revision: str, *, enabled: bool, newest: int) -> RuleRequest:
    """Return the request to enable or disable a rule. `newest`: the number of the newest occurrence."""
    event = RuleSwitched(stored.id, enabled, revision, newest)

    def is_switched(after: RulesState) -> bool:
        known = after.stored.get(stored.id)
        return known is None or known.enabled == enabled

    return RuleRequest(event, is_switched)


def request_deletion(stored: StoredRule) -> RuleRequest:
    """Return the request to delete a rule."""
    return RuleRequest(RuleDeleted(stored.id), lambda after: stored.id not in after.stored)


def find_revision(rules: RulesState, revision: str) -> StoredRule | None:
    """Return the rule that a request has left behind."""
    return next((rule for rule in rules.stored.values() if rule.revision == revision), None)


def check_name(rules: RulesState, name: str, own_id: int | None) -> None:
    """Check that no other rule has a name, without regard to case.

    Raises:
        Conflict: one has.
    """
    known = find_rule_by_name(rules, name)
    if known is not None and known.id != own_id:
        message = (
            f"There is a rule called '{known.name}' already (id {known.id}). Give this one another name, "
            "or change that one with rule_update."
        )
        raise Conflict(message, argument="name", rule_id=str(known.id), name=fold_case(name))
