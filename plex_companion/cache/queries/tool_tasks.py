"""Queries on tasks, and on the activities that may be their work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.cache.queries.servers import OF_SERVER
from plex_companion.cache.rows import parse_activity, parse_task

if TYPE_CHECKING:
    from plex_companion.cache.database import Cache
    from plex_companion.models import Activity, ToolTask


async def read_task(cache: Cache, identifier: str) -> ToolTask | None:
    """Return a task, or `None` if there is none with this id."""
    rows = await cache.reader.execute_fetchall("SELECT * FROM tool_tasks WHERE id = ?", (identifier,))
    return next((parse_task(row) for row in rows), None)


async def read_ended_activities(cache: Cache, since: int, server: str | None = None) -> list[Activity]:
    """Return the activities that have ended since a time, in milliseconds since 1970, on all servers or on one."""
    sql = f"SELECT * FROM activities WHERE ended_at >= :since AND {OF_SERVER}"  # noqa: S608 - our own condition
    rows = await cache.reader.execute_fetchall(sql, {"since": since, "server": server})
    return [parse_activity(row) for row in rows]
