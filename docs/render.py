"""Writes what derives from declarations: the README's tool table, the schema snapshot, `.env.example`. `make docs`."""

from __future__ import annotations

import re
from pathlib import Path

from plex_companion.settings import example
from plex_companion.tools.listing import markdown, schemas

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- tools: written by `make docs` -->\n", "\n<!-- /tools -->"


def with_table(readme: str) -> str:
    """The README with the tool table of today between its two markers."""
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: BEGIN + markdown() + END, readme, flags=re.DOTALL)


def files() -> dict[Path, str]:
    """Every derived file and what it must hold."""
    return {
        ROOT / "README.md": with_table((ROOT / "README.md").read_text(encoding="utf-8")),
        ROOT / "tests" / "tools" / "schemas.json": schemas() + "\n",
        ROOT / ".env.example": example(),
    }


if __name__ == "__main__":
    for path, text in files().items():
        path.write_text(text, encoding="utf-8")
