"""What the program says when it cannot start, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx2
import pytest
from support.deadlines import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow


def _environment(folder: Path, more: dict[str, str] | None = None) -> dict[str, str]:
    return {"HOME": str(folder), "PATH": os.environ["PATH"], **(more or {})}


def _run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "plex_companion", *arguments],
        cwd=folder,
        env=_environment(folder, environment),
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def _one_line(said: str) -> str:
    lines = said.strip().splitlines()
    assert len(lines) == 1, said
    return lines[0]


def test_without_a_server_it_names_both_variables_and_the_flags_and_exits_2(tmp_path: Path) -> None:
    done = _run(tmp_path)
    assert done.returncode == 2
    line = _one_line(done.stderr)
    for word in ("PLEX_URL", "PLEX_TOKEN", "--plex-url", "--plex-token", "--demo"):
        assert word in line
    assert done.stdout == ""


def test_only_the_token_missing_is_said(tmp_path: Path) -> None:
    done = _run(tmp_path, PLEX_URL="http://127.0.0.1:1")
    assert done.returncode == 2
    assert _one_line(done.stderr).startswith("plex-companion: PLEX_TOKEN not set")


def test_a_port_in_use_is_one_line_and_exit_1(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = _run(tmp_path, "serve", "--transport", "http", "--demo", "--port", str(port))
    assert done.returncode == 1
    lines = [line for line in done.stderr.splitlines() if line.startswith("plex-companion:")]
    assert len(lines) == 1
    assert str(port) in lines[0]
    assert "Traceback" not in done.stderr


def test_an_unwritable_database_is_one_line_and_exit_1(tmp_path: Path) -> None:
    blocked = tmp_path / "a-file"
    blocked.write_text("")
    done = _run(tmp_path, "--demo", "--database", str(blocked / "cache.sqlite3"))
    assert done.returncode == 1
    assert "cache.sqlite3" in _one_line(done.stderr)


def test_a_newer_database_is_one_line_and_exit_1_and_left_untouched(tmp_path: Path) -> None:
    path = tmp_path / "cache.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE migrations (version INTEGER PRIMARY KEY, name TEXT, applied_at TEXT)")
        connection.execute("INSERT INTO migrations VALUES (9999, 'tomorrow', '')")
    connection.close()
    before = path.read_bytes()
    done = _run(tmp_path, "--demo", "--database", str(path))
    assert done.returncode == 1
    assert "newer" in _one_line(done.stderr)
    assert path.read_bytes() == before


def test_wrong_settings_are_all_named_at_once_and_exit_2(tmp_path: Path) -> None:
    done = _run(tmp_path, PLEX_URL="plex://nonsense", PLEX_COMPANION_PORT="many")
    assert done.returncode == 2
    assert "PLEX_URL" in done.stderr
    assert "PLEX_COMPANION_PORT" in done.stderr


def test_an_unknown_toolset_is_named_and_exit_2(tmp_path: Path) -> None:
    done = _run(tmp_path, "--demo", "--toolsets", "live,cooking")
    assert done.returncode == 2
    assert "cooking" in _one_line(done.stderr)


def test_the_tools_are_listed(tmp_path: Path) -> None:
    done = _run(tmp_path, "tools")
    assert done.returncode == 0
    assert "live_sessions" in done.stdout
    assert re.search(r"library_scan +write", done.stdout)


@contextmanager
def _serving(folder: Path, *arguments: str, last: str = "/sse") -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The program, once it has said a line with the last of what it has to say."""
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "plex_companion", *arguments],
        cwd=folder,
        env=_environment(folder),
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if last in line:
                break
        try:
            yield process, said
        finally:
            process.kill()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_serving_says_where_it_is_and_ends_when_told(how: signal.Signals, tmp_path: Path) -> None:
    with _serving(tmp_path, "serve", "--transport", "http", "--port", "0", "--demo-if-unset") as (process, said):
        assert "demo household" in said
        for path in ("/", "/mcp", "/sse"):
            assert re.search(rf"http://127\.0\.0\.1:\d+{path}( |$)", said, re.MULTILINE)
        process.send_signal(how)
        assert process.wait(timeout=HANG_SECONDS) == 0


EVERYWHERE = ("serve", "--transport", "http", "--port", "0", "--demo", "--host", "0.0.0.0")  # noqa: S104 - on purpose


def test_beyond_this_machine_a_token_is_made_kept_for_the_user_and_shown_once(tmp_path: Path) -> None:
    with _serving(tmp_path, *EVERYWHERE, last="log in") as (_, said):
        token = re.search(r"^  token +(\S{43})$", said, re.MULTILINE)
        kept = re.search(r"^  stored in +(\S+)$", said, re.MULTILINE)
        ready_made = re.search(r"^  log in +http://[\d.]+:(\d+)(/login\?code=\S+)", said, re.MULTILINE)
        assert token
        assert kept
        assert ready_made
        assert Path(kept[1]).read_text(encoding="utf-8").strip() == token[1]
        assert Path(kept[1]).stat().st_mode & 0o777 == 0o600
        assert said.count(token[1]) == 1
        assert token[1] not in ready_made[2]
        here = f"http://127.0.0.1:{ready_made[1]}"
        assert httpx2.get(f"{here}/healthz", timeout=HANG_SECONDS).status_code == 401
        with httpx2.Client(timeout=HANG_SECONDS) as browser:
            assert browser.get(here + ready_made[2], follow_redirects=True).url == f"{here}/"
            assert browser.get(f"{here}/healthz").status_code == 200
        assert httpx2.get(here + ready_made[2], timeout=HANG_SECONDS).status_code == 401, "it works once"
    with _serving(tmp_path, *EVERYWHERE, last="asks for the token") as (_, said):
        assert token[1] not in said
        assert kept[1] in said
        address = re.search(r"dashboard  http://[\d.]+:(\d+)/", said)
        assert address
        health = f"http://127.0.0.1:{address[1]}/healthz"
        assert (
            httpx2.get(health, headers={"authorization": f"Bearer {token[1]}"}, timeout=HANG_SECONDS).status_code == 200
        )


def test_a_token_that_cannot_be_kept_is_one_line_and_exit_1(tmp_path: Path) -> None:
    (tmp_path / "http-token").mkdir()
    done = _run(tmp_path, *EVERYWHERE, "--database", str(tmp_path / "cache.sqlite3"))
    assert done.returncode == 1
    assert "PLEX_COMPANION_TOKEN" in _one_line(done.stderr)
