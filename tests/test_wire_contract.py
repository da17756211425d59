"""What other programs call by name is as it was recorded: tools, resources, prompts, settings, routes, metrics, commands, tables."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import pytest

WIRE = runpy.run_path(str(Path(__file__).parents[1] / "docs" / "contract.py"))
RECORDED = json.loads(WIRE["PATH"].read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def today() -> dict[str, object]:
    found: dict[str, object] = json.loads(WIRE["contract"]())
    return found


def test_every_kind_of_name_is_recorded(today: dict[str, object]) -> None:
    assert sorted(today) == sorted(RECORDED)


@pytest.mark.parametrize("kind", RECORDED)
def test_names_on_the_wire_are_those_recorded(kind: str, today: dict[str, object]) -> None:
    assert today[kind] == RECORDED[kind], "a name that others rely on changed; if that is meant, run `make docs`"
