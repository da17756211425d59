"""`/events`: the journal as an event stream, for EventSource in a browser or anything else that reads lines.

The page takes another stream from the same place, which says what has changed of its parts.
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
from plex_companion.dashboard.pages import compute_build_id
from plex_companion.dashboard.renderer import compute_difference
from plex_companion.errors import Invalid
from plex_companion.text import encode_json
from plex_companion.times import parse_time

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request
    from starlette.responses import Response

    from plex_companion.companion import Companion
    from plex_companion.dashboard.renderer import Fragments, PageRenderer

PAGE = 50
"""Events held for a client at a time: of many that do not read, each holds so many until it is let go."""
PING_SECONDS = 15
UNREAD_SECONDS = 30
"""A client that takes nothing for so long is let go; its Last-Event-ID brings it back without a loss."""
RETRY_MS = 1_000
PACE_SECONDS = 0.1
"""The page is told that often at most, whatever a burst brings."""
HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
LAST = 2**63 - 1


def build_feed_route(companion: Companion, board: PageRenderer) -> Route:
    """The route. Each message is one event of the journal as JSON, its `id` the cursor that goes on behind it.

    `Last-Event-ID`, which EventSource sends when it connects again, or `?since=` names the last event seen, or a time;
    without either it begins now. `?types=playing,timeline` narrows. A message `{"type": "gap"}` says that events were missed,
    and `{"type": "state"}` after it what is so now.
    """

    async def events(request: Request) -> Response:
        types = [name for name in request.query_params.get("types", "").split(",") if name] or None
        try:
            cursor, foreign = await _choose_start(companion, request)
        except Invalid as error:
            return JSONResponse(error.body(), status_code=400)
        if "parts" in request.query_params:
            shown = _stream_fragments(companion, board, cursor, foreign=foreign)
            return EventSourceResponse(
                shown,
                headers=HEADERS,
                ping=PING_SECONDS,
                send_timeout=UNREAD_SECONDS,
                ping_message_factory=_send_heartbeats,
            )
        told = _stream_events(companion, cursor, types, foreign=foreign)
        return EventSourceResponse(told, headers=HEADERS, ping=PING_SECONDS, send_timeout=UNREAD_SECONDS)

    return Route("/events", events, methods=["GET"])


def _send_heartbeats() -> ServerSentEvent:
    """A sign of life that a page can hear; comments are kept from it."""
    return ServerSentEvent("{}", event="beat")


async def _choose_start(companion: Companion, request: Request) -> tuple[int, bool]:
    """The cursor to go on from, and whether the one that was given means nothing here.

    A browser that cannot be given what it asks for would never connect again, so it is told and begins anew. Whoever
    writes `since` himself is told at once.

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
            f"since={given[:40]!r} is no cursor of this journal: its newest event is {newest}. Give the id of the last "
            "event seen, 0 for all there are, a time as 1h or 2026-11-22T17:00, or leave it out to begin now."
        )
        raise Invalid(message, argument="since")
    return known, False


def _parse_time(companion: Companion, given: str, newest: int) -> int:
    """Return the time that `since` names.

    Raises:
        Invalid: it is neither the id of an event nor a time.
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
    """Everything after the cursor, for ever. Read from the database as fast as the client reads, so nothing piles up."""
    yield ServerSentEvent(comment="events of plex-companion", retry=RETRY_MS)
    if foreign:
        yield _encode_gap(cursor, FOREIGN)
        yield _encode_state(companion)
    while True:
        changed = companion.live.prepare_wait()  # before reading, or a commit during the reading would be missed
        page = await read_events_after(companion.cache, cursor, types, PAGE)
        if page.gap:
            yield _encode_gap(cursor, DROPPED)
            yield _encode_state(companion)
        for row in page.rows:
            yield ServerSentEvent(encode_json(serialize.serialize_event(row)), id=str(row["id"]))
        cursor = page.next_cursor
        if len(page.rows) < PAGE:
            await changed.wait()


FOREIGN = "The last event seen is none of this journal's: it may be another database."
DROPPED = "Events after this one were already dropped from the journal."


def _encode_state(companion: Companion) -> ServerSentEvent:
    """What is so now, for who cannot add up what it missed: what `plex://sessions` holds."""
    state = companion.state
    payload = {**serialize.build_envelope(state, companion.now_ms), **serialize.serialize_sessions(state)}
    body = {"type": "state", "summary": "What is so now", "payload": payload}
    return ServerSentEvent(encode_json(body))


def _encode_gap(cursor: int, reason: str) -> ServerSentEvent:
    body: dict[str, Any] = {"type": "gap", "after": cursor, "summary": reason}
    return ServerSentEvent(json.dumps(body))


async def _stream_fragments(
    companion: Companion, board: PageRenderer, cursor: int, *, foreign: bool
) -> AsyncIterator[ServerSentEvent]:
    """The parts of the page: all of them first, then what changes. Each state replaces the last, so none piles up."""
    yield ServerSentEvent(json.dumps({"build": compute_build_id()}), event="hello", retry=RETRY_MS)
    if foreign or (await read_events_after(companion.cache, cursor, None, 1)).gap:
        yield _encode_gap(cursor, FOREIGN if foreign else DROPPED)
    before: Mapping[str, Fragments] = {}
    while True:
        changed = companion.live.prepare_wait()
        seen = await board.render()
        for told in compute_difference(before, seen.parts):
            body = json.dumps({**told, "link": seen.link, "now": companion.now_ms}, ensure_ascii=False)
            yield ServerSentEvent(body, event="part", id=str(seen.cursor))
        before = seen.parts
        await anyio.sleep(PACE_SECONDS)
        await changed.wait()
