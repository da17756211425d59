"""A process that is killed while it writes leaves a file in which everything agrees (`benchmarks/crash_recovery.py`, a few points)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.deadlines import HANG_SECONDS

pytestmark = pytest.mark.slow


def test_a_process_killed_while_it_writes_leaves_a_whole_file_and_open_sessions_are_closed_by_the_next() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.crash_recovery", "4"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "killed 4 times" in done.stdout
