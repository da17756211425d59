"""`events/list` and `events/poll`. The server remembers nothing of a client that polls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plex_companion.mcp_events.event_errors import build_invalid
from plex_companion.occurrences.declare import OCCURRENCE_TYPES
from plex_companion.server.mcp.event_methods.request_params import check_selection

if TYPE_CHECKING:
    from collections.abc import Callable

    from mcp.server.context import ServerRequestContext

    from plex_companion.mcp_events.shared_feed import FeedOccurrence, OccurrenceFeed, Selection
    from plex_companion.server.mcp.event_methods.request_params import EventsListParams, EventsPollParams

NEXT_POLL_MS = 10_000
MOST_EVENTS = 200
MOST_PAGES = 50
"""Pages of occurrences that one poll looks through; the client then comes back at once."""


class Polling:
    """Serves the requests that end at once."""

    def __init__(
        self,
        feed: OccurrenceFeed,
        now: Callable[[], int],
        list_modes: Callable[[ServerRequestContext[Any, Any]], list[str]],
    ) -> None:
        self._feed, self._now = feed, now
        self._list_modes = list_modes

    async def list_events(self, ctx: ServerRequestContext[Any, Any], params: EventsListParams) -> dict[str, Any]:
        """Return the event types, all on one page, with the ways in which this caller can receive them.

        Raises:
            EventError: there is a cursor, which this method never gives.
        """
        if params.cursor is not None:
            raise build_invalid("This is not a cursor of events/list, which has a single page.", "cursor")
        modes = self._list_modes(ctx)
        return {
            "events": [
                {
                    "name": one.name,
                    "description": one.description,
                    "delivery": modes,
                    "inputSchema": one.filters,
                    "payloadSchema": one.data_schema,
                }
                for one in OCCURRENCE_TYPES.values()
            ]
        }

    async def poll(self, _: ServerRequestContext[Any, Any], params: EventsPollParams) -> dict[str, Any]:
        """Return the events after a cursor; without one, only the present cursor.

        Raises:
            EventError: a parameter cannot be used.
            Invalid: the cursor is none.
        """
        selection = check_selection(params)
        most = _check_most(params.max_events)
        start = await self._feed.find_start(params.cursor, params.max_age_ms, selection, self._now())
        found, cursor, more = await self._collect(selection, start.cursor, most)
        return {
            "events": [one.event for one in found],
            "cursor": cursor,
            "truncated": start.truncated,
            "hasMore": more,
            "nextPollMs": NEXT_POLL_MS,
        }

    async def _collect(self, selection: Selection, cursor: str, most: int) -> tuple[list[FeedOccurrence], str, bool]:
        """Return at most so many events, the cursor after them, and whether there may be more."""
        found: list[FeedOccurrence] = []
        for _ in range(MOST_PAGES):
            page = await self._feed.read_after(cursor)
            selected = page.select(selection)
            room = most - len(found)
            if len(selected) > room:
                found += selected[:room]
                return found, found[-1].cursor, True
            found += selected
            cursor = page.next_cursor
            if not page.occurrences:
                return found, cursor, False
        return found, cursor, True


def _check_most(asked: int | None) -> int:
    if asked is not None and asked < 1:
        raise build_invalid("maxEvents must be a whole number of 1 or more.", "maxEvents")
    return MOST_EVENTS if asked is None else min(asked, MOST_EVENTS)
