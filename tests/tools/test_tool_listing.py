"""What is derived from the declarations is up to date; `make docs` writes it anew."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

RENDER = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "render.py"))
DERIVED: dict[Path, str] = RENDER["files"]()


@pytest.mark.parametrize("path", DERIVED, ids=lambda path: path.name)
def test_a_derived_file_is_up_to_date(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == DERIVED[path], "run `make docs`"


@pytest.mark.parametrize(
    ("name", "table"), [("README.md", "tools"), ("alerts.md", "alerts"), ("demo-household.md", "scenarios")]
)
def test_a_table_has_its_place(name: str, table: str) -> None:
    (path,) = [path for path in DERIVED if path.name == name]
    assert "| here |" in RENDER["with_table"](path, table, "| here |")
