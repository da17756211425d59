"""Queries on the journal, alerts, deliveries and events of plays."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plex_companion.cache.queries.servers import OF_SERVER
from plex_companion.cache.rows import parse_alert, parse_delivery
from plex_companion.models import NOTIFY_PREFIX

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from plex_companion.cache.database import Cache
    from plex_companion.models import Alert, Delivery
    from plex_companion.times import Window


@dataclass(frozen=True, slots=True)
class JournalPage:
    """Rows of the journal, oldest first, and whether some before them were pruned unread."""

    rows: list[sqlite3.Row]
    next_cursor: int
    gap: bool


async def read_newest_events(
    cache: Cache, limit: int, types: Sequence[str] | None = None, server: str | None = None
) -> list[sqlite3.Row]:
    """Return the newest rows of the journal (of these types, of this server), newest first."""
    wanted, values = _filter_events(types, server)
    sql = f"SELECT * FROM events WHERE 1 {wanted} ORDER BY id DESC LIMIT :limit"  # noqa: S608 - placeholders only
    return await _read_rows(cache, sql, {"limit": limit, **values})


async def read_events_within(
    cache: Cache, window: Window, limit: int, types: Sequence[str] | None = None, server: str | None = None
) -> list[sqlite3.Row]:
    """Return the rows of the journal in a window (of these types, of this server), newest first."""
    wanted, values = _filter_events(types, server)
    sql = f"SELECT * FROM events WHERE at BETWEEN :since AND :until {wanted} ORDER BY id DESC LIMIT :limit"  # noqa: S608 - placeholders only
    return await _read_rows(cache, sql, {"since": window.since, "until": window.until, "limit": limit, **values})


async def read_connections_since(cache: Cache, since: int, server: str | None = None) -> list[sqlite3.Row]:
    """Return when the connection to Plex was lost or restored, oldest first, on all servers or on one.

    The first row after a moment also shows what the connection was at that moment.
    """
    sql = f"SELECT * FROM events WHERE type = 'connection' AND at >= :since AND {OF_SERVER} ORDER BY id"  # noqa: S608 - our own
    return await _read_rows(cache, sql, {"since": since, "server": server})


@dataclass(frozen=True, slots=True)
class RetentionBounds:
    """How far back pruned tables reach: the time of the oldest row, and whether older rows were deleted."""

    events_at: int | None
    events_pruned: bool
    library_at: int | None
    library_pruned: bool


async def read_retention_bounds(cache: Cache) -> RetentionBounds:
    """Return how far back the journal and the library changes reach."""
    oldest = "(SELECT {} FROM {} ORDER BY id LIMIT 1)"
    columns = [oldest.format(column, table) for table in ("events", "library_changes") for column in ("at", "id")]
    gone = "(SELECT seq FROM sqlite_sequence WHERE name = '{}')"
    columns += [gone.format(table) for table in ("events", "library_changes")]
    (row,) = await _read_rows(cache, f"SELECT {', '.join(columns)}", {})
    events_at, event, library_at, change, events, changes = row
    return RetentionBounds(events_at, (event or (events or 0) + 1) > 1, library_at, (change or (changes or 0) + 1) > 1)


async def read_last_event_id(cache: Cache) -> int:
    """Return the id of the newest journal row ever written; 0 if there was none."""
    rows = await _read_rows(cache, "SELECT seq FROM sqlite_sequence WHERE name = 'events'", {})
    return int(rows[0]["seq"]) if rows else 0


async def read_events_after(
    cache: Cache, cursor: int, types: Sequence[str] | None, limit: int, server: str | None = None
) -> JournalPage:
    """Return journal rows after a cursor. The cursor also moves past rows that do not fit, so that none is read twice."""
    newest = await read_last_event_id(cache)
    oldest = await _read_rows(cache, "SELECT min(id) AS id FROM events", {})
    first = oldest[0]["id"] if oldest and oldest[0]["id"] is not None else newest + 1
    wanted, values = _filter_events(types, server)
    rows = await _read_rows(
        cache,
        f"SELECT * FROM events WHERE id > :cursor AND id <= :newest {wanted} ORDER BY id LIMIT :limit",  # noqa: S608 - placeholders only
        {"cursor": cursor, "newest": newest, "limit": limit, **values},
    )
    end = int(rows[-1]["id"]) if len(rows) == limit else max(newest, cursor)
    return JournalPage(rows, end, gap=cursor + 1 < first)


def _filter_events(types: Sequence[str] | None, server: str | None) -> tuple[str, dict[str, Any]]:
    wanted = "AND type IN (SELECT value FROM json_each(:types))" if types else ""
    of_server = "AND server = :server" if server is not None else ""
    return f"{wanted} {of_server}", {"types": json.dumps([*(types or ())]), "server": server}


async def read_newest_alerts(
    cache: Cache,
    limit: int,
    *,
    after: int | None = None,
    kinds: Sequence[str] | None = None,
    before: int | None = None,
    window: Window | None = None,
    server: str | None = None,
) -> list[Alert]:
    """Return alerts, newest first; optionally of a window, of some kinds, of a server, or with ids `after` and `before` these."""
    values: dict[str, Any] = {"kinds": json.dumps([*kinds])} if kinds else {}
    wanted = ["kind IN (SELECT value FROM json_each(:kinds))"] if values else []
    wanted += ["server = :server"] if server is not None else []
    wanted += ["id > :after"] if after is not None else []
    wanted += ["id < :before"] if before is not None else []
    if window is not None:
        wanted.append("at BETWEEN :since AND :until")
        values |= {"since": window.since, "until": window.until}
    where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
    rows = await _read_rows(
        cache,
        f"SELECT * FROM alerts {where} ORDER BY id DESC LIMIT :limit",  # noqa: S608 - placeholders only
        {"after": after, "before": before, "limit": limit, "server": server, **values},
    )
    return [parse_alert(row) for row in rows]


async def read_alert(cache: Cache, alert_id: int) -> Alert | None:
    """Return one alert, open or not; `None` if there is none of that id."""
    rows = await _read_rows(cache, "SELECT * FROM alerts WHERE id = :id", {"id": alert_id})
    return parse_alert(rows[0]) if rows else None


async def read_waiting_deliveries(cache: Cache, target: str, limit: int = 100) -> list[Delivery]:
    """Return the deliveries that wait for a target, those due first."""
    sql = "SELECT * FROM deliveries WHERE done_at IS NULL AND target = :target ORDER BY due_at, id LIMIT :limit"
    return [parse_delivery(row) for row in await _read_rows(cache, sql, {"target": target, "limit": limit})]


async def read_last_digest(cache: Cache) -> int | None:
    """Return when the last weekly digest that was queued was due; `None` if none was, as far as rows are kept."""
    (row,) = await _read_rows(cache, "SELECT max(digest_at) FROM deliveries", {})
    return None if row[0] is None else int(row[0])


async def read_delivery_times(cache: Cache, target: str, since: int) -> list[int]:
    """Return when something was delivered to a target since a time; what was delivered as one message counts once."""
    sql = """
        SELECT DISTINCT done_at FROM deliveries
        WHERE target = :target AND done_at > :since AND outcome = 'delivered' ORDER BY done_at
    """
    return [int(row[0]) for row in await _read_rows(cache, sql, {"target": target, "since": since})]


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """The deliveries to webhooks, or to a target of notifications, over the time that rows are kept."""

    waiting: int
    failed: int
    last_delivered_at: int | None


async def read_delivery_status(cache: Cache) -> DeliveryStatus:
    """Return how many deliveries wait, how many were given up, and when the last one succeeded."""
    sql = """
        SELECT count(*) FILTER (WHERE done_at IS NULL), count(*) FILTER (WHERE outcome LIKE 'given up%'),
            max(done_at) FILTER (WHERE outcome = 'delivered') FROM deliveries WHERE target NOT GLOB :messages
    """
    (row,) = await _read_rows(cache, sql, {"messages": f"{NOTIFY_PREFIX}*"})
    return DeliveryStatus(*row)


async def read_message_status(cache: Cache, names: Iterable[str]) -> dict[str, DeliveryStatus]:
    """Return by target of notifications how many messages wait, how many were given up, and when one was last delivered."""
    sql = """
        SELECT target, count(*) FILTER (WHERE done_at IS NULL), count(*) FILTER (WHERE outcome LIKE 'given up%'),
            max(done_at) FILTER (WHERE outcome = 'delivered') FROM deliveries WHERE target GLOB :messages GROUP BY target
    """
    rows = await _read_rows(cache, sql, {"messages": f"{NOTIFY_PREFIX}*"})
    found = {row[0].removeprefix(NOTIFY_PREFIX): DeliveryStatus(*row[1:]) for row in map(tuple, rows)}
    return {name: found.get(name, DeliveryStatus(0, 0, None)) for name in names}


async def read_alert_servers(cache: Cache, ids: Iterable[int]) -> dict[int, str]:
    """Return the machine identifier of the server that each of these alerts is about."""
    sql = "SELECT id, server FROM alerts WHERE id IN (SELECT value FROM json_each(:ids))"
    return {row["id"]: row["server"] for row in await _read_rows(cache, sql, {"ids": json.dumps([*ids])})}


async def count_alerts(cache: Cache, window: Window, server: str | None = None) -> tuple[int, int]:
    """Return how many alerts there were in a window, on all servers or on one, and how many of them are open."""
    sql = f"""
        SELECT count(*) AS seen, count(*) - count(resolved_at) AS open FROM alerts
        WHERE at BETWEEN :since AND :until AND {OF_SERVER}
    """  # noqa: S608 - our own condition
    (row,) = await _read_rows(cache, sql, {"since": window.since, "until": window.until, "server": server})
    return int(row["seen"]), int(row["open"])


async def read_last_event_before(cache: Cache, at: int) -> int:
    """Return the id of the newest kept event before a time; 0 if there is none."""
    rows = await _read_rows(cache, "SELECT coalesce(max(id), 0) AS id FROM events WHERE at < :at", {"at": at})
    return int(rows[0]["id"])


async def read_last_event_at(cache: Cache) -> int | None:
    """Return the time of the newest event; `None` if none is kept."""
    rows = await _read_rows(cache, "SELECT at FROM events ORDER BY id DESC LIMIT 1", {})
    return int(rows[0]["at"]) if rows else None


async def read_last_alert_id(cache: Cache) -> int:
    """Return the id of the newest alert ever; 0 if there was none."""
    rows = await _read_rows(cache, "SELECT seq FROM sqlite_sequence WHERE name = 'alerts'", {})
    return int(rows[0]["seq"]) if rows else 0


async def count_plays(cache: Cache) -> int:
    """Return how many plays are known, live ones included."""
    rows = await _read_rows(cache, "SELECT coalesce(sum(plays), 0) AS plays FROM play_quarters", {})
    return int(rows[0]["plays"])


async def _read_rows(cache: Cache, sql: str, values: dict[str, Any]) -> list[sqlite3.Row]:
    return list(await cache.reader.execute_fetchall(sql, values))
