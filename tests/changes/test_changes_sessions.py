"""What the reports of clients and transcoders mean for the sessions: one rule, one test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from support.frames import Story, frame, listed, of, report

from plex_companion.changes.kinds import ClientSeen, SessionChanged, SessionEnded, SessionStarted
from plex_companion.models import Item, Player, Transcode
from plex_companion.parsing.websocket_frames import parse_frame

if TYPE_CHECKING:
    from plex_companion.models import SessionRow

LIVE: dict[str, Any] = {
    "ratingKey": "com.gracenote.onconnect://episode/EP000000000001",
    "guid": "com.gracenote.onconnect://episode/EP000000000001",
    "key": "/livetv/sessions/00000000-aaaa-bbbb-cccc-000000000001",
}
NEWS = Item(None, LIVE["key"], type="episode", title="News", live=True)
JOB = {"key": "/transcode/sessions/job1", "videoDecision": "transcode", "audioDecision": "copy", "speed": 2.0}


def with_item(row: SessionRow, item: Item) -> SessionRow:
    return replace(row, item=item)


# a: start, ticks, pause, seek, stop


def test_an_unknown_session_is_visible_at_once_and_wants_a_snapshot() -> None:
    story = Story()

    story.plays("1", at=5)

    assert story.session().state == "playing"
    assert (story.session().view_offset_ms, story.session().client_identifier) == (5_000, "lamp")
    assert (story.session().started_at, story.session().item.title) == (story.now.at, None)
    assert "sessions" in story.requests


def test_what_waited_for_the_first_snapshot_begins_no_play_that_it_did_not_list() -> None:
    story = Story(connected=False)
    began = story.now
    story.after(1).connect(listed("2", client="stove"))
    live, story.now = story.now, began

    changes = [*story.plays("1", at=5), *story.plays("1", "stopped", at=6)]

    assert of(changes, SessionStarted) == []
    assert of(changes, SessionEnded) == []
    assert "sessions" in story.requests, "Plex may list it late"
    story.plays("2", at=9, client="stove")
    assert story.session("2").view_offset_ms == 9_000, "what it listed goes on"
    story.now = live
    story.plays("1", at=7)
    assert story.session("1").view_offset_ms == 7_000


def test_a_session_is_enriched_by_the_snapshot_and_keeps_its_play() -> None:
    story = Story()
    story.plays("1", at=5)
    play = story.session().play_id

    story.after(1).look(listed("1", at=5, bandwidth_kbps=9000))

    session = story.session()
    assert (session.play_id, session.item.title, session.session_id) == (play, "Film 7001", "id-1")
    assert (session.user and session.user.name, session.player and session.player.title) == ("Ada", "Lamp")
    assert (session.bandwidth_kbps, session.location, session.decision, session.listed) == (
        9000,
        "lan",
        "direct play",
        True,
    )
    assert story.state.clients["lamp"].product == "Plex Web"


def test_enrichment_leaves_position_and_state_to_the_reports() -> None:
    story = Story()
    story.plays("1", "paused", at=90)
    story.after(1).look(listed("1", "playing", at=80))
    assert (story.session().state, story.session().view_offset_ms) == ("paused", 90_000)


def test_a_known_client_is_named_before_any_snapshot() -> None:
    story = Story()
    story.connect(listed("1", client="lamp"))
    story.plays("1", "stopped")
    story.plays("2", item="7002")
    assert story.session("2").player == Player(
        "lamp", title="Lamp", product="Plex Web", address="127.0.0.1", local=True
    )


def test_a_tick_makes_only_progress_and_a_pause_is_a_change() -> None:
    story = Story()
    story.plays("1", at=0)
    (tick,) = of(story.after(10).plays("1", at=10), SessionChanged)
    (pause,) = of(story.after(1).plays("1", "paused", at=11), SessionChanged)
    (again,) = of(story.after(10).plays("1", "paused", at=11), SessionChanged)
    (resumed,) = of(story.after(1).plays("1", "playing", at=11), SessionChanged)
    assert [change.progress_only for change in (tick, pause, again, resumed)] == [True, False, True, False]


def test_a_seek_moves_the_position_and_counts_as_no_watching() -> None:
    story = Story()
    story.plays("1", at=0)
    story.after(10).plays("1", at=10)
    story.after(1).plays("1", at=3600)
    assert story.session().view_offset_ms == 3_600_000
    assert story.session().watched_ms == 11_000


def test_a_stop_ends_the_session_and_is_remembered_as_the_clients_timeline() -> None:
    story = Story()
    story.plays("1", at=0)
    story.after(10).plays("1", "stopped", at=10)

    (end,) = story.ended
    assert (end.ended_by, end.ended_at) == ("stopped", story.now.at)
    assert (end.session.watched_ms, end.session.view_offset_ms, end.session.state) == (10_000, 10_000, "playing")
    assert story.state.sessions == {}
    timeline = story.state.find_timeline("lamp")
    assert timeline is not None
    assert (timeline.state, timeline.view_offset_ms) == ("stopped", 10_000)


def test_watched_and_paused_time_add_up_to_the_time_between_reports() -> None:
    story = Story()
    story.plays("1", "playing", at=0)
    story.after(10).plays("1", "playing", at=10)
    story.after(5).plays("1", "paused", at=15)
    story.after(30).plays("1", "paused", at=15)
    story.after(10).plays("1", "playing", at=15)
    story.after(7).plays("1", "buffering", at=22)
    story.after(3).plays("1", "playing", at=22)
    story.after(5).plays("1", "stopped", at=27)
    (end,) = story.ended
    assert (end.session.watched_ms, end.session.paused_ms) == (27_000, 40_000)


@pytest.mark.parametrize("jump", [86_400, -86_400])
def test_a_clock_set_by_a_day_changes_no_duration_and_ends_nothing_before_it_began(jump: int) -> None:
    story = Story()
    story.plays("1", at=0)
    story.after(10).clock_jumps(jump).plays("1", at=10)
    story.after(10).plays("1", "stopped", at=20)
    (end,) = story.ended
    assert end.session.watched_ms == 20_000
    assert end.ended_at >= end.session.started_at


def test_across_a_silence_the_position_tells_how_much_was_watched() -> None:
    story = Story()
    story.plays("1", at=0)
    story.after(200).plays("1", at=50)
    assert story.session().watched_ms == 50_000
    story.after(200).plays("1", "paused", at=5000)
    assert story.session().watched_ms == 250_000, "no more than the time that passed"


# Auto-advance, scenario b of the protocol notes


def test_auto_advance_ends_one_play_and_begins_the_next_under_its_new_key() -> None:
    story = Story()
    story.plays("91", at=1300, transcodeSession="job1")
    story.after(10).plays("91", "stopped", at=1310)
    story.plays("92", at=0, item="7002")
    story.after(1).plays("92", at=1, item="7002", transcodeSession="job2")
    assert [(end.session_key, end.ended_by) for end in story.ended] == [("91", "stopped")]
    assert (story.session("92").item.rating_key, story.session("92").transcode_key) == ("7002", "job2")


def test_another_item_under_the_same_key_replaces_the_play() -> None:
    story = Story()
    story.plays("1", at=100)
    story.after(10).plays("1", at=0, item="7002")
    assert [(end.ended_by, end.session.item.rating_key) for end in story.ended] == [("replaced", "7001")]
    assert story.session().item.rating_key == "7002"
    assert (story.session().play_id, story.session().watched_ms, "sessions" in story.requests) == (2, 0, True)


# Stops (c, d, f) without their key, under another one, again, late


def test_a_stop_without_a_session_key_ends_what_its_client_plays() -> None:
    story = Story()
    story.plays("1", at=10, client="lamp")
    story.plays("2", at=10, client="stove", item="7002")
    story.after(5).plays(None, "stopped", item="", client="stove")
    assert [(end.session_key, end.ended_by) for end in story.ended] == [("2", "stopped")]
    assert story.ended[0].session.view_offset_ms == 10_000, "a broken stop carries no position"


def test_a_stop_without_key_and_client_leaves_the_decision_to_a_snapshot() -> None:
    story = Story()
    story.plays("1", at=10)
    story.after(1).plays(None, "stopped", item="", client=None)
    assert story.ended == []
    assert "sessions" in story.requests
    story.look(listed("1"))
    story.after(3).look()
    assert [end.ended_by for end in story.ended] == ["inferred"]


def test_a_stop_without_key_for_nothing_at_all_is_silence() -> None:
    assert of(Story().plays(None, "stopped", item="", client=None), SessionEnded) == []


def test_a_stop_under_a_new_key_ends_the_session_it_belongs_to() -> None:
    story = Story()
    story.plays("89", "paused", at=10)
    story.plays("88", at=10, item="7002")
    story.after(5).plays("90", "stopped", at=12)
    assert [(end.session_key, end.ended_by) for end in story.ended] == [("89", "stopped")]
    assert story.ended[0].session.view_offset_ms == 12_000


def test_a_stop_under_a_new_key_that_fits_two_sessions_ends_neither() -> None:
    story = Story()
    story.plays("88", at=10, client=None)
    story.plays("89", at=10, client=None)
    story.plays("90", "stopped", at=12, client=None)
    assert story.ended == []
    assert "sessions" in story.requests


def test_a_stop_under_an_older_key_is_not_the_newer_sessions() -> None:
    story = Story()
    story.plays("89", at=10)
    story.plays("3", "stopped", at=10)
    assert story.ended == []


def test_a_second_and_a_late_stop_mean_nothing() -> None:
    story = Story()
    story.plays("1", at=10)
    story.after(1).plays("1", "stopped", at=11)
    assert not of(story.plays("1", "stopped", at=11), SessionEnded)
    story.plays("2", at=0)
    assert not of(story.after(60).plays("1", "stopped", at=11), SessionEnded)
    assert len(story.ended) == 1


def test_a_second_stop_ends_no_other_session_of_the_same_item() -> None:
    story = Story()
    story.plays("1", at=10, client=None)
    story.plays("2", at=10, client=None)
    story.plays("2", "stopped", at=11, client=None)
    story.plays("2", "stopped", at=11, client=None)
    assert list(story.state.sessions) == ["1"]


def test_a_late_stop_of_what_played_before_does_not_end_what_plays_now() -> None:
    story = Story()
    story.plays("1", at=10, item="7001")
    story.plays("1", at=0, item="7002")
    story.plays("1", "stopped", at=11, item="7001")
    assert [end.ended_by for end in story.ended] == ["replaced"]
    assert story.session().item.rating_key == "7002"


@pytest.mark.parametrize("key", ["", "abc", "-1", "9" * 5000, "1.5"])
def test_a_key_that_is_no_counter_begins_nothing(key: str) -> None:
    story = Story()
    story.plays("1", at=10)
    story.plays(key, at=10, client="stove")
    story.plays(key, "stopped", at=10, client="stove")
    assert list(story.state.sessions) == ["1"]


# e: stop never sent


def test_a_session_that_falls_silent_is_marked_and_asked_about() -> None:
    story = Story()
    story.plays("1", at=10)
    assert story.after(299).tick() == []
    story.after(2).tick()
    assert story.session().stale
    assert "sessions" in story.requests
    assert story.tick() == []


def test_a_stale_session_ends_when_plex_lists_it_no_more_at_the_time_it_was_last_heard() -> None:
    story = Story()
    story.plays("1", at=10)
    received = story.now.at
    story.after(1).look(listed("1", at=10))
    story.after(400).tick()
    story.look(listed("1", at=10))
    assert story.session().stale, "a ghost stays marked while it is listed"
    story.after(200).look()
    assert [(end.ended_by, end.ended_at) for end in story.ended] == [("stale", received)]


def test_a_stale_session_that_reports_again_goes_on() -> None:
    story = Story()
    story.plays("1", at=10)
    story.after(400).tick()
    (change,) = of(story.plays("1", at=20), SessionChanged)
    assert not story.session().stale
    assert not change.progress_only


# g, h: buffering, error


def test_running_dry_is_counted_but_not_the_buffering_a_start_begins_with() -> None:
    story = Story()
    story.plays("1", "buffering", at=0)
    story.after(1).plays("1", "buffering", at=0)
    story.after(1).plays("1", "playing", at=0)
    assert story.session().buffer_count == 0
    for _ in range(12):
        story.after(2).plays("1", "buffering", at=5)
    assert story.session().buffer_count == 12


def test_an_error_is_a_state_and_the_session_stays_until_it_is_stopped() -> None:
    story = Story()
    story.plays("1", at=10)
    (change,) = of(story.plays("1", "error", at=0), SessionChanged)
    assert (story.session().state, change.progress_only) == ("error", False)
    story.after(5).plays("1", "stopped")
    assert [end.ended_by for end in story.ended] == ["stopped"]


def test_a_state_nobody_knows_is_silence() -> None:
    story = Story()
    assert of(story.plays("1", "dancing"), SessionStarted) == []


# i, j: live TV, pre-rolls


def test_live_tv_keeps_the_guid_that_stands_for_its_rating_key() -> None:
    story = Story()
    story.plays("110", "buffering", **LIVE)
    story.after(1).look(with_item(listed("110"), NEWS))
    session = story.session("110")
    assert (session.item.live, session.item.rating_key, session.item.title) == (True, LIVE["ratingKey"], "News")
    story.after(10).plays("110", "playing", **LIVE)
    assert story.ended == []


def test_live_tv_listed_without_a_session_key_goes_by_its_path_until_it_tells_its_key() -> None:
    story = Story(connected=False)
    story.connect(with_item(listed(None), NEWS))
    assert list(story.state.sessions) == ["00000000-aaaa-bbbb-cccc-000000000001"]
    story.after(5).plays("110", **LIVE)
    assert list(story.state.sessions) == ["110"]
    story.after(5).look(with_item(listed(None), NEWS))
    assert story.session("110").item.title == "News"


@pytest.mark.parametrize("keyless_first", [True, False])
def test_a_row_without_a_key_never_takes_the_key_of_another_session(*, keyless_first: bool) -> None:
    story = Story()
    story.plays("7001", item="5", client="stove")
    rows = [listed(None, item="7001"), listed("7001", item="5", client="stove")]
    story.look(*(rows if keyless_first else reversed(rows)))
    assert [(key, one.item.rating_key) for key, one in story.state.sessions.items()] == [("7001", "5")]


def test_live_tv_that_was_stopped_stays_stopped_while_it_is_still_listed() -> None:
    story = Story()
    story.plays("110", **LIVE)
    story.after(10).plays("110", "stopped", **LIVE)
    story.after(5).look(with_item(listed("110"), NEWS))
    assert story.state.sessions == {}


def test_a_preroll_is_a_play_of_its_own_before_the_feature() -> None:
    story = Story()
    story.plays("1", item="900")
    clip = Item("900", "/library/metadata/900", type="clip", title="Curtain up", library_id="-2")
    story.look(with_item(listed("1"), clip))
    story.after(20).plays("1", item="7001")
    story.look(listed("1"))
    assert [end.session.item.type for end in story.ended] == ["clip"]
    assert story.session().item.title == "Film 7001"


# k: transcoder jobs


def test_a_job_that_reported_before_its_session_named_it_is_found() -> None:
    story = Story()
    story.say("transcodeSession.start", JOB)
    story.plays("1", transcodeSession="job1")
    job = Transcode("job1", video_decision="transcode", audio_decision="copy", speed=2.0)
    assert (story.session().decision, story.session().transcode) == ("transcode", job)


def test_a_job_that_ends_and_starts_with_one_key_is_kept() -> None:
    story = Story()
    story.plays("1", transcodeSession="job1")
    story.say("transcodeSession.start", JOB)
    story.say("transcodeSession.end", JOB)
    assert story.session().transcode is not None
    story.say("transcodeSession.start", {**JOB, "speed": 0.0})
    story.after(1).plays("1", transcodeSession="job1", at=1)
    assert story.session().transcode == Transcode("job1", video_decision="transcode", audio_decision="copy", speed=0.0)


def test_speed_and_progress_of_a_job_are_only_progress_and_another_codec_is_not() -> None:
    story = Story()
    story.plays("1", transcodeSession="job1")
    story.say("transcodeSession.start", JOB)
    (faster,) = of(story.say("transcodeSession.update", {**JOB, "speed": 3.0, "progress": 9.0}), SessionChanged)
    (other,) = of(story.say("transcodeSession.update", {**JOB, "videoCodec": "hevc"}), SessionChanged)
    assert (faster.progress_only, other.progress_only) == (True, False)


def test_a_job_that_says_the_same_again_is_silence() -> None:
    story = Story()
    story.plays("1", transcodeSession="job1")
    story.say("transcodeSession.update", JOB)
    assert not of(story.say("transcodeSession.update", JOB), SessionChanged)


@pytest.mark.parametrize(
    ("video", "audio", "subtitle", "decision"),
    [
        ("transcode", "copy", None, "transcode"),
        ("copy", "transcode", None, "transcode"),
        ("copy", "copy", "burn", "transcode"),
        ("copy", "copy", "copy", "direct stream"),
        (None, None, None, "direct stream"),
    ],
)
def test_only_converting_and_burning_is_transcoding(
    video: str | None, audio: str | None, subtitle: str | None, decision: str
) -> None:
    assert Transcode("k", video, audio, subtitle).decision == decision


def test_a_session_whose_job_is_gone_plays_directly() -> None:
    story = Story()
    story.say("transcodeSession.start", JOB)
    story.plays("1", transcodeSession="job1")
    story.after(10).plays("1", at=10)
    assert (story.session().decision, story.session().transcode) == ("direct play", None)


# q, r, s, t: frames as they come


def test_two_entries_in_one_frame_are_two_sessions() -> None:
    story = Story()
    story.say("playing", report("1"), report("2", item="7002", client="stove"))
    assert list(story.state.sessions) == ["1", "2"]


def test_a_legacy_frame_and_integer_ids_mean_what_they_meant() -> None:
    story = Story()
    legacy = '{"_elementType":"NotificationContainer","type":"playing","_children":[{"sessionKey":5,"ratingKey":7001,"key":"/library/metadata/7001","state":"playing","viewOffset":"4000"}]}'
    for text in (legacy, frame("playing", report("5", at=5, client=None))):
        for event in parse_frame(text):
            story.receive(event)
    assert (list(story.state.sessions), story.session("5").view_offset_ms) == (["5"], 5_000)


def test_a_client_that_reports_every_second_is_watched_no_longer_than_the_others() -> None:
    story = Story()
    for second in range(61):
        story.plays("1", at=second)
        story.after(1)
    assert story.session().watched_ms == 60_000


def test_a_client_is_news_once() -> None:
    story = Story()
    story.plays("1")
    (seen,) = of(story.look(listed("1")), ClientSeen)
    assert seen.new
    assert of(story.after(60).look(listed("1")), ClientSeen) == []
