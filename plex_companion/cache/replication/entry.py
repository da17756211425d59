"""A transaction of the leader as other machines repeat it."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from msgspec import Struct, field

from plex_companion.cache.leadership import TouchedUris

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from plex_companion.cache.replication.named_write import WriteCall


class Entry(Struct, frozen=True):
    """The writes of one transaction, and what the processes on each machine must know of it."""

    at: int
    """The time of the transaction, by the leader's clock."""
    calls: Sequence[WriteCall]
    touched: TouchedUris = field(default_factory=TouchedUris)
    counters: Mapping[str, Any] | None = None
    """What the leader has counted so far, where its status is due."""
    answered: Sequence[str] = ()
    """Digests of the events that the leader's machine forwarded and that this transaction handles."""

    def run(self, connection: sqlite3.Connection) -> list[object]:
        """Write the rows, and return what each write returned."""
        return [call.run(connection) for call in self.calls]


class EncodedEntry(NamedTuple):
    """An entry on its way into the log. When it is tried again, it is the same one, with the same name."""

    name: str
    """Random, so that an entry whose answer was lost is recognised in the log."""
    body: bytes
    remote_ids: tuple[int, ...]
    """Events that other machines forwarded and that this entry answers: they are deleted together with its append."""


class Append(Protocol):
    """Appends entries to the log."""

    async def __call__(self, entry: EncodedEntry, /) -> int:
        """Append an entry after all others, or find it there by its name; return its number.

        Raises:
            AppendFailed: it may be in the log or not. The same entry will be appended again before any other.
            LeadershipLost: another process appends now.
        """


class AppendFailed(sqlite3.OperationalError):
    """The log cannot be reached, or takes nothing: storage is degraded, as with a full disk."""


class EntryWaits(sqlite3.OperationalError):
    """A transaction could not be appended or committed now. It is kept as it is, and is tried again before any other."""

    def __init__(self, reason: str, term: int | None) -> None:
        super().__init__(reason)
        self.term = term
        """The term it will be written in."""
