"""What the page says of a state, and where its charts put things."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from plex_companion import wording
from plex_companion.cache.database import open_cache
from plex_companion.cache.queries.chart_queries import Ranking, count_plays_by_quarter
from plex_companion.changes.state import State
from plex_companion.dashboard import cards, charts, formats
from plex_companion.dashboard.recent_items import AddedItem, merge_items
from plex_companion.dashboard.renderer import compute_difference
from plex_companion.models import (
    Activity,
    Alert,
    Connection,
    Item,
    LibraryChange,
    Player,
    Section,
    Session,
    Transcode,
    User,
)
from plex_companion.times import DAY_MS

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_795_370_400_000
FILM = Item("12", type="movie", title="Salt & Ember", year=2021, library="Films", duration_ms=5_400_000)
JOB = Transcode(
    "job",
    video_decision="transcode",
    audio_decision="copy",
    source_video_codec="hevc",
    video_codec="h264",
    source_audio_codec="dca",
    audio_codec="aac",
    width=1280,
    height=534,
)


def session(**more: object) -> Session:
    facts = {
        "play_id": 1,
        "epoch": 1,
        "session_key": "1",
        "item": FILM,
        "state": "playing",
        "started_at": NOW - 60_000,
        "updated_at": NOW - 4_000,
        "heard_tick": 0,
        "user": User("1", "Ada"),
        "player": Player("tv", "Living Room", "Plex for Roku"),
        "view_offset_ms": 600_000,
    }
    return Session(**(facts | more))  # type: ignore[arg-type]  # the example says which


def state(*sessions: Session, link: str = "live") -> State:
    found = State(Connection(link, NOW - 9_000, 1))  # type: ignore[arg-type]  # one of the five
    found.sessions = {one.session_key: one for one in sessions}
    found.refreshed_at = NOW - 1_000
    return found


def test_a_card_of_what_plays_says_the_same_until_something_is_heard() -> None:
    playing = session()
    assert cards.build_card(playing, state(playing), NOW) == cards.build_card(playing, state(playing), NOW + 30_000)


def test_what_plays_moves_by_itself_and_what_is_paused_or_unheard_stands() -> None:
    playing, paused = session(), session(state="paused")
    assert cards.build_card(playing, state(playing), NOW).moving
    assert not cards.build_card(paused, state(paused), NOW).moving
    blind = cards.build_card(playing, state(playing, link="down"), NOW)
    assert (blind.moving, blind.stale, blind.offset_ms) == (False, True, 603_000)


def test_an_episode_leads_with_its_show_and_a_track_with_itself() -> None:
    episode = Item("1", type="episode", title="Fog", grandparent_title="Harbour", index=2, parent_index=1)
    track = Item("2", type="track", title="Rain", grandparent_title="Finch", parent_title="Lullabies")
    shown = [cards.build_card(session(item=item), state(), NOW) for item in (episode, track, FILM)]
    assert [(card.title, card.subtitle) for card in shown] == [
        ("Harbour", "S1 E2 · Fog"),
        ("Rain", "Finch · Lullabies"),
        ("Salt & Ember", "2021 · Films"),
    ]


def test_live_television_has_no_picture_to_ask_for() -> None:
    live = session(item=Item("plex://episode/abc", title="News", live=True))
    assert cards.build_card(live, state(), NOW).art is None


@pytest.mark.parametrize(
    ("changed", "resolution", "words_"),
    [
        ({}, "4k", "Transcoding video (4K HEVC → 720p H.264): the player wants a lower resolution, or the connection is too slow."),
        ({"width": 1920, "height": 800}, "1080", "Transcoding video (1080p HEVC → 1080p H.264): the player can't play HEVC."),
        ({"video_codec": "hevc"}, "720", "Transcoding video (720p HEVC → 720p HEVC): the player wants a lower bitrate."),
        ({"subtitle_decision": "burn"}, "720", "Transcoding video (720p HEVC → 720p H.264): subtitles are being burned in."),
        ({"hardware": True, "width": None, "height": None}, None, "Transcoding video (HEVC → H.264, in hardware): the player can't play HEVC."),
    ],
)  # fmt: skip
def test_why_a_picture_is_converted_is_told_as_far_as_the_facts_go(
    changed: dict[str, object], resolution: str | None, words_: str
) -> None:
    job = replace(JOB, **changed)
    assert (
        wording.explain_transcode(session(transcode=job, decision="transcode", video_resolution=resolution))[0]
        == words_
    )


def test_why_something_was_converted_is_told_of_the_past_too() -> None:
    for changed in ({}, {"width": 1920}, {"video_codec": "hevc", "width": 1920}, {"subtitle_decision": "burn"}):
        job = replace(JOB, audio_decision="transcode", **changed)
        one = session(transcode=job, decision="transcode", video_resolution="1080")
        present, past = wording.explain_transcode(one), wording.explain_transcode(one, past=True)
        assert len(present) == len(past)
        assert not re.search(r"(?<!Was )\b([Tt]ranscoding|is|are|has|can't|wants)\b", " ".join(past))
    copied = session(transcode=replace(JOB, video_decision="copy"), decision="direct stream")
    assert "couldn't play this container" in wording.explain_transcode(copied, past=True)[0]


def test_sound_and_subtitles_are_told_beside_the_picture() -> None:
    job = replace(JOB, video_decision="copy", audio_decision="transcode", subtitle_decision="burn")
    assert wording.explain_transcode(session(transcode=job)) == [
        "Transcoding audio (DTS → AAC): the player can't play DTS.",
        "Subtitles burned into the video.",
    ]


def test_a_direct_stream_is_only_put_into_another_container_and_direct_play_needs_no_reason() -> None:
    job = replace(JOB, video_decision="copy")
    assert "can't play this container" in wording.explain_transcode(session(transcode=job, decision="direct stream"))[0]
    assert wording.explain_transcode(session(decision="direct play")) == []


def test_the_summary_counts_streams_transcodes_and_the_line() -> None:
    two = (session(bandwidth_kbps=8_000), session(session_key="2", decision="transcode", bandwidth_kbps=4_000))
    assert cards.build_summary(state(*two)).words == "2 streams · 1 transcoding · 12.0 Mbit/s"
    assert cards.build_summary(state()).page == "Nothing playing"
    assert cards.build_summary(state(link="down")).page == "Plex disconnected"


def alert(number: int, **more: object) -> Alert:
    facts = {"id": number, "at": NOW - 60_000, "kind": "buffering", "severity": "warning", "title": f"n{number}"}
    return Alert(**{"detail": {}, "subject": str(number), **facts, **more})  # type: ignore[arg-type]  # as above


def test_what_is_open_and_unknown_comes_first_and_what_is_over_and_known_or_old_is_left_out() -> None:
    over, day = alert(4, resolved_at=NOW), DAY_MS
    shown = [
        over,
        alert(1, at=NOW - 2 * day, resolved_at=NOW - 2 * day),
        alert(2, at=NOW - 9 * day),
        alert(5, acknowledged_at=NOW),
        alert(6, resolved_at=NOW, acknowledged_at=NOW),
        alert(3),
    ]
    assert [notice.id for notice in cards.build_alert_cards(shown, NOW)] == [3, 2, 5, 4]


def test_a_task_of_unknown_progress_has_none() -> None:
    known = state()
    known.activities = {"u": Activity("u", title="Scanning", subtitle="Films", progress=-1)}
    assert [(task.words, task.percent) for task in cards.build_tasks(known)] == [("Scanning: Films", None)]


def change(number: int, **more: object) -> LibraryChange:
    facts = {"at": NOW, "item_id": str(number), "section_id": "1", "type": "movie", "title": f"Film {number}"}
    return LibraryChange(number, **{**facts, "change": "created", "settled": True, **more})  # type: ignore[arg-type]  # as above


def test_what_was_added_is_shown_once_ready_unless_it_is_gone_again() -> None:
    known = state()
    known.sections = (Section("1", "Films", "movie"),)
    known.recent.extend(
        (change(1), change(2, settled=False), change(3, type="season"), change(4), change(5, change="updated"))
    )
    known.recent.append(change(6, item_id="4", change="deleted"))
    assert [(one.title, one.library) for one in merge_items(known, [])] == [("Film 1", "Films")]


def test_what_plex_lists_as_added_is_shown_once_and_what_was_heard_since_stands_before_it() -> None:
    known = state()
    known.recent.extend((change(1), change(2), change(3, item_id="9", change="deleted")))
    listed = [AddedItem(key, f"Listed {key}", "", "Films", NOW - 1_000) for key in ("2", "8", "9")]
    assert [one.title for one in merge_items(known, listed)] == ["Film 1", "Listed 2", "Listed 8"]


def test_streams_are_in_the_order_of_what_needs_attention() -> None:
    known = state()
    kinds: list[tuple[str, dict[str, object]]] = [
        ("paused", {}),
        ("playing", {}),
        ("playing", {"decision": "transcode", "transcode": replace(JOB, speed=2.0)}),
        ("playing", {"decision": "transcode", "transcode": replace(JOB, speed=0.6)}),
        ("buffering", {}),
        ("error", {}),
    ]
    for number, (said, more) in enumerate(kinds):
        known.sessions[str(number)] = session(play_id=number, state=said, **more)
    assert [card.play_id for card in cards.build_cards(known, NOW)] == [5, 4, 3, 2, 1, 0]


def test_routine_is_no_alert_that_needs_attention() -> None:
    scan = Alert(1, NOW, "scan_finished", "info", "Scanned", {}, "1")
    assert cards.build_alert_cards([scan], NOW) == []


CLOCK = datetime(2026, 11, 22, 18, 30, tzinfo=UTC)
QUARTER = int(CLOCK.timestamp()) // 900


def test_days_end_with_today_and_count_by_the_clock_of_the_reader() -> None:
    late = QUARTER + 20  # 23:30 UTC is tomorrow in the east
    assert charts.build_day_chart({QUARTER: 2, late: 1}, CLOCK, UTC).bars[-1].plays == 3
    east = charts.build_day_chart({QUARTER: 2, late: 1}, CLOCK, timezone(timedelta(hours=3)))
    assert (east.bars[-1].plays, east.total) == (2, 2)


def test_summer_time_counts_as_it_was_then() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    summer, winter = (datetime(2026, month, 21, 18, tzinfo=UTC) for month in (7, 11))
    shown = [charts.convert_quarter(int(at.timestamp()) // 900, berlin).hour for at in (summer, winter)]
    assert shown == [20, 19]


def test_the_tallest_bar_fills_the_chart_and_one_play_is_still_seen() -> None:
    drawn = charts.build_day_chart({QUARTER: 900, QUARTER - 96: 1}, CLOCK, UTC)
    assert [bar.height for bar in drawn.bars[-2:]] == [2, charts.HEIGHT]
    assert drawn.words == "901 plays in 30 days; most on Sun 22 Nov: 900 plays."
    assert charts.build_day_chart({}, CLOCK, UTC).words == "No plays in the last 30 days."


def test_the_heat_map_puts_an_hour_under_its_weekday() -> None:
    drawn = charts.build_heat_map({QUARTER: 8, QUARTER - 7 * 96: 2, QUARTER - 4: 1}, UTC)
    hottest = max(drawn.cells, key=lambda cell: cell.plays)
    assert (hottest.weekday, hottest.hour, hottest.plays, hottest.level) == (6, 18, 10, charts.LEVELS)
    assert [cell.level for cell in drawn.cells if cell.plays == 1] == [1]
    assert charts.build_heat_map({}, UTC).words == "No plays yet."
    assert drawn.words == "Busiest: Sunday at 18:00 (10 plays)."


def test_shares_are_measured_by_the_largest() -> None:
    found = charts.build_ranking(
        [Ranking("Ada", 40, 9_000_000, 40), Ranking("Ben", 10, 120_000, 3), Ranking("Cy", 1, 0)]
    )
    assert [(share.percent, share.watched) for share in found] == [(100, "2 h"), (25, "2 min (3 timed)"), (2, "")]
    assert charts.build_ranking([]) == []


def test_only_what_changed_is_told() -> None:
    before = {"now": {"a": "1", "b": "2"}, "alerts": {}}
    assert compute_difference(before, before) == []
    assert compute_difference({}, {"alerts": {}}) == [{"part": "alerts", "order": [], "pieces": {}}]
    after = {"now": {"b": "2", "a": "3"}, "alerts": {}}
    assert compute_difference(before, after) == [{"part": "now", "order": ["b", "a"], "pieces": {"a": "3"}}]
    assert compute_difference(before, {"now": {"a": "1"}, "alerts": {}}) == [
        {"part": "now", "order": ["a"], "pieces": {}}
    ]


PLAYS = (
    # id, type, show, title, started at, user, name, watched
    (1, "episode", "Harbour", "Fog", NOW - 3_600_000, "1", "Ada", 1_000),
    (2, "episode", "Harbour", "Tide", NOW - 7_200_000, "1", "Ada (old name)", 2_000),
    (3, "movie", None, "Harbour", NOW - 7_200_000, "2", None, None),
    (4, "movie", None, "Quarry", NOW - 90 * 86_400_000, "2", None, 5_000),
)


async def test_the_figures_count_shows_as_one_and_leave_out_what_is_too_old(tmp_path: Path) -> None:
    async with open_cache(tmp_path / "cache.sqlite3") as cache:
        for play in PLAYS:
            await cache.writer.execute(
                "INSERT INTO plays (id, server, type, grandparent_title, title, started_at, updated_at, user_id, user_name, "
                "watched_ms, rating_key, live, listed, stale) SELECT ?, machine_identifier, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 1, 0 "
                "FROM servers",
                (*play[:5], play[4], *play[5:], str(play[0])),
            )
        since = NOW - 30 * 86_400_000
        assert await count_plays_by_quarter(cache, since) == {NOW // 900_000 - 4: 1, NOW // 900_000 - 8: 2}


@pytest.mark.parametrize(
    ("rendered", "html"),
    [
        (formats.render_name("<b>&\u202e"), "<bdi>&lt;b&gt;&amp;</bdi>"),
        (formats.render_count(1, "play"), '<data value="1" data-number>1</data> play'),
        (formats.render_count(1_234, "play"), '<data value="1234" data-number>1,234</data> plays'),
        (formats.render_size(None), "\u2013"),
        (formats.render_size(1_500_000_000), '<data value="1500000000" data-size>1.5 GB</data>'),
        (formats.render_duration(12_000_000), '<data value="12000000" data-duration>3 h 20 min</data>'),
        (
            formats.render_time(NOW, "date", UTC, NOW),
            f'<time datetime="2026-11-22T18:00:00+00:00" data-at="{NOW}" data-style="date">22 Nov 2026</time>',
        ),
    ],
    ids=str,
)
def test_values_are_escaped_and_carry_what_the_script_formats(rendered: str, html: str) -> None:
    assert str(rendered) == html
