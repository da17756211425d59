"""The source of answers about the past, and their common parts. Plex itself is not needed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from plex_companion import serialize
from plex_companion.cache.queries.servers import is_unidentified

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import tzinfo

    from plex_companion.cache.database import Cache
    from plex_companion.cache.queries.plays import HistoryStatus
    from plex_companion.cache.queries.servers import ServerNames
    from plex_companion.changes.state import State

MOST = 500
"""The most entries of one answer."""


class HistorySource(Protocol):
    """The source of answers about the past: a running companion, or a database opened for reading."""

    @property
    def cache(self) -> Cache:
        """The database."""

    @property
    def state(self) -> State:
        """The current state of the only or the first server."""

    @property
    def states(self) -> Sequence[State]:
        """The current states of all servers that the source answers about."""

    @property
    def only_server(self) -> str | None:
        """The machine identifier of the server that answers are limited to; `None` for every server of the database."""

    @property
    def owner_marks(self) -> Mapping[str, str]:
        """By machine identifier of every configured server, a text that is the same where one token is used."""

    @property
    def zone(self) -> tzinfo:
        """The time zone of days and hours, and of times that callers write without one."""

    @property
    def now_ms(self) -> int:
        """The wall clock in milliseconds since 1970."""


def add_envelope(source: HistorySource, body: dict[str, Any]) -> dict[str, Any]:
    """Return the body inside the envelope of the resources."""
    if len(source.states) > 1:
        return {**serialize.build_shared_envelope(source.states, source.now_ms), **body}
    return {**serialize.build_envelope(source.state, source.now_ms), **body}


def find_server(source: HistorySource) -> str | None:
    """Return the machine identifier of the server, or `None` if it is not known yet."""
    return source.state.server.machine_identifier if source.state.server else None


def list_servers(source: HistorySource) -> list[str]:
    """Return the machine identifiers of the servers that the source answers about, as far as they are known."""
    if source.only_server is not None:
        return [source.only_server]
    return [state.server.machine_identifier for state in source.states if state.server]


def limit_to_one(source: HistorySource) -> str | None:
    """Return the server to which plays are limited where an answer is about the catalogue of one; `None` for no limit."""
    return source.only_server or (find_server(source) if len(source.states) > 1 else None)


def describe_server(server: str, names: ServerNames) -> dict[str, Any]:
    """Return the fields of a row that say which server it is of; null while a server has not said who it is."""
    known = not is_unidentified(server)
    return {"server": server if known else None, "server_name": names.get(server)}


def describe_import(status: HistoryStatus) -> dict[str, Any]:
    """Return how much of Plex's own history is imported. Until `complete` is true, plays may be missing."""
    return {"imported": status.imported, "total": status.total, "complete": status.complete}
