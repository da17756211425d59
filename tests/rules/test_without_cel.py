"""Without the package for conditions, everything else about rules works, and an error says how to install it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

PROGRAM = """
import json, sys
sys.modules["cel_expr_python"] = None  # as if it were not installed
from plex_companion.errors import ToolError
from plex_companion.rules.explain import explain
from plex_companion.rules.rule_format import parse_rule
from plex_companion.rules.templates import list_templates

def attempt(only_if):
    try:
        return explain(parse_rule({"name": "A", "when": ["play.started"], "only_if": only_if, "then": [{"action": "webhook"}]}, ()))
    except ToolError as error:
        return error.body()

print(json.dumps({"with": attempt("true"), "without": attempt(""), "templates": [explain(rule) for rule in list_templates()]}))
"""


@pytest.fixture(scope="module")
def answers() -> dict[str, Any]:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    found: dict[str, Any] = json.loads(run.stdout)
    return found


def test_a_condition_is_refused_with_the_command_that_installs_the_package(answers: dict[str, Any]) -> None:
    assert answers["with"]["code"] == "not_supported"
    assert answers["with"]["error"] == (
        "Conditions of rules need a package that is not installed. To install it: pip install 'plex-companion[rules]'"
    )


def test_a_rule_without_a_condition_needs_no_package(answers: dict[str, Any]) -> None:
    assert answers["without"] == "When somebody starts playing something, call the webhooks"


def test_conditions_of_ready_made_rules_are_quoted(answers: dict[str, Any]) -> None:
    assert (
        answers["templates"][2]
        == 'When somebody starts playing something, if `streams() > 3`, open the alert "More than 3 streams", at most once in 30 minutes'
    )
