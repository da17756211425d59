from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plex_companion.errors import Invalid
from plex_companion.times import DAY_MS, Window, parse_period, parse_time, parse_window

NOW = 1_795_366_800_123  # 2026-11-22T17:00:00.123Z


def ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc]  # the parts of a date


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("now", NOW),
        (" Now ", NOW),
        ("90s", NOW - 90_000),
        ("15m", NOW - 900_000),
        ("24h", NOW - DAY_MS),
        ("7d", NOW - 7 * DAY_MS),
        ("2W", NOW - 14 * DAY_MS),
        ("0s", NOW),
        ("999999999w", 0),
        ("2026-11-22", ms(2026, 11, 22)),
        ("2026-11-22T17:00:00Z", ms(2026, 11, 22, 17)),
        ("2026-11-22t17:00:00z", ms(2026, 11, 22, 17)),
        ("2026-11-22T17:00", ms(2026, 11, 22, 17)),
        ("2026-11-22 17:00", ms(2026, 11, 22, 17)),
        ("2026-11-22T17:00:00.123Z", ms(2026, 11, 22, 17) + 123),
        ("2026-11-22T17:00:00+01:00", ms(2026, 11, 22, 16)),
        ("20261122T170000Z", ms(2026, 11, 22, 17)),
        ("1969-12-31", 0),
        ("0001-01-01T00:00:00+14:00", 0),
    ],
)
def test_every_form_is_read(text: str, at: int) -> None:
    assert parse_time(text, NOW, "since") == at


def test_a_date_as_an_end_is_its_last_millisecond() -> None:
    assert parse_time("2026-11-22", NOW, "until", end=True) == ms(2026, 11, 23) - 1
    assert parse_time("9999-12-31", NOW, "until", end=True) == ms(9999, 12, 31) + DAY_MS - 1
    assert parse_window("2026-03-05", "2026-03-05", NOW) == Window(ms(2026, 3, 5), ms(2026, 3, 6) - 1)


NONSENSE = (
    "", " ", "last friday", "7", "7x", "-7d", "7.5d", "1d2h", "d", "1700000000", "20261122", "2026-13-01", "2026-11-22x10",
    "2026-11-22T25:00", "\u0667d", "\u00b2d", "9" * 5_000 + "d", "\0", "🦊", "fortnight",
)  # fmt: skip


@pytest.mark.parametrize("text", NONSENSE, ids=range(len(NONSENSE)))
def test_anything_else_is_refused_with_the_valid_forms_named(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_time(text, NOW, "since")
    for word in ("since", "7d", "2026-11-22", "ISO 8601", "now"):
        assert word in refused.value.message
    assert refused.value.facts["argument"] == "since"
    assert len(refused.value.message) < 400


@given(st.text(max_size=30))
def test_no_text_breaks_it(text: str) -> None:
    try:
        at = parse_time(text, NOW, "since")
    except Invalid:
        return
    assert at >= 0


@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)), st.integers(-14, 14))  # noqa: DTZ001 - zones follow
def test_what_is_written_in_any_zone_is_read_as_the_same_instant(at: datetime, hours: int) -> None:
    there = at.replace(tzinfo=UTC).astimezone(tz=None) + timedelta(hours=hours)
    assert parse_time(there.isoformat(), NOW, "since") == int(
        (there - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    )


def test_a_window_ends_now_unless_told_and_begins_with_everything() -> None:
    assert parse_window("1h", None, NOW) == Window(NOW - 3_600_000, NOW)
    assert parse_window(None, None, NOW) == Window(0, NOW)
    assert parse_window("2h", "1h", NOW) == Window(NOW - 7_200_000, NOW - 3_600_000)
    assert parse_window("now", "now", NOW) == Window(NOW, NOW)


def test_an_end_before_its_beginning_is_refused() -> None:
    with pytest.raises(Invalid, match="is before since") as refused:
        parse_window("2026-03-02", "2026-03-01", NOW)
    assert refused.value.facts["argument"] == "until"
    with pytest.raises(Invalid, match="future") as refused:
        parse_window("2099-01-01", None, NOW)
    assert refused.value.facts["argument"] == "since"


def test_a_period_ends_now() -> None:
    assert parse_period("30d", NOW) == Window(NOW - 30 * DAY_MS, NOW)
    assert parse_period("today", NOW) == Window(ms(2026, 11, 22), NOW)
    assert parse_period(" ALL ", NOW) == Window(0, NOW)
    assert parse_period("999999999w", NOW) == Window(0, NOW)


@pytest.mark.parametrize("text", ["", "month", "2026-03", "2026-03-01", "now", "30"])
def test_a_nonsense_period_is_refused_with_the_valid_forms_named(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_period(text, NOW)
    for word in ("period", "7d", "today", "all"):
        assert word in refused.value.message


VIENNA = ZoneInfo("Europe/Vienna")


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("today", ms(2026, 11, 21, 23)),
        ("Yesterday", ms(2026, 11, 20, 23)),
        ("2026-07-01", ms(2026, 6, 30, 22)),
        ("2026-11-22T17:00", ms(2026, 11, 22, 16)),
        ("2026-11-22T17:00Z", ms(2026, 11, 22, 17)),
        ("1month", ms(2026, 10, 22, 16) + 123),
        ("1y", ms(2025, 11, 22, 17) + 123),
        ("6 months", ms(2026, 5, 22, 16) + 123),
        ("2 weeks", NOW - 14 * DAY_MS),
        ("last 3 days", NOW - 3 * DAY_MS),
        ("last_24_hours", None),
        ("3 days ago", NOW - 3 * DAY_MS),
        ("an hour ago", NOW - 3_600_000),
        ("past week", NOW - 7 * DAY_MS),
        ("30min", NOW - 1_800_000),
        ("45 secs", NOW - 45_000),
        ("all", 0),
    ],
)
def test_times_are_read_as_people_write_them_in_their_zone(text: str, at: int | None) -> None:
    if at is None:
        with pytest.raises(Invalid):
            parse_time(text, NOW, "since", zone=VIENNA)
    else:
        assert parse_time(text, NOW, "since", zone=VIENNA) == at


def test_a_day_ends_with_its_last_millisecond_also_where_it_has_23_or_25_hours() -> None:
    assert parse_window("2026-03-29", "2026-03-29", NOW, VIENNA) == Window(ms(2026, 3, 28, 23), ms(2026, 3, 29, 22) - 1)
    assert parse_window("2026-10-25", "2026-10-25", NOW, VIENNA) == Window(
        ms(2026, 10, 24, 22), ms(2026, 10, 25, 23) - 1
    )
    assert parse_window("yesterday", "yesterday", NOW, VIENNA) == Window(ms(2026, 11, 20, 23), ms(2026, 11, 21, 23) - 1)
    assert parse_period("yesterday", NOW, VIENNA) == Window(ms(2026, 11, 20, 23), ms(2026, 11, 21, 23) - 1)
    assert parse_period("today", NOW, VIENNA) == Window(ms(2026, 11, 21, 23), NOW)


def test_a_month_before_the_31st_is_the_last_day_of_the_shorter_month() -> None:
    assert parse_time("1month", ms(2026, 3, 31, 12), "since") == ms(2026, 2, 28, 12)
    assert parse_time("1y", ms(2028, 2, 29, 12), "since") == ms(2027, 2, 28, 12)
    assert parse_time("999999999y", NOW, "since") == 0


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("30", "30d"),
        ("7", "7d"),
        ("2026", "2026-01-01"),
        ("20261122", "2026-11-22"),
        ("1795366800", "2026-11-22T17:00:00Z"),
        ("22.11.2026", "2026-11-22"),
        ("2026/11/22", "2026-11-22"),
        ("2026-11", "2026-11-01"),
        ("Nov 22, 2026", "2026-11-22"),
        ("-7d", "7d"),
        ("7.5d", "7d"),
        ("2 weks", "2w"),
        ("1 yaer", "1y"),
        ("month", "1month"),
        ("3M", "3month"),
        ("last year", "1y"),
        ("yesteday", "yesterday"),
        ("toady", "today"),
    ],
)
def test_what_cannot_be_read_is_refused_with_the_nearest_form(text: str, near: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_time(text, NOW, "since")
    assert f"Did you mean {near}?" in refused.value.message
    assert parse_time(near, NOW, "since") >= 0, "what is proposed can be read"


@pytest.mark.parametrize(
    ("text", "near"), [("30", "30d"), ("1 M", "1month"), ("month", "1month"), ("last week", "1w"), ("2 weks", "2w")]
)
def test_a_period_that_cannot_be_read_is_refused_with_the_nearest_one(text: str, near: str) -> None:
    with pytest.raises(Invalid, match=f"Did you mean {near}") as refused:
        parse_period(text, NOW)
    assert refused.value.facts["argument"] == "period"
    assert parse_period(near, NOW).until == NOW
