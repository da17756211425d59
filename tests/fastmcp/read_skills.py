"""Lists and reads all skills with FastMCP's client, which checks the digests, and prints their names as JSON.

Runs in an environment of its own. `read_skills.py URL`.
"""

from __future__ import annotations

import json
import sys

import anyio
from fastmcp import Client  # type: ignore[attr-defined]  # it is in an environment of its own
from fastmcp.skills import SkillsClientExtension  # type: ignore[import-not-found]  # the same


async def main() -> None:
    async with Client(sys.argv[1], extensions=[SkillsClientExtension()]) as client:
        skills = await client.list_skills()
        read = [await client.read_skill(skill.uri) for skill in skills]
    print(json.dumps({"listed": [skill.uri for skill in skills], "read": len(read)}))  # noqa: T201 - its way out


anyio.run(main)
