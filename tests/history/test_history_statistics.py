"""Watch time: one figure for one question, whichever tool is asked."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from support.recorded_plays import DAY, HOUR, NOW, episode, imported, past, running, seen

if TYPE_CHECKING:
    from pathlib import Path

PERIODS = {
    "last_24_hours": "24h",
    "last_7_days": "7d",
    "last_30_days": "30d",
    "last_90_days": "90d",
    "last_year": "365d",
    "all_time": "all",
}


@pytest.mark.parametrize(("period", "span"), PERIODS.items())
async def test_the_statistics_of_users_are_those_of_the_history(tmp_path: Path, period: str, span: str) -> None:
    rng = random.Random(span)  # noqa: S311 - invented
    people = (("1", "Ada"), ("2", "Ben"), ("3", "Zoë"), (None, None))
    plays = []
    for number in range(1, 300):
        make = rng.choice((seen, imported, running))
        id_, name = rng.choice(people)
        timed = {} if make is imported else {"watched_ms": rng.randrange(2 * HOUR)}
        at = NOW - rng.choice((rng.randrange(2 * DAY), rng.randrange(400 * DAY), DAY, DAY + 1))
        plays.append(make(number, at, user_id=id_, user_name=name, **timed))
    async with past(tmp_path, plays=plays) as it:
        found = await it.well("user_get_statistics", time_period=period)
        stats = await it.well("history_stats", period=span, by="user")
        assert {
            str(user["user_id"]): (user["total_plays"], user["timed_plays"], user["total_duration"])
            for user in found["users"]
        } == {entry["id"]: (entry["plays"], entry["timed"], entry["watched_ms"] // 1000) for entry in stats["entries"]}
        assert (found["total_plays"], found["timed_plays"]) == (stats["plays"], stats["timed"])
        if span != "all":
            happened = (await it.well("what_happened", since=span))["plays"]
            assert [happened[name] for name in ("total", "timed", "watched_ms")] == [
                stats[name] for name in ("plays", "timed", "watched_ms")
            ]


async def test_a_play_known_from_plex_alone_counts_without_time_and_both_tools_say_so(tmp_path: Path) -> None:
    async with past(tmp_path, plays=[seen(1, NOW - HOUR), imported(2, NOW - 2 * HOUR)]) as it:
        found = await it.well("user_get_statistics")
        (user,) = found["users"]
        assert (user["total_plays"], user["timed_plays"], user["total_duration"]) == (2, 1, 3_600)
        assert "1 of 2 plays" in found["message"]
        stats = await it.well("history_stats", period="24h")
        assert (stats["plays"], stats["timed"], stats["watched_ms"]) == (2, 1, HOUR)


async def test_a_period_is_so_many_times_24_hours_not_calendar_days(tmp_path: Path) -> None:
    plays = [seen(1, NOW - DAY), seen(2, NOW - DAY - 1, user_id="2", user_name="Ben")]
    async with past(tmp_path, plays=plays) as it:
        assert [user["user"] for user in (await it.well("user_get_statistics"))["users"]] == ["Ada"]


async def test_statistics_tell_kinds_of_media_and_devices_apart(tmp_path: Path) -> None:
    plays = [
        seen(1, NOW - HOUR, client_identifier="a", player_title="Telly"),
        seen(2, NOW - HOUR, client_identifier="b", player_title="Telly", **episode("Harbour", 1, 1)),
        seen(3, NOW - HOUR, client_identifier="b", player_title="Telly", type=None, title=None, rating_key="5"),
        seen(4, NOW - HOUR, client_identifier=None, player_title=None, platform=None),
    ]
    async with past(tmp_path, plays=plays) as it:
        (user,) = (await it.well("user_get_statistics"))["users"]
        assert {kind: sums["count"] for kind, sums in user["media_types"].items()} == {"movie": 2, "episode": 1}
        assert sorted(sums["count"] for sums in user["devices"].values()) == [1, 2]
        assert "Telly" in user["devices"]
        assert (user["total_plays"], user["formatted_duration"]) == (4, "4h 0m 0s")


async def test_statistics_of_one_user_hold_nobody_else(tmp_path: Path) -> None:
    plays = [seen(1, NOW), seen(2, NOW - 1, user_id="2", user_name="Ben")]
    async with past(tmp_path, plays=plays) as it:
        for name in ("Ben", "ben", "2"):
            found = await it.well("user_get_statistics", username=name)
            assert ([user["user_id"] for user in found["users"]], found["user_filter"]) == ([2], "Ben")
            assert found["total_plays"] == 1


async def test_nothing_played_in_a_period_is_a_success(tmp_path: Path) -> None:
    async with past(tmp_path) as it:
        found = await it.well("user_get_statistics")
        assert (found["total_users"], found["users"], found["total_plays"]) == (0, [], 0)
        assert "Nothing was played" in found["message"]
