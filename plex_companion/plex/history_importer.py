"""Imports Plex's own history of plays: oldest first, a page at a time, each after the previous page is committed."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

from msgspec.structs import replace

from plex_companion.errors import NotFound, PlexError, ToolError
from plex_companion.events import HistoryPage
from plex_companion.plex.snapshot import fetch_xml
from plex_companion.plex.xml import views
from plex_companion.plex.xml.answer import collect_damage
from plex_companion.text import format_count
from plex_companion.times import DAY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from plex_companion.models import History, HistoryRow, Item, Moment
    from plex_companion.plex.client import PlexServer
    from plex_companion.plex.gateway import Gateway

PATH = "/status/sessions/history/all"
PAGE = 500
"""Rows of a request."""
SLICE = 100
"""Rows of a transaction: other events wait while it is written."""
OVERLAP_S = DAY_SECONDS
"""Seconds before the mark that are read again: clients that were offline report late."""
STEP_BACK = 20
"""Rows read twice where pages are counted off, because rows deleted meanwhile shift the others."""
ITEMS = 100
"""Items of one request."""
MOST_ITEMS = 20_000
"""Items that are kept, some 200 bytes each."""
# The parameters with which python-plexapi requests partial items. `skipRefresh` is in plex-api-spec too: reading must not start an analysis.
_PARTIAL_ITEM_PARAMS = {
    "excludeElements": "Media,Genre,Country,Guid,Rating,Collection,Director,Writer,Role,Producer,Similar,Style,Mood,Format",
    "excludeFields": "summary,tagline",
    "skipRefresh": 1,
}

_FACTS = ("guid", "year", "grandparent_rating_key", "grandparent_guid", "performer", "edition")
"""Fields that a row of history takes from its item, which has the year where the row has the day of release."""


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How far Plex's history is in the cache."""

    read: Callable[[], History | None]
    """Returns how far it is; `None` while the server is not identified."""
    wait_until_written: Callable[[int], Awaitable[None]]
    """Waits until the page of that number is committed."""


@dataclass(frozen=True, slots=True)
class RawHistoryPage:
    """A page of history as Plex sent it."""

    rows: tuple[HistoryRow, ...]
    """The rows that could be parsed."""
    size: int
    """The number of all rows."""
    total: int | None
    """How many rows the listing has; `None` if Plex does not state it (PLEX.md 2.1)."""
    unread: frozenset[str] = frozenset()
    """Identities of the rows that could not be read as XML or have no time. They are skipped, and not requested again."""


class HistoryCursor:
    """Decides which page to read next. Does no I/O: `since` and `start` are those of the next page; `done` when there is none.

    Plex sorts by time on request, so each page begins at the time where the last one ended, and neither new nor deleted rows
    can shift it. The answers show whether a server ignores the order or the time: then the whole listing is counted off, from
    `since` on, or newest first until the rows are old.
    """

    def __init__(self, known: History, now_s: int) -> None:
        self.floor = max(0, known.mark_s - OVERLAP_S)
        self.since, self.start = self.floor, 0
        self.ascending = True
        self.done = False
        self.imported = known.imported
        self._known, self._now_s = known, now_s
        self._windows = True
        self._descends = True
        self._left: int | None = None
        self._due: int | None = None
        self._last: int | None = None
        self._newest = known.mark_s
        self._seen: frozenset[str] = frozenset()

    @property
    def mark_s(self) -> int | None:
        """The time up to which everything is read. A clock of Plex that was ahead must not move it into the future."""
        return min(self._newest, self._now_s) if self._windows or self.done else None

    def advance(self, page: RawHistoryPage) -> tuple[HistoryRow, ...]:
        """Move past a page, and return its rows that may be new."""
        times = [row.viewed_at_s for row in page.rows]
        fresh = [row for row in page.rows if row.history_key not in self._seen]
        self._seen = frozenset(row.history_key for row in page.rows)
        self.imported += sum(row.viewed_at_s > self._known.mark_s for row in fresh)
        self._newest = max([self._newest, *times])
        recent = tuple(row for row in fresh if row.viewed_at_s >= self.floor)
        if self._windows and not self._keeps_order(page, times):
            self._restart_by_count()
            return recent
        self._descends = self._descends and times == sorted(times, reverse=True) and not self._has_newer(fresh)
        self._last = times[-1] if times else self._last
        read = self.start + page.size
        over = read >= page.total if page.total is not None else not fresh
        past = not self._windows and self._descends and bool(times) and times[-1] < self.floor
        self.done = over or past or page.size == 0
        self._left = None if page.total is None else page.total - read
        self._move_on(page, times)
        return recent

    def build_progress(self, total: int | None) -> int:
        """Return how many rows of `total` are in the cache."""
        if total is None:
            return self.imported
        if self.done:
            return total
        counts = self._left is not None and (self._windows or self.floor == 0)
        return max(0, total - (self._left or 0)) if counts else min(total, self.imported)

    def _has_newer(self, fresh: list[HistoryRow]) -> bool:
        return self._last is not None and any(row.viewed_at_s > self._last for row in fresh)

    def _keeps_order(self, page: RawHistoryPage, times: list[int]) -> bool:
        """Return whether the page is as requested: ascending, from `since` on, and with nothing skipped before it."""
        begins = self.since if self._last is None else self._last
        rises = times == sorted(times) and (not times or times[0] >= begins)
        skips = self._due is not None and page.total is not None and page.total < self._due
        return rises and not skips

    def _restart_by_count(self) -> None:
        """Start again without relying on order or time. Newest first, if the server obeys, ends where all rows are known."""
        self._windows, self.ascending = False, self.floor == 0
        self.since, self.start = self.floor, 0
        self.imported, self._seen = self._known.imported, frozenset()
        self._last = self._left = self._due = None

    def _move_on(self, page: RawHistoryPage, times: list[int]) -> None:
        self._due = None
        if self._windows and times and times[0] < times[-1]:
            self.since, self.start = times[-1], 0
            self._due = None if self._left is None else self._left + times.count(times[-1])
        elif self._windows:
            self.start += page.size  # more in one second than a page holds
        else:
            self.start += max(1, page.size - STEP_BACK)


class ItemEnricher:
    """Adds what rows of history lack and their items have: guid, year, duration. Each item is requested once, many in a request."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, Item | None] = OrderedDict()

    async def enrich(self, gateway: Gateway, rows: Sequence[HistoryRow]) -> tuple[HistoryRow, ...]:
        """Return the rows with these facts, as far as Plex knows them: an item that is gone has none.

        Raises:
            ToolError: Plex did not answer as expected.
        """
        keys = {row.item.rating_key: None for row in rows if row.item.rating_key and row.item.rating_key.isdecimal()}
        unknown = [key for key in keys if key not in self._known]
        for first in range(0, len(unknown), ITEMS):
            await self._fetch(gateway, unknown[first : first + ITEMS])
        enriched = tuple(self._enrich_row(row) for row in rows)
        while len(self._known) > MOST_ITEMS:
            self._known.popitem(last=False)
        return enriched

    async def _fetch(self, gateway: Gateway, keys: list[str]) -> None:
        path = f"/library/metadata/{','.join(keys)}?{urlencode(_PARTIAL_ITEM_PARAMS)}"
        try:
            items = await gateway.call(lambda plex: _read_items(plex, path), ahead=True)
        except NotFound:  # every item is gone
            items = {}
        self._known |= {key: items.get(key) for key in keys}

    def _enrich_row(self, row: HistoryRow) -> HistoryRow:
        if (item := self._known.get(row.item.rating_key or "")) is None:
            return row
        self._known.move_to_end(row.item.rating_key or "")
        facts = {name: getattr(item, name) or getattr(row.item, name) for name in _FACTS}
        return replace(row, item=replace(row.item, duration_ms=item.duration_ms, **facts))


class HistoryImporter:
    """Reads history from where the import ends, each time it is called. One for each connection."""

    def __init__(
        self,
        gateway: Gateway,
        progress: ImportProgress,
        send: Callable[[HistoryPage], Awaitable[None]],
        numbers: Iterator[int],
        enricher: ItemEnricher,
        now: Callable[[], Moment],
    ) -> None:
        self._gateway, self._progress, self._send, self._numbers, self._now = gateway, progress, send, numbers, now
        self._enricher = enricher
        self._unread: set[str] = set()

    async def read_all(self) -> None:
        """Read to the end. After an error, the next call continues at the mark.

        Raises:
            ToolError: Plex did not answer as expected; what was read is kept.
        """
        self._unread.clear()
        total = await self._gateway.call(_count_rows, ahead=True)
        await self._report(total=total)
        known = self._progress.read()
        if known is None:
            return
        cursor, enriches = HistoryCursor(known, self._now().at // 1000), True
        while not cursor.done:
            rows, unread = await self._gateway.call(partial(_read_next_page, cursor=cursor), ahead=True)
            self._unread |= unread  # a row may be read twice
            if enriches:
                rows, enriches = await self._enrich_rows(rows)
            await self._send_page(rows, cursor, total)

    async def _enrich_rows(self, rows: tuple[HistoryRow, ...]) -> tuple[tuple[HistoryRow, ...], bool]:
        """Return the rows with the facts of their items, and whether to continue: after a failure, the other pages are sent without."""
        try:
            return await self._enricher.enrich(self._gateway, rows), True
        except ToolError:
            return rows, False

    async def _send_page(self, rows: tuple[HistoryRow, ...], cursor: HistoryCursor, total: int | None) -> None:
        for first in range(0, max(1, len(rows)), SLICE):
            chunk = rows[first : first + SLICE]
            if first + SLICE < len(rows):
                await self._report(rows=chunk)
                continue
            done = True if cursor.done else None
            await self._report(rows=chunk, mark_s=cursor.mark_s, imported=cursor.build_progress(total), complete=done)

    async def report_failure(self, detail: str) -> None:
        """Report why the history cannot be read."""
        await self._report(complete=False, detail=detail)

    async def _report(self, **values: Any) -> None:
        rows = format_count(len(self._unread), "row")
        problem = f"{rows} of Plex's history could not be read." if self._unread else None
        page = HistoryPage(next(self._numbers), **{"detail": problem, **values})
        await self._send(page)
        await self._progress.wait_until_written(page.number)


def _build_path(cursor: HistoryCursor) -> str:
    bounds = {"viewedAt>": cursor.since} if cursor.since else {}
    order = {"sort": f"viewedAt:{'asc' if cursor.ascending else 'desc'}"}
    paging = {"X-Plex-Container-Start": cursor.start, "X-Plex-Container-Size": PAGE}
    return f"{PATH}?{urlencode({**order, **bounds, **paging})}"


def _count_rows(plex: PlexServer) -> int | None:
    """Return the number of rows, if Plex states it."""
    return _read_page(plex, f"{PATH}?X-Plex-Container-Start=0&X-Plex-Container-Size=0").total


def _read_page(plex: PlexServer, path: str) -> RawHistoryPage:
    """Read and parse a page in the gateway's thread, so that the event loop goes on."""
    with collect_damage() as damage:
        container = fetch_xml(plex, path)
    if container is None or container.tag != "MediaContainer":
        raise PlexError(f"GET {PATH}: an answer that is not a list. Does PLEX_URL name a Plex Media Server?")
    rows: list[HistoryRow] = []
    untimed: list[Element] = []
    for element in container:
        row = views.parse_history_row(element)
        if row is None:
            untimed.append(element)
        else:
            rows.append(row)
    lost = [row for one in damage for row in one.skipped]
    if not len(container) and not lost and any(one.cut for one in damage):
        lost = [Element("Video")]  # the page is empty, so continue after one row
    unread = frozenset(map(_identify_row, (*lost, *untimed)))
    return RawHistoryPage(tuple(rows), len(container) + len(lost), views.parse_full_total(container), unread)


def _identify_row(row: Element) -> str:
    return row.get("historyKey") or repr(sorted(row.attrib.items()))


def _read_next_page(plex: PlexServer, cursor: HistoryCursor) -> tuple[tuple[HistoryRow, ...], frozenset[str]]:
    """Return the rows of the next page that may be new, and the identities of those that could not be read."""
    page = _read_page(plex, _build_path(cursor))
    return cursor.advance(page), page.unread


def _read_items(plex: PlexServer, path: str) -> dict[str, Item]:
    container = fetch_xml(plex, path)
    items = [views.parse_item(element) for element in (() if container is None else container)]
    return {item.rating_key: item for item in items if item.rating_key}
