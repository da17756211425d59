"""Figures that are computed from many rows, kept in memory until one of these rows changes."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Hashable

KEPT = 4_000
"""The most figures in memory. Five years take some 130 for each kind of figure."""


class FigureCache:
    """A least-recently-used cache of figures, each with the revision of the rows it was computed from."""

    def __init__(self, most: int = KEPT) -> None:
        self._kept: OrderedDict[Hashable, tuple[Hashable, Any]] = OrderedDict()
        self._most = most

    def __len__(self) -> int:
        """Return the number of figures in memory."""
        return len(self._kept)

    def get(self, key: Hashable, revision: Hashable) -> Any | None:
        """Return a figure if it was computed from rows of this revision; else `None`."""
        found = self._kept.get(key)
        if found is None or found[0] != revision:
            return None
        self._kept.move_to_end(key)
        return found[1]

    def put(self, key: Hashable, revision: Hashable, value: Any) -> None:
        """Keep a figure, and evict the least recently used ones that are too many."""
        self._kept[key] = (revision, value)
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
