"""Sends pages of the catalogue on their way to the database, in slices, and waits until each is written."""

from __future__ import annotations

from collections import OrderedDict
from itertools import count
from typing import TYPE_CHECKING

from plex_companion.events import CataloguePage, ReceivedEvent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from plex_companion.companion import Companion
    from plex_companion.models import CatalogueItem, CatalogueSection, LibraryCheck

SLICE = 50
"""Items of a transaction: other events wait while it is written."""
REMEMBERED = 4_096
"""How many items read by themselves are remembered, so that an older page does not undo them."""


async def _add_nothing(page: CataloguePage) -> CataloguePage:
    return page


class PageWriter:
    """Writes pages that were read from one server. If two pages have the same item, the one whose reading began later wins."""

    def __init__(
        self, companion: Companion, add_new_media: Callable[[CataloguePage], Awaitable[CataloguePage]] = _add_nothing
    ) -> None:
        self._companion, self._add_new_media = companion, add_new_media
        self._numbers = count(1)
        self._readings = count(1)
        self._read_by: OrderedDict[str, int] = OrderedDict()

    def begin_reading(self) -> int:
        """Return the number of a reading. Call it before Plex is asked."""
        return next(self._readings)

    async def write(
        self,
        server: str,
        reading: int,
        items: Sequence[CatalogueItem] = (),
        *,
        gone: Sequence[str] = (),
        section: CatalogueSection | None = None,
        section_gone: str | None = None,
        news: bool = True,
    ) -> None:
        """Write items, remove others, and with the last items write how much of their library was read."""
        fresh = [item for item in items if self._read_by.get(item.rating_key, 0) < reading]
        lost = tuple(key for key in gone if self._read_by.get(key, 0) < reading)
        self._remember([*(item.rating_key for item in fresh), *lost], reading)
        slices = [tuple(fresh[first : first + SLICE]) for first in range(0, len(fresh), SLICE)] or [()]
        for number, some in enumerate(slices):
            last = number == len(slices) - 1
            page = CataloguePage(
                next(self._numbers),
                server,
                items=some,
                gone=lost if last else (),
                sections=(section,) if section and last else (),
                sections_gone=(section_gone,) if section_gone and number == 0 else (),
                news=news,
            )
            await self._send(await self._add_new_media(page) if news else page)

    async def report_checks(self, server: str, checks: Sequence[LibraryCheck]) -> None:
        """Report libraries whose daily comparison has ended."""
        await self._send(CataloguePage(next(self._numbers), server, checks=tuple(checks)))

    async def forget_paths(self, server: str) -> None:
        """Remove the paths of all files."""
        await self._send(CataloguePage(next(self._numbers), server, forget_paths=True))

    async def _send(self, page: CataloguePage) -> None:
        companion = self._companion
        await companion.event_queue.put([ReceivedEvent(page, companion.clock())])
        while companion.state.catalogue_page < page.number or companion.live.storage != "ok":
            await companion.live.wait_for_commit()

    def _remember(self, keys: Sequence[str], reading: int) -> None:
        for key in keys:
            self._read_by[key] = reading
            self._read_by.move_to_end(key)
        while len(self._read_by) > REMEMBERED:
            self._read_by.popitem(last=False)
