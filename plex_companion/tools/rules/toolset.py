"""Toolset `rules`: what should happen when something happens. Rules are the companion's own; nothing here changes Plex."""

from __future__ import annotations

from plex_companion.tools.declare import Access, Toolset
from plex_companion.tools.rules.lifecycle import (
    rule_create,
    rule_delete,
    rule_disable,
    rule_enable,
    rule_get,
    rule_history,
    rule_list,
    rule_update,
)
from plex_companion.tools.rules.trying import rule_templates, rule_test
from plex_companion.tools.server_argument import ServerArgument

RULES = Toolset("rules", "Rules in your own words: when, only if, then", server=ServerArgument.NONE)
RULES.tool(Access.READ, title="List the rules")(rule_list)
RULES.tool(Access.READ, title="Show a rule")(rule_get)
RULES.tool(Access.READ, title="Save a rule", additive=True, notes=True)(rule_create)
RULES.tool(Access.READ, title="Change a rule", idempotent=True, notes=True)(rule_update)
RULES.tool(Access.READ, title="Enable a rule", idempotent=True, notes=True)(rule_enable)
RULES.tool(Access.READ, title="Disable a rule", idempotent=True, notes=True)(rule_disable)
RULES.tool(Access.READ, title="Delete a rule", idempotent=True, notes=True)(rule_delete)
RULES.tool(Access.READ, title="What a rule has done")(rule_history)
RULES.tool(Access.READ, title="Ready-made rules")(rule_templates)
RULES.tool(Access.READ, title="Try a rule on the past")(rule_test)
