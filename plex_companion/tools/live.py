"""Toolset `live`: the resources and the history, for hosts that do not read resources. Nothing here queries Plex."""

from __future__ import annotations

from typing import Annotated, Any

import anyio
from pydantic import Field

from plex_companion import serialize, times
from plex_companion.cache.queries.counts import By
from plex_companion.cache.queries.read import JournalPage, read_events_after, read_last_event_id, read_newest_events
from plex_companion.companion import Companion
from plex_companion.errors import Invalid
from plex_companion.history.alert_pages import list_alerts
from plex_companion.history.digest import build_digest
from plex_companion.history.library import list_library_changes
from plex_companion.history.play_counts import count_plays
from plex_companion.history.play_pages import get_play, list_plays
from plex_companion.history.source import MOST, add_envelope
from plex_companion.resources.activity import read_activity
from plex_companion.resources.server import read_server
from plex_companion.tools.acknowledge import acknowledge_alert
from plex_companion.tools.declare import ALLOW_WRITES, Access, Caller, Id, Json, Shape, Toolset
from plex_companion.tools.results import (
    AcknowledgedAlert,
    ActivityList,
    AlertPage,
    ClientTimelines,
    CompanionStatus,
    EventPage,
    LibraryChangeList,
    LiveSessions,
    PeriodDigest,
    PlayDetails,
    PlayPage,
    PlayStatistics,
)
from plex_companion.tools.users import find_user_id

LIVE = Toolset("live", "Live state, history and alerts from the cache, even while Plex is down")

Limit = Annotated[int, Field(ge=1, description="Maximum number of entries.")]
Cursor = Annotated[int | None, Field(ge=0, description="next_cursor of the previous answer.")]
Types = Annotated[list[str] | None, Field(description="Event types, such as playing, timeline, activity.")]
WHEN = "Such as 24h, 7d, 1month, today, 2026-11-22, 2026-11-22T17:00."
Since = Annotated[str | None, Field(description=WHEN)]
Until = Annotated[str | None, Field(description="Same formats; a date includes that whole day.")]
PROGRESS_SECONDS = 5.0


@LIVE.tool(Access.READ)
async def companion_status(companion: Companion) -> Annotated[Json, Shape(CompanionStatus)]:
    """Report whether Plex is connected, since when, how large the cache is, and which versions run.

    Call this first when answers look old: data is current only while `connection.state` is "live". `tools` says how
    many tools read-only mode hides and how to allow them.
    """
    status = {**await read_server(companion), "tools": _list_hidden_tools(companion.hidden_tools)}
    return add_envelope(companion, {**status, "versions": companion.versions})


def _list_hidden_tools(count: int) -> dict[str, Any]:
    """Return how many tools are hidden, and how a person can allow them."""
    if not count:
        return {"hidden": 0}
    return {"hidden": count, "message": f"{count} tools that change Plex are not listed. {ALLOW_WRITES}"}


@LIVE.tool(Access.READ)
async def live_sessions(companion: Companion) -> Annotated[Json, Shape(LiveSessions)]:
    """List what is playing right now: who, what, where, progress, and whether it is transcoded.

    Answers from the cache within milliseconds. When `connection.state` is not "live", this is the last known state.
    """
    return add_envelope(companion, serialize.serialize_sessions(companion.state))


@LIVE.tool(Access.READ)
async def client_timelines(companion: Companion) -> Annotated[Json, Shape(ClientTimelines)]:
    """List the state, title and position of every known player, including those that have stopped.

    `estimated_offset_ms` is the current position, extrapolated from the last report.
    """
    state, now = companion.state, companion.now_ms
    found = state.list_timelines()
    timelines = [serialize.serialize_timeline(found[one], state, now) for one in sorted(state.clients) if one in found]
    return add_envelope(companion, {"timelines": timelines, "count": len(timelines)})


@LIVE.tool(Access.READ)
async def events_since(
    companion: Companion, cursor: Cursor = None, types: Types = None, limit: Limit = 100
) -> Annotated[Json, Shape(EventPage)]:
    """Return journal events after `cursor`, oldest first. Without a cursor, return the newest events.

    Pass `next_cursor` as the next `cursor` to miss nothing. `gap` is true when events after the cursor have already
    been deleted; the journal keeps a week.
    """
    limit = min(limit, MOST)
    if cursor is None:
        end = await read_last_event_id(companion.cache)  # before reading: better to report an event twice than never
        page = JournalPage((await read_newest_events(companion.cache, limit, types))[::-1], end, gap=False)
        return _build_answer(companion, page, gap=False, limit=limit)
    await _check_cursor(companion, cursor)
    page = await read_events_after(companion.cache, cursor, types, limit)
    return _build_answer(companion, page, gap=page.gap, limit=limit)


@LIVE.tool(Access.READ)
async def events_wait(
    companion: Companion,
    caller: Caller,
    cursor: Cursor = None,
    types: Types = None,
    timeout: Annotated[float, Field(ge=0, le=120, description="Maximum seconds to wait.")] = 30,  # noqa: ASYNC109 - the caller's, named by the contract
) -> Annotated[Json, Shape(EventPage)]:
    """Wait for the next Plex event and return it at once. Return nothing after `timeout` seconds.

    With a cursor, events since then also count, so nothing is missed between two calls.
    """
    if cursor is None:
        cursor = await read_last_event_id(companion.cache)
    else:
        await _check_cursor(companion, cursor)
    started = anyio.current_time()
    with anyio.move_on_after(timeout):
        page = await _wait_for_page(companion, caller, cursor, types, started, timeout)
        return _build_answer(companion, page, gap=page.gap)
    page = await read_events_after(companion.cache, cursor, types, MOST)
    return _build_answer(companion, page, gap=page.gap)


async def _wait_for_page(
    companion: Companion, caller: Caller, cursor: int, types: list[str] | None, started: float, seconds: float
) -> JournalPage:
    seen, reported_at = cursor, started
    while True:
        changed = companion.live.prepare_wait()  # before reading, or a commit during the reading would be missed
        page = await read_events_after(companion.cache, seen, types, MOST)
        if page.rows or (page.gap and seen == cursor):
            return page
        seen = page.next_cursor
        with anyio.move_on_after(reported_at + PROGRESS_SECONDS - anyio.current_time()):
            await changed.wait()
        if anyio.current_time() >= reported_at + PROGRESS_SECONDS:
            reported_at = anyio.current_time()
            await caller.report_progress(reported_at - started, seconds, "waiting for an event from Plex")


async def _check_cursor(companion: Companion, cursor: int) -> None:
    newest = await read_last_event_id(companion.cache)
    if cursor > newest:
        message = (
            f"Cursor {cursor} is from the future: the newest event is {newest}. It may belong to another database; "
            "call events_since without a cursor to start over."
        )
        raise Invalid(message, argument="cursor")


def _build_answer(companion: Companion, page: JournalPage, *, gap: bool, limit: int = MOST) -> dict[str, Any]:
    events = [serialize.serialize_event(row) for row in page.rows]
    body = {"events": events, "count": len(events), "limit": limit, "next_cursor": page.next_cursor, "gap": gap}
    return add_envelope(companion, body)


@LIVE.tool(Access.READ)
async def alerts_list(
    companion: Companion,
    since: Annotated[
        int | str | None, Field(description="Only newer alerts: an alert id, or a time such as 24h or 2026-11-22.")
    ] = None,
    kinds: Annotated[list[str] | None, Field(description="Such as buffering, connection_lost, scan_finished.")] = None,
    limit: Limit = 50,
    until: Until = None,
    cursor: Cursor = None,
) -> Annotated[Json, Shape(AlertPage)]:
    """List alerts, newest first: lost connection, buffering, slow transcoding, finished scans and more.

    An alert without `resolved_at` is still open. Pass `next_cursor` as `cursor` to get older alerts.
    """
    found = await list_alerts(companion, min(limit, MOST), since=since, until=until, kinds=kinds, before=cursor)
    return add_envelope(companion, found)


@LIVE.tool(Access.READ, notes=True)
async def alert_acknowledge(
    companion: Companion,
    id: Annotated[Id, Field(description="Alert id from alerts_list.")],  # noqa: A002 - the wire's name
) -> Annotated[Json, Shape(AcknowledgedAlert)]:
    """Mark an alert as acknowledged by the user. Changes nothing in Plex.

    An open alert stays open until its cause is gone. Acknowledging an alert twice has no further effect.
    """
    return add_envelope(companion, {"alert": serialize.serialize_alert(await acknowledge_alert(companion, id))})


@LIVE.tool(Access.READ)
async def activity_list(companion: Companion, limit: Limit = 50) -> Annotated[Json, Shape(ActivityList)]:
    """List what Plex is doing now (scans, refreshes, downloads) and the items it recently added, changed or removed."""
    body = await read_activity(companion)
    return add_envelope(companion, {**body, "recent": body["recent"][:limit]})


@LIVE.tool(Access.READ)
async def history_query(
    companion: Companion,
    user: Annotated[str | None, Field(description="Name or id.", coerce_numbers_to_str=True)] = None,
    title: Annotated[
        str | None, Field(description="Words, or beginnings of words, of title, show, season, artist or album.")
    ] = None,
    library: Annotated[str | None, Field(description="Name or id.", coerce_numbers_to_str=True)] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: Annotated[
        str | None, Field(description="next_cursor of the previous answer; keep the other arguments.")
    ] = None,
) -> Annotated[Json, Shape(PlayPage)]:
    """List plays, newest first: who, what, where and for how long. Includes running plays and Plex's own history.

    Answers from the cache, even while Plex is down. Older plays may be missing while `history.complete` is false. For
    plays with `ended_by` "imported", Plex gives an end time but no watch time.
    """
    user = None if user is None else await find_user_id(companion, user)
    asked = {"user": user, "title": title, "library": library, "since": since, "until": until, "after": cursor}
    return add_envelope(companion, await list_plays(companion, min(limit, MOST), **asked))


@LIVE.tool(Access.READ)
async def history_stats(
    companion: Companion,
    period: Annotated[str, Field(description="Such as 24h, 30d, 1y, today, yesterday, all.")] = "30d",
    by: By = "user",
    limit: Limit = 20,
) -> Annotated[Json, Shape(PlayStatistics)]:
    """Sum up plays and watch time in a period by user, title, library, platform, day or hour of day.

    Shows and artists count as one title. Days and hours follow `timezone`; empty ones are included and `limit` does not
    cut them. `watched_ms` covers the `timed` plays only, because Plex gives no watch time for the others. `label` tells
    entries with the same name apart. Answers from the cache.
    """
    counts = await count_plays(
        companion, by, times.parse_period(period, companion.now_ms, companion.zone), min(limit, MOST)
    )
    return add_envelope(companion, {"period": period, **counts})


@LIVE.tool(Access.READ)
async def play_get(
    companion: Companion,
    id: Annotated[Id, Field(description="Play id from history_query.")],  # noqa: A002 - as it is called on the wire
) -> Annotated[Json, Shape(PlayDetails)]:
    """Show one play from start to end: pauses, seeks, buffering and quality changes (`marks`), and its row in Plex's
    own history.
    """
    return add_envelope(companion, await get_play(companion, id))


@LIVE.tool(Access.READ)
async def what_happened(
    companion: Companion, since: Annotated[str, Field(description=WHEN)], until: Until = None
) -> Annotated[Json, Shape(PeriodDigest)]:
    """Summarize a period: who watched what, new items in the libraries, alerts, and times without a connection to Plex.

    Lists are cut to the latest entries; totals count all of them. Read `notes` before you say that nothing happened:
    they name what is not known.
    """
    return add_envelope(
        companion, await build_digest(companion, times.parse_window(since, until, companion.now_ms, companion.zone))
    )


@LIVE.tool(Access.READ)
async def library_changes(
    companion: Companion, since: Annotated[str, Field(description=WHEN)], until: Until = None, limit: Limit = 50
) -> Annotated[Json, Shape(LibraryChangeList)]:
    """List items that were added to the libraries, upgraded to a better file, or deleted.

    A season or album imported as a whole is one entry. Metadata refreshes are only counted. `incomplete` is true when
    the period starts before `kept_since`, the oldest change still stored.
    """
    window = times.parse_window(since, until, companion.now_ms, companion.zone)
    return add_envelope(companion, await list_library_changes(companion, window, min(limit, MOST)))
