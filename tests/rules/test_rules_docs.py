"""What docs/rules.md shows works: every rule, condition, function and call."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.past_month import make_month
from support.recorded_plays import past

from plex_companion.rules.condition_errors import FUNCTIONS, METHODS
from plex_companion.rules.condition_source import LONGEST
from plex_companion.rules.conditions import INSTALL, LONGEST_TEXT, MOST_ELEMENTS, compile_condition
from plex_companion.rules.explain import explain
from plex_companion.rules.rule_format import ACTION_KEYS, KEYS, LASTING, parse_rule

if TYPE_CHECKING:
    from plex_companion.models import Rule

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
TARGETS = ("family",)


def find_section(heading: str) -> str:
    return PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def find_json(heading: str) -> Any:
    (shown,) = re.findall(r"```json\n(.*?)```", find_section(heading), re.DOTALL)
    return json.loads(shown)


def find_rows(heading: str, columns: int) -> list[list[str]]:
    """The rows of the tables with this many columns, without their heads."""
    found = re.findall(r"^\|(.*)\|$", find_section(heading), re.MULTILINE)
    rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)] for row in found]
    return [row for row in rows if len(row) == columns and row[0].startswith("`")]


def build_rule(when: str, only_if: str = "") -> Rule:
    then = [{"action": "notify", "targets": ["family"], "title": "x"}]
    return parse_rule({"name": "A", "when": [when], "only_if": only_if, "then": then}, TARGETS)


def test_the_rule_of_the_page_can_be_made_and_says_what_the_page_says() -> None:
    rule = parse_rule(find_json("What a rule is"), TARGETS)
    (sentence,) = re.findall(r"This one says: \*(.*?)\*\.", find_section("What a rule is"), re.DOTALL)
    assert " ".join(sentence.split()) == explain(rule)


def test_the_page_lists_the_keys_actions_and_lasting_types_there_are() -> None:
    keys = [key for row in find_rows("What a rule is", 3) for key in re.findall(r"`(\w+)`", row[0])]
    assert {"id", *keys} >= {*KEYS}
    assert [key for key in keys if key in ACTION_KEYS] == [*ACTION_KEYS]
    named = {row[0].strip("`"): re.findall(r"`(\w+)`", row[1]) for row in find_rows("What a rule is", 3)}
    for action, known in ACTION_KEYS.items():
        assert set(known) <= set(named[action])
    (lasting,) = [row[2] for row in find_rows("What a rule is", 3) if row[0] == "`for`"]
    assert all(f"`{name}`" in lasting for name in LASTING)


CONDITIONS = [[cell.replace("\\|", "|").strip("`") for cell in row] for row in find_rows("Conditions", 3)]


def test_the_page_has_a_dozen_conditions() -> None:
    assert len(CONDITIONS) >= 12


@pytest.mark.parametrize(("when", "only_if", "words"), CONDITIONS)
def test_a_condition_of_the_page_says_what_the_page_says(when: str, only_if: str, words: str) -> None:
    assert explain(build_rule(when, only_if)) == f"{words}{'' if words.count('`') % 2 == 0 else '`'}, tell family"


def test_every_function_is_on_the_page_and_every_one_of_the_page_works() -> None:
    calls = [row[0].strip("`") for row in find_rows("Conditions", 2)]
    text = find_section("Conditions")
    assert all(f"`{name}(" in text for name in FUNCTIONS)
    assert all(f".{name}(" in text or f"`{name}`" in text for name in METHODS)
    for call in calls:
        condition = next(form for form in (call, f"{call} > 0", f"{call} != '1'") if compiles(form))
        assert compile_condition(condition).operands


def compiles(source: str) -> bool:
    try:
        compile_condition(source)
    except Exception:  # noqa: BLE001 - it is tried in another form
        return False
    return True


def test_the_limits_of_the_page_are_those_there_are() -> None:
    text = find_section("Conditions")
    for number, noun in ((LONGEST, "characters"), (LONGEST_TEXT, "characters"), (MOST_ELEMENTS, "elements")):
        assert f"{number:,} {noun}" in " ".join(text.split())
    assert f"\n{INSTALL}\n" in text


async def test_the_call_of_the_page_can_be_made(tmp_path: Path) -> None:
    async with past(tmp_path, "UTC", **make_month(1).build_rows()) as recorded:
        answer = await recorded.well("rule_test", **find_json("Trying a rule on the past"))
    assert answer["fired"] > 0
    assert any(one["failed"] == "hour(at) >= 20" for one in answer["near_misses"])
    named = {*re.findall(r"`(\w+)`", find_section("Trying a rule on the past"))}
    assert {"fired", "firings", "users", "judged", "near_misses", "error"} <= named & answer.keys()


async def test_the_ready_made_rules_of_the_page_are_those_of_the_tool(tmp_path: Path) -> None:
    async with past(tmp_path) as recorded:
        templates = (await recorded.well("rule_templates"))["templates"]
    assert all(f"| {one['rule']['name']} |" in find_section("Ready-made rules") for one in templates)
