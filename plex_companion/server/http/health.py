"""The health and readiness of a companion."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion import __version__

if TYPE_CHECKING:
    from plex_companion.companion import Companion


def report_health(companion: Companion) -> dict[str, Any]:
    """Return the body of `/healthz`. `status` is ok while the program runs; see `connection` and `storage` for the rest."""
    return {
        "status": "ok",
        "version": __version__,
        "role": companion.describe_process()["role"],
        "connection": companion.state.connection.state,
        "storage": companion.live.storage,
    }


def list_readiness_problems(companion: Companion) -> dict[str, str]:
    """Return what keeps the companion from being ready: no connection to Plex, or no storage. Empty when it is ready."""
    link, storage = companion.state.connection.state, companion.live.storage
    return {
        name: value for name, value, good in (("connection", link, "live"), ("storage", storage, "ok")) if value != good
    }
