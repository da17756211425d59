"""`plex://server`: the condition of plex-companion itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.cache.queries.read import read_delivery_status
from plex_companion.changes.kinds import ConnectionChanged, HistoryProgressed, ServerSeen
from plex_companion.resources.declare import Resource

if TYPE_CHECKING:
    from plex_companion.companion import Companion


async def read_server(companion: Companion) -> dict[str, Any]:
    """Return read-only mode, storage, the listening process, counters, database, webhooks and history import."""
    return {
        "read_only": companion.settings.read_only,
        "storage": companion.live.storage,
        "process": companion.describe_process(),
        "counters": companion.read_counters(),
        "database": {
            "size_bytes": await companion.cache.read_size_bytes(),
            "last_commit_at": serialize.format_iso(companion.live.committed_at),
            "schema": companion.cache.schema,
        },
        "webhooks": await _describe_webhooks(companion),
        "history": serialize.serialize_history(companion.state.history),
    }


async def _describe_webhooks(companion: Companion) -> dict[str, Any] | None:
    """Return the delivery counts without any address; `None` when no webhook is set."""
    if not companion.settings.webhook_urls:
        return None
    found = await read_delivery_status(companion.cache)
    return {
        "waiting": found.waiting,
        "failed": found.failed,
        "last_delivered_at": serialize.format_iso(found.last_delivered_at),
    }


SERVER = Resource(
    "plex://server",
    "Server",
    "The connection to Plex, counters of its notifications, and the state of the database.",
    read_server,
    touched_by=(ConnectionChanged, ServerSeen, HistoryProgressed),
)
