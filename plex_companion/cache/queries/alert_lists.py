"""Lists of alerts by kind, time and what became of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from plex_companion.cache.rows import parse_alert

if TYPE_CHECKING:
    from plex_companion.cache.database import Cache
    from plex_companion.models import Alert
    from plex_companion.times import Window

AlertStatus = Literal["open", "resolved", "unseen"]
MUTED_KINDS = "SELECT kind, muted_at FROM muted_kinds ORDER BY kind"
_OF_STATUS: dict[str, str] = {
    "open": "resolved_at IS NULL",
    "resolved": "resolved_at IS NOT NULL",
    "unseen": "acknowledged_at IS NULL",
}


@dataclass(frozen=True, slots=True)
class AlertFilter:
    """Which alerts to list; `None` does not filter."""

    kind: str | None = None
    severity: str | None = None
    status: AlertStatus | None = None
    window: Window | None = None

    def build_sql(self) -> tuple[str, dict[str, Any]]:
        """Build the condition, and the values in it."""
        wanted = [_OF_STATUS[self.status]] if self.status else []
        values: dict[str, Any] = {"kind": self.kind, "severity": self.severity}
        wanted += ["kind = :kind"] if self.kind else []
        wanted += ["severity = :severity"] if self.severity else []
        if self.window is not None:
            wanted.append("at BETWEEN :since AND :until")
            values |= {"since": self.window.since, "until": self.window.until}
        return " AND ".join(wanted) or "1", values

    def matches(self, alert: Alert) -> bool:
        """Return whether an alert is one of these."""
        window, status = self.window, self.status
        return (
            self.kind in {None, alert.kind}
            and self.severity in {None, alert.severity}
            and (window is None or window.since <= alert.at <= window.until)
            and (status is None or status in _list_statuses(alert))
        )


def _list_statuses(alert: Alert) -> set[str]:
    unseen = {"unseen"} if alert.acknowledged_at is None else set()
    return unseen | {"open" if alert.resolved_at is None else "resolved"}


async def read_alert_list(cache: Cache, wanted: AlertFilter, limit: int, before: int | None = None) -> list[Alert]:
    """Return alerts, newest first; with `before`, those with smaller ids."""
    where, values = wanted.build_sql()
    sql = f"SELECT * FROM alerts WHERE {where} AND (:before IS NULL OR id < :before) ORDER BY id DESC LIMIT :limit"  # noqa: S608 - placeholders only
    rows = await cache.reader.execute_fetchall(sql, {**values, "before": before, "limit": limit})
    return [parse_alert(row) for row in rows]


async def count_alerts(cache: Cache, wanted: AlertFilter) -> int:
    """Return how many alerts there are."""
    where, values = wanted.build_sql()
    (row,) = await cache.reader.execute_fetchall(f"SELECT count(*) FROM alerts WHERE {where}", values)  # noqa: S608 - the same
    return int(row[0])


async def list_unseen_ids(cache: Cache, wanted: AlertFilter, newest: int) -> list[int]:
    """Return the ids up to `newest` of alerts that nobody acknowledged, oldest first."""
    where, values = wanted.build_sql()
    sql = f"SELECT id FROM alerts WHERE {where} AND acknowledged_at IS NULL AND id <= :newest ORDER BY id"  # noqa: S608 - the same
    return [int(row[0]) for row in await cache.reader.execute_fetchall(sql, {**values, "newest": newest})]


async def count_unseen(cache: Cache, ids: list[int]) -> int:
    """Return how many of these alerts nobody acknowledged so far."""
    sql = "SELECT count(*) FROM alerts WHERE acknowledged_at IS NULL AND id IN (SELECT value FROM json_each(:ids))"
    (row,) = await cache.reader.execute_fetchall(sql, {"ids": json.dumps(ids)})
    return int(row[0])


async def read_muted_kinds(cache: Cache) -> list[str]:
    """Return the kinds of alerts that are muted, in alphabetical order."""
    return [str(row["kind"]) for row in await cache.reader.execute_fetchall(MUTED_KINDS)]
