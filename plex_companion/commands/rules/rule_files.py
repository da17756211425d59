"""Files of rules, in JSON or TOML. Pure."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

from plex_companion.errors import NotSupported, SettingsError, ToolError
from plex_companion.rules.conditions import INSTALL
from plex_companion.rules.engine.stored_form import decode_rule
from plex_companion.rules.rule_format import format_rule, parse_rule
from plex_companion.text import fold_case

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from plex_companion.models import Rule, StoredRule

EXAMPLE = '{"rules": [{"name": …, "when": ["play.started"], "then": [{"action": "alert", "title": …}]}]}'


def is_toml(name: str) -> bool:
    """Return whether a file of this name is read as TOML. Every other is JSON."""
    return name.lower().endswith(".toml")


def format_file(rules: Iterable[StoredRule], *, toml: bool = False) -> str:
    """Return rules as a file, without their ids, which mean nothing elsewhere.

    Raises:
        NotSupported: the package that writes TOML is not installed.
    """
    listed = [{name: value for name, value in format_rule(decode_rule(one)).items() if name != "id"} for one in rules]
    if not toml:
        return json.dumps({"rules": listed}, ensure_ascii=False, indent=2) + "\n"
    try:
        import tomli_w  # noqa: PLC0415 - not everybody needs it
    except ImportError:
        message = f"To write TOML, a package is needed that is not installed: {INSTALL}"
        raise NotSupported(message, reason="not_installed") from None
    return tomli_w.dumps({"rules": listed})


def parse_file(text: str, name: str, targets: Collection[str]) -> list[Rule]:
    """Parse a file with one rule, a list of rules, or rules under `rules`: TOML if its name says so, else JSON.

    Raises:
        SettingsError: it cannot be read, or a rule in it is wrong; the message says which.
    """
    rules = []
    for number, given in enumerate(_list_given(_load(text, name), name), 1):
        try:
            rules.append(parse_rule(given, targets))
        except ToolError as error:
            message = f"{name}, rule {number}: {error.message}"
            raise SettingsError(message) from error
    _check_names(rules, name)
    return rules


def _load(text: str, name: str) -> Any:
    try:
        return tomllib.loads(text) if is_toml(name) else json.loads(text)
    except (ValueError, RecursionError) as error:
        kind = "TOML" if is_toml(name) else "JSON (a file of TOML ends with .toml)"
        raise SettingsError(f"{name} is not {kind}: {error}.") from None


def _list_given(whole: Any, name: str) -> list[Any]:
    found = whole.get("rules", [whole] if whole else []) if isinstance(whole, dict) else whole
    if isinstance(whole, dict) and isinstance(whole.get("rule"), list) and "rules" not in whole:
        raise SettingsError(f"{name} has rules under 'rule'. Call it rules: [[rules]] in TOML, \"rules\" in JSON.")
    if not isinstance(found, list) or not found:
        raise SettingsError(f"There are no rules in {name}. It should look like {EXAMPLE}.")
    return found


def _check_names(rules: list[Rule], name: str) -> None:
    seen: set[str] = set()
    for rule in rules:
        if fold_case(rule.name) in seen:
            raise SettingsError(f"{name} has two rules called '{rule.name}'. Give one of them another name.")
        seen.add(fold_case(rule.name))
