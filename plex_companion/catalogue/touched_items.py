"""The items that events of Plex mention, until they are read again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio

from plex_companion.changes.kinds import ActivityEnded, Journaled, LibraryItemChanged, SessionChanged, SessionEnded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plex_companion.changes.kinds import Effect

_METADATA = "/library/metadata/"
_NOT_KEPT = frozenset(
    {"trailer", "comic", "person", "picture", "clip", "photo", "playlist", "playlistfolder", "collection"}
)
_REFRESHES = frozenset({"library.refresh.items", "library.update.item.metadata"})
"""Activities of Plex that end when items were refreshed, or marked as played (PLEX.md 1.2)."""


class TouchedItems:
    """Keys of items to read again, each once however often it was touched."""

    def __init__(self) -> None:
        self._keys: dict[str, None] = {}
        self._added = anyio.Event()

    def __len__(self) -> int:
        """Return how many items wait."""
        return len(self._keys)

    def add(self, keys: Iterable[str]) -> None:
        """Add keys, and wake the task that reads them."""
        self._keys.update(dict.fromkeys(keys))
        if self._keys:
            self._added.set()

    def take(self, most: int) -> list[str]:
        """Remove and return keys, those that waited longest first."""
        taken = list(self._keys)[:most]
        for key in taken:
            del self._keys[key]
        if not self._keys:
            self._added = anyio.Event()
        return taken

    async def wait(self) -> None:
        """Return as soon as an item waits."""
        await self._added.wait()


def list_touched(changes: Iterable[Effect]) -> list[str]:
    """Return the keys of the items that changes are about and the catalogue keeps: changed, deleted, refreshed, played."""
    keys: dict[str, None] = {}
    for change in changes:
        match change:
            case Journaled() | SessionChanged():
                pass  # nearly all are
            case LibraryItemChanged(change=item) if item.settled and item.type not in _NOT_KEPT:
                keys[item.item_id] = None
            case ActivityEnded(activity=activity) if activity.type in _REFRESHES:
                keys.update(dict.fromkeys(_read_context(activity.context)))
            case SessionEnded(session=session) if session.item.rating_key and not session.item.live:
                keys[session.item.rating_key] = None
            case _:
                pass
    return [key for key in keys if key.isdecimal()]


def _read_context(context: Mapping[str, Any]) -> list[str]:
    """Return the keys in the context of an activity: `/library/metadata/12`, maybe with `/children`."""
    key = str(context.get("key") or "")
    return key.removeprefix(_METADATA).split("/")[0].split(",") if key.startswith(_METADATA) else []
