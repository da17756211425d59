"""Toolset `live`: what the resources hold, for hosts that do not read resources, and the past. Nothing here asks Plex."""

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
from plex_companion.tools.declare import ALLOW_WRITES, Access, Caller, Id, Told, Toolset
from plex_companion.tools.users import find_user_id

LIVE = Toolset("live", "What plays now, what happened, what wants attention: from the cache, also while Plex is away")

Limit = Annotated[int, Field(ge=1, description="How many at most.")]
Cursor = Annotated[int | None, Field(ge=0, description="next_cursor of the last answer.")]
Types = Annotated[list[str] | None, Field(description="Plex's type names, as playing, timeline, activity.")]
WHEN = "As 24h, 7d, 1month, today, 2026-11-22, 2026-11-22T17:00."
Since = Annotated[str | None, Field(description=WHEN)]
Until = Annotated[str | None, Field(description="The same; a date to its end.")]
PROGRESS_SECONDS = 5.0


@LIVE.tool(Access.READ)
async def companion_status(companion: Companion) -> Told:
    """Whether Plex is heard, since when, what was heard, how large the cache is, and the versions at work.

    Look here first when answers seem old: `connection.state` is `live` only while Plex is being listened to.
    `tools` says how many tools are hidden because the companion is read-only, and how to allow them.
    """
    told = {**await read_server(companion), "tools": _list_hidden_tools(companion.hidden_tools)}
    return add_envelope(companion, {**told, "versions": companion.versions})


def _list_hidden_tools(count: int) -> dict[str, Any]:
    """Return how many tools are hidden, and what a person must do to get them."""
    if not count:
        return {"hidden": 0}
    return {"hidden": count, "message": f"{count} tools that change Plex are not listed. {ALLOW_WRITES}"}


@LIVE.tool(Access.READ)
async def live_sessions(companion: Companion) -> Told:
    """Who plays what right now, where, how far, and whether it is transcoded.

    From the live cache, in a millisecond. When `connection.state` is not `live`, this is the last known state.
    """
    return add_envelope(companion, serialize.serialize_sessions(companion.state))


@LIVE.tool(Access.READ)
async def client_timelines(companion: Companion) -> Told:
    """Where every known player is, or last was: state, title, position.

    `estimated_offset_ms` is the position now, counted on from the last report.
    """
    state, now = companion.state, companion.now_ms
    found = state.list_timelines()
    timelines = [serialize.serialize_timeline(found[one], state, now) for one in sorted(state.clients) if one in found]
    return add_envelope(companion, {"timelines": timelines, "count": len(timelines)})


@LIVE.tool(Access.READ)
async def events_since(companion: Companion, cursor: Cursor = None, types: Types = None, limit: Limit = 100) -> Told:
    """What Plex said since a cursor, oldest first; without a cursor, the newest events.

    Pass `next_cursor` of one answer as `cursor` of the next to miss nothing. `gap` is true when events after the
    cursor were already dropped from the journal (it keeps a week).
    """
    limit = min(limit, MOST)
    if cursor is None:
        end = await read_last_event_id(companion.cache)  # before reading: rather told twice than never
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
    timeout: Annotated[float, Field(ge=0, le=120, description="Seconds to wait at most.")] = 30,  # noqa: ASYNC109 - the caller's, named by the contract
) -> Told:
    """Wait until Plex says something (of these types), and return it at once; after `timeout` seconds, nothing.

    With a cursor, events since then count too, so that nothing is missed between two calls.
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
    seen, told = cursor, started
    while True:
        changed = companion.live.prepare_wait()  # before reading, or a commit during the reading would be missed
        page = await read_events_after(companion.cache, seen, types, MOST)
        if page.rows or (page.gap and seen == cursor):
            return page
        seen = page.next_cursor
        with anyio.move_on_after(told + PROGRESS_SECONDS - anyio.current_time()):
            await changed.wait()
        if anyio.current_time() >= told + PROGRESS_SECONDS:
            told = anyio.current_time()
            await caller.report_progress(told - started, seconds, "waiting for Plex to say something")


async def _check_cursor(companion: Companion, cursor: int) -> None:
    newest = await read_last_event_id(companion.cache)
    if cursor > newest:
        message = (
            f"Cursor {cursor} is from the future: the newest event is {newest}. It may belong to another database; "
            "call events_since without a cursor to start anew."
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
        int | str | None, Field(description="An id, for alerts with a larger one; or a time, as 24h or 2026-11-22.")
    ] = None,
    kinds: Annotated[list[str] | None, Field(description="As buffering, connection_lost, scan_finished.")] = None,
    limit: Limit = 50,
    until: Until = None,
    cursor: Cursor = None,
) -> Told:
    """What wants, or wanted, attention, newest first: lost connection, buffering, slow transcoding, finished scans.

    An alert without `resolved_at` is still open. `next_cursor` goes on with older ones.
    """
    found = await list_alerts(companion, min(limit, MOST), since=since, until=until, kinds=kinds, before=cursor)
    return add_envelope(companion, found)


@LIVE.tool(Access.READ, notes=True)
async def alert_acknowledge(
    companion: Companion,
    id: Annotated[Id, Field(description="The alert's id, as alerts_list names it.")],  # noqa: A002 - the wire's name
) -> Told:
    """Note that a person knows of an alert: it gets an `acknowledged_at`. Nothing changes in Plex.

    An open alert stays open until its cause is gone. Acknowledging it again changes nothing.
    """
    return add_envelope(companion, {"alert": serialize.serialize_alert(await acknowledge_alert(companion, id))})


@LIVE.tool(Access.READ)
async def activity_list(companion: Companion, limit: Limit = 50) -> Told:
    """What Plex is doing now (scans, refreshes, downloads), and the items that lately came, changed or went."""
    body = await read_activity(companion)
    return add_envelope(companion, {**body, "recent": body["recent"][:limit]})


@LIVE.tool(Access.READ)
async def history_query(
    companion: Companion,
    user: Annotated[str | None, Field(description="Name or id.", coerce_numbers_to_str=True)] = None,
    title: Annotated[
        str | None, Field(description="Words of title, show, season, artist or album; beginnings do.")
    ] = None,
    library: Annotated[str | None, Field(description="Name or id.", coerce_numbers_to_str=True)] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    cursor: Annotated[str | None, Field(description="next_cursor of the last answer, the rest unchanged.")] = None,
) -> Told:
    """What was played, newest first: by whom, where, how long. Running plays and Plex's own history are included.

    From the cache, also while Plex is away. While `history.complete` is false, older plays may be missing. Of plays that
    come from Plex's history only (`ended_by` imported) Plex tells when they ended, and no watch time.
    """
    user = None if user is None else await find_user_id(companion, user)
    asked = {"user": user, "title": title, "library": library, "since": since, "until": until, "after": cursor}
    return add_envelope(companion, await list_plays(companion, min(limit, MOST), **asked))


@LIVE.tool(Access.READ)
async def history_stats(
    companion: Companion,
    period: Annotated[str, Field(description="As 24h, 30d, 1y; today; yesterday; all.")] = "30d",
    by: By = "user",
    limit: Limit = 20,
) -> Told:
    """How much was played in a period: plays and watch time by user, title (shows and artists as one), library,
    platform, day or hour of day (in the time zone that `timezone` names).

    `watched_ms` sums up the `timed` plays; of the others Plex tells no watch time. `label` tells entries of one name
    apart. Days and hours without plays are told too, and `limit` does not cut them. From the cache, also while Plex is away.
    """
    told = await count_plays(
        companion, by, times.parse_period(period, companion.now_ms, companion.zone), min(limit, MOST)
    )
    return add_envelope(companion, {"period": period, **told})


@LIVE.tool(Access.READ)
async def play_get(
    companion: Companion,
    id: Annotated[Id, Field(description="Of a play, from history_query.")],  # noqa: A002 - as it is called on the wire
) -> Told:
    """One play from start to end: its pauses, seeks, buffering, changes of quality (`marks`), and the row of Plex's own
    history that belongs to it.
    """
    return add_envelope(companion, await get_play(companion, id))


@LIVE.tool(Access.READ)
async def what_happened(
    companion: Companion, since: Annotated[str, Field(description=WHEN)], until: Until = None
) -> Told:
    """What happened while somebody was away or asleep, in one digest: who watched what, what came into the libraries,
    alerts, and outages, in which nobody listened.

    Lists are cut to the latest, with totals. `notes` say what cannot be known: read them before saying that nothing
    happened.
    """
    return add_envelope(
        companion, await build_digest(companion, times.parse_window(since, until, companion.now_ms, companion.zone))
    )


@LIVE.tool(Access.READ)
async def library_changes(
    companion: Companion, since: Annotated[str, Field(description=WHEN)], until: Until = None, limit: Limit = 50
) -> Told:
    """What is new in the libraries, what got a better file (upgraded), and what was deleted; the import of a season or an
    album is one entry. Mere refreshes are counted.

    `incomplete` is true when the time begins before `kept_since`, the oldest change that is still kept.
    """
    window = times.parse_window(since, until, companion.now_ms, companion.zone)
    return add_envelope(companion, await list_library_changes(companion, window, min(limit, MOST)))
