"""Reads occurrences once for all who follow them: the streams and the webhooks of this process."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import anyio

from plex_companion.cache.database import StorageError
from plex_companion.mcp_events.messages import build_event
from plex_companion.mcp_events.subscription_keys import canonicalize_arguments
from plex_companion.occurrences.declare import OCCURRENCE_TYPES
from plex_companion.occurrences.matching import NO_USERS, matches
from plex_companion.occurrences.reading import parse_cursor, read_newest_cursor, read_occurrences
from plex_companion.text import encode_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from plex_companion.cache.database import Cache
    from plex_companion.ingest.live import Live
    from plex_companion.occurrences.matching import Users
    from plex_companion.serialize import Json

PAGE = 100
MOST_PAGES = 16
"""Pages that are kept for those who come a little later."""


@dataclass(frozen=True)
class Selection:
    """What somebody follows: occurrences of one type that these arguments choose."""

    name: str
    arguments: Mapping[str, Any]

    @cached_property
    def key(self) -> tuple[str, str]:
        """Equal for all who follow the same."""
        return self.name, canonicalize_arguments(self.arguments)

    def accepts(self, row: Json, users: Users) -> bool:
        """Return whether an occurrence is one of these, given every name of every user."""
        return matches(OCCURRENCE_TYPES[self.name], self.arguments, row, users)


@dataclass(frozen=True)
class FeedOccurrence:
    """An occurrence, serialized once however many follow it."""

    row: Json
    before: str
    """The cursor before it."""

    @property
    def cursor(self) -> str:
        """The cursor after it."""
        return str(self.row["cursor"])

    @cached_property
    def event(self) -> dict[str, Any]:
        """Its wire form."""
        return build_event(self.row)

    @cached_property
    def encoded(self) -> str:
        """Its wire form with its cursor, as JSON."""
        return encode_json({**self.event, "cursor": self.cursor})


@dataclass
class FeedPage:
    """Occurrences after a cursor, and those of them that each selection accepts."""

    start: str
    """The cursor before the first of them; not the one that was asked for if occurrences were lost."""
    occurrences: list[FeedOccurrence]
    next_cursor: str
    gap: bool
    users: Mapping[str | None, Users]
    """Every name of every user, by server and id: an id is another person's on another server."""
    _selected: dict[tuple[str, str], list[FeedOccurrence]] = field(default_factory=dict)

    def select(self, selection: Selection) -> list[FeedOccurrence]:
        """Return the occurrences of a selection."""
        found = self._selected.get(selection.key)
        if found is None:
            found = [one for one in self.occurrences if selection.accepts(one.row, self._find_users(one.row))]
            self._selected[selection.key] = found
        return found

    def _find_users(self, row: Json) -> Users:
        """Return the users of the server that an occurrence is of. Of one that is gone, no further names are known."""
        if len(self.users) == 1:
            return next(iter(self.users.values()))
        return self.users.get(row["data"]["server"], NO_USERS)


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """Where somebody begins to follow, and whether something between the given cursor and there is lost."""

    cursor: str
    truncated: bool = False


class OccurrenceFeed:
    """The occurrences of the database, for any number of followers."""

    def __init__(self, cache: Cache, live: Live, list_users: Callable[[], Mapping[str | None, Users]]) -> None:
        self._cache, self._live, self._list_users = cache, live, list_users
        self._pages: OrderedDict[str, FeedPage] = OrderedDict()
        self._reading = anyio.Lock()
        self._followers = 0
        self._followed, self._arrived = anyio.Event(), anyio.Event()
        self.newest: str | None = None
        """The cursor of the newest occurrence, as long as somebody follows."""

    async def run(self) -> None:
        """Look for new occurrences after every commit as long as somebody follows, forever."""
        while True:
            await self._followed.wait()
            committed = self._live.prepare_wait()
            with suppress(StorageError):  # the next commit may be readable again
                while await self._find_more():
                    self.wake()
            await committed.wait()

    async def _find_more(self) -> bool:
        """Read the next page before anybody is woken, or all of them would ask for it. Return whether there is more."""
        before = self.newest
        if before is None:
            self.newest = await read_newest_cursor(self._cache)
        else:
            async with self._reading:
                self.newest = (await self._read(before)).next_cursor
        return self.newest != before

    @contextmanager
    def follow(self) -> Iterator[None]:
        """Be woken by new occurrences while the block runs."""
        self._followers += 1
        self._followed.set()
        try:
            yield
        finally:
            self._followers -= 1
            if not self._followers:
                self._followed, self.newest = anyio.Event(), None

    def wake(self) -> None:
        """Wake everybody who waits."""
        self._arrived.set()
        self._arrived = anyio.Event()

    def prepare_wait(self) -> anyio.Event:
        """Return the event that the next occurrence sets. Take it before reading, so that none in between is missed."""
        return self._arrived

    async def read_after(self, cursor: str) -> FeedPage:
        """Return the occurrences after a cursor. One page is read once for all who come to it at the same time.

        Raises:
            Invalid: the text is not a cursor.
            StorageError: the database cannot be read.
        """
        found = self._pages.get(cursor)
        if found is not None:
            return found
        async with self._reading:
            return self._pages.get(cursor) or await self._read(cursor)

    async def _read(self, cursor: str) -> FeedPage:
        page = await read_occurrences(self._cache, cursor, None, PAGE)
        rows = page.occurrences
        start = cursor
        if page.gap:
            start = _find_cursor_before(rows[0]["cursor"]) if rows else page.next_cursor
        befores = [start, *(str(row["cursor"]) for row in rows[:-1])]
        listed = [FeedOccurrence(row, before) for row, before in zip(rows, befores, strict=False)]
        found = FeedPage(start, listed, page.next_cursor, page.gap, self._list_users())
        if rows:
            self._pages[cursor] = found
            while len(self._pages) > MOST_PAGES:
                self._pages.popitem(last=False)
        return found

    async def find_start(
        self, cursor: str | None, max_age_ms: int | None, selection: Selection, at: int
    ) -> StartingPoint:
        """Return where to begin: now without a cursor, else after it, but with nothing older than `max_age_ms`.

        Raises:
            Invalid: the text is not a cursor.
            StorageError: the database cannot be read.
        """
        if cursor is None:
            return StartingPoint(await read_newest_cursor(self._cache))
        page = await self.read_after(cursor)
        if max_age_ms is None:
            return StartingPoint(page.start, page.gap)
        tag, after = parse_cursor(page.start)
        place = {"after": after, "since": at - max_age_ms, "name": selection.name}
        ((first, skipped),) = await self._cache.reader.execute_fetchall(_SKIP_OLDER, place)
        return StartingPoint(f"{tag}-{first - 1}", page.gap or bool(skipped))


_SKIP_OLDER = """
    WITH start (first) AS (SELECT coalesce(
        (SELECT min(id) FROM occurrences WHERE id > :after AND at >= :since),
        (SELECT max(seq, :after) + 1 FROM sqlite_sequence WHERE name = 'occurrences'),
        :after + 1
    ))
    SELECT first, EXISTS (SELECT 1 FROM occurrences WHERE type = :name AND id > :after AND id < first) FROM start
"""


def _find_cursor_before(cursor: str) -> str:
    tag, number = parse_cursor(cursor)
    return f"{tag}-{number - 1}"
