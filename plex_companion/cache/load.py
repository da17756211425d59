"""The live state out of the database: as the last process left it, or as another one keeps it now."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from plex_companion.cache.connections import run_read
from plex_companion.cache.leadership import Announcements, Base, LeaderStatus, parse_status, read_announcements_after
from plex_companion.cache.open_files import UNKNOWN
from plex_companion.cache.rows import (
    Row,
    parse_account,
    parse_activity,
    parse_alert,
    parse_client,
    parse_delivery,
    parse_device,
    parse_history,
    parse_library_change,
    parse_plex_tv_user,
    parse_section,
    parse_server,
    parse_session,
    parse_timeline,
)
from plex_companion.changes.state import BUFFERING_MS, RECENT, REMEMBERED, RecentlyResolved, State
from plex_companion.models import Connection
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from plex_companion.cache.database import Cache
    from plex_companion.models import Moment, Session


def base_of(term: int, state: State) -> Base:
    """Return what a state was loaded from, before anything is changed in it. The term must have been read before."""
    ids = {
        "events": state.next_event,
        "plays": state.next_play,
        "alerts": state.next_alert,
        "deliveries": state.next_delivery,
        "library_changes": state.next_change,
        "play_marks": state.next_play_event,
    }
    return Base(term, ids)


async def load_state(cache: Cache, now: Moment) -> State:
    """Sessions, clients and the rest of the server last seen; `offline` until Plex is heard."""
    return await run_read(cache.reader, partial(_load_last, now=now))


@dataclass(frozen=True, slots=True)
class CommittedState:
    """What another process has committed, as of one moment."""

    state: State
    leader: LeaderStatus | None
    """`None` as long as nobody ever listened."""
    announcements: Announcements


async def load_committed(cache: Cache, now: Moment, last: int) -> CommittedState:
    """The state as the process that listens keeps it, and what it announced after the announcement `last`."""
    return await run_read(cache.reader, partial(_load_current, now=now, last=last))


def _load_last(connection: sqlite3.Connection, now: Moment) -> State:
    state = State(Connection("offline", now.at, _read_epoch(connection)))
    _load_tables(connection, state, now, _read_last_server(connection), stale=True)  # nobody listened meanwhile
    state.down_since = _read_last_contact(connection)
    _load_recently_resolved(connection, state, now)
    _load_waiting_deliveries(connection, state)
    return state


def _load_current(connection: sqlite3.Connection, now: Moment, last: int) -> CommittedState:
    listening = next((parse_status(row) for row in _read_rows(connection, "SELECT * FROM listener", {})), None)
    news = read_announcements_after(connection, last)
    if listening is None:
        return CommittedState(_load_last(connection, now), None, news)
    state = State(listening.connection, last_event_at=listening.last_event_at, refreshed_at=listening.refreshed_at)
    server = listening.server or _read_last_server(connection)
    _load_tables(connection, state, now, server, stale=listening.connection.state != "live")
    state.sessions_read = listening.sessions_read
    return CommittedState(state, listening, news)


def _read_last_server(connection: sqlite3.Connection) -> str:
    sql = (
        "SELECT machine_identifier FROM servers WHERE machine_identifier <> :unknown ORDER BY last_seen_at DESC LIMIT 1"
    )
    return next((str(row[0]) for row in _read_rows(connection, sql, {"unknown": UNKNOWN})), UNKNOWN)


def _load_tables(connection: sqlite3.Connection, state: State, now: Moment, server: str, *, stale: bool) -> None:
    """What is written of a server. With `stale`, its sessions are what they were, whatever was written."""
    state.next_event = _read_next_id(connection, "events")
    state.next_play = _read_next_id(connection, "plays")
    state.next_alert = _read_next_id(connection, "alerts")
    state.next_delivery = _read_next_id(connection, "deliveries")
    state.next_change = _read_next_id(connection, "library_changes")
    state.next_play_event = _read_next_id(connection, "play_marks")
    known = "SELECT * FROM servers WHERE machine_identifier = :server AND machine_identifier <> :unknown"
    for row in _read_rows(connection, known, {"server": server, "unknown": UNKNOWN}):
        state.server = parse_server(row)
        state.sessions_read = True
    _load_server(connection, state, server, now, stale=stale)
    for row in _read_rows(connection, "SELECT * FROM alerts WHERE resolved_at IS NULL", {}):
        alert = parse_alert(row)
        state.alerts[alert.kind, alert.subject] = alert


def _load_waiting_deliveries(connection: sqlite3.Connection, state: State) -> None:
    """What waits to be delivered, and may be withdrawn until then."""
    held = "SELECT * FROM deliveries WHERE done_at IS NULL AND tries = 0 ORDER BY id"
    for delivery in map(parse_delivery, _read_rows(connection, held, {})):
        if delivery.is_held:
            state.waiting_deliveries[delivery.alert_id] = (
                *state.waiting_deliveries.get(delivery.alert_id, ()),
                delivery,
            )


def _load_recently_resolved(connection: sqlite3.Connection, state: State, now: Moment) -> None:
    """Of the alerts that were resolved lately, what may be opened again; and what the rules for sessions wait for."""
    newest = "SELECT * FROM alerts ORDER BY id DESC LIMIT :most"
    for row in reversed(list(_read_rows(connection, newest, {"most": REMEMBERED}))):
        alert = parse_alert(row)
        ago = now.at - (alert.resolved_at or 0)
        if alert.resolved_at is not None and 0 <= ago < DAY_MS and (alert.kind, alert.subject) not in state.alerts:
            state.recently_resolved[alert.kind, alert.subject] = RecentlyResolved(alert, now.tick - ago)
    for session in state.sessions.values():
        _load_play_events(connection, state, session, now)


def _load_play_events(connection: sqlite3.Connection, state: State, session: Session, now: Moment) -> None:
    """Since when a session is paused, and when it ran dry in the last minutes, out of the course of its play."""
    marks = list(
        _read_rows(
            connection, "SELECT kind, at FROM play_marks WHERE play_id = :play ORDER BY id", {"play": session.play_id}
        )
    )
    ticks = [(mark["kind"], now.tick - max(0, now.at - mark["at"])) for mark in marks]
    if ticks and session.state == ticks[-1][0] == "paused":
        state.condition_since["paused_long", session.session_key] = ticks[-1][1]
    dry = tuple(tick for kind, tick in ticks if kind == "buffering" and now.tick - tick <= BUFFERING_MS)
    if dry:
        state.buffer_ticks[session.session_key] = dry


def _load_server(connection: sqlite3.Connection, state: State, server: str, now: Moment, *, stale: bool) -> None:
    of = {"server": server, "recent": RECENT}
    for row in _read_rows(
        connection, "SELECT * FROM plays WHERE server = :server AND ended_at IS NULL ORDER BY id", of
    ):
        silent = max(0, now.at - row["updated_at"])
        session = parse_session(row, now.tick - silent, stale=stale or bool(row["stale"]))
        state.sessions[session.session_key] = session
    for row in _read_rows(connection, "SELECT * FROM activities WHERE server = :server AND ended_at IS NULL", of):
        activity = parse_activity(row)
        state.activities[activity.uuid] = activity
    for row in _read_rows(connection, "SELECT * FROM clients WHERE server = :server", of):
        client = parse_client(row)
        state.clients[client.client_identifier] = client
    for row in _read_rows(connection, "SELECT * FROM timelines WHERE server = :server", of):
        timeline = parse_timeline(row)
        state.timelines[timeline.client_identifier] = timeline
    newest = "SELECT * FROM library_changes WHERE server = :server ORDER BY id DESC LIMIT :recent"
    for change in reversed([parse_library_change(row) for row in _read_rows(connection, newest, of)]):
        state.recent.append(change)
        if not change.settled:
            state.unsettled[change.item_id] = change
    state.sections = tuple(
        parse_section(row) for row in _read_rows(connection, "SELECT * FROM sections WHERE server = :server", of)
    )
    state.devices = tuple(
        parse_device(row) for row in _read_rows(connection, "SELECT * FROM devices WHERE server = :server", of)
    )
    for row in _read_rows(connection, "SELECT * FROM history WHERE server = :server", of):
        state.history = parse_history(row)
    state.plex_tv_users = tuple(
        parse_plex_tv_user(row)
        for row in _read_rows(connection, "SELECT * FROM plex_tv_users WHERE server = :server", of)
    )
    state.accounts = tuple(
        parse_account(row) for row in _read_rows(connection, "SELECT * FROM accounts WHERE server = :server", of)
    )


def _read_last_contact(connection: sqlite3.Connection) -> int | None:
    """When somebody last listened: what happened since, nobody saw."""
    sql = "SELECT coalesce((SELECT refreshed_at FROM listener), (SELECT at FROM events ORDER BY id DESC LIMIT 1)) AS at"
    rows = _read_rows(connection, sql, {})
    return next((row["at"] for row in rows), None)


def _read_epoch(connection: sqlite3.Connection) -> int:
    """The last one used: a connection on which nothing played left no play."""
    sql = "SELECT max(coalesce((SELECT max(epoch) FROM plays), 0), coalesce((SELECT epoch FROM listener), 0)) AS epoch"
    return max((int(row["epoch"]) for row in _read_rows(connection, sql, {})), default=0)


def _read_next_id(connection: sqlite3.Connection, table: str) -> int:
    """The first id never used, also after everything was pruned."""
    rows = _read_rows(connection, "SELECT seq FROM sqlite_sequence WHERE name = :table", {"table": table})
    return max((int(row["seq"]) for row in rows), default=0) + 1


def _read_rows(connection: sqlite3.Connection, sql: str, values: Row) -> Iterable[sqlite3.Row]:
    return connection.execute(sql, values).fetchall()
