"""What is created belongs to its owner alone, whatever the umask: each folder on the way too."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support.deadlines import HANG_SECONDS

from plex_companion.cache.migrate import migrate
from plex_companion.private_files import make_folder

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


OPEN = "import os; os.umask(0)\n"
MAKERS = {
    "database": "from plex_companion.cache.migrate import migrate; migrate(place / 'cache.sqlite3')",
    "lock": "from plex_companion.cache.connections import hold_exclusive\nwith hold_exclusive(place / 'cache.sqlite3'): pass",
    "token": "from plex_companion.server.auth.token_file import load_or_create_token; load_or_create_token(place)",
    "dotenv": "from plex_companion.commands.setup.config_files import save_settings; save_settings(place / '.env', {'PLEX_URL': 'x'})",
    "host file": "import datetime; from plex_companion.commands.setup.config_files import replace_file\n"
    "replace_file(place / 'host.json', '{}', datetime.datetime.now(datetime.UTC))",
    "backup": "import anyio; from plex_companion.cache.backup import copy_to_named_file\n"
    "anyio.run(copy_to_named_file, pathlib.Path('source.sqlite3'), place / 'copy.sqlite3')",
    "backup of the day": "import anyio; from plex_companion.cache.backup import back_up\n"
    "from plex_companion.cache.migrate import migrate; migrate(place / 'c'); "
    "anyio.run(lambda: back_up(place / 'c', keep=1, at=1))",
}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("maker", MAKERS)
def test_with_an_open_umask_each_missing_folder_and_file_is_for_the_owner_alone(maker: str, tmp_path: Path) -> None:
    migrate(tmp_path / "source.sqlite3")
    code = f"{OPEN}import pathlib; place = pathlib.Path('one/two/three')\n{MAKERS[maker]}\n"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=HANG_SECONDS)  # noqa: S603 - our own program
    made = list((tmp_path / "one").rglob("*"))
    assert [path for path in made if path.is_file()]
    for path in [tmp_path / "one", *made]:
        assert mode(path) == (0o700 if path.is_dir() else 0o600), path


def test_a_folder_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o755)
    make_folder(tmp_path / "shared" / "own")
    assert (mode(tmp_path / "shared"), mode(tmp_path / "shared" / "own")) == (0o755, 0o700)


def test_a_file_in_place_of_a_folder_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match=r"exists|directory"):
            make_folder(folder)


@pytest.mark.parametrize("command", ["backup", "restore", "vacuum"])
def test_with_demo_the_database_of_the_demo_household_is_looked_after(command: str, tmp_path: Path) -> None:
    home = tmp_path / "home"
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], "XDG_DATA_HOME": str(home / "data")}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "plex_companion", *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )

    before = run(command, "--demo")
    assert (before.returncode, before.stdout) == (1, "")
    assert "demo.sqlite3" in before.stderr
    assert not home.exists()
    migrate(home / "data" / "plex-companion" / "demo.sqlite3")
    assert run("backup", "--demo").returncode == 0
    done = run(command, "--demo")
    assert done.returncode == 0, done.stderr
    assert "demo.sqlite3" in done.stdout
    assert "demo.sqlite3.backups" in run("restore", "--demo", "--list").stdout
