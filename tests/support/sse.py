"""The SDK's client transport over SSE, without the error it ends in when a message comes while its client leaves."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
from mcp.client.sse import sse_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def open_sse(url: str, headers: dict[str, Any] | None = None) -> AsyncIterator[Any]:
    """Open the transport. Its reader finds the session's end of its stream closed only where the session has ended."""
    try:
        async with sse_client(url, headers=headers) as streams:
            yield streams
    except* anyio.BrokenResourceError:
        pass
