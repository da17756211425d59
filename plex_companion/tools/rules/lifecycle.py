"""Tools that save, list, switch and delete rules. Rules are the companion's own: read-only mode allows them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from plex_companion.cache.queries.rule_firings import read_rule_record
from plex_companion.companion import Companion
from plex_companion.errors import ConfirmationRequired, Conflict, Declined
from plex_companion.history.source import MOST, add_envelope
from plex_companion.ingest.threads import compute_off_loop
from plex_companion.models import StopStreamAction
from plex_companion.rules.engine.shown_rules import (
    describe_rule,
    serialize_firing,
    serialize_near_miss,
    serialize_rule,
    serialize_rule_delivery,
    serialize_rule_details,
    serialize_status,
)
from plex_companion.rules.engine.stored_form import decode_rule
from plex_companion.rules.rule_format import parse_rule
from plex_companion.tools.declare import Caller, Id, Json, Shape
from plex_companion.tools.rules.changing import (
    delete_rule,
    find_rule,
    get_rules,
    save_changed_rule,
    save_new_rule,
    switch_rule,
)
from plex_companion.tools.rules.past import try_on_past
from plex_companion.tools.rules.rule_results import DeletedRule, RuleDetails, RuleHistory, RuleList, SavedRule

if TYPE_CHECKING:
    from plex_companion.models import Rule, StoredRule

RuleObject = Annotated[
    dict[str, Any],
    Field(description="name, when, only_if, for, then, cooldown, quiet; rule_templates has examples."),
]
RuleId = Annotated[Id, Field(description="Id or name of a rule, see rule_list.")]


async def rule_create(companion: Companion, rule: RuleObject) -> Annotated[Json, Shape(SavedRule)]:
    """Save a rule: when something happens, and only if, then tell, alert, stop the stream or call a webhook.

    The rule is saved disabled. Show the user `sentence` and what `back_test` found; then call rule_enable.
    """
    checked = await _check_rule(companion, rule)
    return await _describe_saved(companion, await save_new_rule(companion, checked))


async def rule_update(companion: Companion, id: RuleId, rule: RuleObject) -> Annotated[Json, Shape(SavedRule)]:  # noqa: A002 - the wire's name
    """Replace a rule. It is disabled then, since the user has agreed to the old one: call rule_enable again."""
    stored = find_rule(companion, id)
    checked = await _check_rule(companion, rule)
    return await _describe_saved(companion, await save_changed_rule(companion, stored, checked))


async def rule_list(companion: Companion) -> Annotated[Json, Shape(RuleList)]:
    """List every rule as a sentence, whether it is enabled, and how often it has fired."""
    stored = [*get_rules(companion).stored.values()]
    rules = await compute_off_loop(lambda: [*map(serialize_status, stored)])
    return add_envelope(companion, {"rules": rules, "count": len(rules)})


async def rule_get(companion: Companion, id: RuleId) -> Annotated[Json, Shape(RuleDetails)]:  # noqa: A002 - the wire's name
    """Show one rule as it is written, and what it waits for now."""
    return await _show(companion, find_rule(companion, id))


async def rule_enable(
    companion: Companion,
    caller: Caller,
    id: RuleId,  # noqa: A002 - the wire's name
    *,
    confirm: bool = False,
) -> Annotated[Json, Shape(RuleDetails)]:
    """Let a rule run from now on. The user is asked first; `confirm` is for clients that cannot ask, after the user agreed."""
    stored = find_rule(companion, id)
    if not stored.enabled:
        await _ask(companion, caller, stored, confirm=confirm)
        _check_same(stored, find_rule(companion, str(stored.id)))
        stored = await switch_rule(companion, stored, enabled=True)
    return await _show(companion, stored)


async def rule_disable(companion: Companion, id: RuleId) -> Annotated[Json, Shape(RuleDetails)]:  # noqa: A002 - the wire's name
    """Let a rule rest until it is enabled again. What it waits for is forgotten."""
    stored = find_rule(companion, id)
    if stored.enabled:
        stored = await switch_rule(companion, stored, enabled=False)
    return await _show(companion, stored)


async def rule_delete(companion: Companion, id: RuleId) -> Annotated[Json, Shape(DeletedRule)]:  # noqa: A002 - the wire's name
    """Delete a rule. `rule` in the answer is all that rule_create needs to save it again."""
    stored = find_rule(companion, id)
    await delete_rule(companion, stored)
    return add_envelope(companion, {"deleted": True, "rule": serialize_rule(stored)})


async def rule_history(
    companion: Companion,
    id: RuleId,  # noqa: A002 - the wire's name
    limit: Annotated[int, Field(ge=1, description="Maximum number of entries.")] = 20,
    cursor: Annotated[int | None, Field(ge=0, description="next_cursor of the previous answer.")] = None,
) -> Annotated[Json, Shape(RuleHistory)]:
    """List when a rule fired and why, what became of its actions and messages, and near misses: the part of its condition
    that alone was not true.
    """
    stored, limit = find_rule(companion, id), min(limit, MOST)
    record = await read_rule_record(companion.cache, stored.id, limit, cursor)
    firings = record.firings
    body = {
        "rule": {"id": str(stored.id), "name": stored.name},
        "firings": [serialize_firing(firing) for firing in firings],
        "near_misses": [serialize_near_miss(miss) for miss in reversed(stored.last_near_misses)],
        "deliveries": [serialize_rule_delivery(delivery) for delivery in record.deliveries],
        "count": len(firings),
        "limit": limit,
        "next_cursor": firings[-1].id if len(firings) == limit else None,
    }
    return add_envelope(companion, body)


async def _check_rule(companion: Companion, given: dict[str, Any]) -> Rule:
    """Parse a rule and compile its condition.

    Raises:
        Invalid: something is wrong; the message says what, and what there is.
        NotSupported: conditions need a package that is not installed.
    """
    return await compute_off_loop(partial(parse_rule, given, companion.settings.list_notify_targets()))


async def _describe_saved(companion: Companion, stored: StoredRule) -> Json:
    sentence = await compute_off_loop(partial(describe_rule, stored))
    back_test = await try_on_past(companion, decode_rule(stored))
    return add_envelope(companion, {"rule": serialize_rule(stored), "sentence": sentence, "back_test": back_test})


async def _show(companion: Companion, stored: StoredRule) -> Json:
    """Describe a rule off the event loop: a condition is compiled for its sentence."""
    found = await compute_off_loop(partial(serialize_rule_details, stored, get_rules(companion)))
    return add_envelope(companion, found)


async def _ask(companion: Companion, caller: Caller, stored: StoredRule, *, confirm: bool) -> None:
    """Ask a person whether a rule may run.

    Raises:
        Declined: the person said no.
        ConfirmationRequired: the client cannot ask, and `confirm` is not set.
    """
    sentence = (await compute_off_loop(partial(describe_rule, stored))).rstrip(".")
    question = f"Enable the rule '{stored.name}' (id {stored.id})? {sentence}."
    if companion.settings.read_only and any(isinstance(one, StopStreamAction) for one in decode_rule(stored).then):
        question += " The companion is read-only, so it will stop nothing."
    answer = await caller.confirm(question)
    if answer is False:
        message = f"The rule '{stored.name}' stays disabled: the user declined."
        raise Declined(message, rule_id=str(stored.id))
    if answer is None and not confirm:
        message = f"{question} To do it, repeat the call with confirm=true."
        raise ConfirmationRequired(message, rule_id=str(stored.id))


def _check_same(asked: StoredRule, now: StoredRule) -> None:
    """Check that a rule is as it was when the person was asked.

    Raises:
        Conflict: it was changed meanwhile.
    """
    if asked.revision != now.revision:
        message = f"The rule '{asked.name}' was changed in the meantime. It stays disabled; repeat the call."
        raise Conflict(message, rule_id=str(asked.id))
