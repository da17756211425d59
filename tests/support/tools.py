"""A companion with write access on a quiet demo server, and a real MCP client that calls its tools."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
from mcp import Client

from plex_companion.app import Application, open_application
from plex_companion.demo import Demo, Household, open_demo
from plex_companion.plex.disconnects import ListenerTimeouts
from support.application import quick, settings_for
from support.deadlines import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path


@dataclass(frozen=True)
class ToolAnswer:
    """What a tool answered."""

    body: dict[str, Any]
    """The structured content, or the error object."""
    text: Any
    """The text block, decoded."""
    is_error: bool

    @property
    def code(self) -> str | None:
        return self.body.get("code") if self.is_error else None


@dataclass
class Tools:
    """The tools, as a client has them. `requests` counts what one call asked Plex (and plex.tv)."""

    demo: Demo
    application: Application
    client: Client
    requests: int = 0

    async def ask(self, name: str, /, **arguments: Any) -> ToolAnswer:
        before = len(self.demo.requests)
        answer = await self.client.call_tool(name, arguments)
        self.requests = len(self.demo.requests) - before
        text = json.loads(answer.content[0].text)  # type: ignore[union-attr]  # every tool answers with a text first
        body = text if answer.is_error else answer.structured_content
        return ToolAnswer(body or {}, text, answer.is_error)

    async def well(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """The structured answer of a call that must succeed."""
        said = await self.ask(name, **arguments)
        assert not said.is_error, said.body
        return said.body

    async def refused(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """The error object of a call that must fail: the same message twice, a code, and what helps."""
        said = await self.ask(name, **arguments)
        assert said.is_error, said.body
        assert said.body["status"] == "error"
        assert said.body["error"] == said.body["message"]
        return said.body

    async def until(self, fact: Callable[[], object]) -> None:
        """Return as soon as a commit makes the fact so."""
        with anyio.fail_after(HANG_SECONDS):
            while not fact():
                await self.application.companion.live.wait_for_commit()


@asynccontextmanager
async def tools_home(
    folder: Path,
    *,
    household: Household | None = None,
    answer: Callable[..., Any] | None = None,
    era: str = "auto",
    hushed: bool = False,
    **more: Any,
) -> AsyncIterator[Tools]:
    """Tools that may write. `answer` is the client's elicitation callback; without it the client cannot ask a person.

    The server is asked anew for everything: what was kept from connecting is forgotten before the test begins.
    `hushed`, it announces no change: the listener would ask on its own then, and be counted with the tool.
    """
    async with open_demo(alive=False, household=household, require_token="owner-token") as demo:
        # A catalogue, or the listener when a minute has passed, would ask in between, and be counted with a tool.
        alone = {"read_only": "false", "catalogue": "false", "reconcile_seconds": 3600}
        settings = settings_for(demo, folder, **{**alone, **more})
        scope = ListenerTimeouts(merge=0.02, after_play=3 * HANG_SECONDS, waits=quick)
        # An import would ask in between, and be counted with a tool.
        plays, demo.state.history = demo.state.history, []
        async with open_application(settings, timeouts=scope) as application:
            companion = application.companion
            with anyio.fail_after(HANG_SECONDS):
                while not companion.is_live or not companion.state.history.complete:
                    await companion.live.wait_for_commit()
            demo.state.history = [*plays, *demo.state.history]
            demo.state.mark_changed()
            async with Client(application.server, mode=era, elicitation_callback=answer) as client:
                if hushed:
                    demo.state.announce = lambda _frame: None
                companion.ttl_cache.clear()
                yield Tools(demo, application, client)
