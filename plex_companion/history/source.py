"""The source of answers about the past, and their common parts. Plex itself is not needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from plex_companion import serialize

if TYPE_CHECKING:
    from datetime import tzinfo

    from plex_companion.cache.database import Cache
    from plex_companion.cache.queries.plays import HistoryStatus
    from plex_companion.changes.state import State

MOST = 500
"""The most entries of one answer."""


class HistorySource(Protocol):
    """Where answers about the past come from: a running companion, or a database opened for reading."""

    @property
    def cache(self) -> Cache:
        """The database."""

    @property
    def state(self) -> State:
        """The current state."""

    @property
    def zone(self) -> tzinfo:
        """The time zone of days and hours, and of times that callers write without one."""

    @property
    def now_ms(self) -> int:
        """The wall clock in milliseconds since 1970."""


def add_envelope(source: HistorySource, body: dict[str, Any]) -> dict[str, Any]:
    """Return the body inside the envelope of the resources."""
    return {**serialize.build_envelope(source.state, source.now_ms), **body}


def find_server(source: HistorySource) -> str | None:
    """Return the machine identifier of the server, or `None` if it is not known yet."""
    return source.state.server.machine_identifier if source.state.server else None


def describe_import(status: HistoryStatus) -> dict[str, Any]:
    """Return how much of Plex's own history is imported. Until `complete` is true, plays may be missing."""
    return {"imported": status.imported, "total": status.total, "complete": status.complete}
