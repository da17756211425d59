"""Who wants to hear of what, in one table for both protocol eras."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plex_companion.server.mcp.pending_updates import PendingUpdates

if TYPE_CHECKING:
    from collections.abc import Iterable

LISTING = ""
"""The key for "the list of resources changed"; the other keys are URIs."""


@dataclass(eq=False, slots=True)
class Subscriber:
    """One listen stream or one legacy session."""

    pending: PendingUpdates = field(default_factory=PendingUpdates)
    uris: dict[str, str] = field(default_factory=dict)
    """Each key with the spelling the client used, which is the one it will recognise."""


class Subscribers:
    """The table from keys to subscribers; empty keys leave no trace in it."""

    def __init__(self) -> None:
        self._by_key: defaultdict[str, dict[Subscriber, None]] = defaultdict(dict)
        self._closed = False
        self.characters = 0
        """Of all URIs, as their subscribers spell them."""

    def add(self, subscriber: Subscriber, wanted: Iterable[tuple[str, str]]) -> None:
        """Register `(key, spelling)` pairs. After `close`, the subscriber is told that there is no more."""
        for key, spelling in wanted:
            self.characters += len(spelling) - len(subscriber.uris.get(key, ""))
            subscriber.uris[key] = spelling
            self._by_key[key][subscriber] = None
        if self._closed:
            subscriber.pending.close()

    def remove(self, subscriber: Subscriber, key: str) -> None:
        """Forget one key; what was pending for it is not sent."""
        spelling = subscriber.uris.pop(key, None)
        if spelling is None:
            return
        self.characters -= len(spelling)
        subscriber.pending.remove(key)
        del self._by_key[key][subscriber]
        if not self._by_key[key]:
            del self._by_key[key]

    def drop(self, subscriber: Subscriber) -> None:
        """Forget a subscriber altogether."""
        for key in list(subscriber.uris):
            self.remove(subscriber, key)
        subscriber.pending.close()

    def notify(self, key: str) -> None:
        """Put `key` into the mailbox of everyone who wants it."""
        for subscriber in self._by_key.get(key, ()):
            subscriber.pending.add(key)

    def close(self) -> None:
        """End every mailbox, now and in future."""
        self._closed = True
        for subscriber in self._list_all():
            subscriber.pending.close()

    def __contains__(self, key: object) -> bool:
        """Whether anybody wants to hear of `key`."""
        return key in self._by_key

    def count_pairs(self) -> int:
        """How many (subscriber, key) pairs there are."""
        return sum(map(len, self._by_key.values()))

    def count_waiting(self) -> int:
        """How much lies in mailboxes."""
        return sum(len(subscriber.pending) for subscriber in self._list_all())

    def _list_all(self) -> set[Subscriber]:
        return {subscriber for interested in self._by_key.values() for subscriber in interested}
