"""Sends the object of a tool's result as it is.

The SDK dumps a result twice with pydantic on its way out, as its own model and as that of the client's protocol version
(`ServerRunner._serialize`). For fifty plays each pass takes as long as a query, and none changes anything, since both
models take any JSON object there. So a result passes through the SDK without its object, which is put back afterwards.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcp.server.context import CallNext, HandlerResult, ServerRequestContext

_held: ContextVar[list[dict[str, Any]] | None] = ContextVar("_held", default=None)


def hold_structured(structured: dict[str, Any]) -> bool:
    """Hold the object of the present call until the SDK has made its result. Return whether this is such a call."""
    if (held := _held.get()) is None:
        return False
    held.append(structured)
    return True


def take_structured() -> dict[str, Any] | None:
    """Return the object that is held, and hold it no longer."""
    held = _held.get()
    return held.pop() if held else None


async def attach_structured(ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
    """Run a request, and put the object that was held meanwhile into its result (a `ServerMiddleware`)."""
    if ctx.method != "tools/call":
        return await call_next(ctx)
    held: list[dict[str, Any]] = []
    token = _held.set(held)
    try:
        result = await call_next(ctx)
    finally:
        _held.reset(token)
    return {**result, "structuredContent": held[0]} if held and isinstance(result, dict) else result
