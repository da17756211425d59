"""The docs name files, folders, classes and functions that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "plex_companion"
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*(?:\.py|/)")
DOTTED = re.compile(r"([A-Za-z_][\w.]*)\.(\w+)(?:\(.*\))?")


def read_unreleased() -> str:
    return (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]


PAGES = {str(page.relative_to(ROOT)): page for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]}
TEXTS = {name: page.read_text(encoding="utf-8") for name, page in PAGES.items()} | {"CHANGELOG.md": read_unreleased()}


def list_names(body: list[ast.stmt]) -> set[str]:
    """The names that the statements of a module or a class define."""
    names: set[str] = set()
    for node in body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                names.add(name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case ast.Assign(targets=targets):
                names |= {target.id for target in targets if isinstance(target, ast.Name)}
            case _:
                pass
    return names


@cache
def list_definitions() -> dict[str, set[str]]:
    """The names in each module, by `changes.state`, and in each class, by `State`."""
    found: dict[str, set[str]] = {}
    for file in PACKAGE.rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        module = ".".join(file.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        if file.stem != "__init__":
            found[module] = list_names(tree.body)
        found |= {node.name: list_names(node.body) for node in tree.body if isinstance(node, ast.ClassDef)}
    return found


def is_wrong(word: str) -> bool:
    """Whether it is written as something of ours that does not exist."""
    if PATH.fullmatch(word):
        return not any((folder / word).exists() for folder in (ROOT, PACKAGE))
    if dotted := DOTTED.fullmatch(word):
        owner, name = dotted.groups()
        defined = list_definitions()
        return owner in defined and name not in defined[owner] and f"{owner}.{name}" not in defined
    return False


def find_wrong_names(text: str) -> list[str]:
    return [word for word in re.findall(r"`([^`\n]+)`", text) if is_wrong(word)]


def test_a_wrong_name_is_found() -> None:
    text = "`cache/lease.py`, `desk/` and `State.nobody`, but `cache/lock.py`, `cache/` and `changes.state.State`"
    assert find_wrong_names(text) == ["cache/lease.py", "desk/", "State.nobody"]


@pytest.mark.parametrize("name", TEXTS)
def test_what_the_docs_name_exists(name: str) -> None:
    assert find_wrong_names(TEXTS[name]) == []
