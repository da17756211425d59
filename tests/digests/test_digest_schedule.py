"""When the weekly digest is due: by the clock of the household, also where clocks are changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plex_companion.times import parse_schedule

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
VIENNA = ZoneInfo("Europe/Vienna")
moments = st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)).map(lambda at: int(at.timestamp() * 1000))  # noqa: DTZ001 - any moment
schedules = st.builds(
    lambda day, hour, minute: f"{day} {hour:02d}:{minute:02d}",
    st.sampled_from([*DAYS, *(day[:3] for day in DAYS)]),
    st.integers(0, 23),
    st.integers(0, 59),
)


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=VIENNA).timestamp() * 1000)


@pytest.mark.parametrize(
    ("now", "last", "following"),
    [
        ("2026-11-23 09:00", "2026-11-23 09:00", "2026-11-30 09:00"),
        ("2026-11-23 08:59", "2026-11-16 09:00", "2026-11-23 09:00"),
        ("2026-11-29 23:00", "2026-11-23 09:00", "2026-11-30 09:00"),
        ("2026-03-30 09:00", "2026-03-30 09:00", "2026-04-06 09:00"),  # clocks went forward the day before
        ("2026-10-26 09:00", "2026-10-26 09:00", "2026-11-02 09:00"),  # and back
    ],
)
def test_monday_at_nine_is_nine_of_the_households_clock(now: str, last: str, following: str) -> None:
    schedule = parse_schedule("mon@09:00")
    assert schedule.find_last(at(now), VIENNA) == at(last)
    assert schedule.find_next(at(now), VIENNA) == at(following)


@given(moments, schedules)
def test_the_last_time_is_never_in_the_future_and_the_next_one_never_in_the_past(now: int, text: str) -> None:
    schedule = parse_schedule(text)
    last, following = schedule.find_last(now, VIENNA), schedule.find_next(now, VIENNA)
    assert last <= now < following
    local = [datetime.fromtimestamp(one / 1000, UTC).astimezone(VIENNA) for one in (last, following)]
    assert local[1].date() - local[0].date() == timedelta(days=7)


@given(moments, schedules)
def test_nothing_is_due_between_the_last_time_and_the_next(now: int, text: str) -> None:
    schedule = parse_schedule(text)
    last, following = schedule.find_last(now, VIENNA), schedule.find_next(now, VIENNA)
    for between in (last, (last + following) // 2, following - 1):
        assert schedule.find_last(between, VIENNA) == last
    assert schedule.find_last(following, VIENNA) == following


@pytest.mark.parametrize("text", ["mon 9:00", "mon@9:00", "Mon @ 09:00", " MON  09:00 ", "monday 09:00"])
def test_days_may_be_written_in_full(text: str) -> None:
    assert parse_schedule(text) == parse_schedule("mon@09:00")


@pytest.mark.parametrize(
    "text", ["", "mon", "09:00", "mon 24:00", "mon 9", "xyz 09:00", "monkey 09:00", "mon 09:60", "1 09:00"]
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as mon@09:00"):
        parse_schedule(text)
