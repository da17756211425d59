from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plex_companion.errors import Invalid
from plex_companion.times import DAY_MS, Window, moment, period, window

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
    assert moment(text, NOW, "since") == at


def test_a_date_as_an_end_is_its_last_millisecond() -> None:
    assert moment("2026-11-22", NOW, "until", end=True) == ms(2026, 11, 23) - 1
    assert moment("9999-12-31", NOW, "until", end=True) == ms(9999, 12, 31) + DAY_MS - 1
    assert window("2026-03-05", "2026-03-05", NOW) == Window(ms(2026, 3, 5), ms(2026, 3, 6) - 1)


NONSENSE = (
    "", " ", "last friday", "7", "7x", "-7d", "7.5d", "1d2h", "d", "1700000000", "20261122", "2026-13-01", "2026-11-22x10",
    "2026-11-22T25:00", "\u0667d", "\u00b2d", "9" * 5_000 + "d", "\0", "🦊", "fortnight",
)  # fmt: skip


@pytest.mark.parametrize("text", NONSENSE, ids=range(len(NONSENSE)))
def test_anything_else_is_refused_with_the_valid_forms_named(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        moment(text, NOW, "since")
    for word in ("since", "7d", "2026-11-22", "ISO 8601", "now"):
        assert word in refused.value.message
    assert refused.value.facts["argument"] == "since"
    assert len(refused.value.message) < 400


@settings(deadline=None)
@given(st.text(max_size=30))
def test_no_text_breaks_it(text: str) -> None:
    try:
        at = moment(text, NOW, "since")
    except Invalid:
        return
    assert at >= 0


@settings(deadline=None)
@given(st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1)), st.integers(-14, 14))  # noqa: DTZ001 - zones follow
def test_what_is_written_in_any_zone_is_read_as_the_same_instant(at: datetime, hours: int) -> None:
    there = at.replace(tzinfo=UTC).astimezone(tz=None) + timedelta(hours=hours)
    assert moment(there.isoformat(), NOW, "since") == int(
        (there - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    )


def test_a_window_ends_now_unless_told_and_begins_with_everything() -> None:
    assert window("1h", None, NOW) == Window(NOW - 3_600_000, NOW)
    assert window(None, None, NOW) == Window(0, NOW)
    assert window("2h", "1h", NOW) == Window(NOW - 7_200_000, NOW - 3_600_000)
    assert window("now", "now", NOW) == Window(NOW, NOW)


def test_an_end_before_its_beginning_is_refused() -> None:
    with pytest.raises(Invalid, match="is before since") as refused:
        window("2026-03-02", "2026-03-01", NOW)
    assert refused.value.facts["argument"] == "until"
    with pytest.raises(Invalid, match="future") as refused:
        window("2099-01-01", None, NOW)
    assert refused.value.facts["argument"] == "since"


def test_a_period_ends_now() -> None:
    assert period("30d", NOW) == Window(NOW - 30 * DAY_MS, NOW)
    assert period("today", NOW) == Window(ms(2026, 11, 22), NOW)
    assert period(" ALL ", NOW) == Window(0, NOW)
    assert period("999999999w", NOW) == Window(0, NOW)


@pytest.mark.parametrize("text", ["", "month", "2026-03", "2026-03-01", "now", "30"])
def test_a_nonsense_period_is_refused_with_the_valid_forms_named(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        period(text, NOW)
    for word in ("period", "7d", "today", "all"):
        assert word in refused.value.message
