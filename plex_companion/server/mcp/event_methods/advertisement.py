"""How MCP Events is named in `server/discover`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

IDENTIFIER = "io.modelcontextprotocol/events"


async def advertise_events(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Run a request, and name Events among the capabilities themselves too (a `ServerMiddleware`).

    ChatGPT and `@ai-sdk/mcp` 2.0 look there and not among the extensions. The SDK's model has no such field.
    """
    result = await call_next(ctx)
    if ctx.method != "server/discover" or not isinstance(result, dict):
        return result
    capabilities = result.get("capabilities", {})
    if IDENTIFIER not in capabilities.get("extensions", {}):
        return result
    return {**result, "capabilities": {**capabilities, "events": {}}}
