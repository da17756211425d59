"""Updates items of the catalogue from Plex at low priority: a pause between two requests is longer than a request."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio

from plex_companion.catalogue.item_requests import read_existing, read_items
from plex_companion.catalogue.known_rows import KnownRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from plex_companion.catalogue.page_writer import PageWriter
    from plex_companion.companion import Companion
    from plex_companion.models import CatalogueSection
    from plex_companion.plex.client import PlexServer

T = TypeVar("T")

KEYS = 100
"""Items of a request for all their details."""
BARE_KEYS = 400
"""Items of a request for their existence only: the address has about 3 kB."""


@dataclass(frozen=True, slots=True)
class CatalogueTimeouts:
    """How long the tasks of the catalogue wait, in seconds. Tests use shorter times."""

    merge: float = 0.3
    """After an item was touched: others usually follow within milliseconds."""
    settle: float = 2.0
    """Between readings of touched items, so that a storm becomes few requests; a change is seen within 5 s."""
    share: float = 2.0
    """How many times longer a pause is than the request before it, in the background."""
    failed: float = 1.0
    """Before a failed page is read again, and twice as long each further time."""
    again: float = 600.0
    """At most, before a library that could not be read to its end is tried again."""
    compare: float = 24 * 3600.0
    """Between comparisons of all libraries on one connection."""


DEFAULT_CATALOGUE_TIMEOUTS = CatalogueTimeouts()


@dataclass(slots=True)
class CatalogueUpdater:
    """Requests items from the connected Plex server, pauses between requests, and writes the answers."""

    companion: Companion
    writer: PageWriter
    timeouts: CatalogueTimeouts = DEFAULT_CATALOGUE_TIMEOUTS
    _asking_s: float = field(default=0.0)

    @property
    def private(self) -> bool:
        """Whether paths stay out of the catalogue."""
        return self.companion.settings.privacy

    @property
    def server(self) -> str:
        """The machine identifier of the server; empty while it is not known."""
        known = self.companion.state.server
        return known.machine_identifier if known else ""

    @property
    def known(self) -> KnownRows:
        """The rows that the catalogue has of this server."""
        return KnownRows(self.companion.cache, self.server)

    async def ask(self, function: Callable[[PlexServer], T]) -> T:
        """Send a request, and remember how long it took.

        Raises:
            ToolError: Plex did not answer as expected.
        """
        began = time.monotonic()
        try:
            return await self.companion.gateway.call(function)
        finally:
            self._asking_s = time.monotonic() - began

    async def rest(self) -> None:
        """Wait in proportion to the last request, so that the program is mostly idle while a library is read."""
        await anyio.sleep(self._asking_s * self.timeouts.share)

    async def refresh(self, keys: Iterable[str], *, rests: bool = False) -> list[str]:
        """Read items by their keys and write them. Return the keys that Plex no longer has.

        Raises:
            ToolError: Plex did not answer as expected; what was read is written.
        """
        every, gone = list(dict.fromkeys(keys)), list[str]()
        for first in range(0, len(every), KEYS):
            gone += await self._refresh_some(every[first : first + KEYS])
            if rests:
                await self.rest()
        return gone

    async def _refresh_some(self, keys: Sequence[str]) -> list[str]:
        server, reading = self.server, self.writer.begin_reading()
        found = await self.ask(partial(read_items, keys=keys, private=self.private))
        lost = [key for key in keys if key not in found.keys] if found.certain else []
        libraries = {section.section_id for section in self.companion.state.sections}
        items = [item for item in found.items if item.section_id in libraries]
        known = set(lost) - set(await self.known.list_lacking(lost)) if lost else set()
        if items or known:
            await self.writer.write(server, reading, items, gone=[key for key in lost if key in known])
        return [key for key in lost if key in known]

    async def remove_missing(self, keys: Iterable[str]) -> list[str]:
        """Ask Plex for each item, and remove the items that it no longer has. Return the keys of the others.

        Raises:
            ToolError: Plex did not answer as expected; no more is removed.
        """
        every, there = list(keys), list[str]()
        for first in range(0, len(every), BARE_KEYS):
            some = every[first : first + BARE_KEYS]
            server, reading = self.server, self.writer.begin_reading()
            found = await self.ask(partial(read_existing, keys=some))
            if found.certain:
                gone = [key for key in some if key not in found.keys]
                await self.writer.write(server, reading, gone=gone)
            there += [key for key in some if key in found.keys]
        return there

    async def write_section(self, section: CatalogueSection) -> None:
        """Write the row of a library: how much of it was read, and what failed."""
        await self.writer.write(self.server, self.writer.begin_reading(), section=section, news=False)
