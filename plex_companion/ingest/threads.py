"""Runs long computations in a worker thread, so that the event loop goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def compute_off_loop(function: Callable[[], T]) -> T:
    """Call a pure function in a worker thread and return its result. Cancelling waits until it has finished."""
    return await anyio.to_thread.run_sync(function)
