"""`/events`: the journal as an event stream, for EventSource in a browser or anything else that reads lines."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import JSONResponse
from starlette.routing import Route

from plex_companion import wire
from plex_companion.cache.read import events_after, last_event
from plex_companion.errors import Invalid
from plex_companion.text import without

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from plex_companion.companion import Companion

PAGE = 50
"""Events held for a client at a time: of many that do not read, each holds so many until it is let go."""
PING_SECONDS = 15
UNREAD_SECONDS = 30
"""A client that takes nothing for so long is let go; its Last-Event-ID brings it back without a loss."""
RETRY_MS = 1_000
LAST = 2**63 - 1


def feed(companion: Companion) -> Route:
    """The route. Each message is one event of the journal as JSON, its `id` the cursor that goes on behind it.

    `Last-Event-ID`, which EventSource sends when it connects again, or `?since=` names the last event seen; without
    either it begins now. `?types=playing,timeline` narrows. A message `{"type": "gap"}` says that events were missed.
    """

    async def events(request: Request) -> Response:
        types = [name for name in request.query_params.get("types", "").split(",") if name] or None
        try:
            cursor, foreign = await _start(companion, request)
        except Invalid as error:
            return JSONResponse(error.body(), status_code=400)
        told = _told(companion, cursor, types, foreign=foreign)
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        return EventSourceResponse(told, headers=headers, ping=PING_SECONDS, send_timeout=UNREAD_SECONDS)

    return Route("/events", events, methods=["GET"])


async def _start(companion: Companion, request: Request) -> tuple[int, bool]:
    """The cursor to go on from, and whether the one that was given means nothing here.

    A browser that cannot be given what it asks for would never connect again, so it is told and begins anew. Whoever
    writes `since` himself is told at once.

    Raises:
        Invalid: `since` is not the id of an event.
    """
    newest = await last_event(companion.cache)
    seen = request.headers.get("last-event-id")
    if seen:
        known = _number(seen)
        return (newest, True) if known is None or known > newest else (known, False)
    given = request.query_params.get("since")
    if given is None:
        return newest, False
    known = _number(given)
    if known is None or known > newest:
        message = (
            f"since={given[:40]!r} is no cursor of this journal: its newest event is {newest}. Give the id of the last "
            "event seen, 0 for all there are, or leave it out to begin now."
        )
        raise Invalid(message, argument="since")
    return known, False


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < len(str(LAST)) else None


async def _told(
    companion: Companion, cursor: int, types: list[str] | None, *, foreign: bool
) -> AsyncIterator[ServerSentEvent]:
    """Everything after the cursor, for ever. Read from the database as fast as the client reads, so nothing piles up."""
    yield ServerSentEvent(comment="events of plex-companion", retry=RETRY_MS)
    if foreign:
        yield _gap(cursor, "The last event seen is none of this journal's: it may be another database.")
    while True:
        changed = companion.live.change()  # before reading, or a commit during the reading would be missed
        page = await events_after(companion.cache, cursor, types, PAGE)
        if page.gap:
            yield _gap(cursor, "Events after this one were already dropped from the journal.")
        for row in page.rows:
            body = json.dumps(wire.event(row), ensure_ascii=False, separators=(",", ":"))
            yield ServerSentEvent(without(body, companion.settings.secrets()), id=str(row["id"]))
        cursor = page.next_cursor
        if len(page.rows) < PAGE:
            await changed.wait()


def _gap(cursor: int, reason: str) -> ServerSentEvent:
    body: dict[str, Any] = {"type": "gap", "after": cursor, "summary": reason}
    return ServerSentEvent(json.dumps(body))
