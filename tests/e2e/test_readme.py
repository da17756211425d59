"""What the README shows is run."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from anyio.streams.text import TextReceiveStream
from e2e_home import home

from plex_companion.cache.migrate import migrate
from plex_companion.cli import parser
from plex_companion.resources import RESOURCES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def _example(name: str) -> str:
    found = re.search(rf"<!-- example: {name} -->\n```python\n(.*?)```", README, re.DOTALL)
    assert found, name
    return found[1]


@pytest.mark.parametrize("era", ["modern", "legacy"])
async def test_the_example_prints_what_plays_when_somebody_presses_pause(era: str, tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        code = _example(era).replace("http://127.0.0.1:3001", it.url)
        assert it.url in code
        session = it.demo.start()
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        async with await anyio.open_process([sys.executable, "-W", "error", "-c", code], env=environment) as example:
            with anyio.fail_after(20):
                while not it.application.notifier.counts().subscriptions:  # noqa: ASYNC110 - another process
                    await anyio.sleep(0.02)
                it.demo.pause(session)
                assert example.stdout is not None
                said = ""
                async for text in TextReceiveStream(example.stdout):
                    said += text
                    if '"state":"paused"' in said:
                        break
            example.kill()
        line = next(line for line in said.splitlines() if '"state":"paused"' in line)
        assert json.loads(line)["connection"]["state"] == "live"


def test_every_resource_is_in_the_table() -> None:
    assert [one.uri for one in RESOURCES if f"`{one.uri}`" not in README] == []


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
    shown = re.findall(r"^\| `plex-companion ?([^`]*)` \|", README, re.MULTILINE)
    assert len(shown) == 9
    for command in shown:
        if command:
            assert parser().parse_args(shlex.split(command)).command
