"""`plex://rules` and `plex://rules/{id}`: rules that households write, and what they have done."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from plex_companion.cache.queries.rule_firings import read_rule_record
from plex_companion.changes.kinds import RuleChanged, RuleFiringChanged, RuleRemoved
from plex_companion.errors import NotFound
from plex_companion.ingest.threads import compute_off_loop
from plex_companion.resources.declare import Resource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plex_companion.companion import Companion

SHOWN = 20
"""How many firings of a rule are shown. `rule_history` has more."""


async def read_rules(companion: Companion) -> dict[str, Any]:
    """Return every rule as a sentence, whether it is enabled, and how often it has fired."""
    from plex_companion.rules.engine.shown_rules import serialize_status  # noqa: PLC0415 - households without rules do without

    stored = [*companion.live.state.rules.stored.values()]
    rules = await compute_off_loop(lambda: [*map(serialize_status, stored)])
    return {"rules": rules, "count": len(rules)}


async def read_rule(companion: Companion, id: str) -> dict[str, Any]:  # noqa: A002 - the field of the URI
    """Return a rule with its last firings.

    Raises:
        NotFound: there is no rule with this id.
    """
    from plex_companion.rules.engine.shown_rules import serialize_firing, serialize_rule_details  # noqa: PLC0415 - the same

    rules = companion.live.state.rules
    stored = next((rule for rule in rules.stored.values() if str(rule.id) == id), None)
    if stored is None:
        ids = [str(rule_id) for rule_id in rules.stored]
        message = f"There is no rule '{id[:40]}'. Ids: {', '.join(ids) or 'none'}."
        raise NotFound(message, what="rule", available=ids)
    record = await read_rule_record(companion.cache, stored.id, SHOWN)
    firings = [serialize_firing(firing) for firing in record.firings]
    return {**await compute_off_loop(partial(serialize_rule_details, stored, rules)), "firings": firings}


def list_rules(companion: Companion) -> Iterable[Mapping[str, str]]:
    """Yield every rule."""
    for stored in companion.live.state.rules.stored.values():
        yield {"id": str(stored.id), "title": f"Rule: {stored.name}"}


RULES = Resource(
    "plex://rules",
    "Rules",
    "Every rule as a sentence, whether it is enabled, and how often it has fired.",
    read_rules,
    touched_by=(RuleChanged, RuleRemoved),
)
RULE = Resource(
    "plex://rules/{id}",
    "A rule",
    "One rule: how it is written, what it waits for, and its last firings with what became of them.",
    read_rule,
    touched_by=(RuleChanged, RuleRemoved, RuleFiringChanged),
    list_existing=list_rules,
)
