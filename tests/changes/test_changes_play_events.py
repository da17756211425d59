"""The course of a play: which turns are noted, and that progress is none."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from support.frames import Story, listed, of

from plex_companion.changes.kinds import PlayEventRecorded
from plex_companion.models import Transcode

JOB = {
    "key": "/transcode/sessions/job1",
    "videoDecision": "transcode",
    "videoCodec": "h264",
    "height": 1080,
    "speed": 3.0,
}


def kinds(story: Story) -> list[str]:
    return [kind for kind, _ in story.play_timeline]


def test_an_ordinary_play_is_its_start_its_pause_its_going_on_its_seek_and_its_end() -> None:
    story = Story()
    story.plays("1")
    for at in (10, 20, 30):
        story.after(10).plays("1", at=at)
    story.after(10).plays("1", "paused", at=40)
    story.after(10).plays("1", "paused", at=40)
    story.after(10).plays("1", at=40)
    story.after(10).plays("1", at=50)
    story.after(0.1).plays("1", "paused", at=50)
    story.after(0.1).plays("1", at=1200)
    story.after(10).plays("1", at=1210)
    story.after(1).plays("1", "stopped", at=1211)
    assert story.play_timeline == [
        ("started", {"state": "playing"}),
        ("paused", {}),
        ("resumed", {"after": "paused"}),
        ("seeked", {"from_ms": 50_000, "to_ms": 1_200_000}),
        ("ended", {"by": "stopped"}),
    ]
    last = of(story.changes, PlayEventRecorded)[-1]
    assert (last.play_id, last.at, last.view_offset_ms) == (1, story.now.at, 1_211_000)


@pytest.mark.parametrize(
    ("seconds", "to", "jumped"),
    [
        (10, 10, False),
        (10, 15, False),
        (10, 15.001, True),
        (10, 3, False),
        (10, 0, False),
        (10, -1, False),
        (10, -1.001, True),
        (60, 600, True),
        (60.001, 600, False),
        (600, 0, False),
    ],
    ids=[
        "on time",
        "ahead",
        "too far ahead",
        "fell behind",
        "stalled",
        "rounded",
        "back",
        "far",
        "blind",
        "blind stall",
    ],
)
def test_a_jump_is_what_time_does_not_explain(seconds: float, to: float, jumped: bool) -> None:
    story = Story()
    story.plays("1", viewOffset=100_000)
    story.after(seconds).plays("1", viewOffset=100_000 + round(to * 1000))
    assert kinds(story) == (["started", "seeked"] if jumped else ["started"])


def test_a_jump_while_paused_is_a_seek_and_the_pause_remains() -> None:
    story = Story()
    story.plays("1")
    story.after(1).plays("1", "paused", at=1)
    story.after(30).plays("1", at=600)
    assert kinds(story) == ["started", "paused", "seeked", "resumed"]


def test_a_seek_shown_as_pause_and_play_is_one_even_when_the_pause_was_written_before() -> None:
    story = Story()
    story.plays("1")
    pause = of(story.after(1).plays("1", "paused", at=1), PlayEventRecorded)
    seek = of(story.after(2).plays("1", at=600), PlayEventRecorded)
    assert [mark.mark_id for mark in pause] == [mark.mark_id for mark in seek], "the row is corrected"
    assert [(mark.kind, mark.at) for mark in seek] == [("seeked", pause[0].at)]
    story.after(1).plays("1", "paused", at=601)
    story.after(1).plays("1", at=601)
    assert kinds(story) == ["started", "seeked", "paused", "resumed"], "a short pause is none"


def test_running_dry_is_noted_once_however_often_it_is_reported() -> None:
    story = Story()
    story.plays("1")
    for _ in range(12):
        story.after(1).plays("1", "buffering", at=1)
    story.after(1).plays("1", at=1)
    assert story.play_timeline[1:] == [("buffering", {}), ("resumed", {"after": "buffering"})]


def test_an_error_is_noted_with_the_position_and_the_end_with_its_cause() -> None:
    story = Story()
    story.plays("1")
    story.after(5).plays("1", "error", at=5)
    story.after(1).plays("1", at=0, item="7002")
    assert story.play_timeline == [
        ("started", {"state": "playing"}),
        ("error", {}),
        ("ended", {"by": "replaced"}),
        ("started", {"state": "playing"}),
    ]


def test_another_way_to_the_player_is_noted_and_the_first_that_is_known_is_not() -> None:
    story = Story()
    story.plays("1")
    story.look(listed("1"))
    assert kinds(story) == ["started"]
    story.after(5).plays("1", at=5, transcodeSession="job1")
    story.say("transcodeSession.start", JOB)
    story.after(5).say("transcodeSession.update", {**JOB, "speed": 2.0, "progress": 4.0})
    ((kind, detail),) = story.play_timeline[1:]
    assert (kind, detail["from"], detail["to"]) == ("decision", "direct play", "transcode")
    assert [(reason["stream"], reason["certain"]) for reason in detail["reasons"]] == [("video", False)]
    story.after(5).plays("1", at=15)
    assert story.play_timeline[-1] == ("decision", {"from": "transcode", "to": "direct play", "reasons": []})


def test_another_quality_of_the_same_transcode_is_noted() -> None:
    story = Story()
    story.plays("1", transcodeSession="job1")
    story.say("transcodeSession.start", JOB)
    story.say("transcodeSession.end", JOB)
    story.say("transcodeSession.start", {**JOB, "height": 480})
    ((kind, detail),) = story.play_timeline[1:]
    assert (kind, detail["from"], detail["to"]) == ("decision", "transcode", "transcode")
    assert detail["changed"] == {"height": [1080, 480]}
    assert "480p" in detail["reasons"][0]["sentence"]


def test_an_outage_leaves_only_what_is_known_before_and_after() -> None:
    story = Story(connected=False)
    story.connect(listed("1", at=100))
    story.after(5).lose()
    story.after(600).tick()
    story.connect(listed("1", "paused", at=400))
    story.after(1).look(listed("1", "paused", at=400))
    assert kinds(story) == ["started", "paused"]
    story.after(5).lose()
    story.after(100).connect()
    assert story.play_timeline[-1] == ("ended", {"by": "inferred"})


def test_a_stop_that_was_lost_ends_where_the_play_was_last_heard() -> None:
    story = Story(connected=False)
    story.connect(listed("1"))
    received = story.now.at
    story.after(400).tick()
    story.look()
    last = of(story.changes, PlayEventRecorded)[-1]
    assert (last.kind, last.at, dict(last.detail)) == ("ended", received, {"by": "stale"})


def test_what_the_listing_adds_to_a_session_is_no_turn() -> None:
    story = Story()
    story.plays("1")
    story.look(listed("1", "paused", at=600, transcode=Transcode("job1", "transcode")))
    assert kinds(story) == ["started"]


def test_marks_of_plays_side_by_side_have_ids_of_their_own() -> None:
    story = Story(connected=False)
    story.connect(listed("1"), listed("2", client="stove"))
    story.after(1).plays("2", "paused", at=1, client="stove")
    story.after(0.1).plays("1", "paused", at=1)
    story.after(0.1).plays("2", at=300, client="stove")
    marks = {mark.mark_id: (mark.play_id, mark.kind) for mark in of(story.changes, PlayEventRecorded)}
    assert marks == {1: (1, "started"), 2: (2, "started"), 3: (2, "seeked"), 4: (1, "paused")}
    assert story.state.ids.play_event == 5
    story.look(listed("1"), replace(listed("2", client="stove"), state="playing"))
    assert story.state.ids.play_event == 5
