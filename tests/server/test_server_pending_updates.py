"""What a subscriber that reads, does not read, or cannot be reached is handed."""

from __future__ import annotations

import anyio
import pytest
from support.deadlines import HANG_SECONDS

from plex_companion.server.mcp.pending_updates import PendingUpdates


async def _rest(box: PendingUpdates) -> list[str]:
    box.close()
    with anyio.fail_after(HANG_SECONDS):
        return [key async for key in box]


async def test_what_is_offered_twice_is_read_once() -> None:
    box = PendingUpdates()
    for key in ("a", "b", "a"):
        box.add(key)
    assert await _rest(box) == ["a", "b"]


async def test_what_is_withdrawn_is_not_read() -> None:
    box = PendingUpdates()
    box.add("a")
    box.remove("a")
    assert await _rest(box) == []


async def test_a_reader_waits_for_the_next_offer() -> None:
    box = PendingUpdates()
    heard: list[str] = []
    async with anyio.create_task_group() as tasks:

        async def read() -> None:
            heard.extend([key async for key in box])

        tasks.start_soon(read)
        await anyio.lowlevel.checkpoint()
        box.add("a")
        await anyio.lowlevel.checkpoint()
        box.close()
    assert heard == ["a"]


async def test_a_held_mailbox_keeps_what_comes_until_it_is_released() -> None:
    box = PendingUpdates(held=True)
    box.add("a")
    with pytest.raises(TimeoutError), anyio.fail_after(0.01):
        await anext(box)
    box.resume()
    assert await anext(box) == "a"


async def test_a_closed_mailbox_takes_nothing_more() -> None:
    box = PendingUpdates()
    box.close()
    box.add("a")
    assert await _rest(box) == []
