"""A small MCP server with the tools that the conformance suite wants for the extension Tasks. Its work is that time passes."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import anyio
from msgspec.structs import replace
from pydantic import BaseModel

from plex_companion.models import ToolTask
from plex_companion.server.http.http_app import HttpApp
from plex_companion.server.http.web import serve_http
from plex_companion.server.mcp.build import build_server
from plex_companion.server.mcp.interface import ServerInterface, ToolResult
from plex_companion.server.mcp.notifier import Notifier
from plex_companion.tools.declare import Access, FollowedWork, Tool, Toolset
from support.deadlines import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from plex_companion.tools.declare import Caller
    from plex_companion.tools.follow_up.task_store import TaskStore


class Said(BaseModel):
    """What the tools answer."""

    text: str


@dataclass
class PassingTime:
    """Tasks that end when their seconds have passed (in place of a `TaskStore`)."""

    tasks: dict[str, ToolTask] = field(default_factory=dict)
    ends: dict[str, int] = field(default_factory=dict)

    @property
    def now_ms(self) -> int:
        return int(time.time() * 1000)

    async def begin(
        self, tool: str, principal: str, work: FollowedWork, result: str, since: int, _: str | None = None
    ) -> ToolTask:
        identifier = f"task-{len(self.tasks)}"
        task = ToolTask(identifier, principal, tool, work.activity, result, created_at=since, updated_at=since)
        self.tasks[identifier], self.ends[identifier] = task, since + int(float(work.activity) * 1000)
        return task

    async def read(self, identifier: str, principal: str) -> ToolTask | None:
        task = self.tasks.get(identifier)
        if task is None or task.principal != principal:
            return None
        if task.status == "working" and self.now_ms >= self.ends[identifier]:
            end = self.ends[identifier]
            self.tasks[identifier] = task = replace(task, status="completed", updated_at=end, finished_at=end)
        return task

    async def cancel(self, task: ToolTask) -> None:
        self.tasks[task.id] = replace(task, status="cancelled", updated_at=self.now_ms)


def _list_tools() -> list[Tool]:
    tools = Toolset("fixtures", "What the suite calls")

    @tools.tool(Access.READ)
    async def greet(name: str) -> Said:
        """Greet somebody."""
        return Said(text=f"Hello, {name}!")

    @tools.tool(Access.READ, follow=lambda found: FollowedWork(str(found["text"])))
    async def slow_compute(seconds: float, label: str = "") -> Said:
        """Take so many seconds."""
        del label
        return Said(text=str(seconds))

    return tools.tools


@asynccontextmanager
async def task_server() -> AsyncIterator[str]:
    """The address of the server, until the block ends."""

    async def call(tool: Tool, arguments: Mapping[str, Any], caller: Caller) -> ToolResult:
        del caller
        said = await tool.function(**tool.validate(arguments))
        return ToolResult(said.model_dump(), said.text)

    async def read(uri: str) -> str:
        raise AssertionError(uri)

    notifier = Notifier(())
    tasks = cast("TaskStore", PassingTime())
    interface = ServerInterface("tasks", "0", "Tasks.", _list_tools(), call, (), tuple, read, tasks=tasks)
    app = HttpApp(build_server(interface, notifier), notifier, health=dict)
    started, ports = anyio.Event(), list[int]()

    def on_started(_: str, port: int) -> None:
        ports.append(port)
        started.set()

    async with notifier.run(), anyio.create_task_group() as group:

        async def serve() -> None:
            await serve_http(app, "127.0.0.1", 0, notifier=notifier, started=on_started)

        group.start_soon(serve)
        with anyio.fail_after(HANG_SECONDS):
            await started.wait()
        yield f"http://127.0.0.1:{ports[0]}/mcp"
        group.cancel_scope.cancel()
