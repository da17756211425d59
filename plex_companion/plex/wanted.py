"""What the rest of the program wants to know of Plex soon: many wishes, one answer."""

from __future__ import annotations

import anyio


class Wanted:
    """A wish for a snapshot, said from ordinary code and heard by the listener. Wishes merge until it is taken."""

    def __init__(self) -> None:
        self._wished = anyio.Event()
        self._library = False

    def snapshot(self) -> None:
        """Sessions and activities, as when an unknown session plays."""
        self._wished.set()

    def library(self) -> None:
        """Server, libraries, accounts and clients too, as when a scan has ended."""
        self._library = True
        self._wished.set()

    async def wait(self) -> None:
        """Return as soon as there is a wish."""
        await self._wished.wait()

    def take(self) -> bool:
        """Start anew, before the reading begins. Returns whether the library was wished for."""
        library, self._library, self._wished = self._library, False, anyio.Event()
        return library
