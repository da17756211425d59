"""Several companions on one database, in this process or in processes of their own."""

from __future__ import annotations

from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from sqlite3 import connect
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc

from plex_companion.app import open_companion
from plex_companion.companion import read_clock
from plex_companion.plex.disconnects import ListenerTimeouts
from support.application import quick, settings_for
from support.deadlines import HANG_SECONDS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.companion import Companion
    from plex_companion.demo import Demo
    from plex_companion.models import Moment


FAST = ListenerTimeouts(ping=20, pong=20, merge=0.05, late=20, failed=0.1, settled=0.0, waits=quick)


def rows(folder: Path, sql: str) -> list[tuple[Any, ...]]:
    """What is on the disk."""
    with closing(connect(folder / "cache.sqlite3", timeout=HANG_SECONDS)) as reader:
        return reader.execute(sql).fetchall()


@dataclass
class Member:
    """One companion of several, and which URIs its clients would have got updates of."""

    companion: Companion
    announced: list[str] = field(default_factory=list)

    @property
    def listens(self) -> bool:
        return self.companion.live.listens

    async def until(self, fact: Callable[[], object], seconds: float = HANG_SECONDS) -> None:
        """Return as soon as something shown makes the fact so."""
        with anyio.fail_after(seconds):
            while not fact():
                await self.companion.live.wait_for_commit()

    async def live(self) -> None:
        await self.until(lambda: self.companion.is_live)

    @property
    def sessions(self) -> dict[str, Any]:
        """What plays, by session key."""
        return dict(self.companion.state.sessions)


@asynccontextmanager
async def member(
    demo: Demo, folder: Path, *, tick: float = 0.5, now: Callable[[], Moment] = read_clock, **more: Any
) -> AsyncIterator[Member]:
    """A companion on the database of the folder."""
    announced: list[str] = []

    def announce(touched: TouchedUris) -> None:
        announced.extend(touched.immediate | touched.progress_only)

    settings = settings_for(demo, folder, **more)
    async with open_companion(settings, announce, now=now, timeouts=FAST, tick_seconds=tick) as companion:
        yield Member(companion, announced)


@asynccontextmanager
async def two(demo: Demo, folder: Path) -> AsyncIterator[tuple[Member, Member]]:
    """One that listens, heard by Plex, and one that follows it."""
    async with member(demo, folder) as first:
        await first.live()
        async with member(demo, folder) as second:
            yield first, second


class Ending:
    """A member in a task of its own, so that it can end before others that began later."""

    def __init__(self, demo: Demo, folder: Path, **more: Any) -> None:
        self.demo, self.folder, self.more = demo, folder, more
        self._asked, self.over = anyio.Event(), anyio.Event()

    async def run(self, *, task_status: anyio.abc.TaskStatus[Member]) -> None:
        async with member(self.demo, self.folder, **self.more) as one:
            await one.live()
            task_status.started(one)
            await self._asked.wait()
        self.over.set()

    async def end(self) -> None:
        """End it, and wait until it has ended."""
        self._asked.set()
        await self.over.wait()


@asynccontextmanager
async def ending(demo: Demo, folder: Path, **more: Any) -> AsyncIterator[tuple[Member, Ending]]:
    """A member that listens, and how to end it."""
    async with anyio.create_task_group() as tasks:
        one = Ending(demo, folder, **more)
        yield await tasks.start(one.run), one
        await one.end()
