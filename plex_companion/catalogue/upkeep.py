"""Keeps the catalogue as Plex has it: fills it, follows events, compares after every outage and once a day, adds details."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from msgspec.structs import replace

from plex_companion.catalogue.comparison import SectionComparison
from plex_companion.catalogue.first_fill import fill_sections
from plex_companion.catalogue.item_requests import KINDS, read_key_page
from plex_companion.catalogue.item_updater import KEYS, CatalogueUpdater
from plex_companion.catalogue.library_checks import list_due_checks
from plex_companion.catalogue.new_media import add_new_media
from plex_companion.catalogue.page_writer import PageWriter
from plex_companion.errors import NotFound, ToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from plex_companion.catalogue.item_updater import CatalogueTimeouts
    from plex_companion.catalogue.touched_items import TouchedItems
    from plex_companion.companion import Companion
    from plex_companion.models import CatalogueSection, Section

STORM = 1_000
"""More touched items than this are read with pauses, as when Plex refreshes a whole library."""
SOONEST = 0.9
"""The part of a day after which a library may be reported again: a comparison may come somewhat early."""
GONE_AT_ONCE = 200
"""Items of a deleted library that one transaction removes."""
MOST_LEVELS = 4
"""How often reading items again may touch others above or below them: an artist, an album, a track, and once more."""


def list_catalogue_tasks(
    companion: Companion, touched: TouchedItems, ask_for_libraries: Callable[[], None], timeouts: CatalogueTimeouts
) -> list[Callable[[], Coroutine[Any, Any, None]]]:
    """Return the task that keeps the catalogue, unless it is switched off."""
    task = partial(keep_catalogue, companion, touched, ask_for_libraries, timeouts)
    return [task] if companion.settings.catalogue else []


async def keep_catalogue(
    companion: Companion,
    touched: TouchedItems,
    ask_for_libraries: Callable[[], None],
    timeouts: CatalogueTimeouts,
) -> None:
    """Keep the catalogue true, forever. Only the leading process does.

    `ask_for_libraries` has the list of libraries read again: Plex announces no new title of a library.
    """
    writer = PageWriter(companion, partial(add_new_media, companion))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_follow_events, CatalogueUpdater(companion, writer, timeouts), touched)
        tasks.start_soon(_Keeper(CatalogueUpdater(companion, writer, timeouts), ask_for_libraries).run)


async def _follow_events(updater: CatalogueUpdater, touched: TouchedItems) -> None:
    """Read touched items again: each one soon, many together."""
    while True:
        await touched.wait()
        await anyio.sleep(updater.timeouts.merge)
        await _wait_until(updater.companion, lambda: _is_connected(updater.companion))
        keys = touched.take(len(touched))
        try:
            await refresh_touched(updater, keys)
        except ToolError:
            touched.add(keys)
            await anyio.sleep(updater.timeouts.failed)
        await anyio.sleep(updater.timeouts.settle)


async def refresh_touched(updater: CatalogueUpdater, keys: list[str]) -> None:
    """Read items again, then their relatives that changed with them: new and emptied parents, and children of deleted items.

    Raises:
        ToolError: Plex did not answer as expected.
    """
    seen: set[str] = set()
    wanted = keys
    for _ in range(MOST_LEVELS):
        wanted = [key for key in dict.fromkeys(wanted) if key not in seen]
        if not wanted:
            return
        seen.update(wanted)
        above = await updater.known.list_parents(wanted)
        gone = await updater.refresh(wanted, rests=len(wanted) > STORM)
        above = list(dict.fromkeys([*above, *await updater.known.list_parents(wanted)]))
        wanted = [
            *await updater.known.list_below(gone),
            *await updater.known.list_lacking(above),
            *await updater.known.list_emptied(above),
        ]


def _is_connected(companion: Companion) -> bool:
    return companion.is_live and companion.state.server is not None and bool(companion.state.sections)


async def _wait_until(companion: Companion, holds: Callable[[], bool], seconds: float | None = None) -> None:
    """Wait until a commit makes a condition true, or so many seconds have passed."""
    with anyio.move_on_after(seconds):
        while True:
            committed = companion.live.prepare_wait()
            if holds():
                return
            await committed.wait()


def _identify(sections: Iterable[Section]) -> tuple[tuple[str | None, ...], ...]:
    """Return which libraries there are. Their counts are left out: they change with their items, and events announce those."""
    return tuple((one.section_id, one.title, one.type, one.uuid) for one in sections)


@dataclass(slots=True)
class _Keeper:
    """Fills and compares, again on each connection, when the list of libraries changes, and once a day."""

    updater: CatalogueUpdater
    ask_for_libraries: Callable[[], None]
    _compared: tuple[str, int] | None = None
    """The server and the connection on which everything was compared last."""
    _due_at: int = 0
    _listed: tuple[Section, ...] = ()
    """The libraries then."""
    _details_after: int = 0
    _failures: int = 0

    async def run(self) -> None:
        """Run forever."""
        companion = self.updater.companion
        while True:
            await _wait_until(companion, lambda: _is_connected(companion))
            try:
                await self._forget_paths()
                complete = await self._bring_up_to_date()
                more = complete and await self._add_details()
            except ToolError as error:
                await self._name_failure(error)
                complete = more = False
            self._failures = 0 if complete else self._failures + 1
            if complete and not more:
                await _wait_until(companion, self._has_news, self.updater.timeouts.compare)
            elif not complete:
                await anyio.sleep(self._compute_pause())

    async def _forget_paths(self) -> None:
        """Remove the paths that were kept while privacy was off."""
        if self.updater.private and await self.updater.known.has_paths():
            await self.updater.writer.forget_paths(self.updater.server)

    def _compute_pause(self) -> float:
        """Return how long to wait before trying again, longer each time."""
        timeouts = self.updater.timeouts
        return float(min(timeouts.failed * 2 ** min(self._failures, 16), timeouts.again))

    def _has_news(self) -> bool:
        """Return whether there is another connection, or list of libraries, than when everything was compared last."""
        companion, sections = self.updater.companion, self.updater.companion.state.sections
        if not _is_connected(companion) or self._compared != self._get_connection():
            return _is_connected(companion)
        return sections is not self._listed and _identify(sections) != _identify(self._listed)

    def _get_connection(self) -> tuple[str, int]:
        return self.updater.server, self.updater.companion.state.connection.epoch

    async def _bring_up_to_date(self) -> bool:
        """Fill and compare what needs it; return whether everything was read to its end."""
        companion = self.updater.companion
        connection, sections = self._get_connection(), companion.state.sections
        known = await self._drop_sections(sections)
        await fill_sections(self.updater, sections, known)
        daily = companion.now_ms >= self._due_at
        for section in sections:
            row = known.get(section.section_id)
            if row and row.complete and (connection != self._compared or daily):
                await self._compare(section, row, thorough=daily and self._due_at > 0)
        self._compared, self._listed = connection, sections
        if daily:
            self._due_at = companion.now_ms + round(self.updater.timeouts.compare * 1000)
            self._details_after = 0
            self.ask_for_libraries()
        rows = await self.updater.known.read_sections()
        if daily:
            await self._report_checks(
                [one for one in sections if one.section_id in rows and rows[one.section_id].complete]
            )
        return all(rows[one.section_id].complete for one in sections if one.section_id in rows)

    async def _compare(self, section: Section, row: CatalogueSection, *, thorough: bool) -> None:
        began = self.updater.companion.now_ms
        try:
            await SectionComparison(self.updater, section).run(thorough=thorough)
        except NotFound:  # deleted a moment ago; the next list of libraries says so
            return
        except ToolError as error:
            if _is_connected(self.updater.companion) and row.detail != error.message:
                await self.updater.write_section(replace(row, detail=error.message))
            raise
        counts = await self.updater.known.count(section.section_id)
        await self.updater.write_section(
            replace(row, title=section.title, as_of=began, total=sum(counts.values()), detail=None)
        )

    async def _report_checks(self, sections: Sequence[Section]) -> None:
        """Report what libraries are, once a day and not at each start of the program."""
        companion, known = self.updater.companion, self.updater.known
        now = companion.now_ms
        checks = list_due_checks(
            sections,
            await known.measure_sections(),
            await known.read_checks(),
            companion.state.server_since or now,
            now - round(self.updater.timeouts.compare * 1000 * SOONEST),
        )
        if checks:
            await self.updater.writer.report_checks(self.updater.server, checks)

    async def _drop_sections(self, sections: tuple[Section, ...]) -> dict[str, CatalogueSection]:
        """Remove libraries that Plex no longer has, or that are others under an old id. Return the rest."""
        known = await self.updater.known.read_sections()
        listed = {section.section_id: section for section in sections}
        for section_id, row in list(known.items()):
            now = listed.get(section_id)
            replaced = now is not None and (now.type != row.type or (now.uuid and row.uuid and now.uuid != row.uuid))
            if replaced or (now is None and await self._is_gone(row)):
                await self._forget_section(section_id)
                del known[section_id]
            elif now is not None and now.title != row.title:
                known[section_id] = replace(row, title=now.title)
                await self.updater.write_section(known[section_id])
        return known

    async def _forget_section(self, section_id: str) -> None:
        """Remove a library in parts, so that no other event waits long."""
        writer, server = self.updater.writer, self.updater.server
        keys = await self.updater.known.list_section(section_id)
        for first in range(0, len(keys), GONE_AT_ONCE):
            await writer.write(server, writer.begin_reading(), gone=keys[first : first + GONE_AT_ONCE])
        await writer.write(server, writer.begin_reading(), section_gone=section_id)

    async def _is_gone(self, row: CatalogueSection) -> bool:
        """Return whether Plex, asked for a library that its list lacks, does not have it."""
        kind = KINDS[row.type][0]
        try:
            await self.updater.ask(lambda plex: read_key_page(plex, row.section_id, kind, 0, 0))
        except NotFound:
            return True
        return False

    async def _add_details(self) -> bool:
        """Read details of items that were read from a listing only; return whether there are more."""
        some = await self.updater.known.list_without_details(KEYS, self._details_after)
        if not some:
            return False
        await self.updater.refresh([key for _, key in some])
        self._details_after = some[-1][0]
        await self.updater.rest()
        return not self._has_news()

    async def _name_failure(self, error: ToolError) -> None:
        """Write the reason into every library that was not read to its end."""
        if not _is_connected(self.updater.companion):
            return
        with suppress(ToolError):  # a damaged database says so elsewhere, and must not end the program here
            for row in (await self.updater.known.read_sections()).values():
                if not row.complete and row.detail != error.message:
                    await self.updater.write_section(replace(row, detail=error.message))
