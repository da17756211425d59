"""Real processes on one database: they start at once, are killed in the middle of their work, and end when told to."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from mcp import StdioServerParameters
from mcp.client.stdio import stdio_client
from support.deadlines import HANG_SECONDS
from support.several_processes import rows

from benchmarks.mcp_clients import MODERN, subscribe
from benchmarks.processes import list_lost_marks, list_problems, run_kill_test
from benchmarks.programs import COMPANION, build_environment, run_program
from plex_companion.cache.migrate import list_migrations, migrate
from plex_companion.demo import open_demo

if TYPE_CHECKING:
    from pathlib import Path

    from mcp import Client

    from plex_companion.demo import Demo

pytestmark = pytest.mark.slow


def serving(demo: Demo, folder: Path, transport: str) -> list[str]:
    options = ["--plex-url", demo.url, "--plex-token", demo.token, "--database", str(folder / "cache.sqlite3")]
    return [*COMPANION, "--transport", transport, "--port", "0", *options]


def over_stdio(demo: Demo, folder: Path) -> Any:
    """The program as an AI host starts it."""
    return stdio_client(
        StdioServerParameters(
            command=sys.executable, args=serving(demo, folder, "stdio"), env=build_environment(folder), cwd=folder
        )
    )


async def server(client: Client) -> dict[str, Any]:
    (contents,) = (await client.read_resource("plex://server")).contents
    found: dict[str, Any] = json.loads(contents.text)  # type: ignore[union-attr]  # all resources are text
    return found


def listener(folder: Path) -> tuple[int, str]:
    """Which process listens, and whether it hears Plex."""
    found = rows(folder, "SELECT pid, state FROM listener, links")
    return found[0] if found else (0, "")


async def test_when_the_listener_is_killed_the_clients_of_the_other_are_told_and_it_is_live_again(
    tmp_path: Path,
) -> None:
    async with open_demo(alive=False) as demo, run_program(tmp_path, *serving(demo, tmp_path, "http")) as first:
        await first.wait_for_line(r"(http://\S+/mcp)")
        with anyio.fail_after(HANG_SECONDS):
            while listener(tmp_path) != (first.pid, "live"):  # noqa: ASYNC110 - another process
                await anyio.sleep(0.02)
        async with subscribe(over_stdio(demo, tmp_path), MODERN, "plex://server") as (client, updates):
            before = await server(client)
            assert before["connection"]["state"] == "live"
            assert (before["process"]["role"], before["process"]["listener_pid"]) == ("reader", first.pid)
            killed = time.monotonic()
            os.kill(first.pid, signal.SIGKILL)
            states: list[str] = []
            with anyio.fail_after(HANG_SECONDS):
                recorded = await updates.wait_after(killed)
                while (now := await server(client))["connection"]["state"] != "live" or not states:
                    states.append(now["connection"]["state"])
                    recorded = await updates.wait_after(recorded)
            assert now["process"]["role"] == "listener"
            assert now["process"]["listener_pid"] == now["process"]["pid"] != first.pid
            assert set(states) <= {"connecting", "live"}, "it said that nobody listened, or was told when somebody did"
            session = demo.start()
            with anyio.fail_after(HANG_SECONDS):
                while not rows(tmp_path, f"SELECT 1 FROM plays WHERE session_key = '{session.key}'"):  # noqa: S608, ASYNC110 - our own key, another process
                    await anyio.sleep(0.02)


async def test_five_started_at_once_on_a_database_of_an_older_version_all_serve_and_end_when_told(
    tmp_path: Path,
) -> None:
    migrate(tmp_path / "cache.sqlite3", list_migrations()[:1])
    async with open_demo(alive=False) as demo, anyio.create_task_group() as tasks:

        async def serve(said: list[str], *, task_status: anyio.abc.TaskStatus[int]) -> None:
            arguments = [sys.executable, *serving(demo, tmp_path, "http")]
            async with await anyio.open_process(
                arguments, env=build_environment(tmp_path), cwd=tmp_path, stdout=subprocess.DEVNULL
            ) as process:
                task_status.started(process.pid)
                assert process.stderr
                async for chunk in process.stderr:
                    said[0] += chunk.decode()
                ended[process.pid] = await process.wait()

        ended: dict[int, int] = {}
        said = [[""] for _ in range(5)]
        pids = [await tasks.start(serve, one) for one in said]
        with anyio.fail_after(HANG_SECONDS):
            while not all("/mcp" in one[0] for one in said):
                assert not ended, "".join(map("".join, said))
                await anyio.sleep(0.02)
            while listener(tmp_path)[1] != "live":  # noqa: ASYNC110 - the same
                await anyio.sleep(0.02)
        assert listener(tmp_path)[0] in pids
        assert demo.subscribers.sockets == 1, "one of them listens"
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        with anyio.fail_after(HANG_SECONDS):
            while len(ended) < 5:  # noqa: ASYNC110 - the same
                await anyio.sleep(0.02)
        assert set(ended.values()) == {0}, "".join(map("".join, said))


async def test_under_load_no_kill_loses_or_doubles_a_row_or_a_play_and_every_survivor_is_told(tmp_path: Path) -> None:
    with anyio.fail_after(HANG_SECONDS):
        it = await run_kill_test(tmp_path, processes=3, kills=2, pause=1)
    assert list_problems(it) == []
    assert len(it.kills) == 2
    assert len(it.marks) - len(list_lost_marks(it)) > 200, "so many were heard, however long nobody listened"
    assert len(it.played) > 10
