"""What a stranger installs: the wheel brings everything it needs along, and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from support.deadlines import HANG_SECONDS

from plex_companion import __version__
from plex_companion.cache.migrate import list_migrations

pytestmark = pytest.mark.slow


ROOT = Path(__file__).parents[1]
LOCKS = {"requirements.lock": [], "requirements-dev.lock": ["dev"], "requirements-build.lock": ["build"]}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def run(*command: str, cwd: Path, **environment: str) -> str:
    done = subprocess.run(  # noqa: S603 - our own commands
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def built(target: str, folder: Path) -> Path:
    run(sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder), cwd=ROOT)
    (found,) = folder.iterdir()
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built("wheel", tmp_path_factory.mktemp("wheel"))


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


OPENS = """
import pathlib, sys
checkout = sys.argv[2]
sys.path = [place for place in sys.path if pathlib.Path(place).resolve() != pathlib.Path(checkout)]
import anyio, plex_companion
from plex_companion.cache.database import open_cache

async def main():
    async with open_cache(pathlib.Path(sys.argv[1])) as cache:
        print(plex_companion.__file__, cache.schema, sep="\\n")

anyio.run(main)
"""


def test_an_installed_wheel_opens_a_database_without_the_checkout(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "installed"
    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    run(sys.executable, *pip, "--target", str(target), str(wheel), cwd=tmp_path)
    out = run(
        sys.executable, "-c", OPENS, str(tmp_path / "new.sqlite3"), str(ROOT), cwd=tmp_path, PYTHONPATH=str(target)
    )
    imported_from, schema = out.splitlines()
    assert Path(imported_from).is_relative_to(target)
    assert int(schema) == list_migrations()[-1].version


def test_a_stranger_installs_the_wheel_and_runs_the_program(wheel: Path, tmp_path: Path) -> None:
    """In an environment of its own, to which only the packages it stands on are lent: those are what the locks pin."""
    fresh = tmp_path / "fresh"
    run(sys.executable, "-m", "venv", "--without-pip", str(fresh), cwd=tmp_path)
    (packages,) = fresh.glob("lib/python*/site-packages")
    (packages / "lent.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    pip = ("-m", "pip", "--python", str(fresh / "bin" / "python"), "install", "--quiet", "--no-deps", "--no-index")
    run(sys.executable, *pip, "--disable-pip-version-check", "--force-reinstall", str(wheel), cwd=tmp_path)
    program, home = str(fresh / "bin" / "plex-companion"), {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    assert run(program, "--version", cwd=tmp_path, **home) == f"plex-companion {__version__}\n"
    assert "Everything works" in run(program, "doctor", "--demo", cwd=tmp_path, **home)
    where = run(
        str(fresh / "bin" / "python"), "-c", "import plex_companion; print(plex_companion.__file__)", cwd=tmp_path
    )
    assert Path(where.strip()).is_relative_to(fresh)


def test_the_wheel_holds_every_module_the_migrations_the_licence_and_the_marker_of_types(wheel: Path) -> None:
    held = set(names(wheel))
    package = ROOT / "plex_companion"
    expected = {
        str(file.relative_to(ROOT)) for file in package.rglob("*") if file.is_file() and "__pycache__" not in file.parts
    }
    expected |= {f"plex_companion/migrations/{file.name}" for file in (ROOT / "migrations").glob("*.sql")}
    assert expected - held == set()
    assert f"plex_companion-{__version__}.dist-info/licenses/LICENSE" in held


def test_the_wheel_holds_nothing_else(wheel: Path) -> None:
    strange = [
        name
        for name in names(wheel)
        if not name.startswith(("plex_companion/", f"plex_companion-{__version__}.dist-info/"))
        or name.endswith((".pyc", ".env", ".sqlite3", ".orig"))
        or "/tests/" in name
    ]
    assert strange == []


def test_the_wheel_starts_the_program_by_its_name(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read(f"plex_companion-{__version__}.dist-info/entry_points.txt").decode()
    assert "plex-companion = plex_companion.__main__:main" in text


def test_the_source_archive_holds_what_the_wheel_is_built_from(tmp_path: Path) -> None:
    with tarfile.open(built("sdist", tmp_path)) as archive:
        held = {name.split("/", 1)[1] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "plex_companion/cache/migrate.py"} <= held
    assert {f"migrations/{file.name}" for file in (ROOT / "migrations").glob("*.sql")} <= held
    assert [name for name in held if name.startswith(("tests/", ".env"))] == []


# The locks


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def required(group: str) -> set[str]:
    """The names a dependency group asks for, those of included groups too."""
    found: set[str] = set()
    for entry in PROJECT["dependency-groups"][group]:
        if isinstance(entry, dict):
            found |= required(entry["include-group"])
        else:
            found.add(name_of(entry))
    return found


def name_of(requirement: str) -> str:
    match = re.match(r"[\w.-]+", requirement)
    assert match
    return canonical(match[0])


@pytest.mark.parametrize(("lock", "groups"), LOCKS.items())
def test_a_lock_pins_every_requirement_with_a_hash_and_names_no_host(lock: str, groups: list[str]) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert re.findall(r"https?://|--index-url|--extra-index-url|--find-links|--trusted-host| @ ", text) == []
    pins = [entry.replace("\\\n", " ") for entry in re.split(r"\n(?=\S)", text.strip())]
    pinned = {name_of(entry) for entry in pins}
    for entry in pins:
        assert re.match(r"[\w.\[\]-]+==[\w.+!]+( ;[^-]+)?\s+(--hash=sha256:[0-9a-f]{64}\s*)+$", entry), entry[:80]
    expected = set().union(*(required(group) for group in groups))
    if "build" not in groups:
        expected |= {name_of(requirement) for requirement in PROJECT["project"]["dependencies"]}
    assert expected - pinned == set()


def test_the_development_lock_pins_what_the_runtime_lock_pins() -> None:
    def pins(lock: str) -> set[str]:
        return set(re.findall(r"^[\w.\[\]-]+==[\w.+!]+", (ROOT / lock).read_text(encoding="utf-8"), flags=re.MULTILINE))

    assert pins("requirements.lock") - pins("requirements-dev.lock") == set()


def test_the_build_backend_is_the_pinned_one() -> None:
    (backend,) = PROJECT["build-system"]["requires"]
    assert re.search(
        rf"^{re.escape(backend)} ", (ROOT / "requirements-build.lock").read_text(encoding="utf-8"), re.MULTILINE
    )
