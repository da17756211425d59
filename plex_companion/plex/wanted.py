"""What the rest of the program wants to know of Plex soon: many wishes, one answer."""

from __future__ import annotations

import anyio


class Wish:
    """Said any number of times, answered once."""

    def __init__(self) -> None:
        self._said = anyio.Event()

    def say(self) -> None:
        """Wake whoever waits for it."""
        self._said.set()

    async def wait(self) -> None:
        """Return as soon as it has been said."""
        await self._said.wait()

    def take(self) -> None:
        """Start anew, before the answer is begun: what is said from now on is another wish."""
        self._said = anyio.Event()


class Wanted:
    """Wishes for snapshots, said from ordinary code and heard by the listener."""

    def __init__(self) -> None:
        self.for_sessions = Wish()
        self.for_library = Wish()
        self.for_history = Wish()

    def snapshot(self) -> None:
        """Sessions and activities, as when an unknown session plays."""
        self.for_sessions.say()

    def library(self) -> None:
        """Server, libraries, accounts and clients too, as when a scan has ended."""
        self.for_library.say()

    def history(self) -> None:
        """What Plex has counted as seen, as when a play has ended."""
        self.for_history.say()
