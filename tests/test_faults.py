"""The table of faults tells the truth: every fault has a row, and what it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TABLE = (ROOT / "docs" / "faults.md").read_text(encoding="utf-8")
ROWS = {int(number): tests for number, tests in re.findall(r"^\| (\d+) \| [^|]+ \| (.+) \|$", TABLE, re.MULTILINE)}
NAMED = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TABLE)


def test_every_fault_has_a_row_in_order() -> None:
    assert list(ROWS) == list(range(1, 37))


def test_every_row_names_a_test() -> None:
    assert [number for number, tests in ROWS.items() if "::test_" not in tests] == []


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_test_that_is_named_is_there(file: str, test: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
