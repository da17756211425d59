"""The form in which rules are stored, and how an enabled one is made ready. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import MsgspecError
from msgspec.json import decode, encode
from msgspec.structs import replace

from plex_companion.errors import ToolError
from plex_companion.models import Rule
from plex_companion.rules.engine.judging import ActiveRule

if TYPE_CHECKING:
    from datetime import tzinfo

    from plex_companion.models import StoredRule


def encode_definition(rule: Rule) -> str:
    """Encode a rule as `StoredRule.definition`."""
    return encode(replace(rule, id=None, enabled=False)).decode()


def decode_rule(stored: StoredRule) -> Rule:
    """Decode a stored rule."""
    rule = decode(stored.definition, type=Rule)
    return replace(rule, id=stored.id, name=stored.name, enabled=stored.enabled)


def prepare_rule(stored: StoredRule, zone: tzinfo) -> ActiveRule:
    """Return a rule ready to be judged by, in the zone of its hours. Compiling takes milliseconds the first time: do it in a worker thread."""
    try:
        rule = decode_rule(stored)
    except MsgspecError as error:  # another version wrote it
        return ActiveRule(stored, Rule(stored.id, stored.name, (), ()), problem=str(error))
    if not rule.only_if:
        return ActiveRule(stored, rule)
    from plex_companion.rules.conditions import compile_condition  # noqa: PLC0415 - rules without conditions do without

    try:
        return ActiveRule(stored, rule, compile_condition(rule.only_if, rule.when, zone))
    except ToolError as error:
        return ActiveRule(stored, rule, problem=error.message)
