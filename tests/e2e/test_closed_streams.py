"""A standard stream that is closed is `/dev/null`: no file of ours takes its number, and the end is as without."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from filelock import FileLock
from support.deadlines import HANG_SECONDS

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


CLOSED = ("<&-", ">&-", "2>&-", "<&- >&- 2>&-")


def run(folder: Path, command: str, streams: str) -> int:
    """Run a command at the end of input, with some streams closed by the shell; return its exit code."""
    program = f'exec "{sys.executable}" -m plex_companion {command} {streams}'
    return subprocess.run(  # noqa: S603 - our own program
        ["/bin/sh", "-c", program],
        cwd=folder,
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        timeout=HANG_SECONDS,
        check=False,
    ).returncode


@pytest.mark.parametrize("streams", CLOSED)
def test_a_server_with_a_closed_stream_ends_at_the_end_of_input_and_leaves_a_sound_file(
    streams: str, tmp_path: Path
) -> None:
    assert run(tmp_path, "serve --demo --database cache.sqlite3", streams) == 0
    with FileLock(tmp_path / "cache.sqlite3.lock", blocking=False):
        pass
    with closing(sqlite3.connect(tmp_path / "cache.sqlite3")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


@pytest.mark.parametrize("streams", CLOSED)
@pytest.mark.parametrize(("command", "code"), [("tools", 0), ("vacuum --database none.sqlite3", 1), ("nothing", 2)])
def test_a_command_with_a_closed_stream_ends_as_without(command: str, code: int, streams: str, tmp_path: Path) -> None:
    assert run(tmp_path, command, streams) == code
