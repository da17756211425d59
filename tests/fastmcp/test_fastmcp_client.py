"""FastMCP's client: skills, which it has helpers for, and MCP Events, with requests made by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from anyio.streams.text import TextReceiveStream
from support.application import home, program
from support.deadlines import HANG_SECONDS

from plex_companion.demo import open_demo
from plex_companion.skills.skill_files import SKILLS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from anyio.abc import Process

    from plex_companion.demo import Demo

PYTHON = Path(__file__).parents[2] / ".venv-fastmcp" / "bin" / "python"
SCRIPT = Path(__file__).with_name("follow_events.py")
SKILLS_SCRIPT = Path(__file__).with_name("read_skills.py")
MISSING = "FastMCP is not installed: `make conformance` does it."
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PYTHON.exists(), reason=MISSING)]
NAME = "play.started"


async def _lines(process: Process) -> AsyncIterator[dict[str, Any]]:
    assert process.stdout is not None
    rest = ""
    async for text in TextReceiveStream(process.stdout):
        *lines, rest = (rest + text).split("\n")
        for line in lines:
            yield json.loads(line)


async def follow(demo: Demo, *target: str, environment: Mapping[str, str]) -> None:
    """List, poll and push, with one play that starts meanwhile."""
    command = [str(PYTHON), str(SCRIPT), NAME, *target]
    with anyio.fail_after(HANG_SECONDS):
        async with await anyio.open_process(command, env={**os.environ, **environment}, stderr=None) as process:
            assert process.stdin is not None
            shown = _lines(process)
            assert NAME in (await anext(shown))["listed"]
            assert (await anext(shown))["frame"] == "active"
            demo.start()
            pushed = await anext(shown)
            assert (pushed["frame"], pushed["params"]["name"]) == ("event", NAME)
            await process.stdin.send(b"poll\n")
            assert await anext(shown) == {"polled": [pushed["params"]["eventId"]]}
            await process.stdin.aclose()
            assert await process.wait() == 0


async def test_fastmcp_lists_all_skills_and_finds_each_as_its_digest_promises(tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        with anyio.fail_after(HANG_SECONDS):
            done = await anyio.run_process([str(PYTHON), str(SKILLS_SCRIPT), f"{it.url}/mcp"])
    assert json.loads(done.stdout) == {"listed": [skill.uri for skill in SKILLS], "read": len(SKILLS)}


async def test_fastmcp_lists_polls_and_is_pushed_to_over_http(tmp_path: Path) -> None:
    async with home(tmp_path) as it:
        await follow(it.demo, f"{it.url}/mcp", environment={})
        await it.left()


async def test_fastmcp_lists_polls_and_is_pushed_to_over_standard_output(tmp_path: Path) -> None:
    async with open_demo(alive=False) as demo:
        started = program(demo, tmp_path)
        await follow(demo, started.command, *started.args, environment=started.env or {})
