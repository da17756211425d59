"""The table of subscriptions, for both protocol eras."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plex_companion.server.mcp.merging import PendingUpdates

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LISTING = ""
"""The key for changes of the list of resources; all other keys are URIs."""


@dataclass(eq=False, slots=True)
class Subscriber:
    """One listen stream or one legacy MCP session."""

    pending: PendingUpdates = field(default_factory=PendingUpdates)
    uris: dict[str, str] = field(default_factory=dict)
    """Each key with the client's own spelling, which it will recognise: MCP compares URIs as strings."""


class Subscribers:
    """The table from keys to subscribers; keys without subscribers are removed."""

    def __init__(self) -> None:
        self._by_key: defaultdict[str, dict[Subscriber, None]] = defaultdict(dict)
        self._closed = False
        self.characters = 0
        """The characters of all URIs, in the spelling of their subscribers."""

    def add(self, subscriber: Subscriber, wanted: Iterable[tuple[str, str]]) -> None:
        """Register `(key, spelling)` pairs. After `close`, the subscriber ends at once."""
        for key, spelling in wanted:
            self.characters += len(spelling) - len(subscriber.uris.get(key, ""))
            subscriber.uris[key] = spelling
            self._by_key[key][subscriber] = None
        if self._closed:
            subscriber.pending.close()

    def remove(self, subscriber: Subscriber, key: str) -> None:
        """Remove one key of a subscriber; its pending update is not sent."""
        spelling = subscriber.uris.pop(key, None)
        if spelling is None:
            return
        self.characters -= len(spelling)
        subscriber.pending.remove(key)
        del self._by_key[key][subscriber]
        if not self._by_key[key]:
            del self._by_key[key]

    def drop(self, subscriber: Subscriber) -> None:
        """Remove a subscriber with all its keys."""
        for key in list(subscriber.uris):
            self.remove(subscriber, key)
        subscriber.pending.close()

    def notify(self, key: str) -> None:
        """Add an update of `key` for each of its subscribers."""
        for _ in self.notify_each(key):
            pass

    def notify_each(self, key: str) -> Iterator[Subscriber]:
        """Add an update of `key` for each of its subscribers, and yield each. Subscribers may come and go in between."""
        for subscriber in tuple(self._by_key.get(key, ())):
            if key in subscriber.uris:
                subscriber.pending.add(key)
                yield subscriber

    def close(self) -> None:
        """End every subscriber, present and future."""
        self._closed = True
        for subscriber in self._list_all():
            subscriber.pending.close()

    def select(self, keys: Iterable[str]) -> set[str]:
        """Return the keys that have a subscriber."""
        return self._by_key.keys() & keys

    def count_pairs(self) -> int:
        """Count the (subscriber, key) pairs."""
        return sum(map(len, self._by_key.values()))

    def count_waiting(self) -> int:
        """Count the updates that wait for subscribers."""
        return sum(len(subscriber.pending) for subscriber in self._list_all())

    def _list_all(self) -> set[Subscriber]:
        return {subscriber for interested in self._by_key.values() for subscriber in interested}
