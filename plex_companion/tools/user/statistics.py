"""Plays by user, media type and device, from the plays that the companion stores, as `history_stats` counts them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from plex_companion.cache.queries.counts import UNKNOWN, WatchTotals, count_plays_by_player, parse_watch_totals
from plex_companion.cache.queries.plays import read_history_status
from plex_companion.history.filters import list_users
from plex_companion.history.source import add_envelope, describe_import, list_servers
from plex_companion.plex.xml.attributes import parse_identifier
from plex_companion.text import format_count
from plex_companion.times import DAY_MS, Window
from plex_companion.tools.users import get_plex_tv_users
from plex_companion.zones import name_zone

if TYPE_CHECKING:
    import sqlite3

    from plex_companion.companion import Companion

Period = Literal["last_24_hours", "last_7_days", "last_30_days", "last_90_days", "last_year", "all_time"]
_DAYS: dict[Period, int | None] = {
    "last_24_hours": 1,
    "last_7_days": 7,
    "last_30_days": 30,
    "last_90_days": 90,
    "last_year": 365,
    "all_time": None,
}
"""The periods in days of 24 hours before now."""
Player = tuple[str | None, str | None, str | None]


@dataclass(slots=True)
class _Usage:
    """One user's plays. A play with unknown type or device counts only in the total."""

    whole: WatchTotals = field(default_factory=WatchTotals)
    kinds: dict[str, WatchTotals] = field(default_factory=dict)
    players: dict[Player, WatchTotals] = field(default_factory=dict)

    def add(self, row: sqlite3.Row) -> None:
        """Count plays of one media type on one player."""
        totals = parse_watch_totals(row)
        self.whole = self.whole.plus(totals)
        if row["type"]:
            self.kinds[row["type"]] = self.kinds.get(row["type"], WatchTotals()).plus(totals)
        player = (row["client_identifier"], row["player_title"], row["platform"])
        if any(player):
            known = next((one for one in self.players if one[0] and one[0] == player[0]), player)
            self.players[known] = self.players.get(known, WatchTotals()).plus(totals)


async def get_statistics(companion: Companion, period: Period, user_id: str | None) -> dict[str, Any]:
    """Return what all users, or one, played in a period. The sums equal those of `history_stats`."""
    days, now = _DAYS[period], companion.now_ms
    window = Window(0 if days is None else max(0, now - days * DAY_MS), now)
    usages: dict[str, _Usage] = {}
    for row in await count_plays_by_player(companion.cache, window, companion.only_server):
        usages.setdefault(row["user"], _Usage()).add(row)
    names = await list_users(companion)
    shown = {key: usage for key, usage in usages.items() if user_id is None or key == user_id}
    rows = [_describe_user(companion, key, usage, names) for key, usage in shown.items() if key != UNKNOWN]
    rows.sort(key=lambda row: (-row["total_duration"], -row["total_plays"], row["user"] or ""))
    whole = WatchTotals(
        *(sum(one) for one in zip(WatchTotals(), *(usage.whole for usage in shown.values()), strict=True))
    )
    known = await read_history_status(companion.cache, list_servers(companion))
    result = {
        "time_period": period,
        "user_filter": None if user_id is None else names.get(user_id) or user_id,
        "total_users": len(rows),
        "stats_generated_at": f"{datetime.fromtimestamp(now / 1000, UTC).astimezone(companion.zone):%Y-%m-%d %H:%M:%S}",
        "users": rows,
        "total_plays": whole.plays,
        "timed_plays": whole.timed,
        "total_duration": whole.watched_ms // 1000,
        "estimated_duration": whole.estimated_ms // 1000,
        "timezone": name_zone(companion.zone),
        "history": describe_import(known),
        **_build_message(whole, complete=known.complete),
    }
    return add_envelope(companion, result)


def _build_message(whole: WatchTotals, *, complete: bool) -> dict[str, str]:
    """Return the caveats that a reader of the figures needs."""
    notes = []
    if not whole.plays:
        notes.append("Nothing was played in this period.")
    if whole.estimated_ms:
        notes.append(
            f"{format_duration(whole.estimated_ms // 1000)} of the watch time are estimated: plays that are known from Plex's "
            "own history alone count with the length of their item."
        )
    if whole.timed < whole.plays:
        notes.append(f"The watch time of {whole.timed} of {format_count(whole.plays, 'play')} is known.")
    if not complete:
        notes.append("Plex's own history is not imported completely yet: plays may be missing.")
    return {"message": " ".join(notes)} if notes else {}


def format_duration(seconds: int) -> str:
    """Return a duration such as `3h 5m 0s`."""
    return f"{seconds // 3600}h {seconds // 60 % 60}m {seconds % 60}s"


def _describe_sums(sums: WatchTotals) -> dict[str, Any]:
    seconds = sums.watched_ms // 1000
    return {"duration": seconds, "count": sums.plays, "formatted_duration": format_duration(seconds)}


def _describe_user(companion: Companion, key: str, usage: _Usage, names: dict[str, str | None]) -> dict[str, Any]:
    one_user = get_plex_tv_users(companion).get(int(key)) if key.isdecimal() else None
    seconds = usage.whole.watched_ms // 1000
    return {
        "user": key.removeprefix("=") if key.startswith("=") else names.get(key),
        "user_thumb": one_user.thumb if one_user else None,
        "total_duration": seconds,
        "estimated_duration": usage.whole.estimated_ms // 1000,
        "total_plays": usage.whole.plays,
        "timed_plays": usage.whole.timed,
        "media_types": {kind: _describe_sums(sums) for kind, sums in usage.kinds.items()},
        "devices": _key_by_name(usage.players),
        "formatted_duration": format_duration(seconds),
        "user_id": None if key.startswith("=") else parse_identifier(key),
    }


def _key_by_name(players: dict[Player, WatchTotals]) -> dict[str, Any]:
    """Return the entries keyed by name. A repeated name becomes `name (id)`."""
    named: dict[str, Any] = {}
    for (identifier, title, platform), sums in players.items():
        name = title or platform or "Unnamed device"
        key = f"{name} ({identifier or platform})" if name in named else name
        named[key] = {"platform": platform, **_describe_sums(sums)}
    return named
