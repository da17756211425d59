"""What the README shows is run."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import httpx2
import pytest
from anyio.streams.text import TextReceiveStream
from support.application import home
from support.deadlines import HANG_SECONDS
from support.recorded_plays import alert, write

from plex_companion.cache.migrate import migrate
from plex_companion.cli import build_parser
from plex_companion.resources.registry import SHORT

if TYPE_CHECKING:
    from anyio.abc import Process

pytestmark = pytest.mark.slow


ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _example(name: str) -> str:
    found = re.search(rf"<!-- example: {name} -->\n```python\n(.*?)```", README, re.DOTALL)
    assert found, name
    return found[1]


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_the_example_prints_what_plays_when_somebody_presses_pause(era: str, tmp_path: Path) -> None:
    known = 1 if era == "legacy" else 0  # a legacy session is also subscribed to the list of resources, and earlier
    async with home(tmp_path) as it:
        code = _example(era).replace("http://127.0.0.1:3001", it.url)
        assert it.url in code
        session = it.demo.start()
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        async with await anyio.open_process([sys.executable, "-W", "error", "-c", code], env=environment) as example:
            try:
                with anyio.fail_after(HANG_SECONDS):
                    while it.application.notifier.count().subscriptions <= known:  # noqa: ASYNC110 - another process
                        await anyio.sleep(0.02)
                    it.demo.pause(session)
                    said = await _said(example, '"state":"paused"')
            finally:
                example.kill()
        line = next(line for line in said.splitlines() if '"state":"paused"' in line)
        assert json.loads(line)["connection"]["state"] == "live"


async def _said(example: Process, expected: str) -> str:
    """What it printed, up to this."""
    assert example.stdout is not None
    said = ""
    async for text in TextReceiveStream(example.stdout):
        said += text
        if expected in said:
            break
    return said


def test_every_resource_is_in_the_table() -> None:
    assert [one.uri for one in SHORT if f"`{one.uri}`" not in README] == []


def test_the_commands_for_the_database_do_what_they_say_one_after_the_other(tmp_path: Path) -> None:
    migrate(tmp_path / "cache.sqlite3")
    block = re.search(r"```sh\n(plex-companion backup.*?)```", README, re.DOTALL)
    assert block
    for line in block[1].splitlines():
        done = subprocess.run(  # noqa: S603 - our own program
            [sys.executable, "-m", "plex_companion", *shlex.split(line)[1:], "--database", "cache.sqlite3"],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_every_command_shown_is_one_the_program_takes() -> None:
    rows = re.findall(r"^\| `plex-companion ?(.*?) \|", README, re.MULTILINE)
    assert len(rows) == 15
    shown = [command for row in rows for command in row.replace("`", "").split(", ") if command]
    assert {"history", "digest", "doctor"} <= set(shown)
    for command in shown:
        assert build_parser().parse_args(shlex.split(command)).command


EMPTY = ("Nothing matches", "Nothing is stored", "No events", "No alerts", "No plays")
"""What a command says when it has found nothing."""


async def test_the_questions_about_the_past_have_answers_in_the_demo_household(tmp_path: Path) -> None:
    found = re.search(r"<!-- example: past -->\n```sh\n(.*?)```", README, re.DOTALL)
    assert found
    commands = [shlex.split(command) for command in found[1].splitlines()]
    assert {words[1] for words in commands} == {"digest", "history", "stats", "events"}
    assert all(words[0] == "plex-companion" and words[-1] == "--demo" for words in commands)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    await _remember_the_demo_household(tmp_path, environment)
    for words in commands:
        command = [sys.executable, "-m", "plex_companion", *words[1:]]
        done = await anyio.run_process(command, env=environment, cwd=tmp_path)
        said = done.stdout.decode()
        assert done.stderr == b""
        assert [empty for empty in EMPTY if empty in said] == [], words
        for expected in ("Jasper O'Dell", "harbour street"):
            assert expected not in words or expected in said or expected.title() in said


async def _remember_the_demo_household(folder: Path, environment: dict[str, str]) -> None:
    """Run the demo household until its history is imported and somebody plays something."""
    command = [sys.executable, "-m", "plex_companion", "serve", "--demo", "--transport", "http", "--port", "0"]
    with anyio.fail_after(HANG_SECONDS):
        async with await anyio.open_process(command, env=environment, cwd=folder, stdin=subprocess.DEVNULL) as process:
            url = await _dashboard(process)
            async with httpx2.AsyncClient(base_url=url, timeout=HANG_SECONDS) as web:
                while not await _is_remembered(web):  # noqa: ASYNC110 - another process
                    await anyio.sleep(0.05)
            process.terminate()


async def _dashboard(process: Process) -> str:
    assert process.stderr is not None
    said = ""
    async for text in TextReceiveStream(process.stderr):
        said += text
        if "/sse" in said:
            break
    return next(line.split()[1] for line in said.splitlines() if line.startswith("  dashboard"))


async def _is_remembered(web: httpx2.AsyncClient) -> bool:
    server, sessions = [(await web.get(f"/api/{name}")).json() for name in ("server", "sessions")]
    return bool(server["history"]["complete"] and sessions["count"])


def test_the_alerts_that_are_shown_are_told(tmp_path: Path) -> None:
    shown = re.search(r"`plex-companion (alerts .*?)`", README)
    assert shown
    path = write(tmp_path / "cache.sqlite3", plays=[], alerts=[alert(1, int(time.time() * 1000))])
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PLEX_COMPANION_DATABASE": str(path)}
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "plex_companion", *shlex.split(shown[1])],
        env=environment, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Alert 1" in done.stdout
