"""Several machines with one chronicle: a folder each, and a companion on its database."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio
import anyio.abc
from pydantic import SecretStr

from plex_companion.app import open_companion
from plex_companion.chronicle.timeouts import DEFAULT_CHRONICLE_TIMEOUTS, ChronicleTimeouts
from plex_companion.companion import read_clock
from support.application import settings_for
from support.deadlines import HANG_SECONDS
from support.several_processes import FAST, Member, rows

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from plex_companion.cache.leadership import TouchedUris
    from plex_companion.demo import Demo
    from plex_companion.models import Moment
    from support.postgres import Postgres

SHARED_TABLES = (
    "about",
    "alerts",
    "clients",
    "events",
    "links",
    "play_marks",
    "plays",
    "servers",
    "chronicle_position",
)
QUICK = replace(DEFAULT_CHRONICLE_TIMEOUTS, poll=0.05, retry=0.05, returning=0.0)
"""For tests in which PostgreSQL stays, or in which it does not matter who leads after it returned."""


def shared_rows(folder: Path) -> dict[str, list[tuple[Any, ...]]]:
    """What must be the same in the databases of all machines."""
    return {table: rows(folder, f"SELECT * FROM {table} ORDER BY 1, 2") for table in SHARED_TABLES}  # noqa: S608 - our own names


class Machine(Member):
    """A companion with a database of its own, on a machine of its own as far as it can tell."""

    @property
    def role(self) -> str | None:
        status = self.companion.chronicle
        return status.role if status else None

    @property
    def number(self) -> int:
        status = self.companion.chronicle
        return status.number if status else 0

    async def until_soon(self, fact: Callable[[], object]) -> None:
        """Return as soon as the fact is so, whether anything is committed or not."""
        with anyio.fail_after(HANG_SECONDS):
            while not fact():  # noqa: ASYNC110 - what a machine says of itself has no event
                await anyio.sleep(0.02)


@asynccontextmanager
async def machine(
    demo: Demo,
    folder: Path,
    dsn: str,
    group: str,
    *,
    timeouts: ChronicleTimeouts = QUICK,
    now: Callable[[], Moment] = read_clock,
    **more: Any,
) -> AsyncIterator[Machine]:
    """A companion in this folder, with this chronicle."""
    announced: list[str] = []

    def announce(touched: TouchedUris) -> None:
        announced.extend(touched.immediate | touched.progress_only)

    settings = settings_for(demo, folder, **more)
    settings = settings.model_copy(update={"chronicle": SecretStr(dsn), "chronicle_group": group})
    opened = open_companion(settings, announce, now=now, timeouts=FAST, tick_seconds=0.5, chronicle_timeouts=timeouts)
    async with opened as companion:
        yield Machine(companion, announced)


class Household:
    """The machines of a test. Each runs in a task of its own, so that it can end before others that began later."""

    def __init__(self, demo: Demo, folder: Path, postgres: Postgres, group: str, tasks: anyio.abc.TaskGroup) -> None:
        self.demo, self.folder, self.postgres, self.group = demo, folder, postgres, group
        self._tasks = tasks
        self._ends: dict[str, tuple[anyio.Event, anyio.Event]] = {}

    async def begin(self, name: str, *, port: int | None = None, folder: str | None = None, **more: Any) -> Machine:
        """Begin a machine, or another process of the machine that has this folder."""
        self._ends[name] = (anyio.Event(), anyio.Event())
        place = self.folder / (folder or name)
        await anyio.Path(place).mkdir(exist_ok=True)
        dsn = self.postgres.dsn_of("postgres", port=port)

        async def run(*, task_status: anyio.abc.TaskStatus[Machine]) -> None:
            asked, over = self._ends[name]
            async with machine(self.demo, place, dsn, self.group, **more) as one:
                task_status.started(one)
                await asked.wait()
            over.set()

        begun: Machine = await self._tasks.start(run)
        return begun

    async def end(self, name: str) -> None:
        """End a machine, and wait until it has ended."""
        asked, over = self._ends.pop(name)
        asked.set()
        with anyio.fail_after(HANG_SECONDS):
            await over.wait()

    async def end_all(self) -> None:
        for name in list(self._ends):
            await self.end(name)


@asynccontextmanager
async def household_of_machines(demo: Demo, folder: Path, postgres: Postgres, group: str) -> AsyncIterator[Household]:
    async with anyio.create_task_group() as tasks:
        household = Household(demo, folder, postgres, group, tasks)
        yield household
        await household.end_all()
