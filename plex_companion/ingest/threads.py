"""Computes in a worker thread what would keep the event loop from others."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


async def compute_off_loop(function: Callable[[], T]) -> T:
    """Return what a pure function returns, while the loop goes on. It is not abandoned: cancelling waits for its end."""
    return await anyio.to_thread.run_sync(function)
