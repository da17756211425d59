"""Compares a library with Plex by few rows: what changed last, how many there are, and keys only where that differs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from plex_companion.catalogue.item_requests import KINDS, read_key_page, read_listing_page
from plex_companion.models import MediaType
from plex_companion.plex.xml.catalogue_rows import KeyRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.catalogue.item_requests import KeyPage, ListingPage
    from plex_companion.catalogue.item_updater import CatalogueUpdater
    from plex_companion.models import Section

NEWEST = 16
"""Rows of a first look: three of them are below 50 rows a library."""
CATCHING_UP = 1_000
"""Rows of a request once there is news."""
KEY_ROWS = 2_000
"""Rows of a request for keys."""
MOST_BY_KEY = 1_000
"""Up to so many items are read by their keys; more are read page by page."""
CHANGED_LAST, VIEWED_LAST = "updatedAt:desc", "lastViewedAt:desc"

_QUICK = {
    "movie": ((MediaType.MOVIE, CHANGED_LAST), (MediaType.MOVIE, VIEWED_LAST)),
    "show": ((MediaType.SHOW, CHANGED_LAST), (MediaType.EPISODE, CHANGED_LAST), (MediaType.EPISODE, VIEWED_LAST)),
    "artist": tuple((kind, CHANGED_LAST) for kind in KINDS["artist"]),
    "photo": ((MediaType.PHOTOALBUM, CHANGED_LAST),),
}
"""What is looked at first, at most three requests a library: a view changes no `updatedAt`. A season comes and goes with
its episodes, so seasons are looked at only where there is other news."""


@dataclass(slots=True)
class _KeyWalk:
    """The keys of one kind in a library, as one walk through its pages found them."""

    kept: set[str] = field(default_factory=set)
    others: int = 0
    """Rows of types that the catalogue does not keep, and rows without a key."""
    total: int | None = None
    """The greatest number of rows that a page stated."""
    is_damaged: bool = False

    def add(self, page: KeyPage) -> None:
        """Add the rows of a page."""
        self.kept.update(row.rating_key for row in page.rows if row.kept)
        self.others += page.size - sum(row.kept for row in page.rows)
        self.is_damaged |= page.problem is not None
        if page.total is not None:
            self.total = max(self.total or 0, page.total)

    @property
    def is_whole(self) -> bool:
        """Whether all rows were read, as far as Plex says how many there are."""
        return not self.is_damaged and len(self.kept) + self.others >= (self.total or 0)


@dataclass(slots=True)
class SectionComparison:
    """One comparison of one library."""

    updater: CatalogueUpdater
    section: Section
    differs: bool = False
    """Whether anything was different."""
    _counted: dict[MediaType, int] = field(default_factory=dict)

    async def run(self, *, thorough: bool) -> None:
        """Bring the catalogue to what Plex has. `thorough` looks at every kind of item.

        Raises:
            ToolError: Plex did not answer as expected; nothing was removed for that.
        """
        for kind, sort in _QUICK[self.section.type]:
            await self._follow(kind, sort)
        await self._compare_counts()
        if self.differs or thorough:
            for kind in KINDS[self.section.type]:
                if kind not in self._counted:
                    await self._follow(kind, CHANGED_LAST)
            if thorough and self.section.type == "artist":
                await self._follow(MediaType.TRACK, VIEWED_LAST)
            await self._compare_counts()

    async def _follow(self, kind: MediaType, sort: str) -> None:
        """Read rows in an order that begins with the news, until there is no more of it."""
        page = await self._read_keys(kind, 0, NEWEST, sort)
        if page.total is not None:
            self._counted[kind] = page.total - page.size + sum(row.kept for row in page.rows)
        if not _descends(page.rows, sort):
            await self.compare_keys(kind)
            return
        different = await self.updater.known.find_different(page.rows)
        self.differs |= bool(different)
        if different and page.rows[-1].rating_key in different and page.size == NEWEST:
            await self._catch_up(kind, sort)
        else:
            await self.updater.refresh(different)

    async def _catch_up(self, kind: MediaType, sort: str) -> None:
        """Read whole pages until one ends with an item that is known as it is."""
        start, before = 0, frozenset[str]()
        while True:
            page, different = await self._read_page(kind, start, sort)
            keys = frozenset(item.rating_key for item in page.items)
            if page.problem or not keys or keys == before:  # it failed in part, or is the one before once more
                await self.compare_keys(kind)
                return
            start, before = start + page.size, keys
            if (page.total is not None and start >= page.total) or page.items[-1].rating_key not in different:
                return

    async def _read_page(self, kind: MediaType, start: int, sort: str) -> tuple[ListingPage, set[str]]:
        """Read a page, write what is different of it, and return it with the keys of that."""
        server, reading = self.updater.server, self.updater.writer.begin_reading()
        section_id, private = self.section.section_id, self.updater.private
        page = await self.updater.ask(
            lambda plex: read_listing_page(plex, section_id, kind, start, CATCHING_UP, sort=sort, private=private)
        )
        rows = [
            KeyRow(one.rating_key, one.updated_at, one.view_count, one.last_viewed_at, kept=True) for one in page.items
        ]
        different = set(await self.updater.known.find_different(rows))
        if different:
            changed = [item for item in page.items if item.rating_key in different]
            await self.updater.writer.write(server, reading, changed)
        return page, different

    async def _read_keys(self, kind: MediaType, start: int, size: int, sort: str | None = None) -> KeyPage:
        section_id = self.section.section_id
        return await self.updater.ask(lambda plex: read_key_page(plex, section_id, kind, start, size, sort=sort))

    async def _compare_counts(self) -> None:
        counts = await self.updater.known.count(self.section.section_id)
        for kind, total in list(self._counted.items()):
            if counts.get(kind.name.lower(), 0) != total:
                self.differs = True
                self._counted[kind] = await self.compare_keys(kind)

    async def compare_keys(self, kind: MediaType) -> int:
        """Compare the keys of every item of one kind, and return how many there are. Where pages are missing, read twice.

        What is not listed is removed only if Plex, asked for it by its key, does not have it: a page may have failed,
        shrunk, or shifted while others were read.

        Raises:
            ToolError: Plex did not answer as expected; nothing was removed for that.
        """
        listed, different = set[str](), list[str]()
        found = await self._walk_keys(kind, different)
        listed |= found.kept
        if not found.is_whole:
            found = await self._walk_keys(kind, different)
            listed |= found.kept
        missing = await self.updater.known.list_keys(self.section.section_id, kind.name.lower()) - listed
        moved = await self.updater.remove_missing(sorted(missing)) if missing else []
        if len(different) <= MOST_BY_KEY:
            await self.updater.refresh([*different, *moved])
        else:
            await self.updater.refresh(moved)
            await self._read_all(kind)
        return len(listed) if found.is_whole else max(len(listed), (found.total or 0) - found.others)

    async def _walk_keys(self, kind: MediaType, different: list[str]) -> _KeyWalk:
        """Read the keys of one kind, page by page; add those of items that are different to a list."""
        walk, start = _KeyWalk(), 0
        while True:
            page = await self._read_keys(kind, start, KEY_ROWS)
            different += [key for key in await self.updater.known.find_different(page.rows) if key not in walk.kept]
            walk.add(page)
            start += page.size
            if not page.size or (start >= page.total if page.total is not None else page.size < KEY_ROWS):
                return walk

    async def _read_all(self, kind: MediaType) -> None:
        start = 0
        while True:
            page, _ = await self._read_page(kind, start, "addedAt:asc")
            start += page.size
            if not page.size or (page.total is not None and start >= page.total):
                return


def _descends(rows: Sequence[KeyRow], sort: str) -> bool:
    """Return whether Plex sorted the rows as it was asked to."""
    attribute = "updated_at" if sort == CHANGED_LAST else "last_viewed_at"
    values = [getattr(row, attribute) or 0 for row in rows]
    return values == sorted(values, reverse=True)
