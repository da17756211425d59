"""MCP clients of both protocol eras that subscribe and record when they were notified."""

from __future__ import annotations

import json
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
from mcp import Client
from mcp_types import EmptyResult, ResourceUpdatedNotification, SubscribeRequest, SubscribeRequestParams

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

LEGACY, MODERN = "legacy", "2026-07-28"
ERAS = {"2025-11-25": LEGACY, "2026-07-28": MODERN}
SESSIONS = "plex://sessions"
SECONDS = 30


class NotificationTimes:
    """The times at which a client was notified about one URI."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self._more = anyio.Event()

    async def receive(self, message: Any) -> None:
        """Receive a message of the legacy era."""
        if isinstance(message, ResourceUpdatedNotification):
            self.record()

    def record(self) -> None:
        """Record a notification now."""
        self.times.append(time.monotonic())
        self._more.set()
        self._more = anyio.Event()

    async def wait_after(self, moment: float) -> float:
        """Wait for the first notification after this moment and return its time."""
        with anyio.fail_after(SECONDS):
            while not self.times or self.times[-1] <= moment:
                await self._more.wait()
        return next(at for at in self.times if at > moment)


@asynccontextmanager
async def subscribe(url: str, era: str, uri: str = SESSIONS) -> AsyncIterator[tuple[Client, NotificationTimes]]:
    """Connect a client of this era that is subscribed to the URI, until the block ends."""
    updates = NotificationTimes()
    if era == LEGACY:
        async with Client(url, mode=era, message_handler=updates.receive) as client:
            await client.session.send_request(SubscribeRequest(params=SubscribeRequestParams(uri=uri)), EmptyResult)
            yield client, updates
        return
    async with (
        Client(url, mode=era) as client,
        client.listen(resource_subscriptions=[uri]) as stream,
        anyio.create_task_group() as tasks,
    ):

        async def read() -> None:
            async for _ in stream:
                updates.record()

        tasks.start_soon(read)
        yield client, updates
        tasks.cancel_scope.cancel()


async def read_text(client: Client, uri: str = SESSIONS) -> str:
    """Read a resource as text."""
    (contents,) = (await client.read_resource(uri)).contents
    return str(contents.text)  # type: ignore[union-attr]  # all resources are text


async def read_sessions(client: Client) -> dict[str, Any]:
    """Read the current sessions, by session key."""
    return {one["session_key"]: one for one in json.loads(await read_text(client))["sessions"]}


async def wait_for_sessions(client: Client, count: int) -> None:
    """Wait until the companion lists `count` sessions with users from Plex."""
    with anyio.fail_after(SECONDS):
        while await _count_listed(client) < count:  # noqa: ASYNC110  # snapshots come when they come
            await anyio.sleep(0.1)


async def _count_listed(client: Client) -> int:
    return sum(one["user"] is not None for one in (await read_sessions(client)).values())
