"""Pages of alerts, filtered by id, time and kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

from plex_companion import serialize
from plex_companion.cache.open_files import UNKNOWN
from plex_companion.cache.queries.read import read_alert_servers, read_last_alert_id, read_newest_alerts
from plex_companion.cache.queries.servers import list_server_names
from plex_companion.errors import Invalid
from plex_companion.history.source import describe_server
from plex_companion.models import AlertKind
from plex_companion.times import parse_window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from plex_companion.changes.state import State
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
    alerts = await serialize_alerts(source, found)
    page = {"alerts": alerts, "count": len(alerts), "next_cursor": found[-1].id if more else None}
    return {**page, "muted": list_muted_kinds(source)}


async def serialize_alerts(source: HistorySource, alerts: Sequence[Alert]) -> list[dict[str, Any]]:
    """Serialize alerts, each with the server it is about."""
    servers, names = await find_alert_servers(source, alerts), await list_server_names(source.cache)
    muted = frozenset(list_muted_kinds(source))
    return [
        serialize.serialize_alert(one)
        | {"muted": one.kind in muted}
        | describe_server(servers.get(one.id, UNKNOWN), names)
        for one in alerts
    ]


def list_muted_kinds(source: HistorySource) -> list[str]:
    """Return the kinds of alerts that are muted, in alphabetical order."""
    return sorted({kind for state in source.states for kind in state.muted_kinds})


async def find_alert_servers(source: HistorySource, alerts: Sequence[Alert]) -> dict[int, str]:
    """Return the machine identifier of the server that each alert is about, also of those that cannot be written now."""
    servers = await read_alert_servers(source.cache, [alert.id for alert in alerts]) if alerts else {}
    for state in source.states if len(servers) < len(alerts) else ():
        where = state.server.machine_identifier if state.server else ""
        servers = {alert.id: where for alert in list_remembered(state)} | servers
    return servers


def list_remembered(state: State) -> list[Alert]:
    """Return the alerts of a state, open ones and those that were resolved lately."""
    return [*(one.alert for one in state.recently_resolved.values()), *state.alerts.values()]


async def read_latest(
    source: HistorySource,
    limit: int,
    *,
    after: int | None = None,
    kinds: Sequence[str] | None = None,
    before: int | None = None,
    window: Window | None = None,
) -> list[Alert]:
    """Return alerts, newest first, also those that cannot be written now: they say why."""
    server = source.only_server
    found = await read_newest_alerts(
        source.cache, limit, after=after, kinds=kinds, before=before, window=window, server=server
    )
    latest = {alert.id: alert for alert in found}
    for alert in (alert for state in source.states for alert in list_remembered(state)):
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
