"""`/events`: the journal as a server-sent event stream, for `EventSource` or any line reader.

The page uses a second kind of stream on the same route, which carries the fragments that changed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import JSONResponse
from starlette.routing import Route

from plex_companion import serialize
from plex_companion.cache.queries.read import read_events_after, read_last_event_before, read_last_event_id
from plex_companion.dashboard.occurrence_feed import choose_cursor, stream_occurrences
from plex_companion.dashboard.renderer import compute_difference
from plex_companion.dashboard.static_files import compute_build_id
from plex_companion.errors import Invalid
from plex_companion.history.source import add_envelope
from plex_companion.resources.events import serialize_events
from plex_companion.text import encode_json
from plex_companion.times import parse_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from plex_companion.companion import Companion
    from plex_companion.dashboard.renderer import Fragments, PageRenderer

PAGE = 50
"""Events read for a client at a time: the most that a client which stops reading keeps in memory."""
PING_SECONDS = 15
HEARTBEAT_SECONDS = 4
"""Between two signs of life for a page, which must say within 15 s that it has lost the companion."""
UNREAD_SECONDS = 30
"""A client that reads nothing for this long is disconnected. Its `Last-Event-ID` lets it resume without loss."""
RETRY_MS = 1_000
PACE_SECONDS = 0.1
"""The shortest time between two updates of the page."""
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
LAST = 2**63 - 1
JOURNAL, OCCURRENCES = "journal", "occurrences"
STREAMS = (JOURNAL, OCCURRENCES)


def build_feed_route(companion: Companion, renderer: PageRenderer) -> Route:
    """Return the route of the feed. Each message is one journal event as JSON; its `id` is the cursor to resume from.

    `Last-Event-ID`, which `EventSource` sends on reconnecting (HTML standard, section 9.2), or `?since=` names the last event
    seen; `since` may also be a time. Without either, the stream starts now. `?types=playing,timeline` filters. A message
    `{"type": "gap"}` says that events were missed, and `{"type": "state"}` after it holds the current state.
    `?stream=occurrences` is a stream of occurrences instead; its cursors are their own.
    """

    async def events(request: Request) -> Response:
        types = [name for name in request.query_params.get("types", "").split(",") if name] or None
        try:
            if _choose_stream(request) == OCCURRENCES:
                return await _open_occurrences(companion, request, types)
            cursor, foreign = await _choose_start(companion, request)
        except Invalid as error:
            return JSONResponse(error.body(), status_code=400)
        if "parts" in request.query_params:
            live = _choose_parts(request.query_params["parts"])
            return EventSourceResponse(
                _stream_fragments(companion, renderer, cursor, live, foreign=foreign),
                headers=HEADERS,
                ping=HEARTBEAT_SECONDS,
                send_timeout=UNREAD_SECONDS,
                ping_message_factory=_send_heartbeats,
            )
        stream = _stream_events(companion, cursor, types, foreign=foreign)
        return EventSourceResponse(stream, headers=HEADERS, ping=PING_SECONDS, send_timeout=UNREAD_SECONDS)

    return Route("/events", events, methods=["GET"])


def _choose_stream(request: Request) -> str:
    """Return which stream is asked for.

    Raises:
        Invalid: there is no such stream.
    """
    name = request.query_params.get("stream", JOURNAL)
    if name not in STREAMS:
        message = f"There is no stream {name[:40]!r}. Streams: {', '.join(STREAMS)}."
        raise Invalid(message, argument="stream", allowed=[*STREAMS])
    return name


async def _open_occurrences(companion: Companion, request: Request, types: list[str] | None) -> EventSourceResponse:
    cursor, foreign = await choose_cursor(companion, request, types)
    stream = stream_occurrences(companion, cursor, types, PAGE, foreign=foreign, retry_ms=RETRY_MS)
    return EventSourceResponse(stream, headers=HEADERS, ping=PING_SECONDS, send_timeout=UNREAD_SECONDS)


def _choose_parts(given: str) -> str:
    """Return which parts of the page a viewer asks for: all of `/`, the same without forms, or the banner alone."""
    return given if given in {"kiosk", "link"} else "all"


def _send_heartbeats() -> ServerSentEvent:
    """Return a heartbeat as a named event, because `EventSource` does not pass comments on to scripts."""
    return ServerSentEvent("{}", event="beat")


async def _choose_start(companion: Companion, request: Request) -> tuple[int, bool]:
    """Choose the cursor to start from, and say whether a `Last-Event-ID` is foreign to this journal.

    `EventSource` never reconnects after an HTTP error, so a foreign `Last-Event-ID` gets a gap message and starts now. A bad
    `since` was written by the caller and is refused.

    Raises:
        Invalid: `since` is neither the id of an event nor a time.
    """
    newest = await read_last_event_id(companion.cache)
    seen = request.headers.get("last-event-id")
    if seen:
        known = _parse_number(seen)
        return (newest, True) if known is None or known > newest else (known, False)
    given = request.query_params.get("since")
    if given is None:
        return newest, False
    known = _parse_number(given)
    if known is None and not given.strip().isdecimal():
        return await read_last_event_before(companion.cache, _parse_time(companion, given, newest)), False
    if known is None or known > newest:
        message = (
            f"since={given[:40]!r} is not a cursor of this journal: its newest event is {newest}. Give the id of the last "
            "event seen, 0 for all events, a time such as 1h or 2026-11-22T17:00, or leave it out to start now."
        )
        raise Invalid(message, argument="since")
    return known, False


def _parse_time(companion: Companion, given: str, newest: int) -> int:
    """Parse `since` as a time.

    Raises:
        Invalid: the value is neither the id of an event nor a time.
    """
    try:
        return parse_time(given, companion.now_ms, "since", zone=companion.zone)
    except Invalid as error:
        error.message = f"since is the id of an event (the newest event is {newest}) or a time. {error.message}"
        raise


def _parse_number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < len(str(LAST)) else None


async def _stream_events(
    companion: Companion, cursor: int, types: list[str] | None, *, foreign: bool
) -> AsyncIterator[ServerSentEvent]:
    """Yield every event after the cursor, forever. Events are read only as fast as the client reads, so none pile up."""
    yield ServerSentEvent(comment="events of plex-companion", retry=RETRY_MS)
    if foreign:
        yield _encode_gap(cursor, FOREIGN)
        yield _encode_state(companion)
    while True:
        changed = companion.live.prepare_wait()  # before the read, or a commit during the read would be missed
        page = await read_events_after(companion.cache, cursor, types, PAGE)
        if page.gap:
            yield _encode_gap(cursor, DROPPED)
            yield _encode_state(companion)
        for event in await serialize_events(companion, page.rows):
            yield ServerSentEvent(encode_json(event), id=event["id"])
        cursor = page.next_cursor
        if len(page.rows) < PAGE:
            await changed.wait()


FOREIGN = "The last event seen is not in this journal: it may come from another database."
DROPPED = "Events after this one are no longer in the journal."


def _encode_state(companion: Companion) -> ServerSentEvent:
    """Encode the current content of `plex://sessions`, for a client that missed events and cannot derive it."""
    payload = add_envelope(companion, serialize.serialize_sessions(companion.states))
    body = {"type": "state", "summary": "Current state", "payload": payload}
    return ServerSentEvent(encode_json(body))


def _encode_gap(cursor: int, reason: str) -> ServerSentEvent:
    body: dict[str, Any] = {"type": "gap", "after": cursor, "summary": reason}
    return ServerSentEvent(json.dumps(body))


async def _stream_fragments(
    companion: Companion, renderer: PageRenderer, cursor: int, live: str, *, foreign: bool
) -> AsyncIterator[ServerSentEvent]:
    """Yield these parts of the page, then the changes. A slow client skips intermediate states, so none pile up."""
    yield ServerSentEvent(json.dumps({"build": compute_build_id()}), event="hello", retry=RETRY_MS)
    if foreign or (await read_events_after(companion.cache, cursor, None, 1)).gap:
        yield _encode_gap(cursor, FOREIGN if foreign else DROPPED)
    before: Mapping[str, Fragments] = {}
    while True:
        changed = companion.live.prepare_wait()
        if live != "link":
            await renderer.recent.refresh()
        page = await renderer.render(live)
        for message in compute_difference(before, page.parts):
            body = json.dumps({**message, "link": page.link, "now": companion.now_ms}, ensure_ascii=False)
            yield ServerSentEvent(body, event="part", id=str(page.cursor))
        before = page.parts
        await anyio.sleep(PACE_SECONDS)
        await changed.wait()
