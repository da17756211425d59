"""The first reading goes on where it was, whoever is killed in the middle of it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from support.catalogue import TOKEN, catalogue_home
from support.deadlines import HANG_SECONDS

from benchmarks.big_library import build_big_library
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from plex_companion.demo import Demo

pytestmark = pytest.mark.slow
ITEMS = 6_000


@asynccontextmanager
async def companion_process(demo: Demo, folder: Path) -> AsyncIterator[Any]:
    """A companion as a program of its own, that is killed at the end of the block."""
    where = {"PLEX_URL": demo.url, "PLEX_TOKEN": TOKEN, "PLEX_COMPANION_DATABASE": str(folder / "cache.sqlite3")}
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        **where,
    }
    command = [sys.executable, "-m", "plex_companion", "--transport", "http", "--port", "0"]
    async with await anyio.open_process(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment,
        cwd=folder,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_progress(folder: Path) -> tuple[int, int]:
    """The items in a database that another process writes, and how many there are to be."""
    path = folder / "cache.sqlite3"
    if not path.exists():
        return 0, 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as database:
        try:
            (items,) = database.execute("SELECT count(*) FROM items").fetchone()
            (total,) = database.execute("SELECT coalesce(sum(total), 0) FROM catalogue_sections").fetchone()
        except sqlite3.OperationalError:  # the tables are not there yet
            return 0, 0
    return items, total


async def test_a_companion_killed_while_it_reads_goes_on_and_ends_as_plex_is(tmp_path: Path) -> None:
    household = build_big_library(tmp_path, ITEMS)
    async with open_demo(alive=False, household=household, require_token=TOKEN) as demo:
        reached = (0, 0)
        for part in (1_000, 3_000):
            async with companion_process(demo, tmp_path):
                with anyio.fail_after(HANG_SECONDS):
                    while read_progress(tmp_path)[0] < part:  # noqa: ASYNC110 - nothing else tells of another process
                        await anyio.sleep(0.05)
            now = read_progress(tmp_path)
            assert now[0] >= reached[0]
            assert now[1] >= reached[1]
            reached = now
        demo.requests.clear()
        async with catalogue_home(tmp_path, demo=demo) as home:
            assert (await home.status())["items"] >= reached[0]
            await home.until_as_plex()
            begun = [path for _, path in demo.requests.log if "includeGuids" in path and "Container-Start=0&" in path]
            films_or_episodes = [path for path in begun if "?type=1&" in path or "?type=4&" in path]
            assert films_or_episodes == [], "they go on where they were"


async def test_plex_killed_while_it_is_read_loses_nothing(tmp_path: Path) -> None:
    household = build_big_library(tmp_path, ITEMS)
    async with (
        open_demo(alive=False, household=household, require_token=TOKEN) as demo,
        catalogue_home(tmp_path, demo=demo) as home,
    ):
        for part in (1_000, 3_000):

            async def has_reached(part: int = part) -> bool:
                return bool((await home.status())["items"] >= part)

            await home.until(has_reached)
            await demo.shut_down()
            demo.reset_connections()
            await home.tools.until(lambda: not home.application.companion.is_live)
            answer = await home.tools.well("catalogue_search", limit=1)
            assert not answer["catalogue"]["complete"]
            assert answer["connection"]["state"] != "live"
            await demo.reopen()
        await home.until_as_plex()
        assert json.dumps(await home.status()).count("null") == 1, "nothing is wrong any more"
