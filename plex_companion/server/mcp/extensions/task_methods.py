"""The extension Tasks (`io.modelcontextprotocol/tasks`, SEP-2663): a call whose work goes on answers with a task.

Only calls that declare the extension get tasks, and only of tools whose work can be recognized in Plex's activities. The
answer to the call, which says that the work started, becomes the result when it has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mcp.server.extension import Extension, MethodBinding
from mcp.server.mcpserver.server import require_client_extension
from mcp.shared.exceptions import MCPError
from mcp.shared.inbound import MCP_METHOD_HEADER, MCP_NAME_HEADER
from mcp_types import HEADER_MISMATCH, INVALID_PARAMS, INVALID_REQUEST, CallToolResult, RequestParams
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from plex_companion.server.auth.scopes import may_write
from plex_companion.server.mcp.extensions.task_wire import IDENTIFIER, describe_task, encode_result, identify_principal
from plex_companion.server.mcp.structured_content import hold_structured, take_structured
from plex_companion.tools.server_argument import SERVER_NAME

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
    from mcp_types import CallToolRequestParams

    from plex_companion.models import ToolTask
    from plex_companion.tools.declare import Tool
    from plex_companion.tools.follow_up.task_store import TaskStore

_VERSIONS = frozenset(MODERN_PROTOCOL_VERSIONS)


class TaskParams(RequestParams):
    """The parameters of `tasks/get` and `tasks/cancel`."""

    task_id: str


class UpdateTaskParams(TaskParams):
    """The parameters of `tasks/update`."""

    input_responses: dict[str, Any]


class TasksExtension(Extension):
    """Answers calls with tasks, and serves `tasks/get`, `tasks/update` and `tasks/cancel`."""

    identifier = IDENTIFIER

    def __init__(self, store: TaskStore, tools: Sequence[Tool]) -> None:
        self._store = store
        self._followed = {tool.name: tool.follow for tool in tools if tool.follow}

    def methods(self) -> Sequence[MethodBinding]:
        """Return the methods, which are defined for 2026-07-28 and later only."""
        return [
            MethodBinding("tasks/get", TaskParams, self._get, _VERSIONS),
            MethodBinding("tasks/update", UpdateTaskParams, self._update, _VERSIONS),
            MethodBinding("tasks/cancel", TaskParams, self._cancel, _VERSIONS),
        ]

    async def intercept_tool_call(
        self, params: CallToolRequestParams, ctx: ServerRequestContext[Any, Any], call_next: CallNext
    ) -> HandlerResult:
        """Answer with a task where the call started work in Plex; otherwise with the result itself."""
        if params.name not in self._followed or not _declares_tasks(ctx):
            return await call_next(ctx)
        since = self._store.now_ms
        result = await call_next(ctx)
        if not isinstance(result, CallToolResult) or result.is_error:
            return result
        structured = take_structured() or result.structured_content or {}
        task = await self._begin(params, ctx, result, structured, since)
        if task is not None:
            return {"resultType": "task", **describe_task(task, whole=False)}
        hold_structured(structured)
        return result

    async def _begin(
        self,
        params: CallToolRequestParams,
        ctx: ServerRequestContext[Any, Any],
        result: CallToolResult,
        structured: dict[str, Any],
        since: int,
    ) -> ToolTask | None:
        if "status" in structured and structured["status"] != "success":
            return None  # several titles match, so nothing was started
        work, principal = self._followed[params.name](structured), identify_principal(ctx.request)
        server = (params.arguments or {}).get(SERVER_NAME)  # the call succeeded, so it names one if it must
        return await self._store.begin(params.name, principal, work, encode_result(result, structured), since, server)

    async def _get(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> dict[str, Any]:
        return describe_task(await self._find(ctx, params), whole=True)

    async def _update(self, ctx: ServerRequestContext[Any, Any], params: UpdateTaskParams) -> dict[str, Any]:
        await self._find(ctx, params)  # none of these tasks asks for input, so there is nothing to update
        return {}

    async def _cancel(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> dict[str, Any]:
        task = await self._find(ctx, params)
        if not may_write(ctx.request):
            raise MCPError(INVALID_REQUEST, "The token of this client lacks the scope write.")
        if task.status == "working":
            await self._store.cancel(task)
        return {}

    async def _find(self, ctx: ServerRequestContext[Any, Any], params: TaskParams) -> ToolTask:
        require_client_extension(ctx, IDENTIFIER)
        _check_headers(ctx.request, params.task_id)
        task = await self._store.read(params.task_id, identify_principal(ctx.request))
        if task is None:
            raise MCPError(INVALID_PARAMS, "There is no task with this id, or it has expired.")
        return task


def _check_headers(request: Any, task_id: str) -> None:
    """Insist that the header by which proxies route a request names its task (SEP-2243). Other transports have none."""
    headers = request.headers if request else {}
    if MCP_METHOD_HEADER in headers and headers.get(MCP_NAME_HEADER) != task_id:
        raise MCPError(HEADER_MISMATCH, f"The header {MCP_NAME_HEADER} must be the taskId of the request.")


def _declares_tasks(ctx: ServerRequestContext[Any, Any]) -> bool:
    """Return whether this request declares the extension, in a version of the protocol that has it."""
    capabilities = ctx.session.client_capabilities
    declared = capabilities.extensions if capabilities else None
    return ctx.protocol_version in _VERSIONS and bool(declared) and IDENTIFIER in (declared or {})
