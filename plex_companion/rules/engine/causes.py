"""What a rule has caused: no rule fires on its own work, and another one only one step deep. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from plex_companion.models import PENDING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from plex_companion.models import RuleFiring
    from plex_companion.serialize import Json

DEEPEST = 2
STOPPED = frozenset({PENDING, "done"})
"""Outcomes of `stop_stream` after which a play may end because of it."""


class RuleCause(NamedTuple):
    """The rule that caused an occurrence, and how many rules in a row led there."""

    rule_id: str
    depth: int


def find_cause(row: Json, stops: Mapping[int, RuleFiring]) -> RuleCause | None:
    """Return the rule that caused an occurrence; `None` if none did.

    Args:
        row: the occurrence.
        stops: by play, the firing that stopped it.
    """
    data = row["data"]
    match row["type"]:
        case "rule.fired":
            return RuleCause(data["rule"]["id"], data["depth"])
        case "alert.opened" | "alert.resolved" if rule_id := data["alert"]["detail"].get("rule_id"):
            return RuleCause(rule_id, data["alert"]["detail"].get("rule_depth", 1))
        case "play.stopped" if (firing := stops.get(int(data["play_id"]))) and _has_stopped(firing):
            return RuleCause(str(firing.rule_id), firing.depth)
        case _:
            return None


def may_fire(rule_id: int, cause: RuleCause | None) -> bool:
    """Return whether a rule may fire on an occurrence with this cause."""
    return cause is None or (cause.rule_id != str(rule_id) and cause.depth < DEEPEST)


def compute_depth(cause: RuleCause | None) -> int:
    """Return how many rules in a row a firing on an occurrence with this cause is the last of."""
    return 1 if cause is None else cause.depth + 1


def _has_stopped(firing: RuleFiring) -> bool:
    return any(one.action == "stop_stream" and one.outcome in STOPPED for one in firing.actions)
