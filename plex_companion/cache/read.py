"""What is read from the database rather than from memory: the journal, alerts, plays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from plex_companion.cache.rows import alert_of, delivery_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from plex_companion.cache import Cache
    from plex_companion.models import Alert, Delivery


@dataclass(frozen=True, slots=True)
class JournalPage:
    """Rows of the journal, oldest first, and whether some before them were pruned unread."""

    rows: list[sqlite3.Row]
    next_cursor: int
    gap: bool


async def newest_events(cache: Cache, limit: int, types: Sequence[str] | None = None) -> list[sqlite3.Row]:
    """The newest rows of the journal (of these types), newest first."""
    wanted, values = _of_types(types)
    sql = f"SELECT * FROM events WHERE 1 {wanted} ORDER BY id DESC LIMIT :limit"  # noqa: S608 - placeholders only
    return await _rows(cache, sql, {"limit": limit, **values})


async def last_event(cache: Cache) -> int:
    """The id of the newest row ever written; 0 when there was none."""
    rows = await _rows(cache, "SELECT seq FROM sqlite_sequence WHERE name = 'events'", {})
    return int(rows[0]["seq"]) if rows else 0


async def events_after(cache: Cache, cursor: int, types: Sequence[str] | None, limit: int) -> JournalPage:
    """Rows after a cursor. The cursor moves past rows of other types too, so that nothing is looked at twice."""
    newest = await last_event(cache)
    oldest = await _rows(cache, "SELECT min(id) AS id FROM events", {})
    first = oldest[0]["id"] if oldest and oldest[0]["id"] is not None else newest + 1
    wanted, values = _of_types(types)
    rows = await _rows(
        cache,
        f"SELECT * FROM events WHERE id > :cursor AND id <= :newest {wanted} ORDER BY id LIMIT :limit",  # noqa: S608 - placeholders only
        {"cursor": cursor, "newest": newest, "limit": limit, **values},
    )
    end = int(rows[-1]["id"]) if len(rows) == limit else max(newest, cursor)
    return JournalPage(rows, end, gap=cursor + 1 < first)


def _of_types(types: Sequence[str] | None) -> tuple[str, dict[str, Any]]:
    if not types:
        return "", {}
    values = {f"type{n}": name for n, name in enumerate(types)}
    return f"AND type IN ({', '.join(f':{name}' for name in values)})", values


async def newest_alerts(
    cache: Cache, limit: int, *, after: int | None = None, kinds: Sequence[str] | None = None, before: int | None = None
) -> list[Alert]:
    """Alerts, newest first; with `before`, the ones older than that id."""
    values: dict[str, Any] = {f"kind{n}": kind for n, kind in enumerate(kinds or ())}
    of_kinds = f"AND kind IN ({', '.join(f':{name}' for name in values)})" if values else ""
    rows = await _rows(
        cache,
        "SELECT * FROM alerts WHERE (:after IS NULL OR id > :after) AND (:before IS NULL OR id < :before) "  # noqa: S608 - placeholders only
        f"{of_kinds} ORDER BY id DESC LIMIT :limit",
        {"after": after, "before": before, "limit": limit, **values},
    )
    return [alert_of(row) for row in rows]


async def alert_by_id(cache: Cache, alert_id: int) -> Alert | None:
    """One alert, open or not; `None` when there is none of that id."""
    rows = await _rows(cache, "SELECT * FROM alerts WHERE id = :id", {"id": alert_id})
    return alert_of(rows[0]) if rows else None


async def marks_of(cache: Cache, play_id: int) -> list[sqlite3.Row]:
    """The turns a play took, in their order."""
    return await _rows(cache, "SELECT * FROM play_marks WHERE play_id = :play ORDER BY id", {"play": play_id})


async def waiting_deliveries(cache: Cache, webhook: str, limit: int = 100) -> list[Delivery]:
    """What is on its way to a webhook, what is due first before the rest."""
    sql = "SELECT * FROM deliveries WHERE done_at IS NULL AND webhook = :webhook ORDER BY due_at, id LIMIT :limit"
    return [delivery_of(row) for row in await _rows(cache, sql, {"webhook": webhook, "limit": limit})]


@dataclass(frozen=True, slots=True)
class Deliveries:
    """How the webhooks fare, over the time that is kept."""

    waiting: int
    failed: int
    last_delivered_at: int | None


async def deliveries(cache: Cache) -> Deliveries:
    """What waits, what was given up, and when something was delivered last."""
    sql = """
        SELECT count(*) FILTER (WHERE done_at IS NULL), count(*) FILTER (WHERE outcome LIKE 'given up%'),
            max(done_at) FILTER (WHERE outcome = 'delivered') FROM deliveries
    """
    (row,) = await _rows(cache, sql, {})
    return Deliveries(*row)


async def newest_plays(
    cache: Cache, limit: int, *, user: str | None = None, before: tuple[int, int] | None = None
) -> list[sqlite3.Row]:
    """Plays, newest first, live ones included; with `before` (`started_at`, `id`), the ones after that in the list."""
    at, id_ = before or (None, None)
    of_user = "AND (user_name = :user COLLATE NOCASE OR user_id = :user)" if user is not None else ""
    return await _rows(
        cache,
        f"SELECT * FROM plays WHERE (:at IS NULL OR (started_at, id) < (:at, :id)) {of_user} "  # noqa: S608 - placeholders only
        "ORDER BY started_at DESC, id DESC LIMIT :limit",
        {"at": at, "id": id_, "user": user, "limit": limit},
    )


async def count_plays(cache: Cache) -> int:
    """How many plays are known, live ones included."""
    rows = await _rows(cache, "SELECT count(*) AS plays FROM plays", {})
    return int(rows[0]["plays"])


async def _rows(cache: Cache, sql: str, values: dict[str, Any]) -> list[sqlite3.Row]:
    return list(await cache.reader.execute_fetchall(sql, values))
