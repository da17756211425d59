"""`/events?stream=occurrences`: what happened, as server-sent events that are replayed from a cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sse_starlette import ServerSentEvent

from plex_companion.errors import Invalid
from plex_companion.occurrences.reading import (
    check_types,
    parse_cursor,
    read_cursor_before,
    read_newest_cursor,
    read_occurrences,
)
from plex_companion.text import encode_json
from plex_companion.times import parse_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from starlette.requests import Request

    from plex_companion.companion import Companion

LOST = "Occurrences after the last one seen are no longer known, or it comes from another database."


async def choose_cursor(companion: Companion, request: Request, types: Sequence[str] | None) -> tuple[str, bool]:
    """Choose the cursor to start from, and say whether a `Last-Event-ID` is not one of ours.

    `EventSource` never reconnects after an HTTP error, so a bad `Last-Event-ID` starts now, with a gap.

    Raises:
        Invalid: `since` is neither a cursor nor a time, or a type is unknown.
    """
    check_types(types)
    newest = await read_newest_cursor(companion.cache)
    seen, since = request.headers.get("last-event-id"), request.query_params.get("since")
    if seen:
        return (seen, False) if _is_cursor(seen) else (newest, True)
    if since is None:
        return newest, False
    if _is_cursor(since):
        return since, False
    at = 0 if since == "0" else parse_time(since, companion.now_ms, "since", zone=companion.zone)
    return await read_cursor_before(companion.cache, at), False


def _is_cursor(text: str) -> bool:
    try:
        parse_cursor(text)
    except Invalid:
        return False
    return True


async def stream_occurrences(
    companion: Companion, cursor: str, types: Sequence[str] | None, page_size: int, *, foreign: bool, retry_ms: int
) -> AsyncIterator[ServerSentEvent]:
    """Yield every occurrence after the cursor, forever, as fast as the client reads."""
    yield ServerSentEvent(comment="occurrences of plex-companion", retry=retry_ms)
    if foreign:
        yield _encode_gap(cursor)
    while True:
        changed = companion.live.prepare_wait()  # before the read, or a commit during the read would be missed
        page = await read_occurrences(companion.cache, cursor, types, page_size)
        if page.gap:
            yield _encode_gap(page.next_cursor)
        for row in page.occurrences:
            yield ServerSentEvent(encode_json(row), id=row["cursor"])
        cursor = page.next_cursor
        if len(page.occurrences) < page_size:
            await changed.wait()


def _encode_gap(cursor: str) -> ServerSentEvent:
    return ServerSentEvent(encode_json({"type": "gap", "next_cursor": cursor, "summary": LOST}))
