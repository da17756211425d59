"""The items that were added last, as Plex lists them, with those that were heard of since in front."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio

from plex_companion.dashboard.cards import When, get_server_id, label_states
from plex_companion.errors import ToolError
from plex_companion.plex.query import BRIEF, build_path, get_page
from plex_companion.plex.xml.attributes import read_kind, read_number, read_text
from plex_companion.text import clean
from plex_companion.times import MINUTE_MS, SECOND_MS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from xml.etree.ElementTree import Element

    from plex_companion.changes.state import State
    from plex_companion.companion import Companion
    from plex_companion.models import LibraryChange
    from plex_companion.plex.client import PlexServer

MOST = 24
"""The most items that are shown."""
FRESH_MS = 5 * MINUTE_MS
SECONDS = 3.0
"""How long a page waits for Plex's list."""
_NOUNS = {"movie": "Film", "episode": "Episode", "track": "Track", "clip": "Clip", "photo": "Photo"}
"""What can be played. Seasons and albums that are heard of are shown as their items."""


@dataclass(frozen=True, slots=True)
class AddedItem:
    """A film, an episode, a season or an album that was added."""

    rating_key: str
    title: str
    subtitle: str
    library: str
    at: int
    server: str | None = None
    """The machine identifier of the server, where there are several."""
    server_name: str = ""
    """How it is called then."""
    epoch: int = 0


class RecentItems:
    """Asks Plex for its list on every new connection, and again when the list is old and a page is opened."""

    def __init__(self, companion: Companion) -> None:
        self._companion = companion
        self._lock = anyio.Lock()
        self._listed: list[AddedItem] = []
        self._listed_at = 0
        self._epoch: int | None = None

    async def refresh(self) -> None:
        """Ask Plex for its list, unless it is new enough. When Plex does not answer, the last list stays."""
        async with self._lock:
            if not self._is_due():
                return
            now, self._epoch = self._companion.now_ms, self._companion.state.connection.epoch
            self._listed_at = now
            with suppress(ToolError):
                self._listed = await self._companion.gateway.call(list_added, timeout=SECONDS)

    def _is_due(self) -> bool:
        is_old = self._companion.now_ms - self._listed_at > FRESH_MS
        return self._companion.is_live and (is_old or self._epoch != self._companion.state.connection.epoch)

    def list_items(self, state: State) -> list[AddedItem]:
        """Return the newest items of a state, the newest first."""
        return merge_items(state, self._listed)[:MOST]


def list_added(plex: PlexServer) -> list[AddedItem]:
    """Return what Plex lists as recently added. One request."""
    rows = get_page(plex, build_path("/library/recentlyAdded", BRIEF), 0, MOST).rows
    found = (_parse_item(row) for row in rows)
    return [item for item in found if item is not None]


def _parse_item(row: Element) -> AddedItem | None:
    key, added = read_text(row, "ratingKey"), read_number(row, "addedAt")
    if key is None or added is None or not key.isdecimal():
        return None
    title, subtitle = _read_titles(row)
    return AddedItem(
        key,
        clean(title or f"item {key}"),
        clean(subtitle),
        clean(read_text(row, "librarySectionTitle") or ""),
        added * SECOND_MS,
    )


def _read_titles(row: Element) -> tuple[str | None, str]:
    """Return what stands in bold, and the line below it."""
    title, index = read_text(row, "title"), read_number(row, "index")
    match read_kind(row):
        case "episode":
            place = f"S{read_number(row, 'parentIndex')} E{index}"
            return read_text(row, "grandparentTitle") or title, f"{place} · {title}"
        case "season" | "album":
            return read_text(row, "parentTitle") or title, title or ""
        case "track":
            return title, read_text(row, "grandparentTitle") or ""
        case _:
            year = read_number(row, "year")
            return title, str(year or "")


def merge_items(state: State, listed: Iterable[AddedItem]) -> list[AddedItem]:
    """Return items, newest first: those heard of that the list does not have yet, and the list without what is gone. Pure."""
    gone = {change.item_id for change in state.recent if change.change == "deleted"}
    kept = {item.rating_key: item for item in listed if item.rating_key not in gone}
    libraries = {section.section_id: section.title for section in state.sections}
    for change in state.recent:
        if _is_addition(change) and change.item_id not in gone:
            kept.setdefault(change.item_id, _describe_change(change, libraries))
    return sorted(kept.values(), key=lambda item: -item.at)


def _is_addition(change: LibraryChange) -> bool:
    return change.change == "created" and change.settled and change.type in _NOUNS and change.item_id.isdecimal()


def _describe_change(change: LibraryChange, libraries: dict[str, str]) -> AddedItem:
    title = clean(change.title or f"item {change.item_id}")
    library = clean(libraries.get(change.section_id or "") or "")
    return AddedItem(change.item_id, title, _NOUNS[change.type or "movie"], library, change.at)


@dataclass(frozen=True, slots=True)
class AddedCard:
    """An added item, as the page shows it."""

    key: str
    item: AddedItem
    when: When


def build_added_cards(items: Iterable[AddedItem], now_ms: int) -> list[AddedCard]:
    """Build a card for each item."""
    return [AddedCard(f"n{item.server or ''}{item.rating_key}", item, When.create(item.at, now_ms)) for item in items]


class SharedRecentItems:
    """The newest items of every server."""

    def __init__(self, companion: Companion) -> None:
        self._each = [(one, RecentItems(one)) for one in companion.each]

    async def refresh(self) -> None:
        """Ask the servers for their lists side by side, so that one that hangs delays no other."""
        async with anyio.create_task_group() as tasks:
            for _, recent in self._each:
                tasks.start_soon(recent.refresh)

    def list_items(self) -> list[AddedItem]:
        """Return the newest items, the newest first."""
        states = [one.state for one, _ in self._each]
        several = len(states) > 1
        found = [
            replace(
                item,
                server=get_server_id(state) if several else None,
                server_name=name if several else "",
                epoch=state.connection.epoch,
            )
            for (_, recent), state, name in zip(self._each, states, label_states(states), strict=True)
            for item in recent.list_items(state)
        ]
        return sorted(found, key=lambda item: -item.at)[:MOST]
