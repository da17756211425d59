"""Loads the live state from the database: as the last process left it, or as another process keeps it now."""

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


def build_base(term: int, state: State) -> Base:
    """Return what a state was loaded from.

    Call it before anything in the state changes, with a term that was read before the state.
    """
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
    """Load the sessions, clients and the rest of the server seen last. The state is `offline` until Plex is reached."""
    return await run_read(cache.reader, partial(_load_last, now=now))


@dataclass(frozen=True, slots=True)
class CommittedState:
    """What another process has committed, as of one moment."""

    state: State
    leader: LeaderStatus | None
    """`None` as long as no process has ever led."""
    announcements: Announcements


async def load_committed(cache: Cache, now: Moment, last: int) -> CommittedState:
    """Load the state as the leader keeps it, and its announcements after the announcement `last`."""
    return await run_read(cache.reader, partial(_load_current, now=now, last=last))


def _load_last(connection: sqlite3.Connection, now: Moment) -> State:
    state = State(Connection("offline", now.at, _read_epoch(connection)))
    _load_tables(connection, state, now, _read_last_server(connection), stale=True)  # no process has listened since
    state.down_since = _read_last_contact(connection)
    _load_recently_resolved(connection, state, now)
    _load_waiting_deliveries(connection, state)
    return state


def _load_current(connection: sqlite3.Connection, now: Moment, last: int) -> CommittedState:
    leader = next((parse_status(row) for row in _read_rows(connection, "SELECT * FROM listener", {})), None)
    announcements = read_announcements_after(connection, last)
    if leader is None:
        return CommittedState(_load_last(connection, now), None, announcements)
    state = State(leader.connection, last_event_at=leader.last_event_at, refreshed_at=leader.refreshed_at)
    server = leader.server or _read_last_server(connection)
    _load_tables(connection, state, now, server, stale=leader.connection.state != "live")
    state.sessions_read = leader.sessions_read
    return CommittedState(state, leader, announcements)


def _read_last_server(connection: sqlite3.Connection) -> str:
    sql = (
        "SELECT machine_identifier FROM servers WHERE machine_identifier <> :unknown ORDER BY last_seen_at DESC LIMIT 1"
    )
    return next((str(row[0]) for row in _read_rows(connection, sql, {"unknown": UNKNOWN})), UNKNOWN)


def _load_tables(connection: sqlite3.Connection, state: State, now: Moment, server: str, *, stale: bool) -> None:
    """Load the rows of a server. With `stale`, every session is stale, whatever its row says."""
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
    """Load the deliveries that are held back and may still be withdrawn."""
    waiting = "SELECT * FROM deliveries WHERE done_at IS NULL AND tries = 0 ORDER BY id"
    for delivery in map(parse_delivery, _read_rows(connection, waiting, {})):
        if delivery.is_held:
            state.waiting_deliveries[delivery.alert_id] = (
                *state.waiting_deliveries.get(delivery.alert_id, ()),
                delivery,
            )


def _load_recently_resolved(connection: sqlite3.Connection, state: State, now: Moment) -> None:
    """Load the alerts that may be reopened, and the timers of the rules for sessions."""
    newest = "SELECT * FROM alerts ORDER BY id DESC LIMIT :most"
    for row in reversed(list(_read_rows(connection, newest, {"most": REMEMBERED}))):
        alert = parse_alert(row)
        resolved_ms_ago = now.at - (alert.resolved_at or 0)
        if (
            alert.resolved_at is not None
            and 0 <= resolved_ms_ago < DAY_MS
            and (alert.kind, alert.subject) not in state.alerts
        ):
            state.recently_resolved[alert.kind, alert.subject] = RecentlyResolved(alert, now.tick - resolved_ms_ago)
    for session in state.sessions.values():
        _load_play_events(connection, state, session, now)


def _load_play_events(connection: sqlite3.Connection, state: State, session: Session, now: Moment) -> None:
    """Load since when a session is paused, and when it buffered in the last minutes."""
    play_events = list(
        _read_rows(
            connection, "SELECT kind, at FROM play_marks WHERE play_id = :play ORDER BY id", {"play": session.play_id}
        )
    )
    ticks = [(play_event["kind"], now.tick - max(0, now.at - play_event["at"])) for play_event in play_events]
    if ticks and session.state == ticks[-1][0] == "paused":
        state.condition_since["paused_long", session.session_key] = ticks[-1][1]
    buffer_ticks = tuple(tick for kind, tick in ticks if kind == "buffering" and now.tick - tick <= BUFFERING_MS)
    if buffer_ticks:
        state.buffer_ticks[session.session_key] = buffer_ticks


def _load_server(connection: sqlite3.Connection, state: State, server: str, now: Moment, *, stale: bool) -> None:
    values = {"server": server, "recent": RECENT}
    for row in _read_rows(
        connection, "SELECT * FROM plays WHERE server = :server AND ended_at IS NULL ORDER BY id", values
    ):
        silence_ms = max(0, now.at - row["updated_at"])
        session = parse_session(row, now.tick - silence_ms, stale=stale or bool(row["stale"]))
        state.sessions[session.session_key] = session
    for row in _read_rows(connection, "SELECT * FROM activities WHERE server = :server AND ended_at IS NULL", values):
        activity = parse_activity(row)
        state.activities[activity.uuid] = activity
    for row in _read_rows(connection, "SELECT * FROM clients WHERE server = :server", values):
        client = parse_client(row)
        state.clients[client.client_identifier] = client
    for row in _read_rows(connection, "SELECT * FROM timelines WHERE server = :server", values):
        timeline = parse_timeline(row)
        state.timelines[timeline.client_identifier] = timeline
    newest = "SELECT * FROM library_changes WHERE server = :server ORDER BY id DESC LIMIT :recent"
    for change in reversed([parse_library_change(row) for row in _read_rows(connection, newest, values)]):
        state.recent.append(change)
        if not change.settled:
            state.unsettled[change.item_id] = change
    state.sections = tuple(
        parse_section(row) for row in _read_rows(connection, "SELECT * FROM sections WHERE server = :server", values)
    )
    state.devices = tuple(
        parse_device(row) for row in _read_rows(connection, "SELECT * FROM devices WHERE server = :server", values)
    )
    for row in _read_rows(connection, "SELECT * FROM history WHERE server = :server", values):
        state.history = parse_history(row)
    state.plex_tv_users = tuple(
        parse_plex_tv_user(row)
        for row in _read_rows(connection, "SELECT * FROM plex_tv_users WHERE server = :server", values)
    )
    state.accounts = tuple(
        parse_account(row) for row in _read_rows(connection, "SELECT * FROM accounts WHERE server = :server", values)
    )


def _read_last_contact(connection: sqlite3.Connection) -> int | None:
    """Return when a process last heard from Plex: nothing is known of the time since."""
    sql = "SELECT coalesce((SELECT refreshed_at FROM listener), (SELECT at FROM events ORDER BY id DESC LIMIT 1)) AS at"
    rows = _read_rows(connection, sql, {})
    return next((row["at"] for row in rows), None)


def _read_epoch(connection: sqlite3.Connection) -> int:
    """Return the last epoch used. The leader's row has it too: a connection on which nothing played left no play."""
    sql = "SELECT max(coalesce((SELECT max(epoch) FROM plays), 0), coalesce((SELECT epoch FROM listener), 0)) AS epoch"
    return max((int(row["epoch"]) for row in _read_rows(connection, sql, {})), default=0)


def _read_next_id(connection: sqlite3.Connection, table: str) -> int:
    """Return the first id never used.

    `sqlite_sequence` keeps the largest id of an AUTOINCREMENT table, also when its rows were deleted
    (sqlite.org/autoinc.html).
    """
    rows = _read_rows(connection, "SELECT seq FROM sqlite_sequence WHERE name = :table", {"table": table})
    return max((int(row["seq"]) for row in rows), default=0) + 1


def _read_rows(connection: sqlite3.Connection, sql: str, values: Row) -> Iterable[sqlite3.Row]:
    return connection.execute(sql, values).fetchall()
