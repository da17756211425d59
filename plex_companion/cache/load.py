"""The live state as the last process left it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from plex_companion.cache import UNKNOWN
from plex_companion.cache.rows import (
    Row,
    account_of,
    activity_of,
    alert_of,
    change_of,
    client_of,
    delivery_of,
    device_of,
    history_of,
    section_of,
    server_of,
    session_of,
    timeline_of,
)
from plex_companion.changes.state import BUFFERING_MS, RECENT, REMEMBERED, Rested, State
from plex_companion.models import Connection

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from plex_companion.cache import Cache
    from plex_companion.models import Moment, Session

DAY_MS = 86_400_000


async def load_state(cache: Cache, now: Moment) -> State:
    """Sessions, clients and the rest of the server last seen; `offline` until Plex is heard."""
    servers = await _rows(
        cache,
        "SELECT * FROM servers WHERE machine_identifier <> :unknown ORDER BY last_seen_at DESC LIMIT 1",
        {"unknown": UNKNOWN},
    )
    state = State(Connection("offline", now.at, await _epoch(cache)))
    state.next_event = await _next(cache, "events")
    state.next_play = await _next(cache, "plays")
    state.next_alert = await _next(cache, "alerts")
    state.next_delivery = await _next(cache, "deliveries")
    state.next_change = await _next(cache, "library_changes")
    state.next_mark = await _next(cache, "play_marks")
    state.down_since = await _heard_until(cache)
    server = UNKNOWN
    for row in servers:
        state.server = server_of(row)
        state.sessions_read = True
        server = state.server.machine_identifier
    await _load_server(cache, state, server, now)
    await _load_alerts(cache, state, now)
    await _load_held(cache, state)
    return state


async def _load_held(cache: Cache, state: State) -> None:
    for row in await _rows(cache, "SELECT * FROM deliveries WHERE done_at IS NULL AND tries = 0 ORDER BY id", {}):
        delivery = delivery_of(row)
        if delivery.is_held:
            state.held[delivery.alert_id] = (*state.held.get(delivery.alert_id, ()), delivery)


async def _load_alerts(cache: Cache, state: State, now: Moment) -> None:
    """The open ones; of those that were resolved lately, what may be opened again; what the rules for sessions wait for."""
    for row in await _rows(cache, "SELECT * FROM alerts WHERE resolved_at IS NULL", {}):
        alert = alert_of(row)
        state.alerts[alert.kind, alert.subject] = alert
    newest = "SELECT * FROM alerts ORDER BY id DESC LIMIT :most"
    for row in reversed(list(await _rows(cache, newest, {"most": REMEMBERED}))):
        alert = alert_of(row)
        ago = now.at - (alert.resolved_at or 0)
        if alert.resolved_at is not None and 0 <= ago < DAY_MS and (alert.kind, alert.subject) not in state.alerts:
            state.rested[alert.kind, alert.subject] = Rested(alert, now.tick - ago)
    for session in state.sessions.values():
        await _load_course(cache, state, session, now)


async def _load_course(cache: Cache, state: State, session: Session, now: Moment) -> None:
    """Since when a session is paused, and when it ran dry in the last minutes, out of the course of its play."""
    marks = list(
        await _rows(
            cache, "SELECT kind, at FROM play_marks WHERE play_id = :play ORDER BY id", {"play": session.play_id}
        )
    )
    ticks = [(mark["kind"], now.tick - max(0, now.at - mark["at"])) for mark in marks]
    if ticks and session.state == ticks[-1][0] == "paused":
        state.since["paused_long", session.session_key] = ticks[-1][1]
    dry = tuple(tick for kind, tick in ticks if kind == "buffering" and now.tick - tick <= BUFFERING_MS)
    if dry:
        state.buffered[session.session_key] = dry


async def _load_server(cache: Cache, state: State, server: str, now: Moment) -> None:
    of = {"server": server, "recent": RECENT}
    for row in await _rows(cache, "SELECT * FROM plays WHERE server = :server AND ended_at IS NULL ORDER BY id", of):
        silent = max(0, now.at - row["updated_at"])
        session = session_of(row, now.tick - silent)
        state.sessions[session.session_key] = session
    for row in await _rows(cache, "SELECT * FROM activities WHERE server = :server AND ended_at IS NULL", of):
        activity = activity_of(row)
        state.activities[activity.uuid] = activity
    for row in await _rows(cache, "SELECT * FROM clients WHERE server = :server", of):
        client = client_of(row)
        state.clients[client.client_identifier] = client
    for row in await _rows(cache, "SELECT * FROM timelines WHERE server = :server", of):
        timeline = timeline_of(row)
        state.timelines[timeline.client_identifier] = timeline
    newest = "SELECT * FROM library_changes WHERE server = :server ORDER BY id DESC LIMIT :recent"
    for change in reversed([change_of(row) for row in await _rows(cache, newest, of)]):
        state.recent.append(change)
        if not change.settled:
            state.unsettled[change.item_id] = change
    state.sections = tuple(
        section_of(row) for row in await _rows(cache, "SELECT * FROM sections WHERE server = :server", of)
    )
    state.devices = tuple(
        device_of(row) for row in await _rows(cache, "SELECT * FROM devices WHERE server = :server", of)
    )
    for row in await _rows(cache, "SELECT * FROM history WHERE server = :server", of):
        state.history = history_of(row)
    state.accounts = tuple(
        account_of(row) for row in await _rows(cache, "SELECT * FROM accounts WHERE server = :server", of)
    )


async def _heard_until(cache: Cache) -> int | None:
    """When somebody last listened: what happened since, nobody saw."""
    sql = "SELECT coalesce((SELECT refreshed_at FROM listener), (SELECT at FROM events ORDER BY id DESC LIMIT 1)) AS at"
    rows = await _rows(cache, sql, {})
    return next((row["at"] for row in rows), None)


async def _epoch(cache: Cache) -> int:
    rows = await _rows(cache, "SELECT coalesce(max(epoch), 0) AS epoch FROM plays", {})
    return max((int(row["epoch"]) for row in rows), default=0)


async def _next(cache: Cache, table: str) -> int:
    """The first id never used, also after everything was pruned."""
    rows = await _rows(cache, "SELECT seq FROM sqlite_sequence WHERE name = :table", {"table": table})
    return max((int(row["seq"]) for row in rows), default=0) + 1


async def _rows(cache: Cache, sql: str, values: Row) -> Iterable[sqlite3.Row]:
    return await cache.reader.execute_fetchall(sql, values)
