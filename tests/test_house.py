"""The house keeps its order: which room knows which, and where what may be used."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "plex_companion"
ORDER = (
    "errors",
    "text",
    "folding",
    "times",
    "private_files",
    "zones",
    "usernames",
    "threads",
    "models",
    "setting_values",
    "settings",
    "events",
    "changes",
    "cache",
    "desk",
    "ingest",
    "follow",
    "deliver",
    "plex",
    "ownership",
    "companion",
    "wire",
    "words",
    "memory",
    "metrics",
    "resources",
    "tools",
    "prompts",
    "panels",
    "server",
    "dashboard",
    "terminal",
    "reports",
    "demo",
    "roles",
    "app",
    "doctor",
    "watch",
    "upkeep",
    "setup",
    "arguments",
    "cli",
    "__main__",
)
"""Rooms, first to last. A room imports earlier ones only; imports for annotations follow the same order."""
ALONE = {"demo": {"errors", "settings"}}
"""Rooms that know fewer of the earlier ones than the order would let them."""
LONGEST = 50


@dataclass(frozen=True)
class Import:
    """One module imported somewhere."""

    file: Path
    line: int
    module: str
    for_annotations: bool
    """Under `if TYPE_CHECKING`, so not there at run time."""

    @property
    def room(self) -> str:
        """The room it is imported into."""
        return room_of(self.file)

    def __str__(self) -> str:
        """Where to look."""
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.module}"


def room_of(file: Path) -> str:
    first = file.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def files(folder: Path = PACKAGE) -> list[Path]:
    return sorted(file for file in folder.rglob("*.py") if "__pycache__" not in file.parts)


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


def imports(file: Path) -> Iterator[Import]:
    whole = tree(file)
    hidden = {
        id(node)
        for branch in ast.walk(whole)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    for node in ast.walk(whole):
        match node:
            case ast.Import(names=names):
                modules = [name.name for name in names]
            case ast.ImportFrom(module=str() as module, level=0, names=names):
                modules = [f"{module}.{name.name}" for name in names] if module == PACKAGE.name else [module]
            case ast.ImportFrom():
                modules = ["."]
            case _:
                continue
        for module in modules:
            yield Import(file, node.lineno, module, id(node) in hidden)


EVERY_IMPORT = [found for file in files() for found in imports(file)]


def own(found: Import) -> str | None:
    """The room that is imported, if it is one of ours."""
    parts = found.module.split(".")
    return parts[1] if parts[0] == PACKAGE.name and len(parts) > 1 and parts[1] in ORDER else None


def test_every_room_has_its_place_in_the_order() -> None:
    rooms = {room_of(file) for file in files()} - {"__init__"}
    assert rooms <= set(ORDER)


def test_imports_go_one_way() -> None:
    wrong = [
        str(found)
        for found in EVERY_IMPORT
        if (room := own(found)) and found.room not in {"__init__", room}
        if ORDER.index(room) > ORDER.index(found.room)
    ]
    assert wrong == []


def test_the_package_itself_imports_nothing_of_its_own() -> None:
    assert [str(found) for found in EVERY_IMPORT if found.room == "__init__" and own(found)] == []


@pytest.mark.parametrize("room", ALONE)
def test_a_room_that_stands_alone_knows_only_what_it_may(room: str) -> None:
    known = {own(found) for found in EVERY_IMPORT if found.room == room} - {None, room}
    assert known <= ALONE[room]


def test_nobody_imports_by_dots() -> None:
    assert [str(found) for found in EVERY_IMPORT if found.module == "."] == []


def used_outside(*modules: str, rooms: set[str], annotations: bool) -> list[str]:
    return [
        str(found)
        for found in EVERY_IMPORT
        if found.module.split(".")[0] in modules and found.room not in rooms
        if not (annotations and found.for_annotations)
    ]


def test_the_sdk_is_known_in_the_server_room_alone() -> None:
    assert used_outside("mcp", "mcp_types", rooms={"server"}, annotations=False) == []


def test_sqlite_is_known_in_the_cache_room_alone_but_for_the_type_of_a_row() -> None:
    assert used_outside("sqlite3", "aiosqlite", rooms={"cache"}, annotations=True) == []


def test_plexapi_is_known_where_plex_is_asked_alone() -> None:
    assert used_outside("plexapi", rooms={"plex", "tools"}, annotations=True) == []


def names_in(file: Path) -> Iterator[tuple[int, str]]:
    """Every dotted name used in a file, with its line."""
    for node in ast.walk(tree(file)):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.alias(name=name):
                yield node.lineno, name.split(".")[-1]
            case _:
                pass


def test_worker_threads_are_started_in_two_places() -> None:
    starts = {"to_thread", "Thread", "ThreadPoolExecutor", "ProcessPoolExecutor", "run_in_executor", "start_new_thread"}
    found = {str(file.relative_to(PACKAGE)) for file in files() for _, name in names_in(file) if name in starts}
    assert found == {"plex/gateway.py", "threads.py"}


def test_no_task_is_started_outside_a_task_group() -> None:
    free = {"create_task", "ensure_future"}
    found = [f"{file.name}:{line}" for file in files() for line, name in names_in(file) if name in free]
    assert found == []


def functions(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(file)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_no_function_is_longer_than_a_screen() -> None:
    long = [
        f"{file.relative_to(ROOT)}:{one.lineno} {one.name}"
        for file in files()
        for one in functions(file)
        if one.end_lineno is not None and one.end_lineno - one.lineno >= LONGEST
    ]
    assert long == []


def swallows_everything(handler: ast.ExceptHandler) -> bool:
    """Whether it catches what nobody named, and keeps it."""
    caught = (
        {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else {"Exception"}
    )
    last = handler.body[-1]
    raises_again = isinstance(last, ast.Raise) and last.exc is None
    return bool(caught & {"Exception", "BaseException"}) and not raises_again


def test_everything_is_caught_at_the_border_of_the_server_and_where_one_event_must_not_deafen() -> None:
    broad = {
        str(file.relative_to(PACKAGE))
        for file in files()
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ExceptHandler) and swallows_everything(node)
    }
    assert broad <= {"server/build.py", "ingest.py"}


# The tests themselves

TESTS = files(ROOT / "tests")


def test_no_test_uses_a_mock() -> None:
    banned = {"mock", "Mock", "MagicMock", "AsyncMock", "mocker", "patch"}
    found = [f"{file.name}:{line} {name}" for file in TESTS for line, name in names_in(file) if name in banned]
    assert found == []


def sleeps(file: Path) -> Iterator[tuple[int, str, float]]:
    for node in ast.walk(tree(file)):
        match node:
            case ast.Call(
                func=ast.Attribute(attr="sleep", value=where), args=[ast.Constant(value=int() | float() as time)]
            ):
                yield node.lineno, ast.unparse(where), time
            case _:
                pass


def test_no_test_sleeps_and_hopes() -> None:
    """Looking again every few hundredths of a second, under a deadline, is how another process is waited for."""
    found = [
        f"{file.name}:{line}" for file in TESTS for line, where, time in sleeps(file) if where == "time" or time > 0.05
    ]
    assert found == []


def test_files_of_tests_have_names_of_their_own() -> None:
    """They are no packages, so two of one name would hide each other."""
    names = [file.name for file in TESTS if file.name != "conftest.py"]
    assert sorted(names) == sorted(set(names))
