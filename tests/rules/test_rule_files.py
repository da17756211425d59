"""A rule that is exported and imported is the same rule, in JSON and in TOML."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from plex_companion.commands.rules.rule_files import format_file, parse_file
from plex_companion.models import AlertAction, Rule, StoredRule
from plex_companion.rules.engine.stored_form import encode_definition
from plex_companion.rules.rule_format import parse_rule

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

TARGETS = ("family", "me")
CONDITIONS = (
    'data.user.name == "Pip" && hour(at) >= 21',
    "data.user.name == 'Pip'\n  && data.item.title.contains('\\\\')",
    "data.item.title == '''\"\"\"\t\u2028\x7f'''",
    "data.item.title.matches('^[0-9]{1,3}\\\\s') || streams() > 3 // often",
    "",
)
SPANS = st.sampled_from([None, "90s", "1h30m", "7d"])
TEXTS = st.text(max_size=30).map(lambda text: text.replace("{", "").replace("}", ""))


def act(action: str, **fields: Any) -> dict[str, Any]:
    return {"action": action, **fields}


ACTIONS = st.one_of(
    st.builds(act, st.just("notify"), targets=st.just(["me", "family"]), title=TEXTS.map("t{}".format), text=TEXTS),
    st.builds(act, st.just("alert"), title=TEXTS.map("{{at}}{}".format), severity=st.sampled_from(["info", "error"])),
    st.builds(act, st.just("stop_stream"), message=TEXTS),
    st.just(act("webhook")),
)


@st.composite
def written_rules(draw: DrawFn) -> dict[str, Any]:
    """A rule as somebody writes it, with whatever text."""
    span = draw(SPANS)
    return {
        "name": "n" + draw(TEXTS),
        "when": ["play.paused", "play.buffering"]
        if span
        else draw(st.sampled_from(["play.started", ["play.resumed"]])),
        "only_if": draw(st.sampled_from(CONDITIONS)),
        "for": span,
        "then": draw(st.lists(ACTIONS, min_size=1, max_size=3)),
        "cooldown": draw(SPANS),
        "quiet": draw(st.sampled_from([None, "23:00-07:00", "7:05-24:00", "07:05 - 24:00"])),
    }


def store(rule: Rule) -> StoredRule:
    return StoredRule(7, rule.name, encode_definition(rule), "r", 1, 2, enabled=True, fired=3)


@given(st.lists(written_rules(), min_size=1, max_size=3), st.booleans())
def test_a_rule_that_is_exported_and_imported_is_the_same_rule(given: list[dict[str, Any]], toml: bool) -> None:
    rules = [parse_rule({**one, "name": f"{number} {one['name']}"}, TARGETS) for number, one in enumerate(given)]
    text = format_file([store(rule) for rule in rules], toml=toml)
    found = parse_file(text, "a.toml" if toml else "a.json", TARGETS)
    assert [replace(rule, enabled=False) for rule in found] == rules


def test_toml_is_written_one_key_a_line() -> None:
    rule = Rule(None, "Late", ("play.started",), (AlertAction("Late"),), 'data.user.name == "Pip"')
    assert format_file([store(rule)], toml=True) == (
        '[[rules]]\nname = "Late"\nwhen = [\n    "play.started",\n]\nonly_if = "data.user.name == \\"Pip\\""\n'
        'then = [\n    { action = "alert", title = "Late", severity = "info" },\n]\nenabled = true\n'
    )


PROGRAM = """
import json, sys
sys.modules["tomli_w"] = None  # as if it were not installed
from plex_companion.commands.rules.rule_files import format_file
from plex_companion.errors import NotSupported

try:
    format_file([], toml=True)
except NotSupported as error:
    print(json.dumps([format_file([]), error.message]))
"""


@pytest.fixture(scope="module")
def without_package() -> list[str]:
    run = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    found: list[str] = json.loads(run.stdout)
    return found


def test_without_the_package_json_is_written_and_toml_says_how_to_get_it(without_package: list[str]) -> None:
    written, message = without_package
    assert json.loads(written) == {"rules": []}
    assert message == "To write TOML, a package is needed that is not installed: pip install 'plex-companion[rules]'"
