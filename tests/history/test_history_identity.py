"""What plays are counted by: what a thing is, not what it is called; and by whom, as far as that is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from support.recorded_plays import DAY, HOUR, NOW, Row, episode, imported, past, seen

if TYPE_CHECKING:
    from pathlib import Path

STATS = "history_stats"


def build_episode(title: str, key: str, index: int = 1, **more: Any) -> Row:
    """Build an episode of the show with this title and rating key."""
    return {**episode(title, 1, index), "grandparent_rating_key": key, **more}


def count_by_label(answer: dict[str, Any]) -> dict[str, int]:
    """Return the number of plays by label."""
    return {entry["label"]: entry["plays"] for entry in answer["entries"]}


async def test_two_films_of_one_title_are_two_and_shown_with_their_years(tmp_path: Path) -> None:
    films = [
        seen(1, NOW, title="Twin Rivers", rating_key="11", year=1992),
        seen(2, NOW - 1, title="Twin Rivers", rating_key="12", year=2019),
        seen(3, NOW - 2, title="Twin Rivers", rating_key="12", year=2019),
        seen(4, NOW - 3),
    ]
    async with past(tmp_path, plays=films) as it:
        answer = await it.well(STATS, by="title")
        assert count_by_label(answer) == {"Twin Rivers (2019)": 2, "Twin Rivers (1992)": 1, "The Lamp": 1}
        assert {entry["key"]: entry["year"] for entry in answer["entries"]} == {"12": 2019, "11": 1992, "7001": 1999}
        entries = (await it.well("what_happened", since="1h"))["plays"]["entries"]
        assert [entry["label"] for entry in entries] == ["Twin Rivers (1992)", "Twin Rivers (2019)", "The Lamp"]


async def test_two_shows_of_one_title_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    plays = [seen(n, NOW - n, **build_episode("Harbour", "21" if n < 3 else "22", n)) for n in range(1, 4)]
    async with past(tmp_path, plays=plays) as it:
        assert count_by_label(await it.well(STATS, by="title")) == {"Harbour (id 21)": 2, "Harbour (id 22)": 1}


async def test_two_artists_of_one_name_are_two(tmp_path: Path) -> None:
    track = {"type": "track", "grandparent_title": "The Ferrymen", "library": "Music", "library_id": "3"}
    plays = [seen(n, NOW - n, title=f"Song {n}", grandparent_guid=f"plex://artist/{n % 2}", **track) for n in range(4)]
    async with past(tmp_path, plays=plays) as it:
        entries = (await it.well(STATS, by="title"))["entries"]
        assert {(entry["name"], entry["type"], entry["plays"]) for entry in entries} == {("The Ferrymen", "artist", 2)}
        assert len(entries) == 2


async def test_one_guid_under_two_keys_is_one_whichever_rows_know_it(tmp_path: Path) -> None:
    plays = [
        seen(1, NOW - 3 * HOUR, rating_key="31", guid="plex://movie/a"),
        imported(2, NOW - 2 * HOUR, rating_key="31", guid=None),
        seen(3, NOW - HOUR, rating_key="32", guid="plex://movie/a", title="The Lamp (restored)"),
        imported(4, NOW, rating_key="32", guid=None),
        imported(5, NOW - 4 * HOUR, rating_key="33", guid=None),
    ]
    async with past(tmp_path, plays=plays) as it:
        entries = (await it.well(STATS, by="title"))["entries"]
        assert [(entry["key"], entry["plays"]) for entry in entries] == [("plex://movie/a", 4), ("33", 1)]


async def test_a_play_that_knows_neither_guid_nor_key_joins_the_only_one_it_can_be(tmp_path: Path) -> None:
    gone = {"rating_key": None, "guid": None}
    plays = [
        seen(1, NOW, title="Twin Rivers", rating_key="11", year=1992),
        seen(2, NOW - 1, title="Twin Rivers", rating_key="12", year=2019),
        imported(3, NOW - 2, title="Twin Rivers", year=2019, **gone),
        imported(4, NOW - 3, title="Twin Rivers", year=None, **gone),
        seen(5, NOW - 4, **build_episode("Harbour", "21")),
        imported(6, NOW - 5, **{**episode("Harbour", 1, 2), **gone}),
    ]
    async with past(tmp_path, plays=plays) as it:
        entries = (await it.well(STATS, by="title"))["entries"]
        plays_of = {entry["key"]: entry["plays"] for entry in entries}
        assert plays_of == {"12": 2, "21": 2, "11": 1, "Twin Rivers": 1}


async def test_two_libraries_of_one_name_stay_apart(tmp_path: Path) -> None:
    plays = [seen(n, NOW - n, library="Movies", library_id=("5", "6")[n % 2]) for n in range(3)]
    async with past(tmp_path, plays=plays) as it:
        answer = await it.well(STATS, by="library")
        assert count_by_label(answer) == {"Movies (id 5)": 2, "Movies (id 6)": 1}
        assert {entry["id"] for entry in answer["entries"]} == {"5", "6"}
        error = await it.refused("history_query", library="movies")
        assert (error["code"], {match["id"] for match in error["matches"]}) == ("ambiguous", {"5", "6"})


async def test_a_renamed_library_is_one_and_shows_its_present_name(tmp_path: Path) -> None:
    plays = [seen(1, NOW, library="Films"), seen(2, NOW - DAY, library="Movies"), seen(3, NOW - 2 * DAY, library=None)]
    async with past(tmp_path, plays=plays) as it:
        (entry,) = (await it.well(STATS, by="library"))["entries"]
        assert (entry["id"], entry["name"], entry["plays"]) == ("1", "Films", 3)
        history = (await it.well("history_query"))["plays"]
        assert [play["library"] for play in history] == ["Films"] * 3
        assert (await it.well("play_get", id="2"))["play"]["library"] == "Films"


async def test_two_users_of_one_name_are_shown_with_their_ids(tmp_path: Path) -> None:
    plays = [seen(1, NOW), seen(2, NOW - 1, user_id="9", user_name="Ada")]
    async with past(tmp_path, plays=plays) as it:
        assert count_by_label(await it.well(STATS, by="user")) == {"Ada (id 1)": 1, "Ada (id 9)": 1}
        entries = (await it.well("what_happened", since="1h"))["plays"]["entries"]
        assert [entry["user_label"] for entry in entries] == ["Ada (id 1)", "Ada (id 9)"]


@pytest.mark.parametrize(
    ("by", "unknown"),
    [
        ("user", {"user_id": None, "user_name": None}),
        ("library", {"library": None, "library_id": None}),
        ("platform", {"platform": None}),
        ("title", {"title": None, "type": None, "rating_key": "99"}),
    ],
)
async def test_what_is_not_known_of_a_play_yet_counts_in_the_sum_and_under_nothing(
    tmp_path: Path, by: str, unknown: Row
) -> None:
    async with past(tmp_path, plays=[seen(1, NOW), seen(2, NOW - 1, **unknown)]) as it:
        answer = await it.well(STATS, by=by)
        assert (answer["plays"], answer["timed"], answer["watched_ms"]) == (2, 2, 2 * HOUR)
        assert [entry["plays"] for entry in answer["entries"]] == [1]
        assert answer["total_entries"] == 1
        it.write(plays=[seen(2, NOW - 1)])
        assert [entry["plays"] for entry in (await it.well(STATS, by=by))["entries"]] == [2]


async def test_a_play_without_a_user_is_in_no_ones_statistics(tmp_path: Path) -> None:
    nobody = {"user_id": None, "user_name": None}
    async with past(tmp_path, plays=[seen(1, NOW), seen(2, NOW - 1, **nobody)]) as it:
        found = await it.well("user_get_statistics")
        assert [(user["user"], user["total_plays"]) for user in found["users"]] == [("Ada", 1)]
        assert (found["total_plays"], found["total_duration"]) == (2, 7_200)


async def test_a_play_whose_title_is_not_known_yet_counts_with_the_others_of_its_key(tmp_path: Path) -> None:
    async with past(tmp_path, plays=[seen(1, NOW - 1), seen(2, NOW, title=None, type=None, rating_key="7001")]) as it:
        (entry,) = (await it.well(STATS, by="title"))["entries"]
        assert (entry["name"], entry["type"], entry["plays"]) == ("The Lamp", "movie", 2)
