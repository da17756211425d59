"""What is derived from the declarations is up to date; `make docs` writes it anew."""

from __future__ import annotations

import runpy
from functools import cache
from pathlib import Path
from typing import Any

import pytest


@cache
def load_script() -> dict[str, Any]:
    return runpy.run_path(str(Path(__file__).parents[2] / "docs" / "render.py"))


@cache
def list_derived() -> dict[Path, str]:
    derived: dict[Path, str] = load_script()["files"]()
    return derived


def test_derived_files_are_up_to_date() -> None:
    stale = [path.name for path, text in list_derived().items() if path.read_text(encoding="utf-8") != text]
    assert stale == [], "run `make docs`"


@pytest.mark.parametrize(
    ("name", "table"), [("README.md", "tools"), ("alerts.md", "alerts"), ("demo-household.md", "scenarios")]
)
def test_a_table_has_its_place(name: str, table: str) -> None:
    (path,) = [path for path in list_derived() if path.name == name]
    assert "| here |" in load_script()["with_table"](path, table, "| here |")
