"""Tasks on a listen stream: the filter `taskIds`, and notifications that carry the whole task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from mcp.server.mcpserver.server import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, Notification

from plex_companion.resources.task_uris import build_task_uri
from plex_companion.server.mcp.extensions.task_wire import IDENTIFIER, describe_task, identify_principal

if TYPE_CHECKING:
    from mcp.server.context import ServerRequestContext
    from mcp_types import SubscriptionFilter

    from plex_companion.tools.follow_up.task_store import TaskStore

MOST_TASKS = 100
"""The most tasks of one stream."""
TASK_IDS = "taskIds"


class TaskNotification(Notification[dict[str, Any], Literal["notifications/tasks"]]):
    """A task as it is now."""

    method: Literal["notifications/tasks"] = "notifications/tasks"
    params: dict[str, Any]


class TaskStreams:
    """Checks which tasks a stream may follow, and sends them."""

    def __init__(self, store: TaskStore) -> None:
        self._store = store

    async def resolve(self, ctx: ServerRequestContext[Any, Any], asked: SubscriptionFilter) -> dict[str, str]:
        """Return the tasks in a filter: the URI under which each is announced, and its id.

        Raises:
            MCPError: -32602 for an unknown task or too many, -32021 from a client that does not declare the extension.
        """
        identifiers = (asked.model_extra or {}).get(TASK_IDS)
        if not identifiers:
            return {}
        require_client_extension(ctx, IDENTIFIER)
        if not isinstance(identifiers, list) or len(identifiers) > MOST_TASKS:
            raise MCPError(INVALID_PARAMS, f"{TASK_IDS} must be a list of at most {MOST_TASKS} task ids.")
        for identifier in identifiers:
            await self._require(ctx, identifier)
        return {build_task_uri(identifier): identifier for identifier in identifiers}

    async def send(self, ctx: ServerRequestContext[Any, Any], identifier: str, meta: dict[str, Any]) -> None:
        """Send a task as it is now. Send nothing if it has expired."""
        task = await self._store.read(identifier, identify_principal(ctx.request))
        if task is not None:
            params = {**describe_task(task, whole=True), "_meta": meta}
            note = TaskNotification(params=params)
            await ctx.session.send_notification(note, related_request_id=ctx.request_id)  # type: ignore[arg-type]  # the SDK lists its own

    async def _require(self, ctx: ServerRequestContext[Any, Any], identifier: object) -> None:
        principal = identify_principal(ctx.request)
        if not isinstance(identifier, str) or await self._store.read(identifier, principal) is None:
            raise MCPError(INVALID_PARAMS, "There is no task with this id, or it has expired.")
