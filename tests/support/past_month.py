"""A month of a household, made up from a seed: what happened, as plain values, and the rows that record it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from support.recorded_plays import DAY, HOUR, NOW, SERVER, Row, episode, seen

MINUTE = 60_000
DAYS = 30
MONTH_AGO = NOW - DAYS * DAY
SEEN_SINCE = NOW - DAYS * DAY // 2
"""Before, it was not recorded what played at the moment of an occurrence."""
USERS = {"1": "Ada", "2": "Ben", "4": "Pip", "5": "Zoë"}
SHOWS = ("Harbour Street", "Night Bus")
EPISODES = ("Part 1", "Part 2", "Home at Last")
PLAYERS = (("Lamp", True), ("Phone", False), ("Hotel TV", False), ("Box", None))
KINDS = ("transcode_4k", "playback_error", "buffering", "scan_finished", "remote_access_lost")
GIGABYTE = 1_000_000_000


@dataclass(frozen=True)
class MadeUpPause:
    """A pause, until the play goes on or is stopped."""

    began: int
    ended: int


@dataclass(frozen=True)
class MadeUpPlay:
    """A play from its start to its end."""

    number: int
    user: str
    name: str
    began: int
    ended: int
    local: bool | None
    bandwidth: int
    show: str | None
    title: str
    watched: int | None
    """When it was watched, if it was."""
    pause: MadeUpPause | None

    @property
    def is_first_on_player(self) -> bool:
        """Whether its user is said to have a new player."""
        return self.number % 40 == 1


@dataclass(frozen=True)
class MadeUpMedia:
    """Media that was added."""

    at: int
    type: str
    size: int | None
    caught_up: tuple[str, ...]


@dataclass
class PastMonth:
    """What happened, and the rows that say so."""

    plays: list[MadeUpPlay] = field(default_factory=list)
    media: list[MadeUpMedia] = field(default_factory=list)
    alerts: list[tuple[int, str]] = field(default_factory=list)
    outages: list[tuple[int, int]] = field(default_factory=list)
    scans: list[int] = field(default_factory=list)
    checks: list[tuple[int, int, int]] = field(default_factory=list)
    """When a library was compared, its size, and the days since it was scanned."""
    players: list[int] = field(default_factory=list)

    def list_playing(self, at: int) -> list[MadeUpPlay]:
        """The plays that go on at a time, one that begins then included."""
        return [play for play in self.plays if play.began <= at < play.ended]

    def build_rows(self) -> dict[str, list[Row]]:
        """The rows of tables."""
        found = [row for play in self.plays for row in build_play_rows(play)]
        found += [build_row(one.at, "media.added", describe_media(one)) for one in self.media]
        found += [row for number, (at, kind) in enumerate(self.alerts) for row in build_alert_rows(number, at, kind)]
        for began, ended in self.outages:
            found.append(build_row(began, "connection.lost", {"detail": "refused"}))
            found.append(build_row(ended, "connection.restored", {"down_ms": ended - began, "detail": "refused"}))
        found += [
            build_row(at, "scan.finished", {"library": "Films", "added": 1, "titles": ["A"]}) for at in self.scans
        ]
        for at, size, days in self.checks:
            checked = {"library": "Films", "count": 9, "size_bytes": size, "days_since_scan": days}
            found.append(build_row(at, "library.checked", checked))
        found += [build_row(at, "client.new", {"player": {"title": "New", "platform": "Roku"}}) for at in self.players]
        found.sort(key=lambda row: row["at"])
        numbered = [
            {"id": number, **row, "streams": self._record_streams(row["at"])} for number, row in enumerate(found, 1)
        ]
        return {"plays": [build_play(play) for play in self.plays], "occurrences": numbered}

    def _record_streams(self, at: int) -> str | None:
        if at < SEEN_SINCE:
            return None
        playing = self.list_playing(at)
        users = [
            [id_, name, sum(play.user == id_ for play in playing)]
            for id_, name in USERS.items()
            if any(play.user == id_ for play in playing)
        ]
        return json.dumps([len(playing), sum(play.bandwidth for play in playing), users])


def make_month(seed: int, *, busy: int = 4) -> PastMonth:
    """Make up a month in which each user plays up to `busy` things a day."""
    random, month = Random(seed), PastMonth()  # noqa: S311 - a made-up story
    for day in range(MONTH_AGO, NOW - DAY, DAY):
        for user, name in USERS.items():
            for _ in range(random.randint(0, busy)):
                month.plays.append(make_play(random, len(month.plays) + 1, user, name, day))
        for _ in range(random.randint(0, 6)):
            month.media.append(make_media(random, day + random.randrange(DAY)))
        month.alerts += [(day + random.randrange(DAY), random.choice(KINDS)) for _ in range(random.randint(0, 5))]
        month.scans += [day + random.randrange(DAY) for _ in range(random.randint(0, 3))]
        began = day + random.randrange(DAY // 2)
        if random.random() < 0.7:
            month.outages.append((began, began + random.randint(MINUTE, 12 * MINUTE)))
        month.checks.append(
            (day + HOUR, 1_400 * GIGABYTE + 40 * GIGABYTE * (day - MONTH_AGO) // DAY, (day // DAY) % 12)
        )
    month.players += [MONTH_AGO + random.randrange(25 * DAY) for _ in range(7)]
    return month


def make_play(random: Random, number: int, user: str, name: str, day: int) -> MadeUpPlay:
    began = day + random.randrange(DAY - 6 * HOUR)
    ended = began + random.randint(10 * MINUTE, 240 * MINUTE)
    pause = None
    if random.random() < 0.5:
        stopped = random.randint(began + MINUTE, ended - 2 * MINUTE)
        pause = MadeUpPause(stopped, ended if random.random() < 0.3 else random.randint(stopped + 1_000, ended - 1_000))
    return MadeUpPlay(
        number=number,
        user=user,
        name=name,
        began=began,
        ended=ended,
        local=random.choice(PLAYERS)[1],
        bandwidth=random.choice([random.randint(1_000, 14_000), random.randint(18_000, 40_000)]),
        show=(show := random.choice([None, *SHOWS])),
        title=random.choice(EPISODES) if show else "The Lamp",
        watched=random.randint(began, ended) if random.random() < 0.6 else None,
        pause=pause,
    )


def make_media(random: Random, at: int) -> MadeUpMedia:
    size = random.choice([None, random.randrange(2 * GIGABYTE), random.randrange(100 * GIGABYTE)])
    users = tuple(name for name in USERS.values() if random.random() < 0.4)
    return MadeUpMedia(at, random.choice(["movie", "episode", "season", "album"]), size, users)


def build_play(play: MadeUpPlay) -> Row:
    """The row of a play."""
    shown = episode(play.show, 1, 1) if play.show else {}
    row = seen(
        play.number,
        play.began,
        user_id=play.user,
        user_name=play.name,
        ended_at=play.ended,
        bandwidth_kbps=play.bandwidth,
        **shown,
    )
    return {**row, "updated_at": play.ended}


def build_row(at: int, type_: str, data: dict[str, Any]) -> Row:
    """The row of an occurrence."""
    return {"server": SERVER, "at": at, "type": type_, "inferred": 0, "data": json.dumps(data)}


def build_play_rows(play: MadeUpPlay) -> list[Row]:
    """The rows of what happened to a play."""
    data = {
        "play_id": str(play.number),
        "item": {
            "type": "episode" if play.show else "movie",
            "title": play.title,
            "grandparent_title": play.show,
            "full_title": f"{play.show} - {play.title}" if play.show else play.title,
            "duration_ms": 7_200_000,
        },
        "user": {"id": play.user, "name": play.name},
        "player": {"title": "Player", "local": play.local},
        "decision": "direct play",
        "bandwidth_kbps": play.bandwidth,
        "view_offset_ms": 0,
    }
    rows = [build_row(play.began, "play.started", {**data, "first_on_player": play.is_first_on_player})]
    if play.pause is not None:
        rows.append(build_row(play.pause.began, "play.paused", data))
        if play.pause.ended < play.ended:
            rows.append(build_row(play.pause.ended, "play.resumed", data))
    if play.watched is not None:
        rows.append(build_row(play.watched, "play.watched", data))
    ended = {**data, "ended_by": "stopped", "watched_ms": play.ended - play.began, "percent": 50.0}
    return [*rows, build_row(play.ended, "play.stopped", ended)]


def describe_media(media: MadeUpMedia) -> dict[str, Any]:
    users = [{"id": id_, "name": name} for id_, name in USERS.items() if name in media.caught_up]
    return {
        "type": media.type,
        "title": "Something",
        "library": "Films",
        "count": 1,
        "items": [{"rating_key": "1", "title": "Something"}],
        "size_bytes": media.size,
        "caught_up": users,
    }


def build_alert_rows(number: int, at: int, kind: str) -> list[Row]:
    """The rows of an alert, which is over after a while."""
    alert = {
        "id": str(number),
        "kind": kind,
        "severity": "warning",
        "title": kind,
        "detail": {"user": "Ada"},
        "subject": "",
    }
    opened = build_row(at, "alert.opened", {"alert": {**alert, "resolved_at": None}})
    return [opened, build_row(at + 90_000, "alert.resolved", {"alert": {**alert, "resolved_at": "later"}})]
