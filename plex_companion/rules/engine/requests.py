"""Changes that people ask for: as events, and what must be true once they are committed. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from plex_companion.changes.rule_reports import find_rule_by_name, index_rules, pair_imported
from plex_companion.errors import Conflict, NotFound
from plex_companion.events import RuleCreated, RuleDeleted, RulesImported, RuleSwitched, RuleUpdated
from plex_companion.models import ImportedRule
from plex_companion.rules.engine.stored_form import decode_rule, encode_definition
from plex_companion.text import fold_case

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

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


def request_import(
    rules: RulesState, given: Sequence[Rule], revisions: Sequence[str], *, enable: bool, newest: int
) -> RuleRequest | None:
    """Return the request to save the rules of a file, all or none; `None` if all of them are there as they are wanted.

    A rule replaces the one of its name, which is disabled then unless `enable` is set. Afterwards `is_done` raises
    `Conflict` if somebody else has changed one of them before.

    Args:
        rules: the rules that there are.
        given: the rules of the file, each of another name.
        revisions: one for each of them.
        enable: whether all of them run from now on.
        newest: the number of the newest occurrence.
    """
    known = index_rules(rules)
    imported = tuple(_prepare_import(known, *one) for one in zip(given, revisions, strict=True))
    event = RulesImported(imported, enable, newest)
    if all(
        one.definition is None and (not enable or (old and old.enabled)) for one, old in pair_imported(event, rules)
    ):
        return None

    def is_saved(after: RulesState) -> bool:
        if any(rule.revision in revisions for rule in after.stored.values()):
            return True
        if not pair_imported(event, after):
            raise Conflict(
                "Somebody else has just changed one of these rules. Nothing was imported: repeat the command."
            )
        return False

    return RuleRequest(event, is_saved)


def _prepare_import(known: Mapping[str, StoredRule], rule: Rule, revision: str) -> ImportedRule:
    old = known.get(fold_case(rule.name))
    same = old is not None and replace(rule, id=old.id, enabled=old.enabled) == decode_rule(old)
    return ImportedRule(rule.name, None if same else encode_definition(rule), revision, old.revision if old else None)


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
