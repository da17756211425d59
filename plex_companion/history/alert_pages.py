"""Pages of alerts, filtered by id, time and kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from plex_companion import serialize
from plex_companion.cache.queries.read import read_last_alert_id, read_newest_alerts
from plex_companion.errors import Invalid
from plex_companion.models import AlertKind
from plex_companion.times import parse_window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.history.source import HistorySource
    from plex_companion.models import Alert
    from plex_companion.times import Window

LONGEST_ID = 18
"""The most digits of an id: any such number fits SQLite's 64-bit integers."""


async def list_alerts(
    source: HistorySource,
    limit: int,
    *,
    since: int | str | None = None,
    until: str | None = None,
    kinds: Sequence[str] | None = None,
    before: int | None = None,
) -> dict[str, Any]:
    """Return a page of alerts, newest first.

    `since` is an id, and then only alerts after it are returned, or a time. `before` is the `next_cursor` of a page.

    Raises:
        Invalid: a time is malformed, a kind does not exist, or an id is larger than that of any alert.
    """
    _refuse_unknown(kinds or ())
    after, bounds = _resolve_since(since, until, source)
    await _refuse_future(source, since=after, cursor=before)
    found = await read_latest(source, limit + 1, after=after, kinds=kinds, before=before, window=bounds)
    more, found = len(found) > limit, found[:limit]
    alerts = [serialize.serialize_alert(alert) for alert in found]
    return {"alerts": alerts, "count": len(alerts), "next_cursor": found[-1].id if more else None}


async def read_latest(
    source: HistorySource,
    limit: int,
    *,
    after: int | None = None,
    kinds: Sequence[str] | None = None,
    before: int | None = None,
    window: Window | None = None,
) -> list[Alert]:
    """Return alerts, newest first, also those that cannot be written now: they tell why."""
    found = await read_newest_alerts(source.cache, limit, after=after, kinds=kinds, before=before, window=window)
    latest = {alert.id: alert for alert in found}
    closed = (rested.alert for rested in source.state.recently_resolved.values())
    for alert in (*closed, *source.state.alerts.values()):
        fits = (
            (after is None or alert.id > after)
            and (before is None or alert.id < before)
            and (not kinds or alert.kind in kinds)
            and (window is None or window.since <= alert.at <= window.until)
        )
        if fits:
            latest[alert.id] = alert
    return sorted(latest.values(), key=lambda alert: -alert.id)[:limit]


def _resolve_since(
    since: int | str | None, until: str | None, source: HistorySource
) -> tuple[int | None, Window | None]:
    now, zone = source.now_ms, source.zone
    if isinstance(since, str) and since.isascii() and since.isdecimal() and len(since) <= LONGEST_ID:
        since = int(since)
    if isinstance(since, int):
        return since, None if until is None else parse_window(None, until, now, zone)
    return None, None if since is None and until is None else parse_window(since, until, now, zone)


def _refuse_unknown(kinds: Sequence[str]) -> None:
    known = get_args(AlertKind)
    if unknown := [kind for kind in kinds if kind not in known]:
        message = f"There is no alert kind {unknown[0][:40]!r}. Kinds: {', '.join(known)}."
        raise Invalid(message, argument="kinds", allowed=list(known))


async def _refuse_future(source: HistorySource, **given: int | None) -> None:
    newest = max(await read_last_alert_id(source.cache), source.state.next_alert - 1)
    for name, number in given.items():
        if number is not None and number > newest:
            message = (
                f"{name} {number} is from the future: the newest alert is {newest}. It may belong to another database; "
                f"leave {name} out to start with the newest."
            )
            raise Invalid(message, argument=name)
