"""Toolset `live`: the resources and the history, for hosts that do not read resources. Nothing here queries Plex."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from plex_companion import serialize, times
from plex_companion.cache.queries.counts import By
from plex_companion.cache.queries.read import JournalPage, read_events_after, read_last_event_id, read_newest_events
from plex_companion.companion import Companion
from plex_companion.errors import Invalid, NotDelivered
from plex_companion.history.alert_pages import list_alerts, serialize_alerts
from plex_companion.history.digest import build_digest
from plex_companion.history.library import list_library_changes
from plex_companion.history.play_counts import count_plays
from plex_companion.history.play_pages import PlayQuery, get_play
from plex_companion.history.source import MOST, add_envelope
from plex_companion.notify.trial import explain_answer, send_test
from plex_companion.occurrences.reading import OccurrencePage, check_types, read_newest_cursor, read_occurrences
from plex_companion.resources.activity import read_activity
from plex_companion.resources.events import serialize_events
from plex_companion.resources.server import read_server
from plex_companion.skills.skill_files import NAMES, find_skill
from plex_companion.text import format_count
from plex_companion.tools.acknowledge import acknowledge_alert
from plex_companion.tools.declare import ALLOW_WRITES, Access, Caller, Id, Json, Shape, Toolset
from plex_companion.tools.follow_up.resource_links import link_play
from plex_companion.tools.follow_up.waiting import wait_for_page
from plex_companion.tools.mute_alerts import mute_alerts
from plex_companion.tools.results import (
    AcknowledgedAlert,
    ActivityList,
    AlertPage,
    ClientTimelines,
    CompanionStatus,
    EventPage,
    LibraryChangeList,
    LiveSessions,
    MessageTaken,
    MutedKinds,
    OccurrenceList,
    PeriodDigest,
    PlayDetails,
    PlayPage,
    PlayStatistics,
    SkillAnswer,
)
from plex_companion.tools.server_argument import ServerArgument
from plex_companion.tools.users import list_plays_of

LIVE = Toolset(
    "live",
    "Live state, history and alerts from the cache, even while Plex is down",
    server=ServerArgument.OPTIONAL,
)

Limit = Annotated[int, Field(ge=1, description="Maximum number of entries.")]
Cursor = Annotated[int | None, Field(ge=0, description="next_cursor of the previous answer.")]
Types = Annotated[list[str] | None, Field(description="Event types, such as playing, timeline, activity.")]
PlaceText = Annotated[str | None, Field(description="next_cursor of the previous answer.")]
OccurrenceTypes = Annotated[
    list[str] | None, Field(description="Such as play.started, play.watched, media.added, alert.opened.")
]
WHEN = "Such as 24h, 7d, 1month, today, 2026-11-22, 2026-11-22T17:00."
Since = Annotated[str | None, Field(description=WHEN)]
Until = Annotated[str | None, Field(description="Same formats; a date includes that whole day.")]
SkillName = Annotated[str | None, Field(description=f"One of {', '.join(NAMES)}. Without it, list all.")]
PROGRESS_SECONDS = 5.0


@LIVE.tool(Access.READ, title="Connection status")
async def companion_status(companion: Companion) -> Annotated[Json, Shape(CompanionStatus)]:
    """Report whether Plex is connected, since when, how large the cache is, and which versions run.

    Call this first when answers look old: data is current only while `connection.state` is "live". `tools` says how
    many tools read-only mode hides and how to allow them.
    """
    status = {**await read_server(companion), "tools": _list_hidden_tools(companion.hidden_tools)}
    return add_envelope(companion, {**status, "versions": companion.versions})


@LIVE.tool(Access.READ, title="Get a skill", server=ServerArgument.NONE)
async def skill_get(companion: Companion, name: SkillName = None) -> Annotated[Json, Shape(SkillAnswer)]:
    """Return step-by-step instructions for a task that takes several tools. Read them before you begin such a task."""
    if name is None:
        return {"skills": [{"name": one.name, "description": one.description} for one in companion.skills]}
    skill = find_skill(companion.skills, name.strip())
    about = {"name": skill.name, "description": skill.description, "uri": skill.uri}
    return {**about, "instructions": skill.instructions}


def _list_hidden_tools(count: int) -> dict[str, Any]:
    """Return how many tools are hidden, and how a person can allow them."""
    if not count:
        return {"hidden": 0}
    hidden = format_count(count, "tool that changes Plex is", "tools that change Plex are")
    return {"hidden": count, "message": f"{hidden} not listed. {ALLOW_WRITES}"}


@LIVE.tool(Access.READ, title="What is playing")
async def live_sessions(companion: Companion) -> Annotated[Json, Shape(LiveSessions)]:
    """List what is playing right now: who, what, where, progress, and whether it is transcoded.

    Answers from the cache within milliseconds. When `connection.state` is not "live", this is the last known state.
    """
    return add_envelope(companion, serialize.serialize_sessions(companion.states))


@LIVE.tool(Access.READ, title="Positions of players")
async def client_timelines(companion: Companion) -> Annotated[Json, Shape(ClientTimelines)]:
    """List the state, title and position of every known player, including those that have stopped.

    `estimated_offset_ms` is the current position, extrapolated from the last report.
    """
    now, timelines = companion.now_ms, list[dict[str, Any]]()
    for state in companion.states:
        found, where = state.list_timelines(), serialize.describe_row_server(state)
        listed = (found[one] for one in sorted(state.clients) if one in found)
        timelines += [serialize.serialize_timeline(one, state, now) | where for one in listed]
    return add_envelope(companion, {"timelines": timelines, "count": len(timelines)})


@LIVE.tool(Access.READ, title="Events since a cursor")
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
        newest = await read_newest_events(companion.cache, limit, types, companion.only_server)
        page = JournalPage(newest[::-1], end, gap=False)
        return await _build_answer(companion, page, gap=False, limit=limit)
    await _check_cursor(companion, cursor)
    page = await read_events_after(companion.cache, cursor, types, limit, companion.only_server)
    return await _build_answer(companion, page, gap=page.gap, limit=limit)


@LIVE.tool(Access.READ, title="Wait for an event")
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
    seen = cursor

    async def find() -> JournalPage | None:
        nonlocal seen
        page = await read_events_after(companion.cache, seen, types, MOST, companion.only_server)
        if page.rows or (page.gap and seen == cursor):
            return page
        seen = page.next_cursor
        return None

    page = await wait_for_page(companion, caller, find, timeout)
    page = page or await read_events_after(companion.cache, cursor, types, MOST, companion.only_server)
    return await _build_answer(companion, page, gap=page.gap)


async def _check_cursor(companion: Companion, cursor: int) -> None:
    newest = await read_last_event_id(companion.cache)
    if cursor > newest:
        message = (
            f"Cursor {cursor} is from the future: the newest event is {newest}. It may belong to another database; "
            "call events_since without a cursor to start over."
        )
        raise Invalid(message, argument="cursor")


async def _build_answer(companion: Companion, page: JournalPage, *, gap: bool, limit: int = MOST) -> dict[str, Any]:
    events = await serialize_events(companion, page.rows)
    body = {"events": events, "count": len(events), "limit": limit, "next_cursor": page.next_cursor, "gap": gap}
    return add_envelope(companion, body)


@LIVE.tool(Access.READ, title="Occurrences since a cursor")
async def occurrences_since(
    companion: Companion, cursor: PlaceText = None, types: OccurrenceTypes = None, limit: Limit = 100
) -> Annotated[Json, Shape(OccurrenceList)]:
    """Return what happened after `cursor`, oldest first: plays, new media, alerts, the connection. Without a cursor, the
    newest.

    Each has an `id` that is never given again; `inferred` ones were found out afterwards. Pass `next_cursor` as the next
    `cursor` to miss nothing. `gap` is true when something after the cursor is no longer known.
    """
    limit = min(limit, MOST)
    page = await read_occurrences(companion.cache, cursor, types, limit, companion.only_server)
    return _build_occurrences(companion, page, limit)


@LIVE.tool(Access.READ, title="Wait for an occurrence")
async def occurrences_wait(
    companion: Companion,
    caller: Caller,
    cursor: PlaceText = None,
    types: OccurrenceTypes = None,
    timeout: Annotated[float, Field(ge=0, le=120, description="Maximum seconds to wait.")] = 30,  # noqa: ASYNC109 - the caller's, named by the contract
) -> Annotated[Json, Shape(OccurrenceList)]:
    """Wait until something happens, such as play.started or media.added, and return it at once. Return nothing after
    `timeout` seconds.

    With a cursor, what happened since then also counts, so nothing is missed between two calls.
    """
    check_types(types)
    start = seen = await read_newest_cursor(companion.cache) if cursor is None else cursor

    async def find() -> OccurrencePage | None:
        nonlocal seen
        page = await read_occurrences(companion.cache, seen, types, MOST, companion.only_server)
        seen = page.next_cursor
        return page if page.occurrences or page.gap else None

    page = await wait_for_page(companion, caller, find, timeout)
    page = page or await read_occurrences(companion.cache, start, types, MOST, companion.only_server)
    return _build_occurrences(companion, page)


def _build_occurrences(companion: Companion, page: OccurrencePage, limit: int = MOST) -> dict[str, Any]:
    found = page.occurrences
    body = {"occurrences": found, "count": len(found), "limit": limit, "next_cursor": page.next_cursor, "gap": page.gap}
    return add_envelope(companion, body)


@LIVE.tool(Access.READ, title="List alerts")
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


@LIVE.tool(Access.READ, title="Acknowledge an alert", idempotent=True, notes=True, server=ServerArgument.NONE)
async def alert_acknowledge(
    companion: Companion,
    id: Annotated[Id, Field(description="Alert id from alerts_list.")],  # noqa: A002 - the wire's name
) -> Annotated[Json, Shape(AcknowledgedAlert)]:
    """Mark an alert as acknowledged by the user. Changes nothing in Plex.

    An open alert stays open until its cause is gone. Acknowledging an alert twice has no further effect.
    """
    alerts = [await acknowledge_alert(companion, id)]
    (shown,) = await serialize_alerts(companion, alerts)
    return add_envelope(companion, {"alert": shown})


@LIVE.tool(
    Access.READ, title="Send a test message", notes=True, open_world=True, seconds=60.0, server=ServerArgument.NONE
)
async def notify_test(
    companion: Companion,
    target: Annotated[str, Field(description="Name of the target, as companion_status lists them.")],
) -> MessageTaken:
    """Send a test message to one of the household's targets of notifications (chat, phone, mail) and say what came of it."""
    service, answer = await send_test(companion.settings.list_notify_targets(), target)
    if not answer.is_good:
        raise NotDelivered(explain_answer(target, answer), target=target, http_status=answer.status)
    return MessageTaken(target=target, service=service.kind, message=f"{service.kind} took the message for {target}.")


@LIVE.tool(Access.READ, title="Mute a kind of alert", idempotent=True, notes=True, server=ServerArgument.NONE)
async def alert_mute(
    companion: Companion,
    kind: Annotated[str, Field(description="Such as buffering, new_device, scan_finished.")],
    muted: Annotated[bool, Field(description="false ends it.")] = True,
) -> Annotated[Json, Shape(MutedKinds)]:
    """Mute a kind of alert the user does not want to hear about, or unmute it. Changes nothing in Plex.

    Alerts of a muted kind are still recorded and listed, but no webhook and no page announces them.
    """
    kinds = await mute_alerts(companion, kind, muted=muted)
    return add_envelope(companion, {"kind": kind.strip().lower(), "muted": muted, "muted_kinds": kinds})


@LIVE.tool(Access.READ, title="Current activities")
async def activity_list(companion: Companion, limit: Limit = 50) -> Annotated[Json, Shape(ActivityList)]:
    """List what Plex is doing now (scans, refreshes, downloads) and the items it recently added, changed or removed."""
    body = await read_activity(companion)
    return add_envelope(companion, {**body, "recent": body["recent"][:limit]})


@LIVE.tool(Access.READ, title="Query the history")
async def history_query(
    companion: Companion,
    user: Annotated[str | None, Field(description="Name or id.", coerce_numbers_to_str=True)] = None,
    title: Annotated[
        str | None, Field(description="Words, or beginnings of words, of title, show, season, artist or album.")
    ] = None,
    library: Annotated[str | None, Field(description="Name or id.", coerce_numbers_to_str=True)] = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 20,
    cursor: Annotated[
        str | None, Field(description="next_cursor of the previous answer; keep the other arguments.")
    ] = None,
    type: Annotated[str | None, Field(description="movie, episode, track, photo or clip.")] = None,  # noqa: A002 - as it is called on the wire
    player: Annotated[str | None, Field(description="Name or id.")] = None,
    decision: Annotated[str | None, Field(description="direct play, direct stream or transcode.")] = None,
) -> Annotated[Json, Shape(PlayPage)]:
    """List plays, newest first: who, what, where and for how long. Includes running plays and Plex's own history.

    Answers from the cache, even while Plex is down. Older plays may be missing while `history.complete` is false. Plays
    with `estimated` true come from Plex's history alone: their `watched_ms` is the length of the item.
    """
    limit = min(limit, MOST)
    query = PlayQuery(user, title, library, since, until, type, player, decision)
    return add_envelope(companion, await list_plays_of(companion, limit, query, cursor))


@LIVE.tool(Access.READ, title="History in figures")
async def history_stats(
    companion: Companion,
    period: Annotated[str, Field(description="Such as 24h, 30d, 1y, today, yesterday, all.")] = "30d",
    by: By = "user",
    limit: Limit = 20,
) -> Annotated[Json, Shape(PlayStatistics)]:
    """Sum up plays and watch time in a period by user, title, library, platform, delivery, resolution, day, hour of day, weekday or month.

    Shows and artists count as one title. Days and hours follow `timezone`; empty ones are included and `limit` does not
    cut them. `estimated_ms` is the part of `watched_ms` that is estimated: plays known from Plex's history alone count with
    the length of their item. `label` tells entries with the same name apart. Answers from the cache.
    """
    counts = await count_plays(
        companion, by, times.parse_period(period, companion.now_ms, companion.zone), min(limit, MOST)
    )
    return add_envelope(companion, {"period": period, **counts})


@LIVE.tool(Access.READ, title="Show a play", link=link_play, server=ServerArgument.NONE)
async def play_get(
    companion: Companion,
    id: Annotated[Id, Field(description="Play id from history_query.")],  # noqa: A002 - as it is called on the wire
) -> Annotated[Json, Shape(PlayDetails)]:
    """Show one play from start to end: pauses, seeks, buffering and quality changes (`marks`), and its row in Plex's
    own history.
    """
    return add_envelope(companion, await get_play(companion, id))


@LIVE.tool(Access.READ, title="What happened")
async def what_happened(
    companion: Companion, since: Annotated[str, Field(description=WHEN)], until: Until = None
) -> Annotated[Json, Shape(PeriodDigest)]:
    """Summarize a period: who watched what, new items in the libraries, alerts, and times without a connection to Plex.

    Lists are cut to the latest entries; totals count all of them. Read `notes` before you say that nothing happened:
    they name what is not known.
    """
    window = times.parse_window(since, until, companion.now_ms, companion.zone)
    return add_envelope(companion, await build_digest(companion, window))


@LIVE.tool(Access.READ, title="Changes of the libraries")
async def library_changes(
    companion: Companion, since: Annotated[str, Field(description=WHEN)], until: Until = None, limit: Limit = 20
) -> Annotated[Json, Shape(LibraryChangeList)]:
    """List items that were added to the libraries, upgraded to a better file, or deleted.

    A season or album imported as a whole is one entry. Metadata refreshes are only counted. `incomplete` is true when
    the period starts before `kept_since`, the oldest change still stored.
    """
    window = times.parse_window(since, until, companion.now_ms, companion.zone)
    return add_envelope(companion, await list_library_changes(companion, window, min(limit, MOST)))
