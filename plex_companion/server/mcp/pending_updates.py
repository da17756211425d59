"""What one subscriber has yet to be told: a set, so a subscriber that stops reading costs only itself."""

from __future__ import annotations

import anyio


class PendingUpdates:
    """Merges what it is offered until its reader takes it; never larger than what its owner subscribed to."""

    def __init__(self, *, held: bool = False) -> None:
        self._pending: dict[str, None] = {}
        self._held = held
        self._closed = False
        self._wake = anyio.Event()

    def __len__(self) -> int:
        """How much waits to be read."""
        return len(self._pending)

    def add(self, key: str) -> None:
        """Put something in; does not block, and does nothing once closed."""
        if not self._closed:
            self._pending[key] = None
            self._wake.set()

    def remove(self, key: str) -> None:
        """Take something out again, unread."""
        self._pending.pop(key, None)

    def pause(self) -> None:
        """Keep what comes in: the reader has no way to pass it on just now."""
        self._held = True

    def resume(self) -> None:
        """Let the reader go on."""
        self._held = False
        self._wake.set()

    def close(self) -> None:
        """Take nothing more; the reader ends when it has read what is left."""
        self._closed = True
        self._wake.set()

    def __aiter__(self) -> PendingUpdates:
        """What comes in, until `close`."""
        return self

    async def __anext__(self) -> str:
        """The longest waiting, taken out without a pause between the decision and the taking."""
        while self._held or not self._pending:
            if self._closed:
                raise StopAsyncIteration
            self._wake = anyio.Event()
            await self._wake.wait()
        key = next(iter(self._pending))
        del self._pending[key]
        return key
