"""What the command line says to words that do not fit, and to files that cannot be: one plain line each."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from support.deadlines import HANG_SECONDS
from support.recorded_plays import alert, episode, seen, write

from plex_companion.cli import main

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


LONG = "n" * 260
TITLE = "Nine Copper Kettles and the Very Long Winter of Somebody Else in the House by the Harbour"
VALIDATORS = ("Value error", "invalid ", "_count", "Traceback", "Errno", "argument ", "pydantic")


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "plex_companion", *arguments],
        cwd=folder,
        env={"HOME": str(folder), "PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.stdout == ""
    return plain_line(done.stderr)


def plain_line(said: str) -> str:
    (line,) = said.splitlines()
    assert line.startswith("plex-companion")
    assert [word for word in VALIDATORS if word in line] == []
    return line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("histroy", "did you mean history?"),
        ("Doctr", "did you mean doctor?"),
        ("history --lmit 5", "did you mean --limit?"),
        ("serve --plex-tokn=secret-word", "did you mean --plex-token?"),
        ("history --limit abc", "--limit must be a whole number from 1 to 10000, not 'abc'"),
        ("events --limit -3d", "--limit must be a whole number from 1 to 10000, not '-3d'"),
        ("doctor --demo -3", "--demo must be a whole number from 1 to 9, not"),
        ("events --limit 0", "--limit must be a whole number from 1 to 10000"),
        ("serve --port abc", "--port must be a whole number from 0 to 65535"),
        ("serve --port 99999", "--port must be a whole number from 0 to 65535"),
        ("demo --port 99999", "--port must be a whole number from 0 to 65535"),
        ("demo --speed fast", "--speed must be a number above 0"),
        ("demo --speed -1", "--speed"),
        ("demo --speed nan", "--speed must be a number above 0"),
        (f"demo --host {LONG}", "--host must be a name or an address of this machine"),
        ("serve --host http://127.0.0.1", "--host must be a name or an address of this machine"),
        ("serve --transport htp", "did you mean http?"),
        ("serve --log-level loud", "must be one of debug, info, warning, error"),
        ("stats --by title_", "did you mean title?"),
        ("install --host cursr", "did you mean cursor?"),
        ("install", "--host is missing"),
        ("login --server", "--server needs a value"),
        ("history --json=yes", "--json takes no value"),
        ("doctor now", "unexpected argument: 'now'"),
        ("vacuum --database=", "--database must name a file"),
    ],
)
def test_a_word_that_does_not_fit_gets_one_plain_line_and_exit_2(
    capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(words.split())
    assert ended.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert said in plain_line(output.err)
    assert "secret-word" not in output.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("histroy", "did you mean history?"),
        ("serve --demo --toolsets live,cooking", "No toolset cooking"),
        ("serve --plex-url https://app.plex.tv", "Run plex-companion login"),
    ],
)
def test_the_program_itself_exits_2_with_one_line(tmp_path: Path, words: str, said: str) -> None:
    done = run(tmp_path, *words.split())
    assert said in one_line(done)
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PLEX_COMPANION_PORT", "99999"),
        ("PLEX_COMPANION_HOST", LONG),
        ("PLEX_COMPANION_BACKUPS", "-1"),
        ("PLEX_TOKEN", "\u201cabc\u201d"),
        ("PLEX_URL", "http://host:99999"),
    ],
)
def test_a_setting_of_the_environment_that_does_not_fit_gets_one_too(tmp_path: Path, name: str, value: str) -> None:
    done = run(tmp_path, "serve", "--demo", **{name: value})
    assert one_line(done).startswith(f"plex-companion: {name}: ")
    assert done.returncode == 2


COMMANDS = ("serve --demo", "doctor --demo", "history", "vacuum")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_or_an_endless_name_for_the_database_is_one_line_and_exit_1(tmp_path: Path, command: str) -> None:
    (tmp_path / "folder").mkdir()
    done = run(tmp_path, *command.split(), "--database", "folder")
    assert "The database folder is a folder" in one_line(done)
    assert done.returncode == 1
    done = run(tmp_path, *command.split(), PLEX_COMPANION_DATABASE=LONG)
    assert "its name is too long" in one_line(done)
    assert done.returncode == 1
    assert [path.name for path in tmp_path.iterdir() if path.name != "folder" and not path.name.startswith(".")] == []


@pytest.mark.parametrize("words", ["backup --to {}", "restore {}"])
def test_a_folder_or_an_endless_name_for_a_copy_is_one_line_and_exit_1(tmp_path: Path, words: str) -> None:
    path = write(tmp_path / "cache.sqlite3", plays=[], alerts=[])
    before = path.read_bytes()
    (tmp_path / "folder").mkdir()
    for name, said in (("folder", "The copy folder is a folder"), (LONG, "its name is too long")):
        done = run(tmp_path, *words.format(name).split(), "--database", str(path))
        assert said in one_line(done)
        assert done.returncode == 1
    assert path.read_bytes() == before


def test_how_an_address_was_read_is_noted_on_standard_error(tmp_path: Path) -> None:
    done = run(tmp_path, "doctor", "--plex-token", "canary-token", PLEX_URL="http://127.0.0.1:9/web/index.html#!/")
    assert "PLEX_URL needs the address of the server alone" in done.stderr
    assert "connection refused" in done.stdout.lower()


@pytest.mark.parametrize("command", ["stats", "stats --by title", "history", "digest --since 30d"])
def test_into_a_pipe_nothing_is_cut_or_wrapped_unless_columns_is_set(tmp_path: Path, command: str) -> None:
    now = int(time.time() * 1000)
    who = {"user_id": "77", "user_name": TITLE.upper(), "player_title": TITLE.lower()}
    plays = [seen(number, now - 3_600_000 * number, **episode(TITLE, 1, number), **who) for number in (1, 2)]
    path = write(tmp_path / "cache.sqlite3", plays=plays, alerts=[alert(1, now)])
    done = run(tmp_path, *command.split(), "--database", str(path))
    assert done.returncode == 0, done.stderr
    named = [TITLE.upper(), TITLE.lower()] if command == "history" else [TITLE]
    assert [name for name in named if name not in done.stdout] == []
    assert "\N{HORIZONTAL ELLIPSIS}" not in done.stdout
    narrow = run(tmp_path, *command.split(), "--database", str(path), COLUMNS="60")
    assert max(map(len, narrow.stdout.splitlines())) <= 60


def test_the_doctor_and_the_help_wrap_nothing_into_a_pipe_unless_columns_is_set(tmp_path: Path) -> None:
    path = tmp_path / ("d" * 120) / "cache.sqlite3"
    path.parent.mkdir()
    done = run(tmp_path, "doctor", "--demo", "--database", str(path))
    assert f"{path} (schema" in done.stdout
    assert len(done.stdout.splitlines()) == 6
    narrow = run(tmp_path, "doctor", "--demo", "--database", str(path), COLUMNS="60")
    assert max(map(len, narrow.stdout.splitlines())) <= 60
    assert len(run(tmp_path, "history", "--help").stdout.splitlines()[0]) > 80
    assert len(run(tmp_path, "history", "--help", COLUMNS="60").stdout.splitlines()[0]) <= 60
