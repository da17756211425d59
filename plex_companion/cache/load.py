"""Loads the live state from the database: as the last process left it, or as another process keeps it now."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from msgspec import structs

from plex_companion.cache.connections import run_read
from plex_companion.cache.leadership import (
    Announcements,
    LeaderStatus,
    LinkStatus,
    LoadPoint,
    parse_status,
    read_announcements_after,
)
from plex_companion.cache.link_rows import match_links, read_links
from plex_companion.cache.open_files import UNKNOWN, name_unknown
from plex_companion.cache.queries.alert_lists import MUTED_KINDS
from plex_companion.cache.rows import (
    MEDIA_ITEMS,
    Row,
    parse_account,
    parse_activity,
    parse_alert,
    parse_client,
    parse_delivery,
    parse_device,
    parse_ended_play,
    parse_history,
    parse_library_change,
    parse_media_item,
    parse_milestones,
    parse_plex_tv_user,
    parse_rule_firing,
    parse_rule_row,
    parse_rule_timer,
    parse_section,
    parse_server,
    parse_session,
    parse_subscription,
    parse_task,
    parse_timeline,
)
from plex_companion.changes.state import (
    BUFFERING_MS,
    MOST_NEW_ITEMS,
    RECENT,
    REMEMBERED,
    NextIds,
    RecentlyResolved,
    State,
)
from plex_companion.models import MEDIA_NEWS, ONLY_LINK, Connection, PendingMedia, RulesState
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.models import Moment, Session


_NUMBERED = {
    "events": "event",
    "plays": "play",
    "alerts": "alert",
    "deliveries": "delivery",
    "library_changes": "change",
    "play_marks": "play_event",
    "rules": "rule",
    "rule_firings": "firing",
}
"""Tables with numbered rows, and the name of their next id in `NextIds`."""


def build_load_point(term: int, ids: NextIds) -> LoadPoint:
    """Return the load point of a state: the term and the next ids.

    Call it before anything in the state changes, with a term that was read before the state.
    """
    return LoadPoint(term, {table: getattr(ids, name) for table, name in _NUMBERED.items()})


async def load_state(cache: Cache, now: Moment) -> State:
    """Load the sessions, clients and the rest of the server seen last. The state is `offline` until Plex is reached."""
    return (await load_states(cache, (ONLY_LINK,), now))[ONLY_LINK]


async def load_states(cache: Cache, links: Sequence[str], now: Moment) -> dict[str, State]:
    """Load the sessions, clients and the rest of each link's server, as last known; offline until Plex is reached."""
    return await run_read(cache.reader, partial(_load_last, links=links, now=now))


@dataclass(frozen=True, slots=True)
class CommittedStates:
    """The states that another process has committed, as of one moment."""

    states: dict[str, State]
    """The states by link, those apart that did not move since they were last read."""
    links: dict[str, LinkStatus]
    """The status of every link of the leader that is one of ours, by our link."""
    ids: NextIds
    leader: LeaderStatus | None
    """`None` if no process has ever led."""
    announcements: Announcements


async def load_committed(
    cache: Cache,
    now: Moment,
    last: int,
    links: Sequence[str] = (ONLY_LINK,),
    known: Mapping[str, LinkStatus] = MappingProxyType({}),
    identities: Mapping[str, str] = MappingProxyType({}),
) -> CommittedStates:
    """Load the states as the leader keeps them, and its announcements after the announcement `last`.

    Args:
        cache: the database.
        now: the present.
        last: the id of the last announcement read.
        links: the configured links.
        known: the status of links at the last reading. Only what moved since is read again.
        identities: the machine identifiers of servers that were asked, by link.
    """

    def load(connection: sqlite3.Connection) -> CommittedStates:
        matched = match_links(links, read_links(connection, known.values()), identities)
        return _load_current(connection, now, last, links, matched, known)

    return await run_read(cache.reader, load)


def _load_last(connection: sqlite3.Connection, links: Sequence[str], now: Moment) -> dict[str, State]:
    matched = match_links(links, read_links(connection))
    epoch, ids = _read_epoch(connection), _read_next_ids(connection)
    servers = _list_servers(connection, links, matched)
    states: dict[str, State] = {}
    for link in links:
        states[link] = state = State(Connection("offline", now.at, epoch), ids=ids)
        _load_tables(connection, state, now, servers[link], stale=True)  # no process has listened since
        alerts = _choose_alerts(servers, link)
        _load_open_alerts(connection, state, *alerts)
        state.down_since = _read_last_contact(connection, matched.get(link))
        _load_recently_resolved(connection, state, now, *alerts)
        _load_milestones(connection, state, now, servers[link])
        _load_waiting_deliveries(connection, state, *alerts)
    subscriptions = map(parse_subscription, _read_rows(connection, "SELECT * FROM event_subscriptions", {}))
    states[links[0]].event_subscriptions = {subscription.id: subscription for subscription in subscriptions}
    states[links[0]].rules = load_rules(connection)
    return states


def _load_current(
    connection: sqlite3.Connection,
    now: Moment,
    last: int,
    links: Sequence[str],
    matched: Mapping[str, LinkStatus],
    known: Mapping[str, LinkStatus],
) -> CommittedStates:
    leader = next((parse_status(row) for row in _read_rows(connection, "SELECT * FROM listener", {})), None)
    announcements = read_announcements_after(connection, last)
    if leader is None:
        states = _load_last(connection, links, now)
        return CommittedStates(states, {}, states[links[0]].ids, None, announcements)
    ids = _read_next_ids(connection)
    servers = _list_servers(connection, links, matched)
    states = {}
    for link, row in matched.items():
        before = known.get(link)
        if len(matched) > 1 and before is not None and not row.has_moved_since(before):
            continue
        state = State(row.connection, last_event_at=row.last_event_at, refreshed_at=row.refreshed_at, ids=ids)
        _load_tables(connection, state, now, servers[link], stale=row.connection.state != "live")
        _load_open_alerts(connection, state, *_choose_alerts(servers, link))
        state.sessions_read = row.sessions_read
        states[link] = state
    if links[0] in states:
        states[links[0]].rules = load_rules(connection)
    return CommittedStates(states, dict(matched), ids, leader, announcements)


def _list_servers(
    connection: sqlite3.Connection, links: Sequence[str], matched: Mapping[str, LinkStatus]
) -> dict[str, str]:
    """Return the server whose rows belong to each link."""
    if len(links) == 1:
        row = matched.get(links[0])
        return {links[0]: (row.server if row else None) or _read_last_server(connection)}
    servers = {link: row.server for link, row in matched.items()}
    return {link: servers.get(link) or name_unknown(link, len(links)) for link in links}


def _choose_alerts(servers: Mapping[str, str], link: str) -> tuple[str, Row]:
    """Return the condition for the alerts of a link: those of its server.

    The first link also has those of every server that is no link's, such as one that was replaced.
    """
    if link == next(iter(servers)):
        others = [server for other, server in servers.items() if other != link]
        return "server NOT IN (SELECT value FROM json_each(:others))", {"others": json.dumps(others)}
    return "server = :server", {"server": servers[link]}


def _read_last_server(connection: sqlite3.Connection) -> str:
    sql = (
        "SELECT machine_identifier FROM servers WHERE machine_identifier NOT LIKE :unknown "
        "ORDER BY last_seen_at DESC LIMIT 1"
    )
    return next((str(row[0]) for row in _read_rows(connection, sql, {"unknown": f"{UNKNOWN}%"})), UNKNOWN)


def _load_tables(connection: sqlite3.Connection, state: State, now: Moment, server: str, *, stale: bool) -> None:
    """Load the rows of a server. With `stale`, every session is stale, whatever its row says."""
    known = "SELECT * FROM servers WHERE machine_identifier = :server AND machine_identifier NOT LIKE :unknown"
    for row in _read_rows(connection, known, {"server": server, "unknown": f"{UNKNOWN}%"}):
        state.server = parse_server(row)
        state.sessions_read = True
    _load_server(connection, state, server, now, stale=stale)
    state.muted_kinds = {row["kind"]: row["muted_at"] for row in _read_rows(connection, MUTED_KINDS, {})}
    working = "SELECT * FROM tool_tasks WHERE status = 'working' AND server = :server ORDER BY created_at"
    state.tool_tasks = {row["id"]: parse_task(row) for row in _read_rows(connection, working, {"server": server})}


def _load_open_alerts(connection: sqlite3.Connection, state: State, condition: str, values: Row) -> None:
    sql = f"SELECT * FROM alerts WHERE resolved_at IS NULL AND {condition}"  # noqa: S608 - our own condition
    for row in _read_rows(connection, sql, values):
        alert = parse_alert(row)
        state.alerts[alert.kind, alert.subject] = alert


def _load_waiting_deliveries(connection: sqlite3.Connection, state: State, condition: str, values: Row) -> None:
    """Load the deliveries that are held back and may still be withdrawn."""
    waiting = f"""
        SELECT * FROM deliveries WHERE done_at IS NULL AND tries = 0 AND alert_id IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.id = alert_id AND NOT ({condition})) ORDER BY id
    """  # noqa: S608 - the same
    for delivery in map(parse_delivery, _read_rows(connection, waiting, values)):
        if delivery.is_held and delivery.alert_id is not None:
            state.waiting_deliveries[delivery.alert_id] = (
                *state.waiting_deliveries.get(delivery.alert_id, ()),
                delivery,
            )


def load_rules(connection: sqlite3.Connection) -> RulesState:
    """Load the rules, what they wait for, and what they have not finished."""
    rules = [*map(parse_rule_row, _read_rows(connection, "SELECT * FROM rules ORDER BY id", {}))]
    position = next(
        (row["position"] for row in _read_rows(connection, "SELECT position FROM rules_position", {})), None
    )
    if not rules:  # as in most households
        return RulesState(position=position)
    timers = map(parse_rule_timer, _read_rows(connection, "SELECT * FROM rule_timers", {}))
    pending = map(parse_rule_firing, _read_rows(connection, "SELECT * FROM rule_firings WHERE pending ORDER BY id", {}))
    stops = """
        SELECT * FROM (SELECT * FROM rule_firings WHERE play_id IS NOT NULL ORDER BY id DESC LIMIT :most) ORDER BY id
    """
    stopped = map(parse_rule_firing, _read_rows(connection, stops, {"most": REMEMBERED}))
    return RulesState(
        {rule.id: rule for rule in rules},
        {(timer.rule_id, timer.subject): timer for timer in timers},
        {firing.id: firing for firing in pending},
        {firing.play_id: firing for firing in stopped if firing.play_id is not None},
        position,
    )


def _load_milestones(connection: sqlite3.Connection, state: State, now: Moment, server: str) -> None:
    """Load which occurrences of plays were recorded: of those that go on, and of the last that ended."""
    values = {"server": server, "most": REMEMBERED}
    for row in _read_rows(connection, "SELECT * FROM plays WHERE server = :server AND ended_at IS NULL", values):
        state.milestones[row["id"]] = parse_milestones(row)
    ended = """
        SELECT * FROM plays WHERE server = :server AND ended_at IS NOT NULL AND ended_by <> 'imported'
        ORDER BY id DESC LIMIT :most
    """
    for row in reversed(list(_read_rows(connection, ended, values))):
        state.ended_plays[row["id"]] = parse_ended_play(row, now.tick)
    _load_pending_media(connection, state, now, server)
    seen = "SELECT first_seen_at FROM servers WHERE machine_identifier = :server AND machine_identifier NOT LIKE 'unknown%'"
    state.server_since = next((int(row[0]) for row in _read_rows(connection, seen, values)), None)


def _load_pending_media(connection: sqlite3.Connection, state: State, now: Moment, server: str) -> None:
    """Load the changes of the library that wait for others, and which items were added or deleted lately."""
    recent = """
        SELECT * FROM (
            SELECT * FROM library_changes INDEXED BY library_changes_moved
            WHERE change <> 'updated' AND server = :server ORDER BY id DESC LIMIT :most
        ) ORDER BY id
    """
    for row in _read_rows(connection, recent, {"server": server, "most": MOST_NEW_ITEMS}):
        state.known_media[row["item_id"]] = parse_library_change(row)
    for row in _read_rows(
        connection, "SELECT * FROM library_changes WHERE pending AND server = :server", {"server": server}
    ):
        change = parse_library_change(row)
        tick = now.tick - max(0, now.at - change.at)
        state.pending_media[change.id] = PendingMedia(MEDIA_NEWS[change.change], change, tick, tick)
    _load_media_items(connection, state, server)


def _load_media_items(connection: sqlite3.Connection, state: State, server: str) -> None:
    """Add what the catalogue knows of the items that wait."""
    keys = json.dumps([pending.change.item_id for pending in state.pending_media.values()])
    values = {"keys": keys, "server": server}
    items = {row["rating_key"]: parse_media_item(row) for row in _read_rows(connection, MEDIA_ITEMS, values)}
    for id_, pending in state.pending_media.items():
        state.pending_media[id_] = structs.replace(pending, item=items.get(pending.change.item_id))


def _load_recently_resolved(
    connection: sqlite3.Connection, state: State, now: Moment, condition: str, values: Row
) -> None:
    """Load the alerts that may be reopened, and the timers of the rules for sessions."""
    newest = f"SELECT * FROM alerts WHERE {condition} ORDER BY id DESC LIMIT :most"  # noqa: S608 - the same
    for row in reversed(list(_read_rows(connection, newest, {**values, "most": REMEMBERED}))):
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


def _read_last_contact(connection: sqlite3.Connection, link: LinkStatus | None) -> int | None:
    """Return when a process last heard from Plex: nothing is known of the time since."""
    if link is not None and link.refreshed_at is not None:
        return link.refreshed_at
    rows = _read_rows(connection, "SELECT at FROM events ORDER BY id DESC LIMIT 1", {})
    return next((row["at"] for row in rows), None)


def _read_epoch(connection: sqlite3.Connection) -> int:
    """Return the last epoch used. The links have it too: a connection on which nothing played left no play."""
    sql = """
        SELECT max(coalesce((SELECT max(epoch) FROM plays), 0), coalesce((SELECT max(epoch) FROM links), 0)) AS epoch
    """
    return max((int(row["epoch"]) for row in _read_rows(connection, sql, {})), default=0)


def _read_next_ids(connection: sqlite3.Connection) -> NextIds:
    """Return the first ids never used.

    `sqlite_sequence` keeps the largest id of an AUTOINCREMENT table, also when its rows were deleted
    (sqlite.org/autoinc.html).
    """
    rows = _read_rows(connection, "SELECT name, seq FROM sqlite_sequence", {})
    return NextIds(**{_NUMBERED[row["name"]]: int(row["seq"]) + 1 for row in rows if row["name"] in _NUMBERED})


def _read_rows(connection: sqlite3.Connection, sql: str, values: Row) -> Iterable[sqlite3.Row]:
    return connection.execute(sql, values).fetchall()
