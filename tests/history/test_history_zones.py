"""Days and hours are those of one time zone, which every answer names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.recorded_plays import DAY, HOUR, NOW, past, seen, write

from plex_companion.cache.database import open_cache
from plex_companion.cache.queries.counts import count_plays_by
from plex_companion.dashboard.renderer import PageRenderer
from plex_companion.dashboard.templating import Templates
from plex_companion.errors import SettingsError
from plex_companion.settings import Settings
from plex_companion.times import Window, list_offsets
from plex_companion.zones import find_host_zone, find_zone, name_zone

if TYPE_CHECKING:
    from pathlib import Path

ZONES = ("UTC", "Asia/Kathmandu", "Europe/Vienna", "America/St_Johns", "Pacific/Chatham", "Pacific/Kiritimati")
LORD_HOWE = "Australia/Lord_Howe"
"""Its summer time is half an hour."""


def ms(*parts: int, zone: str = "UTC") -> int:
    return int(datetime(*parts, tzinfo=ZoneInfo(zone)).timestamp() * 1000)  # type: ignore[arg-type, misc]  # the parts of a date


async def test_an_hour_and_a_day_are_those_of_the_zone_that_is_set(tmp_path: Path) -> None:
    plays = [seen(1, ms(2026, 11, 21, 18, 20)), seen(2, ms(2026, 11, 21, 18, 10))]  # 00:05 and 23:55 in Kathmandu
    async with past(tmp_path, plays=plays, timezone="Asia/Kathmandu") as it:
        hours = await it.well("history_stats", by="hour", period="7d")
        assert hours["timezone"] == "Asia/Kathmandu"
        assert {hour["key"]: hour["plays"] for hour in hours["entries"] if hour["plays"]} == {"0": 1, "23": 1}
        days = (await it.well("history_stats", by="day", period="2d"))["entries"]
        assert {day["key"]: day["plays"] for day in days} == {"2026-11-20": 0, "2026-11-21": 1, "2026-11-22": 1}
        today = await it.well("history_stats", period="today")
        assert (today["plays"], today["since"]) == (1, "2026-11-21T18:15:00.000Z")
        history = await it.well("history_query", since="2026-11-22", until="2026-11-22")
        assert ([play["id"] for play in history["plays"]], history["timezone"]) == (["1"], "Asia/Kathmandu")
        happened = await it.well("what_happened", since="yesterday", until="yesterday")
        assert (happened["plays"]["total"], happened["timezone"]) == (1, "Asia/Kathmandu")


async def test_the_page_counts_by_the_zone_that_is_set(tmp_path: Path) -> None:
    async with past(tmp_path, plays=[seen(1, ms(2026, 11, 21, 18, 20))], timezone="Asia/Kathmandu") as it:
        parts = (await PageRenderer(it.companion, Templates(it.companion)).render()).parts["charts"]
        assert "most on Sun 22 Nov" in parts["days"]
        assert "Sunday at 0:00" in parts["heat"]
        assert "Asia/Kathmandu" in parts["heat"]
        assert "1 play" in parts["users"]


async def test_the_page_ranks_as_the_statistics_do_and_tells_two_of_one_title_apart(tmp_path: Path) -> None:
    nobody = {"user_id": None, "user_name": None}
    plays = [
        seen(1, NOW - HOUR, title="Twin Rivers", rating_key="11", year=1992),
        seen(2, NOW - 29 * DAY, title="Twin Rivers", rating_key="12", year=2019, **nobody),
        seen(3, NOW - 30 * DAY - 1),
    ]
    async with past(tmp_path, plays=plays) as it:
        parts = (await PageRenderer(it.companion, Templates(it.companion)).render()).parts["charts"]
        assert "Twin Rivers (1992)" in parts["titles"]
        assert "Twin Rivers (2019)" in parts["titles"]
        assert "The Lamp" not in parts["titles"]
        assert "2 plays in 30 days" in parts["days"]
        assert parts["users"].count("<li>") == 1
        assert "somebody" not in parts["users"]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A play every 37 minutes for two weeks around the end of a summer."""
    start = ms(2026, 10, 18)
    rows = [seen(n + 1, start + n * 37 * 60_000, watched_ms=n) for n in range(540)]
    return write(tmp_path_factory.mktemp("zones") / "cache.sqlite3", plays=rows)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(name=st.sampled_from((*ZONES, LORD_HOWE)), ends=st.tuples(st.integers(0, 14 * DAY), st.integers(0, 14 * DAY)))
async def test_any_window_in_any_zone_is_counted_as_a_clock_there_counts(
    path: Path, name: str, ends: tuple[int, int]
) -> None:
    zone, start = find_zone(name), ms(2026, 10, 18)
    window = Window(start + min(ends), start + max(ends))
    plays = [start + n * 37 * 60_000 for n in range(540)]
    there = [
        datetime.fromtimestamp(at / 1000, UTC).astimezone(zone) for at in plays if window.since <= at <= window.until
    ]
    async with open_cache(path) as cache:
        hours = (await count_plays_by(cache, "hour", window, zone)).entries
        days = (await count_plays_by(cache, "day", window, zone)).entries
    assert {hour: sums.plays for hour, sums in hours.items()} == _tally(str(at.hour) for at in there)
    epoch = datetime(1970, 1, 1, tzinfo=UTC).date()
    assert {day: sums.plays for day, sums in days.items()} == _tally(str((at.date() - epoch).days) for at in there)


def _tally(keys: object) -> dict[str, int]:
    found: dict[str, int] = {}
    for key in keys:  # type: ignore[attr-defined]  # any texts
        found[key] = found.get(key, 0) + 1
    return found


def test_the_stretches_of_one_offset_change_where_the_clock_does() -> None:
    vienna = ZoneInfo("Europe/Vienna")
    found = list_offsets(vienna, ms(2026, 1, 1), ms(2026, 12, 31))
    assert [offset // HOUR for _, _, offset in found] == [1, 2, 1]
    assert [start for start, _, _ in found[1:]] == [ms(2026, 3, 29, 1), ms(2026, 10, 25, 1)]
    assert all(before[1] + 1 == after[0] for before, after in pairwise(found))
    assert list_offsets(UTC, 0, NOW) == [(0, NOW, 0)]


@pytest.mark.parametrize(
    ("given_name", "name"), [("Europe/Vienna", "Europe/Vienna"), ("asia/kathmandu", "Asia/Kathmandu"), ("utc", "UTC"),
                             (" America/New York ", "America/New_York")]
)  # fmt: skip
def test_a_zone_is_set_by_its_name_in_whatever_case(given_name: str, name: str) -> None:
    assert name_zone(Settings.load({"timezone": given_name}).zone) == name


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "CEST+2", "x" * 300])
def test_a_zone_that_there_is_not_is_refused_with_an_example(name: str) -> None:
    with pytest.raises(SettingsError, match="Europe/Vienna") as refused:
        Settings.load({"timezone": name})
    assert "PLEX_COMPANION_TIMEZONE" in refused.value.message


def test_without_a_setting_it_is_the_zone_of_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/St_Johns")
    assert name_zone(Settings.load({}).zone) == "America/St_Johns"
    monkeypatch.setenv("TZ", "No/Such_Zone")
    assert name_zone(find_host_zone()) == "UTC"


def test_a_zone_without_a_name_is_called_by_its_offset() -> None:
    assert name_zone(timezone(timedelta(hours=5, minutes=45))) == "UTC+05:45"
    assert name_zone(timezone(-timedelta(hours=3, minutes=30))) == "UTC-03:30"
