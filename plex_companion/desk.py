"""The desk of the process that listens: keeps what the other processes on its database must be told by the next commit."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from plex_companion.cache import StorageError
from plex_companion.cache.board import NOBODY, Base, Bulletin, Listening, Touched
from plex_companion.cache.letters import received

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from plex_companion.cache import Cache
    from plex_companion.changes import State
    from plex_companion.changes.kinds import Change
    from plex_companion.events import Heard
    from plex_companion.models import Moment

POLL_SECONDS = 0.2
"""How often it is looked whether letters have come."""
FRESH_MS = 1_000
"""How often it is worth a row that nothing but times and counters moved on."""


@dataclass(slots=True)
class Desk:
    """What is pinned up, and what waits for it."""

    pid: int
    name: Callable[[Sequence[Change]], Touched]
    """Which URIs changes touch."""
    term: int | None = None
    """`None` until the first commit has begun one."""
    base: Base | None = None
    """What the state was loaded from."""
    untold: Touched = field(default_factory=Touched)
    letters: list[int] = field(default_factory=list)
    """Taken in, and not yet written down."""
    _pinned: Listening | None = None
    _pinned_at: int = 0

    def take(self, batch: Sequence[Heard], changes: Sequence[Change]) -> Touched:
        """Note what a batch means to the others; returns the URIs it touches."""
        touched = self.name(changes)
        self.untold.add(touched)
        self.letters += [heard.letter for heard in batch if heard.letter is not None]
        return touched

    def bulletin(self, state: State, counters: dict[str, Any], at: int) -> Bulletin:
        """What the next transaction pins up; false when there is nothing that cannot wait."""
        row = Listening(
            pid=self.pid,
            server=state.server.machine_identifier if state.server else None,
            connection=state.connection,
            sessions_read=state.sessions_read,
            last_event_at=state.last_event_at,
            refreshed_at=state.refreshed_at,
            counters=counters,
        )
        pinned = self._pinned
        rested = not 0 <= at - self._pinned_at < FRESH_MS
        due = pinned is None or row.matter != pinned.matter or (rested and row != pinned)
        return Bulletin(at, self.term, self.untold, row if due else None, tuple(self.letters), self.base)

    def last_word(self, state: State, counters: dict[str, Any], at: int) -> Bulletin:
        """The same, whether it could wait or not, and that nobody listens from then on."""
        self._pinned, self.pid = None, NOBODY
        return self.bulletin(state, counters, at)

    def pinned_up(self, bulletin: Bulletin, term: int | None) -> None:
        """It is committed, in this term."""
        self.term = term
        self.untold, self.letters = Touched(), []
        if bulletin.listening is not None:
            self._pinned, self._pinned_at = bulletin.listening, bulletin.at


async def collect(cache: Cache, put: Callable[[Sequence[Heard]], Awaitable[None]], now: Callable[[], Moment]) -> None:
    """Take in the letters of other processes, for ever. The commit that writes them down deletes them."""
    last: int = 0
    version: tuple[int, int] | None = None
    while True:
        with suppress(StorageError):  # the next commit says what is wrong
            latest = await cache.version()
            if latest != version:
                letters = await received(cache, last, now())
                version, last = latest, max((letter.letter or 0 for letter in letters), default=last)
                await put(letters)
        await anyio.sleep(POLL_SECONDS)
