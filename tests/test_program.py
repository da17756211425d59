"""The start of the program: what a host waits for comes first."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import anyio
from mcp import Client
from mcp.client.stdio import stdio_client
from support.application import LEGACY, program, settings_for
from support.deadlines import HANG_SECONDS

from plex_companion.app import open_application

if TYPE_CHECKING:
    from pathlib import Path

    from plex_companion.demo import Demo

LISTS_TOOLS = """
import gc, sys
from plex_companion.__main__ import main
print(gc.isenabled(), gc.get_freeze_count())
sys.argv[1:] = ["tools", "--markdown"]
try:
    main()
except SystemExit:
    print(gc.isenabled(), gc.get_freeze_count())
"""


def test_the_imports_are_not_looked_through_for_garbage_and_what_comes_later_is() -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", LISTS_TOOLS], capture_output=True, text=True, timeout=HANG_SECONDS, check=True
    )
    lines = done.stdout.splitlines()
    collects_first, frozen_first = lines[0].split()
    collects, frozen = lines[-1].split()
    assert (collects_first, collects) == ("True", "True")
    assert int(frozen) > int(frozen_first) + 10_000  # Python 3.12 freezes some hundred objects of its own


async def test_plex_is_asked_nothing_before_its_turn(demo: Demo, tmp_path: Path) -> None:
    turn = anyio.Event()
    async with open_application(settings_for(demo, tmp_path), before_listening=turn.wait) as application:
        await anyio.wait_all_tasks_blocked()
        assert not demo.requests.log
        turn.set()
        with anyio.fail_after(HANG_SECONDS):
            while application.companion.state.connection.state != "live":
                await application.companion.live.wait_for_commit()


async def test_a_host_on_stdio_that_asks_nothing_does_not_keep_it_from_listening(demo: Demo, tmp_path: Path) -> None:
    async with Client(stdio_client(program(demo, tmp_path)), mode=LEGACY):
        with anyio.fail_after(HANG_SECONDS):
            while not demo.requests.log:  # noqa: ASYNC110 - the other process asks when it does
                await anyio.sleep(0.05)
