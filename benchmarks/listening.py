"""Clients that subscribe, in both eras, and write down when they were told."""

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


class Ear:
    """When a client was told about one URI."""

    def __init__(self) -> None:
        self.told: list[float] = []
        self._more = anyio.Event()

    async def hear(self, message: Any) -> None:
        """Take a message of the legacy era."""
        if isinstance(message, ResourceUpdatedNotification):
            self.note()

    def note(self) -> None:
        """Now."""
        self.told.append(time.monotonic())
        self._more.set()
        self._more = anyio.Event()

    async def after(self, moment: float) -> float:
        """When the first notification after this moment came; waits for it."""
        with anyio.fail_after(SECONDS):
            while not self.told or self.told[-1] <= moment:
                await self._more.wait()
        return next(at for at in self.told if at > moment)


@asynccontextmanager
async def subscribed(url: str, era: str, uri: str = SESSIONS) -> AsyncIterator[tuple[Client, Ear]]:
    """A client of this era that is told about the URI."""
    ear = Ear()
    if era == LEGACY:
        async with Client(url, mode=era, message_handler=ear.hear) as client:
            await client.session.send_request(SubscribeRequest(params=SubscribeRequestParams(uri=uri)), EmptyResult)
            yield client, ear
        return
    async with (
        Client(url, mode=era) as client,
        client.listen(resource_subscriptions=[uri]) as stream,
        anyio.create_task_group() as tasks,
    ):

        async def read() -> None:
            async for _ in stream:
                ear.note()

        tasks.start_soon(read)
        yield client, ear
        tasks.cancel_scope.cancel()


async def text(client: Client, uri: str = SESSIONS) -> str:
    """A resource as it came."""
    (contents,) = (await client.read_resource(uri)).contents
    return str(contents.text)  # type: ignore[union-attr]  # all resources are text


async def sessions(client: Client) -> dict[str, Any]:
    """What plays, by session key."""
    return {one["session_key"]: one for one in json.loads(await text(client))["sessions"]}


async def until_listed(client: Client, count: int) -> None:
    """Wait until the companion knows so many sessions, with titles and users from Plex."""
    with anyio.fail_after(SECONDS):
        while await _listed(client) < count:  # noqa: ASYNC110  # snapshots come when they come
            await anyio.sleep(0.1)


async def _listed(client: Client) -> int:
    return sum(one["user"] is not None for one in (await sessions(client)).values())
