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


def test_the_readme_has_the_table() -> None:
    assert RENDER["BEGIN"] in (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
