"""Several demo servers in one program, and the commands that ask about them meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from support.deadlines import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-m", "plex_companion", *arguments],
        cwd=folder,
        env={"HOME": str(folder), "PATH": os.environ["PATH"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    process = start(folder, *arguments)
    out, err = process.communicate(timeout=HANG_SECONDS)
    return process.returncode, out, err


@contextmanager
def watching_two(folder: Path) -> Iterator[None]:
    """Run two demo servers with a live view of both, once something was played on each."""
    process = start(folder, "watch", "--demo", "2")
    try:
        assert process.stdout is not None
        missing = {"Den: playing", "Cabin: playing"}
        while missing:
            line = process.stdout.readline()
            assert line, process.stderr and process.stderr.read()
            missing -= {words for words in missing if words in line}
        yield
    finally:
        process.terminate()
        process.communicate(timeout=HANG_SECONDS)


def test_two_demo_servers_are_asked_together_and_one_by_one(tmp_path: Path) -> None:
    with watching_two(tmp_path):
        code, out, err = run(tmp_path, "history", "--demo=2", "--json", "--limit", "500")
        assert (code, err) == (0, "")
        body = json.loads(out)
        assert {one["name"]: one["connection"]["state"] for one in body["servers"]} == {"Cabin": "live", "Den": "live"}
        assert {play["server_name"] for play in body["plays"]} == {"Den", "Cabin"}
        code, out, _ = run(tmp_path, "history", "--demo=2", "--server", "CABIN", "--json", "--limit", "500")
        assert {play["server_name"] for play in json.loads(out)["plays"]} == {"Cabin"}
        code, _, err = run(tmp_path, "search", "--demo=2", "--json", "harbour")
        assert code == 2
        assert "--json needs --server here, because every server has a catalogue of its own: Cabin, Den." in err
        code, out, _ = run(tmp_path, "storage", "--demo=2")
        assert code == 0
        assert {"Cabin", "Den"} <= set(out.splitlines())
        code, _, err = run(tmp_path, "stats", "--demo=2", "--server", "Attic")
        assert (code, err.strip()) == (1, "plex-companion: There is no server 'Attic'. Servers: Cabin, Den.")
    code, out, _ = run(tmp_path, "history", "--demo=2")
    assert out.count("plex-companion is not running.") >= 1


def test_the_doctor_checks_both(tmp_path: Path) -> None:
    code, out, _ = run(tmp_path, "doctor", "--demo", "2")
    assert (code, out.count("✓")) == (0, 9)
