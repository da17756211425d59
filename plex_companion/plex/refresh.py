"""Requests for a fresh look at Plex, made by the rest of the program and served by the listener."""

from __future__ import annotations

import anyio


class RefreshFlag:
    """A request that is set any number of times and served once."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        """Wake the task that waits for the flag."""
        self._event.set()

    async def wait(self) -> None:
        """Return as soon as the flag is set."""
        await self._event.wait()

    def clear(self) -> None:
        """Reset the flag. Call it before Plex is asked, so that a request made meanwhile counts as a new one."""
        self._event = anyio.Event()


class RefreshRequests:
    """The snapshots and readings that are requested. Ordinary code sets them, the listener serves them."""

    def __init__(self) -> None:
        self.sessions = RefreshFlag()
        self.library = RefreshFlag()
        self.history = RefreshFlag()

    def request_snapshot(self) -> None:
        """Request sessions and activities, as when an unknown session plays."""
        self.sessions.set()

    def request_library(self) -> None:
        """Request server, libraries, accounts and clients too, as when a scan has ended."""
        self.library.set()

    def request_history(self) -> None:
        """Request the new rows of Plex's own history, as when a play has ended."""
        self.history.set()
