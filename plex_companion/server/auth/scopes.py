"""The scopes of an OAuth issuer's tokens. Requests with the companion's own token, and over stdio, may do everything."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

READ, WRITE = "read", "write"


def may_write(request: Any) -> bool:
    """Return whether the sender of an HTTP request may change something. `None` is a client without HTTP."""
    scope = getattr(request, "scope", None) or {}
    allowed = scope.get("auth")
    return allowed is None or WRITE in allowed.scopes


def asks_to_write(body: bytes, writes: Callable[[str, Mapping[str, Any]], bool]) -> bool:
    """Return whether a message calls a tool in a way that writes. The SDK refuses malformed messages."""
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        return False
    if not isinstance(message, dict) or message.get("method") != "tools/call":
        return False
    params = message.get("params")
    name = params.get("name") if isinstance(params, dict) else None
    arguments = params.get("arguments") if isinstance(params, dict) else None
    return isinstance(name, str) and writes(name, arguments if isinstance(arguments, dict) else {})
