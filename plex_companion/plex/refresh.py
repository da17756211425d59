"""What the rest of the program wants to know of Plex soon: many wishes, one answer."""

from __future__ import annotations

import anyio


class RefreshFlag:
    """Said any number of times, answered once."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        """Wake whoever waits for it."""
        self._event.set()

    async def wait(self) -> None:
        """Return as soon as it has been said."""
        await self._event.wait()

    def clear(self) -> None:
        """Start anew, before the answer is begun: what is said from now on is another wish."""
        self._event = anyio.Event()


class RefreshRequests:
    """Wishes for snapshots, said from ordinary code and heard by the listener."""

    def __init__(self) -> None:
        self.sessions = RefreshFlag()
        self.library = RefreshFlag()
        self.history = RefreshFlag()

    def request_snapshot(self) -> None:
        """Sessions and activities, as when an unknown session plays."""
        self.sessions.set()

    def request_library(self) -> None:
        """Server, libraries, accounts and clients too, as when a scan has ended."""
        self.library.set()

    def request_history(self) -> None:
        """What Plex has counted as seen, as when a play has ended."""
        self.history.set()
