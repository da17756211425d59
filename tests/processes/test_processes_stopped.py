"""A process that listens is stopped: another one goes on, and the first one follows when it is woken."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
import urllib.request
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from support.deadlines import HANG_SECONDS
from support.several_processes import rows

from benchmarks.programs import COMPANION, Program, run_program
from plex_companion.demo import open_demo
from plex_companion.processes.follower import HUNG_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from plex_companion.demo import Demo

pytestmark = pytest.mark.slow


async def until(fact: Callable[[], object], seconds: float = HANG_SECONDS) -> None:
    with anyio.fail_after(seconds):
        while not fact():  # noqa: ASYNC110 - other processes
            await anyio.sleep(0.05)


def stop_between_transactions(pid: int, folder: Path) -> None:
    """Stop a process while it holds no lock on the database."""
    with closing(sqlite3.connect(folder / "cache.sqlite3", isolation_level=None, timeout=HANG_SECONDS)) as database:
        database.execute("BEGIN IMMEDIATE")
        os.kill(pid, signal.SIGSTOP)
        database.execute("ROLLBACK")


def listener(folder: Path) -> tuple[int, int, str]:
    """Term, process and connection of who listens."""
    found = rows(folder, "SELECT term, pid, state FROM listener, links")
    return found[0] if found else (0, 0, "")


def listens(folder: Path, pid: int) -> bool:
    return listener(folder)[1:] == (pid, "live")


def plays(folder: Path, key: str) -> bool:
    return bool(rows(folder, f"SELECT 1 FROM plays WHERE session_key = '{key}'"))  # noqa: S608 - our own key


def follows(url: str) -> bool:
    return bool(role(url) == "reader")


def health(url: str) -> tuple[str, str, str]:
    """Role, connection and storage."""
    with urllib.request.urlopen(f"{url}/healthz", timeout=HANG_SECONDS) as answer:  # noqa: S310 - our own program
        found: dict[str, Any] = json.load(answer)
    return found["role"], found["connection"], found["storage"]


def role(url: str) -> str:
    return health(url)[0]


def serving(demo: Demo, folder: Path) -> list[str]:
    options = ["--plex-url", demo.url, "--plex-token", demo.token, "--database", str(folder / "cache.sqlite3")]
    return [*COMPANION, "--transport", "http", "--port", "0", *options]


async def address(program: Program) -> str:
    return await program.wait_for_line(r"(http://\S+)/mcp")


async def test_when_the_listener_is_stopped_another_one_goes_on_and_the_first_follows_once_it_is_woken(
    tmp_path: Path,
) -> None:
    async with (
        open_demo(alive=False) as demo,
        run_program(tmp_path, *serving(demo, tmp_path)) as first,
        run_program(tmp_path, *serving(demo, tmp_path)) as second,
    ):
        urls = {first.pid: await address(first), second.pid: await address(second)}
        await until(lambda: listener(tmp_path)[2] == "live")
        stopped = 0
        for _ in range(2):  # and then the other way round
            term, pid, _ = listener(tmp_path)
            other = second.pid if pid == first.pid else first.pid
            stop_between_transactions(pid, tmp_path)
            try:
                await until(partial(listens, tmp_path, other))
                assert listener(tmp_path)[0] > term
                session = demo.start(demo.get_movie(stopped), player=stopped, user=stopped)
                stopped += 1
                await until(partial(plays, tmp_path, session.key))
            finally:
                os.kill(pid, signal.SIGCONT)
            await until(partial(follows, urls[pid]))
            assert listener(tmp_path)[1] == other
    ids = [id_ for (id_,) in rows(tmp_path, "SELECT id FROM events ORDER BY id")]
    assert ids == list(range(1, len(ids) + 1))
    assert rows(tmp_path, "SELECT count(*) FROM plays WHERE session_key IS NOT NULL") == [(2,)]


async def test_who_follows_and_was_stopped_itself_takes_nothing_over(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo, run_program(tmp_path, *serving(demo, tmp_path)) as first:
        await address(first)
        await until(lambda: listener(tmp_path)[1:] == (first.pid, "live"))
        async with run_program(tmp_path, *serving(demo, tmp_path)) as second:
            url = await address(second)
            term = listener(tmp_path)[0]
            os.kill(second.pid, signal.SIGSTOP)
            began = time.monotonic()
            await until(
                lambda: time.monotonic() - began > 1.2 * HUNG_SECONDS
            )  # nothing tells a stopped process the time
            os.kill(second.pid, signal.SIGCONT)
            await until(lambda: role(url) == "reader")
            session = demo.start()
            await until(partial(plays, tmp_path, session.key))
            assert (listener(tmp_path)[0], role(url)) == (term, "reader")


async def test_a_listener_stopped_within_a_transaction_is_replaced_and_nothing_is_written_twice(tmp_path: Path) -> None:
    """Its lock on the database stays with it; here the test holds that lock in its stead."""
    async with open_demo(alive=False) as demo, run_program(tmp_path, *serving(demo, tmp_path)) as first:
        await address(first)
        await until(partial(listens, tmp_path, first.pid))
        async with run_program(tmp_path, *serving(demo, tmp_path)) as second:
            url = await address(second)
            with closing(
                sqlite3.connect(tmp_path / "cache.sqlite3", isolation_level=None, timeout=HANG_SECONDS)
            ) as stopped:
                stopped.execute("BEGIN IMMEDIATE")  # first, or it might be stopped with a lock of its own
                os.kill(first.pid, signal.SIGSTOP)
                await until(lambda: health(url) == ("listener", "live", "degraded"))
                session = demo.start()
                os.kill(first.pid, signal.SIGCONT)
                stopped.execute("ROLLBACK")
            await until(partial(plays, tmp_path, session.key))
            await until(lambda: health(url)[1:] == ("live", "ok"))
    ids = [id_ for (id_,) in rows(tmp_path, "SELECT id FROM events ORDER BY id")]
    assert ids == list(range(1, len(ids) + 1))
    assert rows(tmp_path, "SELECT count(*) FROM plays WHERE session_key IS NOT NULL") == [(1,)]
