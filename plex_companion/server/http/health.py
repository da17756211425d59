"""What `/healthz` reports, and what keeps a companion from being ready."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion import __version__

if TYPE_CHECKING:
    from plex_companion.companion import Companion


def report_health(companion: Companion) -> dict[str, Any]:
    """What `/healthz` says: the program runs; `connection` and `storage` tell whether it hears and remembers."""
    return {
        "status": "ok",
        "version": __version__,
        "role": companion.describe_process()["role"],
        "connection": companion.state.connection.state,
        "storage": companion.live.storage,
    }


def list_readiness_problems(companion: Companion) -> dict[str, str]:
    """What keeps it from being ready: blind, or unable to remember. Nothing when it is."""
    link, storage = companion.state.connection.state, companion.live.storage
    return {
        name: value for name, value, good in (("connection", link, "live"), ("storage", storage, "ok")) if value != good
    }
