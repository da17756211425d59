"""`plex://server`: the condition of plex-companion itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion import serialize
from plex_companion.cache.queries.read import read_delivery_status, read_message_status
from plex_companion.catalogue.status import describe_catalogue
from plex_companion.changes.kinds import CatalogueChanged, ConnectionChanged, HistoryProgressed, ServerSeen
from plex_companion.resources.declare import Resource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.cache.queries.read import DeliveryStatus
    from plex_companion.companion import Companion
    from plex_companion.models import History


async def read_server(companion: Companion) -> dict[str, Any]:
    """Return read-only mode, storage, the listening process, counters, database, webhooks, targets of notifications, history
    import, catalogue and chronicle.
    """
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
        "notify": await _describe_targets(companion),
        "history": _describe_history([state.history for state in companion.states]),
        "catalogue": await describe_catalogue(companion),
        "chronicle": await _describe_chronicle(companion),
    }


async def _describe_chronicle(companion: Companion) -> dict[str, Any] | None:
    """Return the part of this machine in the chronicle; `None` when the settings name none."""
    if companion.chronicle is None:
        return None
    status = companion.chronicle
    return {
        "role": status.role,
        "number": (await companion.cache.read_position()).number,
        "behind": status.behind,
        "complete_at": serialize.format_iso(status.complete_at),
        "problem": status.problem,
    }


def _describe_history(each: Sequence[History]) -> dict[str, Any]:
    """Return how far the import of Plex's own history is, on several servers together."""
    if len(each) == 1:
        return serialize.serialize_history(each[0])
    totals = [one.total for one in each if one.total is not None]
    return {
        "imported": sum(one.imported or 0 for one in each),
        "total": sum(totals) if len(totals) == len(each) else None,
        "complete": all(one.complete for one in each),
        "detail": next((one.detail for one in each if one.detail), None),
    }


async def _describe_targets(companion: Companion) -> dict[str, Any] | None:
    """Return the counts of messages by the name of their target, without any URL; `None` when no target is set."""
    names = companion.settings.list_notify_targets()
    if not names:
        return None
    return {
        name: _describe_status(found) for name, found in (await read_message_status(companion.cache, names)).items()
    }


async def _describe_webhooks(companion: Companion) -> dict[str, Any] | None:
    """Return the delivery counts without any address; `None` when no webhook is set."""
    if not companion.settings.webhook_urls:
        return None
    return _describe_status(await read_delivery_status(companion.cache))


def _describe_status(found: DeliveryStatus) -> dict[str, Any]:
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
    touched_by=(ConnectionChanged, ServerSeen, HistoryProgressed, CatalogueChanged),
)
