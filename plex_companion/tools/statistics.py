"""Who played how much: Plex's own sums, by user, kind of media and device."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from plex_companion.tools.ask import get
from plex_companion.tools.facts import link, number, text
from plex_companion.tools.people import shown

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from plexapi.server import PlexServer

    from plex_companion.companion import Companion
    from plex_companion.tools.people import Person

Period = Literal["last_24_hours", "last_7_days", "last_30_days", "last_90_days", "last_year", "all_time"]
DAY = 86_400
_SPANS: dict[str, tuple[int, int | None]] = {
    "last_24_hours": (4, DAY),
    "last_7_days": (3, 7 * DAY),
    "last_30_days": (2, 30 * DAY),
    "last_90_days": (2, 90 * DAY),
    "last_year": (1, 365 * DAY),
    "all_time": (1, None),
}
"""Plex's number for the grain of its sums (4 hours, 3 days, 2 weeks, 1 months), and the period in seconds."""
_KINDS = {1: "movie", 4: "episode", 10: "track", 13: "photo"}


@dataclass(slots=True)
class _Sum:
    """Plays and their seconds."""

    seconds: int = 0
    plays: int = 0

    def add(self, row: Element) -> None:
        self.seconds += number(row, "duration") or 0
        self.plays += number(row, "count") or 0

    def facts(self) -> dict[str, Any]:
        return {"duration": self.seconds, "count": self.plays, "formatted_duration": formatted(self.seconds)}


@dataclass(slots=True)
class _Usage:
    """What one user played."""

    whole: _Sum = field(default_factory=_Sum)
    kinds: dict[str, _Sum] = field(default_factory=dict)
    devices: dict[int | None, _Sum] = field(default_factory=dict)

    def add(self, row: Element) -> None:
        kind = number(row, "metadataType")
        name = _KINDS.get(kind or 0, f"type {kind}")
        for total in (
            self.whole,
            self.kinds.setdefault(name, _Sum()),
            self.devices.setdefault(number(row, "deviceID"), _Sum()),
        ):
            total.add(row)


def statistics(plex: PlexServer, companion: Companion, period: Period, person: Person | None) -> dict[str, Any]:
    """What everybody, or one person, played in a period. One request; its answer holds the names too.

    Unverified: no recording of `/statistics/media` is public. Its rows are read tolerantly: what they lack counts as 0.
    """
    grain, seconds = _SPANS[period]
    now = companion.now_ms // 1000
    found = get(plex, "/statistics/media", **{"timespan": grain, "at>": 0 if seconds is None else now - seconds})
    wanted = None if person is None else person.account_id
    accounts = {number(row, "id"): row for row in found.iter("Account")}
    players = {number(row, "id"): row for row in found.iter("Device")}
    rows = [
        _shown(companion, user_id, usage, accounts.get(user_id), players)
        for user_id, usage in _usages(found).items()
        if wanted is None or user_id == wanted
    ]
    rows.sort(key=lambda row: row["total_duration"], reverse=True)
    return {
        "time_period": period,
        "user_filter": None if person is None else shown(person.name, companion),
        "total_users": len(rows),
        "stats_generated_at": f"{datetime.fromtimestamp(now, UTC).astimezone():%Y-%m-%d %H:%M:%S}",
        "users": rows,
        **({} if rows else {"message": "Nothing was played in this period."}),
    }


def formatted(seconds: int) -> str:
    """As `3h 5m 0s`."""
    return f"{seconds // 3600}h {seconds // 60 % 60}m {seconds % 60}s"


def _usages(found: Element) -> dict[int | None, _Usage]:
    usages: dict[int | None, _Usage] = {}
    for row in found.iter("StatisticsMedia"):
        usages.setdefault(number(row, "accountID"), _Usage()).add(row)
    return usages


def _shown(
    companion: Companion,
    user_id: int | None,
    usage: _Usage,
    account: Element | None,
    players: dict[int | None, Element],
) -> dict[str, Any]:
    whole = usage.whole
    return {
        "user": None if account is None else shown(text(account, "name"), companion),
        "user_thumb": None if account is None else link(account, "thumb"),
        "total_duration": whole.seconds,
        "total_plays": whole.plays,
        "media_types": {kind: total.facts() for kind, total in usage.kinds.items()},
        "devices": _by_name(usage.devices, players),
        "formatted_duration": formatted(whole.seconds),
        "user_id": user_id,
    }


def _by_name(sums: dict[int | None, _Sum], players: dict[int | None, Element]) -> dict[str, Any]:
    """Keyed by name; the second of two that share one is `name (id)`."""
    named: dict[str, Any] = {}
    for device_id, total in sums.items():
        row = players.get(device_id)
        name = (None if row is None else text(row, "name")) or f"Device {device_id}"
        key = f"{name} ({device_id})" if name in named else name
        named[key] = {"platform": None if row is None else text(row, "platform"), **total.facts()}
    return named
