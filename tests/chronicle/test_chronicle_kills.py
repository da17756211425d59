"""The machine that leads is killed at every point of an append (`benchmarks/chronicle.py`, a few kills)."""

from __future__ import annotations

import os
import signal
from collections import Counter
from typing import TYPE_CHECKING

import anyio
import pytest
from support.deadlines import HANG_SECONDS

from benchmarks.chronicle import run_chronicle_test, run_machines
from benchmarks.killing_proxy import POINTS

if TYPE_CHECKING:
    from pathlib import Path

    from support.postgres import Postgres

pytestmark = pytest.mark.slow

KILLS = 9


async def test_whenever_the_leader_is_killed_all_machines_have_everything_once_and_every_press_is_told(
    tmp_path: Path, postgres: Postgres
) -> None:
    with anyio.fail_after(3 * HANG_SECONDS):
        it = await run_chronicle_test(tmp_path, 3, KILLS, postgres.dsn, postgres.port)
    assert it.problems == []
    assert Counter(kill.point for kill in it.kills) == dict.fromkeys(POINTS, KILLS // len(POINTS))


async def test_a_leader_that_hangs_in_the_middle_of_an_append_is_replaced_and_replays_when_it_wakes(
    tmp_path: Path, postgres: Postgres
) -> None:
    """PostgreSQL frees the lock of a session that was idle for 30 seconds."""
    with anyio.fail_after(3 * HANG_SECONDS):
        async with run_machines(tmp_path, 3, postgres.dsn, postgres.port) as it:
            await it.wait_until_running()
            hung = await it.kill("between append and commit", signal.SIGSTOP)
            os.kill(hung, signal.SIGCONT)
    unseen = ("plays that are there twice, or not at all", "machine-")  # nobody listened for half a minute
    assert [problem for problem in it.problems if not problem.startswith(unseen)] == []
    assert it.kills[0].replaced - it.kills[0].at > 10, "nobody led while the lock was held"
