"""Answers about the past, out of the cache: one shape for tools, resources and the command line, also without Plex."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from plex_companion import serialize

if TYPE_CHECKING:
    from datetime import tzinfo

    from plex_companion.cache.database import Cache
    from plex_companion.cache.queries.plays import HistoryStatus
    from plex_companion.changes.state import State

MOST = 500
"""Entries of one answer."""


class HistorySource(Protocol):
    """What remembers: a running companion, or the database alone."""

    @property
    def cache(self) -> Cache:
        """The database."""

    @property
    def state(self) -> State:
        """What is known now."""

    @property
    def zone(self) -> tzinfo:
        """The time zone of days, hours and times that are written without one."""

    @property
    def now_ms(self) -> int:
        """Wall clock, milliseconds since 1970."""


def add_envelope(memory: HistorySource, body: dict[str, Any]) -> dict[str, Any]:
    """The envelope of the resources around a body."""
    return {**serialize.build_envelope(memory.state, memory.now_ms), **body}


def find_server(memory: HistorySource) -> str | None:
    """Which server the past is of."""
    return memory.state.server.machine_identifier if memory.state.server else None


def describe_import(ledger: HistoryStatus) -> dict[str, Any]:
    """How much of Plex's own history is in. Until it is `complete`, what is not here may have been played all the same."""
    return {"imported": ledger.imported, "total": ledger.total, "complete": ledger.complete}
