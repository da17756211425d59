"""Tools that show ready-made rules, and try a rule on what has happened. They save nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from plex_companion.cache.queries.rules.usual_names import read_usual_names
from plex_companion.companion import Companion
from plex_companion.errors import Invalid
from plex_companion.history.source import add_envelope
from plex_companion.ingest.threads import compute_off_loop
from plex_companion.rules.engine.stored_form import decode_rule
from plex_companion.rules.explain import explain
from plex_companion.rules.rule_format import format_rule, parse_rule
from plex_companion.rules.templates import list_templates
from plex_companion.times import PERIODS
from plex_companion.tools.declare import Json, Shape
from plex_companion.tools.rules.changing import find_rule
from plex_companion.tools.rules.lifecycle import RuleId, RuleObject
from plex_companion.tools.rules.past import PERIOD, try_on_past
from plex_companion.tools.rules.rule_results import BackTest, RuleTemplates

if TYPE_CHECKING:
    from plex_companion.models import Rule


async def rule_templates(companion: Companion) -> Annotated[Json, Shape(RuleTemplates)]:
    """List ready-made rules with a sentence each. Change names, numbers and times in them, then rule_test and rule_create."""
    names = await read_usual_names(companion.cache)
    rules = list_templates(companion.settings.list_notify_targets(), *names)
    templates = await compute_off_loop(
        lambda: [{"rule": format_rule(rule), "sentence": explain(rule)} for rule in rules]
    )
    return add_envelope(companion, {"templates": templates, "count": len(templates)})


async def rule_test(
    companion: Companion,
    rule: RuleObject | None = None,
    id: RuleId | None = None,  # noqa: A002 - the wire's name
    since: Annotated[str, Field(description=f"Beginning of the past to try it on: {PERIODS}.")] = PERIOD,
) -> Annotated[Json, Shape(BackTest)]:
    """Try a rule on the past without saving it: when it would have fired, for whom, and near misses, at which only `failed`
    was not true.
    """
    found = await _find_or_parse(companion, rule, id)
    return add_envelope(companion, await try_on_past(companion, found, since))


async def _find_or_parse(companion: Companion, rule: RuleObject | None, stored_id: str | None) -> Rule:
    if (rule is None) == (stored_id is None):
        message = "rule_test needs either rule, as an object, or the id of a saved one."
        raise Invalid(message, argument="rule")
    if stored_id is not None:
        return decode_rule(find_rule(companion, stored_id))
    return await compute_off_loop(partial(parse_rule, rule, companion.settings.list_notify_targets()))
