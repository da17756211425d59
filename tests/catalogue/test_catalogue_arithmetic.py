"""The pure parts of the catalogue's tools: who left what, progress, taste, recaps, months."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plex_companion.catalogue.local_days import LocalDays
from plex_companion.catalogue.months import find_month
from plex_companion.catalogue.viewers.begun import Leaf, find_left
from plex_companion.catalogue.viewers.recap_figures import DayPlay, find_longest_streak, find_most_paused
from plex_companion.catalogue.viewers.show_progress import Progress, compute_progress
from plex_companion.catalogue.viewers.taste import Feature, Seen, UnwatchedItem, describe_reason, recommend
from plex_companion.serialize import LAST_MS
from plex_companion.times import find_day

FILM = {7: Leaf(7, is_episode=False, is_regular=True)}
SHOW = {
    **{id_: Leaf(9, is_episode=True, is_regular=True) for id_ in (91, 92, 93, 94)},
    95: Leaf(9, is_episode=True, is_regular=False),
}
COMEDY, CRIME = Feature("genre", "Comedy"), Feature("genre", "Crime")


def begun(item: int, at: int, offset: int = 300) -> dict[str, object]:
    return {"item_id": item, "user_id": "2", "view_offset_ms": offset, "duration_ms": 1_000, "at": at}


def finished(item: int, at: int) -> dict[str, object]:
    return {"item_id": item, "user_id": "2", "at": at}


def test_a_film_is_left_at_the_position_of_its_latest_play() -> None:
    assert find_left(FILM, [begun(7, 10, 900), begun(7, 20, 300)], []) == {(7, "2"): (20, 300, 30.0)}


def test_a_film_that_was_finished_afterwards_is_not_left_but_one_begun_again_is() -> None:
    assert find_left(FILM, [begun(7, 10)], [finished(7, 20)]) == {}
    assert find_left(FILM, [begun(7, 30)], [finished(7, 20)]) == {(7, "2"): (30, 300, 30.0)}


def test_a_show_is_left_with_the_share_of_its_regular_episodes() -> None:
    some = [finished(91, 10), finished(95, 40)]
    assert find_left(SHOW, [], some) == {(9, "2"): (40, None, 25.0)}
    assert find_left(SHOW, [begun(92, 50)], some) == {(9, "2"): (50, 300, 25.0)}


def test_a_show_that_was_finished_is_not_left() -> None:
    assert find_left(SHOW, [], [finished(id_, 10) for id_ in (91, 92, 93, 94)]) == {}


def test_the_next_episode_follows_the_furthest_and_the_last_is_the_most_recent() -> None:
    assert compute_progress(5, {0: 30, 2: 10}) == Progress(last=0, next=3, left=3)
    assert compute_progress(3, {2: 10}) == Progress(last=2, next=None, left=2)
    assert compute_progress(2, {}) == Progress(last=None, next=0, left=2)
    assert compute_progress(0, {}) == Progress(last=None, next=None, left=0)


def seen(id_: int, at: int, *features: Feature, abandoned: bool = False) -> Seen:
    return Seen(id_, f"Film {id_}", at, frozenset(features), abandoned=abandoned)


def candidates(**features: Feature) -> list[UnwatchedItem]:
    return [UnwatchedItem(int(name[1:]), 5.0, frozenset([feature])) for name, feature in features.items()]


def test_what_was_finished_lately_comes_first_and_what_was_abandoned_counts_against() -> None:
    some = candidates(i1=COMEDY, i2=CRIME)
    assert [one.id for one in recommend([seen(8, 10, CRIME), seen(9, 20, COMEDY)], some)] == [1, 2]
    left = [seen(8, 10, CRIME), seen(9, 20, COMEDY), seen(10, 30, CRIME, abandoned=True)]
    assert next(one.id for one in recommend(left, some)) == 1
    hated = [seen(9, 20, COMEDY), *(seen(id_, 30, CRIME, abandoned=True) for id_ in (10, 11))]
    assert [one.id for one in recommend(hated, some)] == [1]


def test_a_reason_names_what_links_and_without_anything_finished_says_so() -> None:
    (found,) = recommend([seen(9, 20, COMEDY)], candidates(i1=COMEDY))
    assert describe_reason(found, "Ada") == "Comedy, like “Film 9”, which Ada finished."
    assert describe_reason(found, None) == "Comedy, like “Film 9”, which was finished here."
    (none,) = recommend([], candidates(i1=COMEDY))
    assert describe_reason(none, "Ada") == "Ada has finished nothing yet, so this is simply one of the best rated."


@given(st.sets(st.dates(date(2024, 1, 1), date(2024, 3, 1)), max_size=40))
def test_the_longest_streak_is_the_longest_run_of_days(days: set[date]) -> None:
    found = find_longest_streak(day.isoformat() for day in days)
    runs = [
        length
        for day in days
        for length in range(1, 61)
        if all(day + timedelta(days=more) in days for more in range(length))
    ]
    assert (found["days"] if found else 0) == max(runs, default=0)


def test_the_film_that_was_paused_most_is_of_all_its_plays() -> None:
    def play(title: str, paused: int) -> DayPlay:
        return DayPlay("2026-01-01", 0, paused, is_estimated=False, movie=("1" if title == "A" else "2", title))

    found = find_most_paused([play("A", 5), play("B", 7), play("A", 4)])
    assert found == {"rating_key": "1", "title": "A", "paused_ms": 9}
    assert find_most_paused([play("A", 0)]) is None


@pytest.mark.parametrize("zone", [UTC, ZoneInfo("Europe/Vienna"), ZoneInfo("Asia/Kathmandu")], ids=str)
@given(at=st.integers(0, LAST_MS - 86_400_000))
def test_every_time_is_in_the_month_of_its_day(zone: ZoneInfo, at: int) -> None:
    month = find_month(at, zone)
    assert month.start <= at < month.end
    assert month.name == f"{find_day(at, zone):%Y-%m}"


@given(at=st.integers(1_500_000_000_000, 1_700_000_000_000))
def test_days_are_those_of_the_zone_also_in_summer(at: int) -> None:
    zone = ZoneInfo("Europe/Vienna")
    days = LocalDays(zone, 1_500_000_000_000, 1_700_000_000_000)
    assert days.find_day(at) == find_day(at, zone).isoformat()
