"""Tasks: calls of tools whose work goes on in Plex. The leader writes them; any process reads them."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote

import anyio
from msgspec.structs import replace

from plex_companion.cache.queries.tool_tasks import read_ended_activities, read_task
from plex_companion.changes.tool_tasks import list_unreported
from plex_companion.errors import ToolError
from plex_companion.events import ReceivedEvent, ToolTaskReport
from plex_companion.models import ToolTask
from plex_companion.plex.query import send
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    from plex_companion.companion import Companion
    from plex_companion.plex.client import PlexServer
    from plex_companion.tools.declare import FollowedWork

logger = logging.getLogger(__name__)

WRITE_SECONDS = 10.0
"""How long a task may take to be written before the caller gets the plain answer instead."""
MOST_WORKING = 100
"""The most tasks at a time. Above that, calls get the plain answer."""
TTL_MS = DAY_MS
ASKED = "Cancelled. Plex was asked to stop, and may finish what it is doing."
UNASKED = "Cancelled. Plex reported nothing that could be stopped, so the work may go on."


def _cancel_activity(plex: PlexServer, uuid: str) -> None:
    send(plex, "DELETE", f"/activities/{quote(uuid, safe='')}")


@dataclass(frozen=True, slots=True)
class TaskStore:
    """The tasks of a companion. A task can be read only by the principal that made the call."""

    companion: Companion

    @property
    def now_ms(self) -> int:
        """Wall clock, milliseconds since 1970."""
        return self.companion.now_ms

    async def begin(
        self, tool: str, principal: str, work: FollowedWork, result: str, since: int, server: str | None = None
    ) -> ToolTask | None:
        """Write a task for a call that began at `since` on this server. Return it once it is committed, or `None` if it
        cannot be.
        """
        of_server = TaskStore(self.companion.choose_server(server))
        return await of_server.begin_here(tool, principal, work, result, since)

    async def begin_here(
        self, tool: str, principal: str, work: FollowedWork, result: str, since: int
    ) -> ToolTask | None:
        """Write a task as `begin` does, on the server that the companion shows."""
        if len(self.companion.state.tool_tasks) >= MOST_WORKING:
            return None
        identifier = secrets.token_hex(16)
        task = ToolTask(identifier, principal, tool, work.activity, result, sections=work.sections)
        await self._report(ToolTaskReport(task))
        written = await self._wait_for(identifier)
        if written is None:
            return None
        # An activity that ended before the commit has moved no task on.
        ended = await read_ended_activities(self.companion.cache, since, self.companion.only_server)
        if sections := tuple(list_unreported(ended, written)):
            await self._report(ToolTaskReport(written, sections))
        return written

    async def read(self, identifier: str, principal: str) -> ToolTask | None:
        """Return a task; `None` if there is none, it is another principal's, or it has expired."""
        task = await read_task(self.companion.cache, identifier)
        if task is None or not secrets.compare_digest(task.principal, principal):
            return None
        expired = task.status != "working" and self.now_ms - task.created_at > TTL_MS
        return None if expired else task

    async def cancel(self, task: ToolTask) -> None:
        """Mark a task as cancelled, and ask Plex to stop its work. Plex may refuse or finish first."""
        await TaskStore(self._find_companion(task)).cancel_here(task)

    def _find_companion(self, task: ToolTask) -> Companion:
        """Return the companion of the server on which a task's work goes on."""
        each = self.companion.each
        return next((one for one in each if task.id in one.state.tool_tasks), self.companion)

    async def cancel_here(self, task: ToolTask) -> None:
        """Cancel a task as `cancel` does, on the server that the companion shows."""
        await self._report(
            ToolTaskReport(replace(task, status="cancelled", message=ASKED if task.running else UNASKED))
        )
        for activity in task.running:
            try:
                await self.companion.gateway.call(partial(_cancel_activity, uuid=activity))
            except ToolError as error:
                logger.warning("Plex did not stop the work of a cancelled task: %s", error.message)

    async def _report(self, report: ToolTaskReport) -> None:
        await self.companion.event_queue.put([ReceivedEvent(report, self.companion.clock())])

    async def _wait_for(self, identifier: str) -> ToolTask | None:
        with anyio.move_on_after(WRITE_SECONDS):
            while True:
                changed = self.companion.live.prepare_wait()  # before reading, or the commit could be missed
                if task := await read_task(self.companion.cache, identifier):
                    return task
                await changed.wait()
        return None
