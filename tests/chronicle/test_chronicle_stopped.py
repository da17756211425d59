"""The process that leads is stopped or killed: another machine goes on, and nothing is written twice."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import TYPE_CHECKING

import anyio
import pytest
from support.deadlines import HANG_SECONDS
from support.several_machines import shared_rows
from support.several_processes import rows

from benchmarks.programs import COMPANION, run_program
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.postgres import Postgres

    from plex_companion.demo import Demo

pytestmark = pytest.mark.slow


async def until(fact: Callable[[], object], seconds: float = HANG_SECONDS) -> None:
    with anyio.fail_after(seconds):
        while not fact():  # noqa: ASYNC110 - other processes
            await anyio.sleep(0.05)


async def start(demo: Demo, folder: Path, dsn: str, group: str) -> list[str]:
    """The command that starts a machine in this folder."""
    await anyio.Path(folder).mkdir(exist_ok=True)
    given = f"PLEX_COMPANION_CHRONICLE={dsn}\nPLEX_COMPANION_CHRONICLE_GROUP={group}\n"
    await anyio.Path(folder / ".env").write_text(given)
    options = ["--plex-url", demo.url, "--plex-token", demo.token, "--database", str(folder / "cache.sqlite3")]
    return [*COMPANION, "--transport", "http", "--port", "0", *options]


def has_play(folder: Path, key: str) -> bool:
    return bool(rows(folder, f"SELECT 1 FROM plays WHERE session_key = '{key}'"))  # noqa: S608 - our own key


def is_live(folder: Path) -> bool:
    return rows(folder, "SELECT state FROM links") == [("live",)]


async def test_a_leader_that_is_stopped_is_replaced_and_replays_when_it_is_woken(
    tmp_path: Path, postgres: Postgres, group: str
) -> None:
    async with open_demo(alive=False) as demo:
        first_command = await start(demo, tmp_path / "first", postgres.dsn, group)
        second_command = await start(demo, tmp_path / "second", postgres.dsn, group)
        async with run_program(tmp_path / "first", *first_command) as first:
            await first.wait_for_line(r"(http://\S+)/mcp")
            await until(partial(is_live, tmp_path / "first"))
            async with run_program(tmp_path / "second", *second_command) as second:
                await second.wait_for_line(r"(http://\S+)/mcp")
                await until(partial(is_live, tmp_path / "second"))
                os.kill(first.pid, signal.SIGSTOP)
                try:
                    await until(lambda: demo.subscribers.sockets == 2)
                    session = demo.start()
                    await until(partial(has_play, tmp_path / "second", session.key))
                finally:
                    os.kill(first.pid, signal.SIGCONT)
                await until(partial(has_play, tmp_path / "first", session.key))
                await until(lambda: demo.subscribers.sockets == 1)
                await until(lambda: shared_rows(tmp_path / "first") == shared_rows(tmp_path / "second"))
        ids = [number for (number,) in rows(tmp_path / "second", "SELECT id FROM events ORDER BY id")]
        assert ids == list(range(1, len(ids) + 1))
        sql = "SELECT count(*) FROM plays WHERE session_key IS NOT NULL"
        assert rows(tmp_path / "first", sql) == rows(tmp_path / "second", sql) == [(1,)]
