"""Runs one blocking call in a thread that the program does not wait for when it ends."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
import anyio.from_thread
from anyio.lowlevel import current_token

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class DaemonCall(Generic[T]):
    """A call that was begun. A thread of anyio's or of a pool would keep the program from ending while the call hangs."""

    def __init__(self, name: str, function: Callable[[], T]) -> None:
        """Begin the call. Call it on the event loop."""
        self.result: T | None = None
        """What the function returned; `None` until then, and if it raised an exception, which is printed."""
        self._function = function
        self._done = anyio.Event()
        self._loop = current_token()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def _run(self) -> None:
        try:
            self.result = self._function()
        finally:
            with suppress(anyio.RunFinishedError, RuntimeError):
                anyio.from_thread.run_sync(self._done.set, token=self._loop)

    @property
    def is_done(self) -> bool:
        """Whether the call has ended."""
        return self._done.is_set()

    async def wait(self, seconds: float) -> T | None:
        """Wait for the result. `None` if it takes longer: the call goes on, and may be waited for again."""
        with anyio.move_on_after(seconds):
            await self._done.wait()
        return self.result if self.is_done else None
