"""`plex://server`: what the companion itself is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion import wire
from plex_companion.cache.read import deliveries
from plex_companion.changes.kinds import ConnectionChanged, HistoryProgressed, ServerSeen
from plex_companion.resources.declare import Resource

if TYPE_CHECKING:
    from plex_companion.companion import Companion


async def read_server(companion: Companion) -> dict[str, Any]:
    """Read-only mode, storage, which process listens, counters, database and history."""
    return {
        "read_only": companion.settings.read_only,
        "storage": companion.live.storage,
        "process": companion.process(),
        "counters": companion.counters(),
        "database": {
            "size_bytes": await companion.cache.size_bytes(),
            "last_commit_at": wire.iso(companion.live.committed_at),
            "schema": companion.cache.schema,
        },
        "webhooks": await _webhooks(companion),
        "history": wire.history(companion.state.history),
    }


async def _webhooks(companion: Companion) -> dict[str, Any] | None:
    """Without addresses. `None` when alerts are delivered nowhere."""
    if not companion.settings.webhook_urls:
        return None
    found = await deliveries(companion.cache)
    return {
        "waiting": found.waiting,
        "failed": found.failed,
        "last_delivered_at": wire.iso(found.last_delivered_at),
    }


SERVER = Resource(
    "plex://server",
    "Server",
    "Whether Plex is heard, what was heard, the state of the cache.",
    read_server,
    touched_by=(ConnectionChanged, ServerSeen, HistoryProgressed),
)
