"""A running listener, and what it has sent on."""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any

import anyio

from plex_companion.events import Disconnected, Snapshot
from plex_companion.plex.disconnects import ListenerTimeouts
from plex_companion.plex.gateway import open_gateway
from plex_companion.plex.listener import listen
from plex_companion.plex.refresh import RefreshRequests
from support.deadlines import HANG_SECONDS
from support.scripted_plex import clock, settings_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from anyio.streams.memory import MemoryObjectReceiveStream

    from plex_companion.events import Event, ReceivedEvent
    from plex_companion.plex.history_importer import ImportProgress


def quickly() -> Iterator[float]:
    return repeat(0.01)


FAST = ListenerTimeouts(
    opening=20,
    ping=20,
    pong=20,
    closing=0.1,
    refused=0.05,
    merge=0.01,
    late=20,
    library=0.01,
    failed=0.01,
    after_play=0.02,
    after_play_again=0.1,
    waits=quickly,
)


class ListenerOutput:
    """What a listener has sent on."""

    def __init__(self, received: MemoryObjectReceiveStream[ReceivedEvent], refresh: RefreshRequests) -> None:
        self.refresh = refresh
        self._received = received

    async def next(self) -> Event:
        with anyio.fail_after(HANG_SECONDS):
            return (await self._received.receive()).event

    async def snapshot(self) -> Snapshot:
        event = await self.next()
        assert isinstance(event, Snapshot)
        return event

    async def disconnected(self) -> Disconnected:
        event = await self.next()
        assert isinstance(event, Disconnected)
        return event

    async def live(self) -> Snapshot:
        """Skip to the end of the next first snapshot, and of the libraries that are read right after it."""
        first: Snapshot | None = None
        while True:
            event = await self.next()
            if isinstance(event, Snapshot) and event.first:
                first = event
            elif isinstance(event, Snapshot) and first is not None:
                return first

    def nothing(self) -> bool:
        return self._received.statistics().current_buffer_used == 0


@asynccontextmanager
async def listening(
    url: str, timeouts: ListenerTimeouts = FAST, *, history: ImportProgress | None = None, **more: Any
) -> AsyncIterator[ListenerOutput]:
    send, receive = anyio.create_memory_object_stream["ReceivedEvent"](math.inf)

    async def pass_on(received: Sequence[ReceivedEvent]) -> None:
        for one in received:
            await send.send(one)

    settings = settings_for(url, **more)
    refresh = RefreshRequests()
    with send, receive:
        async with open_gateway(settings) as gateway, anyio.create_task_group() as tasks:

            async def run() -> None:
                to_plex = partial(listen, gateway, settings, pass_on, now=clock(), refresh=refresh)
                await to_plex(history=history, epoch=4, timeouts=timeouts)

            tasks.start_soon(run)
            yield ListenerOutput(receive, refresh)
            tasks.cancel_scope.cancel()
