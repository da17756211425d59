"""Waits for a commit that brings something, and reports progress to the caller meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from plex_companion.companion import Companion
    from plex_companion.tools.declare import Caller

T = TypeVar("T")
PROGRESS_SECONDS = 5.0


async def wait_for_page(
    companion: Companion, caller: Caller, find: Callable[[], Awaitable[T | None]], seconds: float
) -> T | None:
    """Call `find` now and after every commit until it returns something; return `None` after so many seconds."""
    started = reported_at = anyio.current_time()
    with anyio.move_on_after(seconds):
        while True:
            changed = companion.live.prepare_wait()  # before reading, or a commit during the reading would be missed
            found = await find()
            if found is not None:
                return found
            with anyio.move_on_after(reported_at + PROGRESS_SECONDS - anyio.current_time()):
                await changed.wait()
            if anyio.current_time() >= reported_at + PROGRESS_SECONDS:
                reported_at = anyio.current_time()
                await caller.report_progress(reported_at - started, seconds, "waiting for an event from Plex")
    return None
