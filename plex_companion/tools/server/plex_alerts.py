"""Plex's notifications from the journal, in the format of the predecessor's alerts."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import anyio

from plex_companion import serialize
from plex_companion.cache.queries.read import read_events_after, read_last_event_id
from plex_companion.errors import Invalid

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.cache.queries.read import JournalPage
    from plex_companion.companion import Companion
    from plex_companion.tools.declare import Caller

MOST_ALERTS = 500
PROGRESS_SECONDS = 5.0
WHY_NONE = "No such events arrived. `connection` says whether the companion is connected to Plex."


async def find_start(companion: Companion, since: int | None) -> int:
    """Return the cursor to read from.

    Raises:
        Invalid: no event has had that cursor yet.
    """
    newest = await read_last_event_id(companion.cache)
    if since is not None and since > newest:
        message = f"since {since} is from the future: the newest event is {newest}. Call without since to start over."
        raise Invalid(message, argument="since")
    return newest if since is None else since


async def wait_for_events(
    companion: Companion,
    caller: Caller,
    cursor: int,
    types: list[str] | None,
    limit: int,
    *,
    enough: int,
    seconds: float,
) -> JournalPage:
    """Return events after the cursor as soon as there are `enough` or some are lost, else when the time is over."""
    started = anyio.current_time()
    while True:
        changed = companion.live.prepare_wait()  # before reading, or a commit during the reading would be missed
        page = await _read_page(companion, cursor, types, limit)
        left = started + seconds - anyio.current_time()
        if len(page.rows) >= enough or page.gap or left <= 0:
            return page
        with anyio.move_on_after(min(left, PROGRESS_SECONDS)) as pause:
            await changed.wait()
        if pause.cancelled_caught:
            await caller.report_progress(anyio.current_time() - started, seconds, "listening to Plex")


async def _read_page(companion: Companion, cursor: int, types: list[str] | None, limit: int) -> JournalPage:
    """Return a page of the journal, without the companion's own entries unless they are requested."""
    page = await read_events_after(companion.cache, cursor, types, limit, companion.only_server)
    return page if types else replace(page, rows=[row for row in page.rows if row["type"] != "audit"])


def build_result(companion: Companion, page: JournalPage, limit: int) -> dict[str, Any]:
    """Return the result of the tool."""
    now = companion.now_ms
    data = [_describe_alert(row) for row in page.rows]
    return {
        "status": "success",
        **({} if data else {"message": WHY_NONE}),
        "data": data,
        "count": len(data),
        "limit": limit,
        "next_cursor": page.next_cursor,
        "dropped": page.gap,
        "as_of": serialize.format_iso(now),
        "connection": serialize.serialize_connection(companion.state, now),
        "source": "cache",
    }


def _describe_alert(row: sqlite3.Row) -> dict[str, Any]:
    raw = json.loads(row["payload"])
    title = _read_title(raw) or row["subject"] or row["type"]
    description = raw.get("description") if isinstance(raw.get("description"), str) else None
    description = description or row["summary"]
    return {
        "type": row["type"],
        "title": title,
        "description": description,
        "text": f"ALERT: {row['type']} - {title} - {description}",
        "raw_data": raw,
        "event_id": row["id"],
        "received_at": serialize.format_iso(row["at"]),
    }


def _read_title(raw: dict[str, Any]) -> str | None:
    """Return the event's own title, or that of the activity it reports."""
    inner = raw.get("Activity")
    named = (part.get("title") for part in (raw, inner) if isinstance(part, dict))
    return next((title for title in named if isinstance(title, str) and title), None)
