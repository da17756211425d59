"""The house keeps its order: which room knows which, and where what may be used."""

from __future__ import annotations

import ast
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "plex_companion"
ORDER = (
    "errors",
    "text",
    "private_files",
    "times",
    "names",
    "zones",
    "skills",
    "models",
    "streams",
    "setting_values",
    "settings",
    "events",
    "parsing",
    "changes",
    "cache",
    "chronicle",
    "serialize",
    "occurrences",
    "ingest",
    "webhooks",
    "plex",
    "mcp_events",
    "notify",
    "rules",
    "mqtt",
    "companion",
    "wording",
    "history",
    "catalogue",
    "digests",
    "metrics",
    "resources",
    "tools",
    "prompts",
    "panels",
    "server",
    "dashboard",
    "processes",
    "policies",
    "duties",
    "demo",
    "app",
    "commands",
    "cli",
    "__main__",
)
"""Rooms, first to last. A room imports earlier ones only; imports for annotations follow the same order."""
ALONE = {"demo": {"errors", "settings"}}
"""Rooms that know fewer of the earlier ones than the order would let them."""
LONGEST = 50
MEDIAN, MEDIAN_WITHOUT_DOCSTRING = 6, 5
SEEN_AS_PLEX = frozenset({"plex", "seen", "there", "server", "plexapi"})
"""What variables are called that hold a `PlexServer`, and the module it comes from."""


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


@cache
def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))


@pytest.fixture(autouse=True, scope="module")
def _forget_trees() -> Iterator[None]:
    """Half a million nodes, which the garbage collector would walk through in every test that follows."""
    yield
    tree.cache_clear()


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


@cache
def list_imports() -> list[Import]:
    return [found for file in files() for found in imports(file)]


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
        for found in list_imports()
        if (room := own(found)) and found.room not in {"__init__", room}
        if ORDER.index(room) > ORDER.index(found.room)
    ]
    assert wrong == []


def test_the_package_itself_imports_nothing_of_its_own() -> None:
    assert [str(found) for found in list_imports() if found.room == "__init__" and own(found)] == []


@pytest.mark.parametrize("room", ALONE)
def test_a_room_that_stands_alone_knows_only_what_it_may(room: str) -> None:
    known = {own(found) for found in list_imports() if found.room == room} - {None, room}
    assert known <= ALONE[room]


def modules_imported_by(file: Path) -> set[str]:
    """The modules of the package that a file imports, annotations and local imports included."""
    found = set()
    for node in ast.walk(tree(file)):
        match node:
            case ast.ImportFrom(module=str() as module, names=names):
                found |= {module, *(f"{module}.{name.name}" for name in names)}
            case ast.Import(names=names):
                found |= {name.name for name in names}
            case _:
                pass
    return found


def test_no_modules_of_the_demo_import_each_other_in_a_circle() -> None:
    demo = files(PACKAGE / "demo")
    names = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in demo if file.stem != "__init__"}
    open_ = {name: modules_imported_by(file) & names.keys() for name, file in names.items()}
    while leaves := [name for name, imported in open_.items() if not imported & open_.keys()]:
        for name in leaves:
            del open_[name]
    assert {name: sorted(imported & open_.keys()) for name, imported in open_.items()} == {}


def test_the_routes_of_the_demo_are_given_its_state_and_do_not_know_the_server() -> None:
    knowing = [
        str(found)
        for found in list_imports()
        if found.file.is_relative_to(PACKAGE / "demo" / "routes")
        if found.module in {"plex_companion.demo.demo_server", "plex_companion.demo.serve", "plex_companion.demo.web"}
    ]
    assert knowing == []


def test_nobody_imports_by_dots() -> None:
    assert [str(found) for found in list_imports() if found.module == "."] == []


def used_outside(*modules: str, rooms: set[str], annotations: bool) -> list[str]:
    return [
        str(found)
        for found in list_imports()
        if found.module.split(".")[0] in modules and found.room not in rooms
        if not (annotations and found.for_annotations)
    ]


def test_the_sdk_is_known_in_the_server_room_alone() -> None:
    assert used_outside("mcp", "mcp_types", rooms={"server"}, annotations=False) == []


def test_sqlite_is_known_in_the_cache_room_alone_but_for_the_type_of_a_row() -> None:
    assert used_outside("sqlite3", "aiosqlite", rooms={"cache"}, annotations=True) == []


def test_plexapi_is_known_where_plex_is_asked_alone() -> None:
    assert used_outside("plexapi", rooms={"plex"}, annotations=False) == []


def test_private_names_of_plexapi_are_used_in_one_module() -> None:
    private = {"_session", "_token", "_headers", "_timeout", "_baseurl", "_data", "_server", "CONFIG", "BASE_HEADERS"}
    found = [
        f"{file.relative_to(PACKAGE)}:{node.lineno} {node.attr}"
        for file in files()
        if file != PACKAGE / "plex" / "client.py"
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Attribute) and node.attr in private and ast.unparse(node.value) in SEEN_AS_PLEX
    ]
    assert found == []


def test_type_numbers_of_plex_are_written_down_once() -> None:
    """The demo has its own table, as a server would, and a test compares the two."""
    tables = [
        f"{file.relative_to(PACKAGE)}:{node.lineno}"
        for file in files()
        if room_of(file) != "demo"
        for node in ast.walk(tree(file))
        if isinstance(node, ast.Dict)
        for key, value in zip(node.keys, node.values, strict=True)
        if isinstance(key, ast.Constant) and isinstance(value, ast.Constant)
        if {key.value, value.value} in ({"movie", 1}, {"show", 2}, {"episode", 4}, {"artist", 8}, {"track", 10})
    ]
    assert tables == []


def names_in(file: Path) -> Iterator[tuple[int, str]]:
    """Every dotted name used in a file, with its line."""
    for node in ast.walk(tree(file)):
        match node:
            case ast.Attribute(attr=name) | ast.Name(id=name) | ast.alias(name=name):
                yield node.lineno, name.split(".")[-1]
            case _:
                pass


def test_worker_threads_are_started_in_three_places() -> None:
    starts = {"to_thread", "Thread", "ThreadPoolExecutor", "ProcessPoolExecutor", "run_in_executor", "start_new_thread"}
    found = {str(file.relative_to(PACKAGE)) for file in files() for _, name in names_in(file) if name in starts}
    assert found == {"plex/gateway.py", "ingest/threads.py", "notify/daemon_call.py"}


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


def count_lines(one: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[int, int]:
    """How long a function is, with and without its docstring."""
    lines, first = (one.end_lineno or one.lineno) - one.lineno + 1, one.body[0]
    docstring = (first.end_lineno or first.lineno) - first.lineno + 1 if ast.get_docstring(one) is not None else 0
    return lines, lines - docstring


def test_most_functions_are_short() -> None:
    """When this fails, some functions that are new do two things."""
    lengths = [count_lines(one) for file in files() for one in functions(file)]
    whole, bare = zip(*lengths, strict=True)
    assert median(whole) <= MEDIAN
    assert median(bare) <= MEDIAN_WITHOUT_DOCSTRING


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
    assert broad <= {"server/mcp/build.py", "ingest/live.py"}


# Names

MOST_FILES = 20
NOUNS = frozenset(
    {"alerts", "clients", "declare", "events", "history", "library", "live", "server", "sessions", "toolset"}
)
"""Modules in packages of one parent may share these, where both are about the same thing of Plex's."""
BANNED = frozenset(
    [
        "alarms",
        "asking",
        "bell",
        "board",
        "bulletin",
        "carried",
        "courier",
        "crowded",
        "deposed",
        "desk",
        "dressed",
        "errand",
        "farewell",
        "gathered",
        "ghost",
        "heard",
        "hasty",
        "inbox",
        "keyless",
        "knock",
        "lease",
        "ledger",
        "letter",
        "letters",
        "mail",
        "mailbox",
        "mended",
        "nobody",
        "painting",
        "paintings",
        "patience",
        "patient",
        "pauses",
        "quotable",
        "refreshed",
        "rested",
        "road",
        "several",
        "stand",
        "told",
        "toy",
        "understood",
        "victim",
        "wish",
        "wished",
    ]
)
"""Words that no module, class or function has in its name: one must have read the code to know what they mean."""
PREPOSITIONS = frozenset(
    {"about", "after", "as", "at", "before", "by", "from", "in", "into", "of", "until", "with", "without"}
)
"""A function's name does not begin with one: it says what the function does."""
PARTICIPLES = frozenset(
    [
        "added",
        "announced",
        "answered",
        "asked",
        "begun",
        "believed",
        "built",
        "checked",
        "chosen",
        "closed",
        "completed",
        "counted",
        "described",
        "done",
        "drawn",
        "ended",
        "fetched",
        "filled",
        "formatted",
        "found",
        "given",
        "held",
        "kept",
        "known",
        "listed",
        "made",
        "marked",
        "masked",
        "meant",
        "merged",
        "moved",
        "named",
        "noted",
        "opened",
        "parsed",
        "picked",
        "played",
        "received",
        "resolved",
        "said",
        "seen",
        "served",
        "shown",
        "sorted",
        "started",
        "taken",
        "translated",
        "wanted",
        "watched",
        "written",
    ]
)
"""Nor with one of these."""


def names_of(file: Path) -> Iterator[tuple[int, str]]:
    """Every class and function of a file with its line."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name


def words_of(name: str) -> list[str]:
    """The words of a name in either case: `_PlexAdapter` is plex and adapter."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return [word.lower() for word in spaced.split("_") if word]


def test_there_is_no_code_in_a_package_s_face() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line} {name}"
        for file in files()
        if file.name == "__init__.py"
        for line, name in names_of(file)
    ]
    assert found == []


def test_no_folder_has_more_files_than_one_reads_at_a_glance() -> None:
    counts = Counter(file.parent for file in files() if file.name != "__init__.py")
    assert {str(folder): count for folder, count in counts.items() if count > MOST_FILES} == {}


def test_modules_of_neighbouring_packages_have_names_of_their_own() -> None:
    places: dict[tuple[Path, str], list[str]] = {}
    for file in files():
        if file.stem != "__init__" and file.stem not in NOUNS:
            shown = str(file.relative_to(PACKAGE))
            for parent in {file.parent, file.parent.parent} - {ROOT}:
                places.setdefault((parent, file.stem), []).append(shown)
    assert [found for found in places.values() if len(found) > 1] == []


def test_no_two_classes_share_a_name() -> None:
    places: dict[str, list[str]] = {}
    for file in files():
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(str(file.relative_to(PACKAGE)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_names_say_something_to_whoever_knows_plex_and_python() -> None:
    scenarios = PACKAGE / "demo" / "simulation"  # their names are on the wire
    found = [
        f"{file.relative_to(ROOT)}:{line} {name}"
        for file in files()
        if file.parent != scenarios
        for line, name in [(1, file.stem), *names_of(file)]
        if BANNED & set(words_of(name))
    ]
    assert found == []


def test_a_function_is_called_what_it_does() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{node.lineno} {node.name}"
        for file in files()
        if file.parent != PACKAGE / "demo" / "simulation"  # scenarios are on the wire by their names
        for node in functions(file)
        if not any("property" in ast.unparse(decorator) for decorator in node.decorator_list)
        if not node.name.startswith("__") and (first := words_of(node.name)[0])
        if first in PREPOSITIONS | PARTICIPLES and node.name not in {"as_dict", "as_text", "as_images"}
    ]
    assert found == []


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
