"""The health and readiness of a companion."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from plex_companion import __version__
from plex_companion.serialize import find_worst

if TYPE_CHECKING:
    from plex_companion.companion import Companion


def report_health(companion: Companion) -> dict[str, Any]:
    """Return the body of `/healthz`. `status` is ok while the program runs; see `connection` and `storage` for the rest."""
    return {
        "status": "ok",
        "version": __version__,
        "role": companion.describe_process()["role"],
        "connection": find_worst(companion.states).connection.state,
        "storage": companion.live.storage,
        **_count_connections(companion),
    }


def _count_connections(companion: Companion) -> dict[str, Any]:
    """Return how many of several servers are in which state. Nobody needs to log in to see this, so it has no names."""
    if len(companion.states) == 1:
        return {}
    return {"connections": dict(Counter(state.connection.state for state in companion.states))}


def list_readiness_problems(companion: Companion) -> dict[str, str]:
    """Return what keeps the companion from being ready: no connection to Plex, or no storage. Empty when it is ready.

    One of several servers that is away keeps nobody from asking about the others, so only the loss of all counts.
    """
    found = [state.connection.state for state in companion.states]
    link, storage = "live" if "live" in found else found[0], companion.live.storage
    return {
        name: value for name, value, good in (("connection", link, "live"), ("storage", storage, "ok")) if value != good
    }
