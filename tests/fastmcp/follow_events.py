"""Lists, polls and follows one type of event with FastMCP's client, and prints a line of JSON for all that happens.

Runs in an environment of its own. Each line of standard input polls once more, from the first cursor; it leaves as its
standard input ends. `follow_events.py EVENT URL` or `follow_events.py EVENT COMMAND ARGUMENT…`.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import anyio
from fastmcp import Client  # type: ignore[attr-defined]  # it is in an environment of its own
from fastmcp.client.transports import StdioTransport  # type: ignore[import-not-found]  # the same
from mcp.client.extension import ClientExtension, NotificationBinding
from mcp_types import Request, RequestParams, Result
from pydantic import BaseModel, ConfigDict

OPEN = ConfigDict(extra="allow")


class OpenParams(RequestParams):
    model_config = OPEN


class OpenResult(Result):
    model_config = OPEN


class OpenFrame(BaseModel):
    model_config = OPEN


def say(**fact: Any) -> None:
    print(json.dumps(fact), flush=True)  # noqa: T201 - its way out


class Events(ClientExtension):
    """Prints the frames of a stream."""

    identifier = "io.modelcontextprotocol/events"

    def notifications(self) -> list[NotificationBinding[Any]]:
        return [self._bind(kind) for kind in ("active", "event", "heartbeat", "terminated")]

    def _bind(self, kind: str) -> NotificationBinding[Any]:
        async def receive(frame: OpenFrame) -> None:
            say(frame=kind, params=frame.model_dump())

        return NotificationBinding(method=f"notifications/events/{kind}", params_type=OpenFrame, handler=receive)


async def main() -> None:
    name, *target = sys.argv[1:]
    transport: Any = target[0] if len(target) == 1 else StdioTransport(target[0], target[1:], env=dict(os.environ))
    async with (
        Client(transport, extensions=[Events()], mode="2026-07-28") as client,
        anyio.create_task_group() as tasks,
    ):

        async def request(method: str, **params: Any) -> dict[str, Any]:
            asked: Request[Any, Any] = Request(method=method, params=OpenParams(**params))
            found: dict[str, Any] = (await client.session.send_request(asked, OpenResult)).model_dump(by_alias=True)
            return found

        listed = await request("events/list")
        say(listed=[event["name"] for event in listed["events"]])
        cursor = (await request("events/poll", name=name, arguments={}))["cursor"]
        tasks.start_soon(lambda: request("events/stream", name=name, arguments={}))
        while await anyio.to_thread.run_sync(sys.stdin.readline):
            polled = await request("events/poll", name=name, arguments={}, cursor=cursor)
            say(polled=[event["eventId"] for event in polled["events"]])
        tasks.cancel_scope.cancel()


if __name__ == "__main__":
    anyio.run(main)
