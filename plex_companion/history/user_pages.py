"""People: everybody with their plays in a period, and one person's players and favourite hours."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from plex_companion.cache.queries.servers import list_server_names
from plex_companion.cache.queries.user_plays import read_last_seen, read_latest_plays
from plex_companion.history.filters import list_users
from plex_companion.history.play_counts import HOURS, count_plays
from plex_companion.history.scope import read_people
from plex_companion.times import parse_period

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import tzinfo

    from plex_companion.cache.queries.user_plays import LatestPlay
    from plex_companion.history.people import People, Person
    from plex_companion.history.source import HistorySource

    Entry = dict[str, Any]

LATEST = 500
"""Plays from which players, hours and shows of a person are read."""
MOST_SHOWS = 6
EVERYBODY = 1_000_000
NO_PLAYS = {"plays": 0, "timed": 0, "watched_ms": 0, "estimated_ms": 0}


async def count_users(source: HistorySource, period: str) -> list[Entry]:
    """Return everybody with their plays and watch time in a period, as `history_stats` counts them, the most active first.

    Raises:
        Invalid: the period is malformed.
    """
    window = parse_period(period, source.now_ms, source.zone)
    counted = (await count_plays(source, "user", window, EVERYBODY))["entries"]
    active = {entry["id"] for entry in counted}
    people = await _read_people(source)
    known = await list_users(source) if people is None else {one.id: one.name for one in _list_present(people, source)}
    names = sorted((called or id_, id_) for id_, called in known.items() if id_ not in active)
    return [*counted, *({"id": id_, "label": called, **NO_PLAYS} for called, id_ in names)]


async def list_user_page(source: HistorySource, period: str, offset: int, limit: int) -> dict[str, Any]:
    """Return a part of the list of everybody, each with the time of the last play.

    Raises:
        Invalid: the period is malformed.
    """
    everybody = await count_users(source, period)
    shown = everybody[offset : offset + limit]
    people, ids = await _read_people(source), [entry["id"] for entry in shown if entry["id"]]
    accounts = [(id_, id_, source.only_server) for id_ in ids]
    if people is not None:
        known = [people.by_id[id_] for id_ in ids if id_ in people.by_id]
        every = [(one.id, account, server) for one in known for server, account in one.accounts]
        accounts = [one for one in every if source.only_server in {None, one[2]}]
    seen = await read_last_seen(source.cache, accounts)
    users = [{**entry, "last_seen": seen.get(entry["id"])} for entry in shown]
    return {"users": users, "total": len(everybody), "plays": sum(entry["plays"] for entry in everybody)}


@dataclass(slots=True)
class UsedPlayer:
    """A player that a person uses. `last_at` is when it was last used."""

    name: str
    product: str | None
    last_at: int
    plays: int = 0


@dataclass(slots=True)
class Habits:
    """What the newest plays of a person have in common."""

    plays: int = 0
    last_seen: int | None = None
    players: list[UsedPlayer] = field(default_factory=list)
    hours: list[int] = field(default_factory=lambda: [0] * HOURS)
    """Plays by the hour of the day at which they began."""
    shows: list[str] = field(default_factory=list)
    """The rating keys of the shows that were watched last."""


async def _read_people(source: HistorySource) -> People | None:
    """Return the people of several servers; `None` where there was never more than one."""
    return await read_people(source) if len(await list_server_names(source.cache)) > 1 else None


def _list_present(people: People, source: HistorySource) -> list[Person]:
    """Return the people with an account on the servers that the source answers about."""
    return [
        person
        for person in people.persons
        if source.only_server is None or any(server == source.only_server for server, _ in person.accounts)
    ]


async def read_habits(source: HistorySource, users: Mapping[str | None, Iterable[str] | None]) -> Habits:
    """Return the habits of a person, from the newest plays; `users` are the accounts, as `PlayScope` has them."""
    return find_habits(await read_latest_plays(source.cache, users, LATEST), source.zone)


def find_habits(plays: Iterable[LatestPlay], zone: tzinfo) -> Habits:
    """Return the habits that plays show, the newest first. Pure."""
    found, players, shows = Habits(), dict[str, UsedPlayer](), Counter[str]()
    for started_at, client, player, product, platform, show, kind in plays:
        found.plays += 1
        found.last_seen = found.last_seen or started_at
        found.hours[datetime.fromtimestamp(started_at / 1000, zone).hour] += 1
        if kind == "episode" and show:
            shows[show] += 1
        key = client or player
        if key is not None:
            name = player or platform or "Unnamed player"
            players.setdefault(key, UsedPlayer(name, product or platform, started_at)).plays += 1
    found.players = sorted(players.values(), key=lambda one: -one.plays)
    found.shows = list(shows)[:MOST_SHOWS]
    return found
