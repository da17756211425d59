"""The first reading of the libraries, page by page. It goes on where it was interrupted, also by the end of the program."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
from msgspec.structs import replace

from plex_companion.catalogue.comparison import SectionComparison
from plex_companion.catalogue.item_requests import KINDS, count_photos, read_key_page, read_listing_page
from plex_companion.errors import NotFound, PlexForbidden, PlexStarting, PlexUnauthorized, PlexUnreachable, ToolError
from plex_companion.models import CatalogueSection

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from plex_companion.catalogue.item_requests import ListingPage
    from plex_companion.catalogue.item_updater import CatalogueUpdater
    from plex_companion.models import MediaType, Section

PAGE = 500
"""Rows of a request: 20,000 items of some ten kinds are read in fifty."""
OVERLAP = 20
"""Rows that are read twice after an interruption: items deleted meanwhile shift the others."""
TRIES = 3
ORDER = "addedAt:asc"
"""New items come last, so they shift nothing."""
_SERVER_FAILURES = (PlexUnreachable, PlexStarting, PlexUnauthorized, PlexForbidden)
"""Failures of the server, the network or the token, and not of one page."""


@dataclass(slots=True)
class _KindWalk:
    """The walk through the items of one kind."""

    kind: MediaType
    start: int
    total: int | None = None
    done: bool = False
    last_keys: frozenset[str] = frozenset()
    is_corroborated: bool = False
    """Whether two pages stated the same total: a single one may have shrunk."""
    unread: list[int] = field(default_factory=list)
    """The start of each page that could not be read."""

    @property
    def name(self) -> str:
        """The type of the items."""
        return self.kind.name.lower()

    @property
    def filled(self) -> int:
        """How many rows need not be read again after an interruption."""
        return min([self.start, *self.unread])


class SectionFill:
    """The first reading of one library."""

    def __init__(self, updater: CatalogueUpdater, section: Section, known: CatalogueSection | None) -> None:
        self._updater, self._section = updater, section
        self._walks = [_KindWalk(kind, _resume(known.filled if known else {}, kind)) for kind in KINDS[section.type]]
        self._row = known or CatalogueSection(section.section_id, section.title, section.type, section.uuid)
        self._row = replace(self._row, title=section.title, complete=False)
        self._began = updater.companion.now_ms

    async def begin(self) -> None:
        """Read one page of each kind, which tells how many items there are.

        Raises:
            ToolError: Plex cannot be reached, or there is no such library.
        """
        for walk in self._walks:
            await self._advance(walk)

    async def finish(self) -> None:
        """Read the other pages, and compare keys where not all items are there.

        Raises:
            ToolError: Plex cannot be reached, or there is no such library.
        """
        for walk in self._walks:
            while not walk.done:
                await self._advance(walk)
        await self._repair()
        photos = await self._count_photos()
        counts = await self._updater.known.count(self._section.section_id)
        complete = all(counts.get(walk.name, 0) >= (walk.total or 0) for walk in self._walks)
        total = sum(counts.values()) if complete else self._compute_total()
        detail = None if complete else self._row.detail or _describe_lack(self._section, sum(counts.values()), total)
        as_of = self._began if complete else self._row.as_of
        self._row = replace(
            self._row, complete=complete, as_of=as_of, total=total, detail=detail, photos=photos,
            filled={} if complete else self._row.filled,
        )  # fmt: skip
        await self._updater.write_section(self._row)

    async def _repair(self) -> None:
        """Compare keys where pages are missing, or not all items are there."""
        comparison = SectionComparison(self._updater, self._section)
        counts = await self._updater.known.count(self._section.section_id)
        for walk in self._walks:
            if not walk.is_corroborated:
                walk.total = await self._count(walk.kind)
            if walk.unread or counts.get(walk.name, 0) != walk.total:
                walk.total = await comparison.compare_keys(walk.kind)
                walk.unread.clear()

    async def _count(self, kind: MediaType) -> int | None:
        section_id = self._section.section_id
        page = await self._updater.ask(lambda plex: read_key_page(plex, section_id, kind, 0, 0))
        return page.total

    async def _count_photos(self) -> int | None:
        if self._section.type != "photo":
            return None
        section_id = self._section.section_id
        return await self._updater.ask(lambda plex: count_photos(plex, section_id))

    async def _advance(self, walk: _KindWalk) -> None:
        """Read the next page of a kind and write it. A page that fails `TRIES` times is noted as unread and skipped."""
        if walk.done:
            return
        server, reading = self._updater.server, self._updater.writer.begin_reading()
        page = await self._read_page(walk)
        if page is None:
            walk.unread.append(walk.start)
            walk.start += PAGE
        else:
            walk.is_corroborated = walk.total is not None and walk.total == page.total
            walk.total = page.total if page.total is not None else walk.total
            walk.start += page.size
            walk.last_keys = frozenset(item.rating_key for item in page.items)
        short = page is not None and page.total is None and page.size < PAGE
        walk.done = short or (page is not None and not page.size) or walk.start >= (walk.total or 0) > 0
        walk.done |= page is None and walk.total is None
        detail = page.problem if page is not None and page.problem else self._row.detail
        filled = {one.name: one.filled for one in self._walks}
        self._row = replace(self._row, total=self._compute_total(), filled=filled, detail=detail)
        await self._updater.writer.write(server, reading, page.items if page else (), section=self._row, news=False)
        await self._updater.rest()

    def _compute_total(self) -> int | None:
        """Return how many items Plex has, as far as it is known; it never goes back while the library is read."""
        totals = [walk.total for walk in self._walks if walk.total is not None]
        return max(sum(totals), self._row.total or 0) if totals else self._row.total

    async def _read_page(self, walk: _KindWalk) -> ListingPage | None:
        section_id, private, start = self._section.section_id, self._updater.private, walk.start
        for number in range(TRIES):
            try:
                page = await self._updater.ask(
                    lambda plex: read_listing_page(
                        plex, section_id, walk.kind, start, PAGE, sort=ORDER, private=private
                    )
                )
            except (NotFound, *_SERVER_FAILURES):
                raise
            except ToolError as error:
                reason = error.message
            else:
                repeats = bool(page.items) and walk.last_keys == {item.rating_key for item in page.items}
                if not repeats:
                    return page
                reason = "Plex sent the page before once more."
            await self._name_failure(walk, reason)
            await anyio.sleep(self._updater.timeouts.failed * 2**number)
        return None

    async def _name_failure(self, walk: _KindWalk, reason: str) -> None:
        rows = f"rows {walk.start} to {walk.start + PAGE - 1} of its {walk.name}s"
        detail = f"{self._section.title}: {rows} could not be read. {reason}"
        self._row = replace(self._row, detail=detail)
        await self._updater.write_section(self._row)


def _resume(before: Mapping[str, int], kind: MediaType) -> int:
    return max(0, before.get(kind.name.lower(), 0) - OVERLAP)


def _describe_lack(section: Section, found: int, total: int | None) -> str:
    return f"{section.title}: Plex counts {total} items and lists {found}."


async def fill_sections(
    updater: CatalogueUpdater, sections: Iterable[Section], known: Mapping[str, CatalogueSection]
) -> None:
    """Read the libraries that were not read to their end. Of each, first one page, so that the whole size is known early.

    Raises:
        ToolError: Plex cannot be reached. The next call goes on from there.
    """
    fills: list[SectionFill] = []
    for section in sections:
        row = known.get(section.section_id)
        if section.type in KINDS and not (row and row.complete):
            fill = SectionFill(updater, section, row)
            try:
                await fill.begin()
            except NotFound:  # deleted a moment ago; the next list of libraries says so
                continue
            fills.append(fill)
    for fill in fills:
        try:
            await fill.finish()
        except NotFound:
            continue
