"""Updates that wait for one subscriber: a set, so that one that stops reading costs little."""

from __future__ import annotations

import anyio


class PendingUpdates:
    """Merges updates until the reader takes them; never larger than the subscriptions of its owner."""

    def __init__(self, *, held: bool = False) -> None:
        self._pending: dict[str, None] = {}
        self._held = held
        self._closed = False
        self._wake = anyio.Event()

    def __len__(self) -> int:
        """Return the number of waiting updates."""
        return len(self._pending)

    def add(self, key: str) -> None:
        """Add an update. Never blocks; does nothing after `close`."""
        if not self._closed:
            self._pending[key] = None
            self._wake.set()

    def remove(self, key: str) -> None:
        """Remove an update that was not read."""
        self._pending.pop(key, None)

    def pause(self) -> None:
        """Hold back updates: the reader cannot send them now."""
        self._held = True

    def resume(self) -> None:
        """Let the reader continue."""
        self._held = False
        self._wake.set()

    def close(self) -> None:
        """Accept no more updates. The reader ends after the ones that wait."""
        self._closed = True
        self._wake.set()

    def __aiter__(self) -> PendingUpdates:
        """Return the iterator over updates, which ends after `close`."""
        return self

    async def __anext__(self) -> str:
        """Return the update that has waited longest. No other task runs between choosing and removing it."""
        while self._held or not self._pending:
            if self._closed:
                raise StopAsyncIteration
            self._wake = anyio.Event()
            await self._wake.wait()
        key = next(iter(self._pending))
        del self._pending[key]
        return key
