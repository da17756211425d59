"""Clients for a demo server in which nothing happens by itself."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
from plexapi.server import PlexServer
from websockets.asyncio.client import connect

from support.deadlines import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from websockets.asyncio.client import ClientConnection

    from plex_companion.demo import Demo

FAST = 1_000.0
PLURAL = "/:/websockets/notifications"


async def asked(demo: Demo, ask: Callable[[Any], Any]) -> Any:
    """What an unmodified python-plexapi finds, asked in a thread of its own."""

    def work() -> Any:
        return ask(PlexServer(demo.url, demo.token))

    with anyio.fail_after(HANG_SECONDS):
        return await anyio.to_thread.run_sync(work)


async def eventually(fact: Callable[[], object]) -> None:
    """Return as soon as the fact holds; a deadline stands behind it."""
    with anyio.fail_after(HANG_SECONDS):
        while not fact():  # noqa: ASYNC110  # facts about a server have no event to wait for
            await anyio.sleep(0.002)


@asynccontextmanager
async def listening(demo: Demo, path: str = PLURAL) -> AsyncIterator[ClientConnection]:
    """A websocket that the server knows of."""
    before = demo.subscribers.joined
    async with connect(demo.url.replace("http", "ws") + path, ping_interval=None, close_timeout=0.2) as socket:
        await eventually(lambda: demo.subscribers.joined > before)
        yield socket


async def raw_until(socket: ClientConnection, last: str) -> list[bytes]:
    """Every frame up to and with the first that contains `last`, undecoded."""
    found: list[bytes] = []
    with anyio.fail_after(HANG_SECONDS):
        while not found or last.encode() not in found[-1]:
            found.append(await socket.recv(decode=False))
    return found


async def receive_until(socket: ClientConnection, last: str) -> list[dict[str, Any]]:
    """The same, as containers."""
    return [json.loads(frame)["NotificationContainer"] for frame in await raw_until(socket, last)]


def playing(containers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries of playing frames."""
    return [
        entry
        for container in containers
        if container["type"] == "playing"
        for entry in container["PlaySessionStateNotification"]
    ]


MARK = "the-mark"


async def everything_of(
    demo: Demo, socket: ClientConnection, name: str, **options: float
) -> tuple[dict[str, Any], list[bytes]]:
    """Play a scenario and collect every frame it sent."""
    with anyio.fail_after(HANG_SECONDS):
        done = await demo.play(name, **options)
    demo.send_raw(json.dumps({"NotificationContainer": {"type": MARK, "size": 0}}))
    return done, (await raw_until(socket, MARK))[:-1]
