"""The heart of a process that does not listen: show what another one committed, then tell whoever asked."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio

from plex_companion.cache import StorageError
from plex_companion.cache.letters import is_mail, send
from plex_companion.cache.load import look
from plex_companion.errors import DatabaseUnusable
from plex_companion.ingest import BATCH
from plex_companion.models import Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from plex_companion.cache import Cache
    from plex_companion.cache.board import Touched
    from plex_companion.cache.lease import Lease
    from plex_companion.changes import State
    from plex_companion.events import Heard
    from plex_companion.ingest import Inbox, Live
    from plex_companion.models import Moment

logger = logging.getLogger(__name__)

POLL_SECONDS = 0.1
"""How often a process looks whether another one has committed something, or has ended."""


@dataclass(slots=True)
class Follower:
    """Keeps the live state as the process that listens has it."""

    live: Live
    cache: Cache
    inbox: Inbox
    announce: Callable[[Touched], None]
    everything: Callable[[], Touched]
    """Every URI there is now, for when announcements were taken down unseen."""
    now: Callable[[], Moment]
    silent_ms: int
    """When the process that listens has told nothing for so long, its word is doubted: it may hang."""
    last: int = 0
    """The announcement seen last."""

    async def follow(self, lease: Lease) -> None:
        """Until nobody listens, and it is for this process to go on. A storage that refuses is asked again.

        Raises:
            DatabaseUnusable: the file was put aside, and another one has its name.
        """
        version: int | None = None
        while not (self._is_in_place() and lease.take()):
            try:
                latest = await self.cache.version()
                if latest != version:
                    await self.see()
                    version = latest
                    self.live.storage = "ok"
            except StorageError as error:
                self._refused(error)
            self._doubt()
            await anyio.sleep(POLL_SECONDS)

    def _is_in_place(self) -> bool:
        """What is open may have been damaged, and put aside by a process that started when nobody listened."""
        if not self.cache.is_in_place():
            message = f"The database {self.cache.path} was replaced while it was in use: start this process again."
            raise DatabaseUnusable(message)
        return True

    async def see(self) -> None:
        """Show what is committed now, and announce what of it is new.

        Raises:
            StorageError: it cannot be read.
        """
        touched = await self._look()
        self.announce(touched)

    async def _look(self) -> Touched:
        found = await look(self.cache, self.now(), self.last)
        live, news = self.live, found.news
        shown = live.state.connection.state
        self.last = news.last
        live.listening = found.listening
        live.committed_at = news.committed_at or live.committed_at
        live.show(self._judged(found.state))
        believed = live.state.connection.state == shown  # what is doubted, or no more, is another state of everything
        return news.touched if news.complete and believed else self.everything()

    def _doubt(self) -> None:
        """Look again at what is shown, now that time has passed."""
        judged = self._judged(self.live.state)
        if judged is not self.live.state:
            self.live.show(judged)
            self.announce(self.everything())

    def _judged(self, state: State) -> State:
        """The same, unless it claims to be live and nobody has confirmed it for too long."""
        link, at = state.connection, self.now().at
        confirmed = max(link.since_at, state.refreshed_at or 0)
        if link.state != "live" or at - confirmed <= self.silent_ms:
            return state
        doubted = state.copy()
        doubted.connection = Connection("down", confirmed, link.epoch, "the process that listens is silent")
        doubted.sessions = {key: replace(session, stale=True) for key, session in state.sessions.items()}
        return doubted

    async def post(self) -> None:
        """Send what this process has to say to the one that writes, for ever."""
        while True:
            letters = [heard for heard in await self.inbox.drain(BATCH) if is_mail(heard.event)]
            try:
                while letters:
                    if await self._sent(letters):
                        letters = []
                    else:
                        await anyio.sleep(POLL_SECONDS)
            finally:
                self.inbox.put_back(letters)

    async def _sent(self, letters: Sequence[Heard]) -> bool:
        try:
            with anyio.CancelScope(shield=True):  # sent or not, but nobody in doubt
                await send(self.cache, letters)
        except StorageError as error:
            self._refused(error)
            return False
        return True

    def _refused(self, error: StorageError) -> None:
        if self.live.storage == "ok":
            logger.warning("The cache cannot be used (%s): trying again", error)
        self.live.storage = "degraded"
