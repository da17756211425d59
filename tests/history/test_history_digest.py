"""What happened while somebody was away, in one answer, and what cannot be known of it."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from support.recorded_plays import (
    DAY,
    HOUR,
    NOW,
    alert,
    change,
    episode,
    imported,
    imported_so_far,
    past,
    reconnected,
    running,
    said,
    seen,
)

from plex_companion.history.outages import Outage, _merge, select_overlapping
from plex_companion.times import Window

if TYPE_CHECKING:
    from pathlib import Path

    from support.recorded_plays import Past

HAPPENED, ALERTS = "what_happened", "alerts_list"
MINUTE = 60_000


def set_live(it: Past) -> None:
    """Make the state look connected."""
    state = it.companion.live.state
    live = replace(state, connection=structs.replace(state.connection, state="live"), down_since=None)
    it.companion.live.publish({it.companion.link_id: live})


async def test_plays_are_told_by_who_watched_what(tmp_path: Path) -> None:
    rows = [
        *(seen(n, NOW - n * HOUR, **episode("Harbour", 1, n), user_id="2", user_name="Ben") for n in (1, 2, 3)),
        seen(4, NOW - 4 * HOUR),
        imported(5, NOW - 5 * HOUR),
        seen(6, NOW - 30 * HOUR),
    ]
    async with past(tmp_path, plays=rows) as it:
        plays = (await it.well(HAPPENED, since="24h"))["plays"]
        assert (plays["total"], plays["timed"], plays["watched_ms"], plays["total_entries"]) == (5, 4, 4 * HOUR, 2)
        ben, ada = plays["entries"]
        assert ben["user"] == {"id": "2", "name": "Ben"}
        assert (ben["title"], ben["type"], ben["plays"], ben["watched_ms"]) == ("Harbour", "show", 3, 3 * HOUR)
        assert ben["last_title"] == "Part 1 of 1"
        assert (ada["title"], ada["plays"], ada["timed"], ada["watched_ms"]) == ("The Lamp", 2, 1, HOUR)


async def test_a_play_that_went_on_into_the_time_is_told_apart(tmp_path: Path) -> None:
    rows = [
        seen(1, NOW - 90 * MINUTE),
        running(2, NOW - 3 * DAY),
        seen(3, NOW - 30 * MINUTE),
        imported(4, NOW - 2 * HOUR),
        seen(5, NOW - 3 * HOUR),
    ]
    async with past(tmp_path, plays=rows) as it:
        plays = (await it.well(HAPPENED, since="1h"))["plays"]
        assert plays["total"] == 1
        answer = [(int(play["id"]), play["playing"]) for play in plays["from_before"]]
        assert answer == [(1, False), (2, False)], "nobody listens, so nobody knows whether it still plays"
        set_live(it)
        plays = (await it.well(HAPPENED, since="1h"))["plays"]
        assert [(int(play["id"]), play["playing"]) for play in plays["from_before"]] == [(1, False), (2, True)]


async def test_the_long_lists_are_cut_and_counted(tmp_path: Path) -> None:
    rows = [seen(n, NOW - n, title=f"Film {n}") for n in range(1, 31)]
    changes = [change(n, NOW - n, str(n)) for n in range(1, 31)]
    alerts = [alert(n, NOW - n, resolved_at=None if n > 28 else NOW) for n in range(1, 31)]
    async with past(tmp_path, plays=rows, library_changes=changes, alerts=alerts) as it:
        answer = await it.well(HAPPENED, since="1h")
        assert (len(answer["plays"]["entries"]), answer["plays"]["total_entries"]) == (20, 30)
        assert (len(answer["additions"]["entries"]), answer["additions"]["total_entries"]) == (20, 30)
        counts = {
            "plays": 30,
            "additions": 30,
            "upgrades": 0,
            "deletions": 0,
            "refreshed": 0,
            "alerts": 30,
            "outages": 0,
        }
        assert answer["counts"] == counts
        assert (len(answer["alerts"]["entries"]), answer["alerts"]["total"], answer["alerts"]["open"]) == (20, 30, 2)


async def test_outages_come_out_of_the_journal(tmp_path: Path) -> None:
    events = [
        said(1, NOW - 9 * HOUR),
        reconnected(2, NOW - 8 * HOUR, NOW - 7 * HOUR),
        reconnected(3, NOW - 90 * MINUTE, NOW - 30 * MINUTE),
        said(4, NOW - 20 * MINUTE, "connection", subject="live", payload='{"state": "live"}'),
    ]
    async with past(tmp_path, events=events) as it:
        outages = (await it.well(HAPPENED, since="1h"))["outages"]
        assert (outages["total"], outages["entries"][1]["blind_ms"]) == (2, 30 * MINUTE)
        assert outages["entries"][1]["since"] == "2026-11-22T15:30:00.123Z"
        assert outages["entries"][0]["until"] is None, "nobody listens now, either"
        earlier = (await it.well(HAPPENED, since="8h", until="450m"))["outages"]
        assert (earlier["total"], earlier["blind_ms"]) == (1, 30 * MINUTE), "one that ended after the time counts too"
        assert earlier["listening_since"] == "2026-11-22T08:00:00.123Z"


async def test_where_the_journal_is_pruned_the_alerts_tell_of_outages(tmp_path: Path) -> None:
    alerts = [
        alert(
            1, NOW - 20 * DAY, "listener_gap", detail=f'{{"since_ms": {NOW - 21 * DAY}, "until_ms": {NOW - 20 * DAY}}}'
        ),
        alert(2, NOW - 10 * DAY, "connection_lost", resolved_at=NOW - 9 * DAY),
        alert(3, NOW - 3 * DAY, "connection_lost", resolved_at=NOW - DAY),
        alert(4, NOW - 12 * DAY, "buffering"),
    ]
    async with past(tmp_path, alerts=alerts, events=[said(700, NOW - 5 * DAY)]) as it:
        set_live(it)
        answer = await it.well(HAPPENED, since="30d", until="4d")
        assert answer["outages"]["total"] == 2
        assert answer["outages"]["blind_ms"] == 2 * DAY
        assert any("journal goes back to 2026-11-17" in note for note in answer["notes"])
        recent = (await it.well(HAPPENED, since="4d", until="2d"))["outages"]
        assert recent["total"] == 0, "the journal knows better"


async def test_notes_say_what_cannot_be_known(tmp_path: Path) -> None:
    async with past(tmp_path) as it:
        notes = (await it.well(HAPPENED, since="24h"))["notes"]
        for words in ("is disconnected", "sent nothing", "is not finished"):
            assert any(words in note for note in notes), words
        it.write(events=[said(1, NOW - HOUR)], library_changes=[change(900, NOW - HOUR, "1")])
        imported_so_far(it.path, 5, 5, complete=True)
        notes = (await it.well(HAPPENED, since="24h"))["notes"]
        assert any("first listened at 2026-11-22T16:00:00.123Z" in note for note in notes)
        assert any("Library changes go back" in note for note in notes)
        assert not any("imported" in note for note in notes)


async def test_while_all_is_known_there_is_nothing_to_note(tmp_path: Path) -> None:
    async with past(tmp_path, events=[said(1, NOW - 2 * DAY)]) as it:
        imported_so_far(it.path, 5, 5, complete=True)
        set_live(it)
        assert (await it.well(HAPPENED, since="24h"))["notes"] == []


async def test_a_time_that_is_none_is_refused(tmp_path: Path) -> None:
    async with past(tmp_path) as it:
        for arguments, argument in (
            ({"since": "yesterday evening"}, "since"),
            ({"since": "1h", "until": "2h"}, "until"),
            ({}, "since"),
        ):
            error = await it.refused(HAPPENED, **arguments)
            assert (error["code"], error["argument"]) == ("invalid", argument)


OUTAGES = st.lists(
    st.builds(
        lambda since, long: Outage(since, None if long == 50 else since + long), st.integers(0, 99), st.integers(0, 50)
    )
)


@given(OUTAGES, st.integers(0, 99), st.integers(0, 99))
def test_outages_that_overlap_are_one_and_cover_what_they_covered(found: list[Outage], a: int, b: int) -> None:
    window = Window(min(a, b), max(a, b))
    merged = _merge(found)
    covered = {
        at
        for at in range(window.since, window.until)
        for one in found
        if one.since <= at < (10_000 if one.until is None else one.until)
    }
    assert sum(one.measure_blind_ms(window) for one in select_overlapping(merged, window)) == len(covered)
    for one, after in pairwise(merged):
        assert one.until is not None
        assert one.until < after.since


# Alerts


@pytest.fixture
def rows() -> list[dict[str, object]]:
    kinds = ("buffering", "scan_finished")
    return [alert(n, NOW - (7 - n) * HOUR, kinds[n % 2]) for n in range(1, 7)]


async def test_alerts_are_asked_for_by_id_by_time_and_page_by_page(
    tmp_path: Path, rows: list[dict[str, object]]
) -> None:
    async with past(tmp_path, alerts=rows) as it:

        async def ids(**arguments: object) -> list[int]:
            return [int(one["id"]) for one in (await it.well(ALERTS, **arguments))["alerts"]]

        assert await ids(since=4) == [6, 5]
        assert await ids(since="4") == [6, 5]
        assert await ids(since="2h") == [6, 5]
        assert await ids(since="2026-11-22T13:00Z", until="150m") == [4, 3]
        assert await ids(since=2, until="150m") == [4, 3]
        assert await ids(kinds=["buffering"], since="3h") == [6, 4]
        first = await it.well(ALERTS, limit=4)
        assert await ids(cursor=first["next_cursor"]) == [2, 1]
        assert (await it.well(ALERTS, limit=6))["next_cursor"] is None


async def test_an_alert_of_the_future_a_nonsense_time_or_an_unknown_kind_is_refused(
    tmp_path: Path, rows: list[dict[str, object]]
) -> None:
    async with past(tmp_path, alerts=rows) as it:
        for arguments, argument in (
            ({"since": 7}, "since"),
            ({"cursor": 99}, "cursor"),
            ({"since": "soon"}, "since"),
            ({"since": "1h", "until": "2h"}, "until"),
        ):
            error = await it.refused(ALERTS, **arguments)
            assert (error["code"], error["argument"]) == ("invalid", argument)
        error = await it.refused(ALERTS, kinds=["buffering", "stutter"])
        assert (error["code"], error["argument"]) == ("invalid", "kinds")
        assert "'stutter'" in error["message"]
        assert "'buffering'" not in error["message"]
        assert "playback_error" in error["allowed"]
