"""A process that listens is stopped: another one goes on, and the first one follows when it is woken."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from processes_home import rows

from benchmarks.programs import COMPANION, Program, running
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from plex_companion.demo import Demo

pytestmark = pytest.mark.slow

TAKEN_OVER = 30.0
"""Seconds within which another process listens after the one that did was stopped."""
SECONDS = 60


async def until(fact: Callable[[], object], seconds: float = SECONDS) -> None:
    with anyio.fail_after(seconds):
        while not fact():  # noqa: ASYNC110 - other processes
            await anyio.sleep(0.05)


def listener(folder: Path) -> tuple[int, int, str]:
    """Term, process and connection of who listens."""
    found = rows(folder, "SELECT term, pid, state FROM listener")
    return found[0] if found else (0, 0, "")


def role(url: str) -> Any:
    with urllib.request.urlopen(f"{url}/healthz", timeout=10) as answer:  # noqa: S310 - our own program
        return json.load(answer)["role"]


def serving(demo: Demo, folder: Path) -> list[str]:
    options = ["--plex-url", demo.url, "--plex-token", demo.token, "--database", str(folder / "cache.sqlite3")]
    return [*COMPANION, "--transport", "http", "--port", "0", *options]


async def address(program: Program) -> str:
    return await program.until(r"(http://\S+)/mcp")


@pytest.mark.timeout(180)
async def test_when_the_listener_is_stopped_another_one_goes_on_and_the_first_follows_once_it_is_woken(
    tmp_path: Path,
) -> None:
    async with (
        open_demo(alive=False) as demo,
        running(tmp_path, *serving(demo, tmp_path)) as first,
        running(tmp_path, *serving(demo, tmp_path)) as second,
    ):
        urls = {first.pid: await address(first), second.pid: await address(second)}
        await until(lambda: listener(tmp_path)[2] == "live")
        stopped = 0
        for _ in range(2):  # and then the other way round
            term, pid, _ = listener(tmp_path)
            other = second.pid if pid == first.pid else first.pid
            os.kill(pid, signal.SIGSTOP)
            began = time.monotonic()
            try:
                await until(lambda other=other: listener(tmp_path)[1:] == (other, "live"), TAKEN_OVER)
                assert time.monotonic() - began < TAKEN_OVER
                assert listener(tmp_path)[0] > term
                session = demo.start(demo.movie(stopped), player=stopped, user=stopped)
                stopped += 1
                await until(lambda key=session.key: rows(tmp_path, f"SELECT 1 FROM plays WHERE session_key = '{key}'"))  # noqa: S608 - our own key
            finally:
                os.kill(pid, signal.SIGCONT)
            await until(lambda pid=pid: role(urls[pid]) == "reader")
            assert listener(tmp_path)[1] == other
    ids = [id_ for (id_,) in rows(tmp_path, "SELECT id FROM events ORDER BY id")]
    assert ids == list(range(1, len(ids) + 1))
    assert rows(tmp_path, "SELECT count(*) FROM plays WHERE session_key IS NOT NULL") == [(2,)]


async def test_who_follows_and_was_stopped_itself_takes_nothing_over(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo, running(tmp_path, *serving(demo, tmp_path)) as first:
        await address(first)
        await until(lambda: listener(tmp_path)[1:] == (first.pid, "live"))
        async with running(tmp_path, *serving(demo, tmp_path)) as second:
            url = await address(second)
            term = listener(tmp_path)[0]
            os.kill(second.pid, signal.SIGSTOP)
            await anyio.sleep(15)  # longer than a listener may be silent; nothing else tells time to a stopped process
            os.kill(second.pid, signal.SIGCONT)
            await until(lambda: role(url) == "reader")
            session = demo.start()
            await until(lambda: rows(tmp_path, f"SELECT 1 FROM plays WHERE session_key = '{session.key}'"))  # noqa: S608 - our own key
            assert (listener(tmp_path)[0], role(url)) == (term, "reader")
