"""Counts over a window, against a straightforward recount."""

from __future__ import annotations

import random
import sqlite3
from collections import defaultdict
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.recorded_plays import DAY, HOUR, NOW, Row, episode, imported, past, running, seen, write

from plex_companion.cache.database import open_cache
from plex_companion.cache.queries.counts import By, WatchTotals, count_plays_by
from plex_companion.times import Window

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

STATS = "history_stats"
KINDS: tuple[By, ...] = get_args(By)


def find_key(row: Row, by: By) -> object:
    """Return the key a play is counted by, from a second implementation of the rules."""
    kind = row["type"]
    moment = datetime.fromtimestamp(row["started_at"] / 1000, UTC)
    above = row["grandparent_title"] if kind in {"episode", "track"} else None
    return {
        "user": row["user_id"],
        "library": row["library"],
        "platform": row["platform"],
        "decision": row["decision"],
        "resolution": row["video_resolution"],
        "title": (above or row["title"], {"episode": "show", "track": "artist"}.get(kind, kind)),
        "day": moment.date().isoformat(),
        "hour": str(moment.hour),
        "weekday": str(moment.weekday()),
        "month": f"{moment:%Y-%m}",
    }[by]


def recount(rows: Iterable[Row], by: By, window: Window) -> dict[object, WatchTotals]:
    """Count plays, timed plays, watch time and how much of it is estimated."""
    found: dict[object, WatchTotals] = defaultdict(WatchTotals)
    for row in rows:
        if window.since <= row["started_at"] <= window.until:
            watched, key = row["watched_ms"] or 0, find_key(row, by)
            estimated = watched if row["ended_by"] == "imported" else 0
            found[key] = found[key].plus(WatchTotals(1, row["watched_ms"] is not None, watched, estimated))
    return found


def sum_up(found: dict[object, WatchTotals]) -> WatchTotals:
    """Return the sums of all."""
    return WatchTotals(*map(sum, zip(WatchTotals(), *found.values(), strict=True)))


def is_known(key: object) -> bool:
    """Return whether the key of a play is known; if not, it counts in the totals only."""
    return key is not None and not (isinstance(key, tuple) and key[0] is None)


def fetch_entries(answer: dict[str, Any], by: By) -> dict[object, WatchTotals]:
    """Fetch the tool's entries without empty days and hours."""
    entries = {
        (entry["name"], entry["type"])
        if by == "title"
        else entry["name"]
        if by == "library"
        else entry["key"]: WatchTotals(*(entry[name] for name in WatchTotals._fields))
        for entry in answer["entries"]
    }
    return {key: sums for key, sums in entries.items() if sums[0]}


def household(count: int, rng: random.Random) -> list[Row]:
    """Generate plays over three months, many at the edge of an hour or a day."""
    rows = []
    for number in range(1, count + 1):
        at = NOW - rng.randrange(90 * DAY)
        if number % 5 == 0:
            unit = rng.choice((HOUR, DAY))
            at = at // unit * unit + rng.choice((-1, 0, 1))
        make = rng.choice((imported, seen, running))
        watched: Row = {} if make is imported and number % 2 else {"watched_ms": rng.randrange(2 * HOUR)}
        film = {"title": rng.choice(("The Lamp", "The Door", None))}
        track = {**episode("Marlow", 1, 1), "type": "track", "library": "Music", "library_id": "3"}
        what = rng.choice((film, episode("Harbour", 1, number), episode("The Lamp", 1, 2), track))
        who = rng.choice(({"user_id": "1"}, {"user_id": "2", "user_name": "Ben"}, {"user_id": None, "user_name": None}))
        where = {"platform": rng.choice(("Web", "iOS", None)), "decision": None, "video_resolution": None}
        if make is not imported:
            where |= {
                "decision": rng.choice(("direct play", "transcode", None)),
                "video_resolution": rng.choice(("1080", "4k", None)),
            }
        rows.append(make(number, at, **what, **who, **where, **watched))
    return rows


@pytest.mark.parametrize("period", ["30d", "90s", "26h", "today", "all"])
async def test_every_count_is_that_of_a_recount(tmp_path: Path, period: str) -> None:
    rows = household(1_500, random.Random(period))  # noqa: S311 - invented
    length = {"30d": 30 * DAY, "90s": 90_000, "26h": 26 * HOUR, "today": 17 * HOUR + 123, "all": NOW}[period]
    window = Window(NOW - length, NOW)
    async with past(tmp_path, plays=[*rows, seen(9_999, NOW + 1)]) as it:
        for by in KINDS:
            answer = await it.well(STATS, period=period, by=by, limit=500)
            expected = recount(rows, by, window)
            assert fetch_entries(answer, by) == {key: sums for key, sums in expected.items() if is_known(key)}
            assert WatchTotals(*(answer[name] for name in WatchTotals._fields)) == sum_up(expected)
            assert (answer["timezone"], answer["period"], answer["by"]) == ("UTC", period, by)
            assert answer["until"] == "2026-11-22T17:00:00.123Z"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("counts") / "cache.sqlite3", plays=household(600, random.Random(3)))  # noqa: S311 - invented


EDGES = st.builds(
    lambda unit, nth, off: NOW // unit * unit - nth * unit + off,
    st.sampled_from((HOUR, DAY)),
    st.integers(-1, 40),
    st.sampled_from((-1, 0, 1, 1_234)),
)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(ends=st.tuples(EDGES, EDGES), by=st.sampled_from(KINDS))
async def test_any_window_is_counted_exactly_wherever_its_ends_are(path: Path, ends: tuple[int, int], by: By) -> None:
    window = Window(min(ends), max(ends))
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        rows = [dict(row) for row in database.execute("SELECT * FROM plays")]
    async with open_cache(path) as cache:
        found = await count_plays_by(cache, by, window)
    expected = recount(rows, by, window)
    titles = [WatchTotals(one.plays, one.timed, one.watched_ms, one.estimated_ms) for one in found.groups]
    counted = [*found.entries.values(), *found.by_server.values(), *titles]
    assert sorted(counted) == sorted(sums for key, sums in expected.items() if is_known(key))
    assert found.total == sum_up(expected)


async def test_all_hours_are_told_in_order_and_all_days_also_those_without_plays(tmp_path: Path) -> None:
    async with past(tmp_path, plays=[seen(1, NOW - 9 * DAY), seen(2, NOW)]) as it:
        hours = (await it.well(STATS, by="hour", limit=1))["entries"]
        assert [hour["key"] for hour in hours] == [str(n) for n in range(24)]
        assert [hour["plays"] for hour in hours] == [0] * 17 + [2] + [0] * 6
        answer = await it.well(STATS, by="day", period="9d", limit=1)
        days = answer["entries"]
        assert [days[0]["key"], days[-1]["key"], len(days)] == ["2026-11-13", "2026-11-22", 10]
        assert [day["plays"] for day in days] == [1, *[0] * 8, 1]
        assert (answer["count"], answer["total_entries"]) == (10, 10)


async def test_of_very_many_days_the_newest_are_told_and_all_are_counted(tmp_path: Path) -> None:
    async with past(tmp_path, plays=[seen(1, NOW - 1_000 * DAY), seen(2, NOW)]) as it:
        for period in ("all", "1000d"):
            answer = await it.well(STATS, by="day", period=period)
            assert (answer["plays"], answer["count"], answer["total_entries"]) == (2, 366, 1_001)
            assert answer["entries"][-1]["key"] == "2026-11-22"


async def test_an_empty_past_is_counted_as_that(tmp_path: Path) -> None:
    async with past(tmp_path) as it:
        for by in KINDS:
            answer = await it.well(STATS, by=by, period="all")
            assert (answer["plays"], answer["timed"], answer["watched_ms"], answer["estimated_ms"]) == (0, 0, 0, 0)
            assert [entry for entry in answer["entries"] if entry["plays"]] == []
            assert not answer["history"]["complete"]


async def test_the_most_played_come_first_and_the_rest_is_counted(tmp_path: Path) -> None:
    rows = [seen(n, NOW - n, title=f"Film {min(n % 7, 4)}") for n in range(1, 71)]
    async with past(tmp_path, plays=rows) as it:
        answer = await it.well(STATS, by="title", limit=2)
        assert [(entry["name"], entry["plays"]) for entry in answer["entries"]] == [("Film 4", 30), ("Film 0", 10)]
        assert (answer["count"], answer["total_entries"], answer["plays"]) == (2, 5, 70)


async def test_entries_name_users_and_libraries_with_their_ids(tmp_path: Path) -> None:
    rows = [seen(1, NOW), seen(2, NOW - 1, user_id="9", user_name="Kit", library="Attic", library_id="77")]
    async with past(
        tmp_path, plays=[*rows, imported(3, NOW - 2, user_id=None, user_name=None, library=None, library_id=None)]
    ) as it:
        users = {entry["key"]: (entry["id"], entry["name"]) for entry in (await it.well(STATS, by="user"))["entries"]}
        assert users == {"1": ("1", "Ada"), "9": ("9", "Kit")}
        libraries = (await it.well(STATS, by="library"))["entries"]
        assert {entry["name"]: entry["id"] for entry in libraries} == {"Films": "1", "Attic": "77"}


async def test_a_film_and_a_show_of_one_name_are_two(tmp_path: Path) -> None:
    async with past(tmp_path, plays=[seen(1, NOW), seen(2, NOW, **episode("The Lamp", 1, 1))]) as it:
        entries = (await it.well(STATS, by="title"))["entries"]
        assert {(entry["name"], entry["type"], entry["plays"]) for entry in entries} == {
            ("The Lamp", "movie", 1),
            ("The Lamp", "show", 1),
        }


async def test_a_running_play_counts_with_what_was_watched_so_far(tmp_path: Path) -> None:
    async with past(tmp_path, plays=[running(1, NOW - HOUR, watched_ms=1_000)]) as it:
        answer = await it.well(STATS, period="today")
        assert (answer["plays"], answer["watched_ms"]) == (1, 1_000)
        it.write(plays=[running(1, NOW - HOUR, watched_ms=5_000)])
        assert (await it.well(STATS, period="today"))["watched_ms"] == 5_000


async def test_a_nonsense_period_or_kind_is_refused_with_the_valid_forms(tmp_path: Path) -> None:
    async with past(tmp_path) as it:
        error = await it.refused(STATS, period="fortnight")
        assert (error["code"], error["argument"]) == ("invalid", "period")
        for word in ("7d", "today", "all"):
            assert word in error["message"]
        error = await it.refused(STATS, by="mood")
        assert error["code"] == "invalid"
        for kind in KINDS:
            assert kind in error["message"]


@pytest.mark.parametrize("by", [by for by in KINDS if by != "title"])
async def test_whole_days_and_hours_come_out_of_the_roll_ups_and_no_count_reads_all_plays(path: Path, by: By) -> None:
    async with open_cache(path) as cache:
        answer: list[str] = []
        await cache.archive.set_trace_callback(answer.append)
        await count_plays_by(cache, by, Window(NOW - 10 * DAY, NOW))
        await cache.archive.set_trace_callback(None)  # type: ignore[arg-type]  # what sqlite3 wants
        counting = [sql for sql in answer if "watched_ms" in sql]
        plan = [
            str(row[3]) for sql in counting for row in await cache.archive.execute_fetchall(f"EXPLAIN QUERY PLAN {sql}")
        ]
    assert plan
    assert not [step for step in plan if step.startswith("SCAN plays")], plan
    if by in {"decision", "resolution"}:
        assert [step for step in plan if "SEARCH plays USING COVERING INDEX plays_streams" in step], plan
    else:
        assert [step for step in plan if "SEARCH play_" in step and "PRIMARY KEY" in step], plan


WHOLE = Window(0, NOW)


@pytest.mark.parametrize("by", [by for by in KINDS if by != "title"])
async def test_figures_of_long_windows_stay_in_memory_until_a_play_in_them_changes(path: Path, by: By) -> None:
    async with open_cache(path) as cache:
        statements: list[str] = []

        async def count() -> tuple[int, WatchTotals]:
            statements.clear()
            found = await count_plays_by(cache, by, WHOLE)
            return sum("watched_ms" in sql for sql in statements), found.total

        await cache.archive.set_trace_callback(statements.append)
        each = 2 if by in {"decision", "resolution"} else 1
        first, before = await count()
        again, same = await count()
        rest = 0 if by in {"weekday", "month"} else each  # what is put together from days is kept as a whole
        assert (again, same) == (rest, before), "at most what is after the last whole block is counted again"
        assert first > again
        sql = "UPDATE plays SET watched_ms = coalesce(watched_ms, 0) + 7 WHERE id = (SELECT id FROM plays ORDER BY started_at LIMIT 1)"
        await cache.writer.execute(sql)
        once_more, after = await count()
        assert after.watched_ms == before.watched_ms + 7
        assert again < once_more <= 3 * each, "its block, the next one, and what is after the last"
        await cache.archive.set_trace_callback(None)  # type: ignore[arg-type]  # what sqlite3 wants
