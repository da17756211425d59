"""When an alert opens, when it resolves, and when nothing is said."""

from __future__ import annotations

import pytest
from stories import DEN, Story, listed

from plex_companion.changes import Thresholds
from plex_companion.models import Section, ServerIdentity

SLOW = {"key": "/transcode/sessions/job1", "videoDecision": "transcode", "speed": 0.6, "throttled": False}


def kinds(story: Story) -> list[str]:
    return [alert.kind for alert in story.opened]


def test_a_lost_connection_alerts_once_and_resolves_when_plex_is_heard_again() -> None:
    story = Story()
    story.after(5).lose("reset")
    story.after(5).lose("refused")
    assert [(alert.kind, alert.severity, alert.detail) for alert in story.opened] == [
        ("connection_lost", "error", {"reason": "reset"})
    ]
    story.after(5).connect()
    assert [(alert.kind, alert.resolved_at) for alert in story.resolved] == [("connection_lost", story.now.at)]
    assert story.state.alerts == {}


def test_a_gap_is_noted_with_its_length_and_not_when_there_was_none() -> None:
    story = Story(connected=False)
    story.lose("refused")
    story.after(100).connect()
    assert story.alerts("listener_gap") == [], "there was nothing to be deaf after"
    story.after(5).lose("reset")
    lost = story.now.at
    story.after(42).lose("refused")
    story.connect()
    (gap,) = story.alerts("listener_gap")
    assert "42 s" in gap.title
    assert gap.detail == {"since_ms": lost, "until_ms": story.now.at}
    assert gap.resolved_at == story.now.at, "it is over already"
    story.after(60).look()
    assert len(story.alerts("listener_gap")) == 1


def test_a_clock_set_back_during_an_outage_makes_no_negative_gap() -> None:
    story = Story()
    story.lose()
    story.clock_jumps(-86_400).connect()
    assert not [alert for alert in story.alerts("listener_gap") if "-" in alert.title]


def test_a_refused_token_alerts_once_instead_of_a_lost_connection() -> None:
    story = Story()
    story.lose("reset")
    story.lose("401", unauthorized=True)
    story.lose("401 again", unauthorized=True)
    assert kinds(story) == ["connection_lost", "unauthorized"]
    assert [alert.kind for alert in story.resolved] == ["connection_lost"]
    story.connect()
    assert [alert.kind for alert in story.resolved] == ["connection_lost", "unauthorized"]


def test_lost_remote_access_alerts_until_it_is_back() -> None:
    story = Story()
    for reachable in (True, False, False, None, True, True):
        story.say("reachability", {"reachability": reachable})
    assert kinds(story) == ["remote_access_lost"]
    assert len(story.resolved) == 1


def test_an_update_alerts_once_per_version_until_the_server_runs_it() -> None:
    story = Story()
    story.say("update.statechange", {"key": "", "version": "", "state": "done"})
    story.say("update.statechange", {"version": "1.44.0", "state": "done"})
    assert kinds(story) == []
    for _ in range(2):
        story.say("update.statechange", {"version": "1.44.0", "state": "available"})
    assert [(alert.kind, alert.subject) for alert in story.opened] == [("update_available", "1.44.0")]
    story.connect(server=ServerIdentity(DEN.machine_identifier, "Den", "1.43.9"))
    assert ("update_available", "1.44.0") in story.state.alerts
    story.connect(server=ServerIdentity(DEN.machine_identifier, "Den", "1.44.0"))
    assert ("update_available", "1.44.0") not in story.state.alerts


def test_a_playback_error_alerts_until_the_session_plays_or_ends() -> None:
    story = Story(connected=False)
    story.connect(listed("1"))
    for state in ("error", "error", "playing", "error", "stopped"):
        story.after(1).plays("1", state)
    assert [(alert.kind, alert.title) for alert in story.opened] == [
        ("playback_error", "Playback failed: Film 7001"),
        ("playback_error", "Playback failed: Film 7001"),
    ]
    assert story.opened[0].detail == {"session_key": "1", "title": "Film 7001", "user": "Ada"}
    assert len(story.resolved) == 2


def test_running_dry_three_times_in_five_minutes_alerts_and_peace_resolves_it() -> None:
    story = Story()
    story.plays("1")
    for second in range(3):
        story.after(20).plays("1", "buffering", at=second)
        story.after(1).plays("1", "playing", at=second)
        assert len(story.opened) == (1 if second == 2 else 0)
    story.after(20).plays("1", "buffering", at=9)
    assert kinds(story) == ["buffering"]
    for _ in range(31):
        story.after(10).plays("1", "playing", at=10)
    assert [alert.kind for alert in story.resolved] == ["buffering"]


def test_running_dry_now_and_then_is_no_alert() -> None:
    story = Story()
    story.plays("1")
    for _ in range(10):
        story.after(200).plays("1", "buffering")
        story.after(1).plays("1", "playing")
    assert kinds(story) == []


def test_how_often_is_too_often_can_be_set() -> None:
    story = Story(thresholds=Thresholds(buffering_count=1))
    story.plays("1")
    story.after(1).plays("1", "buffering")
    assert kinds(story) == ["buffering"]


def test_a_transcoder_that_stays_slow_alerts_once_and_resolves_when_it_catches_up() -> None:
    story = Story()
    story.plays("1", transcodeSession="job1")
    story.say("transcodeSession.start", SLOW)
    story.after(10).say("transcodeSession.update", SLOW)
    assert story.tick() == []
    story.after(11).tick()
    story.after(5).say("transcodeSession.update", {**SLOW, "speed": 0.7})
    assert [(alert.kind, alert.severity) for alert in story.opened] == [("transcode_slow", "warning")]
    story.say("transcodeSession.update", {**SLOW, "speed": 1.4})
    assert [alert.kind for alert in story.resolved] == ["transcode_slow"]


@pytest.mark.parametrize("fine", [{"speed": 1.0}, {"throttled": True}, {"complete": True}, {"speed": None}])
def test_a_transcoder_that_is_fast_enough_throttled_or_done_is_no_alert(fine: dict[str, object]) -> None:
    story = Story()
    story.plays("1", transcodeSession="job1")
    story.say("transcodeSession.start", {**SLOW, **fine})
    story.after(60).tick()
    assert kinds(story) == []


def test_one_tick_that_both_marks_a_session_and_looks_at_it_alerts_once() -> None:
    story = Story()
    story.plays("1", transcodeSession="job1")
    story.say("transcodeSession.start", SLOW)
    story.after(400).tick()
    assert kinds(story) == ["transcode_slow"]


def test_the_end_of_a_session_resolves_whatever_was_open_about_it() -> None:
    story = Story(thresholds=Thresholds(buffering_count=1))
    story.plays("1", transcodeSession="job1")
    story.say("transcodeSession.start", SLOW)
    story.after(21).plays("1", "buffering", transcodeSession="job1")
    story.after(1).plays("1", "error", transcodeSession="job1")
    assert sorted(kinds(story)) == ["buffering", "playback_error", "transcode_slow"]
    story.after(1).plays("1", "stopped")
    assert story.state.alerts == {}


def test_another_session_under_the_same_key_inherits_no_alert() -> None:
    story = Story()
    story.plays("1", "error")
    story.after(1).plays("1", at=0, item="7002")
    assert story.state.alerts == {}


def test_a_finished_scan_is_noted_with_its_library_and_other_activities_are_not() -> None:
    story = Story(connected=False)
    story.connect(sections=(Section("1", "Films", "movie"),))
    for kind in ("library.refresh.items", "library.update.section"):
        inner = {"type": kind, "Context": {"librarySectionID": "1"}}
        for phase in ("started", "updated", "ended"):
            story.say("activity", {"event": phase, "uuid": kind, "Activity": inner})
    (scan,) = story.opened
    assert (scan.kind, scan.subject, scan.title) == ("scan_finished", "1", "Scan of Films finished: 0 new")
    assert scan.resolved_at == scan.at


def test_what_plex_says_to_people_is_noted_as_it_stands() -> None:
    story = Story()
    story.say(
        "status", {"title": 'Scanning the "Films" section', "description": "…", "notificationName": "LIBRARY_UPDATE"}
    )
    story.say("status", {})
    assert [(alert.kind, alert.title, alert.subject) for alert in story.opened] == [
        ("plex_status", 'Scanning the "Films" section', "LIBRARY_UPDATE"),
        ("plex_status", "Plex says", "plex"),
    ]


def test_what_plex_says_to_people_holds_no_token_and_no_address() -> None:
    story = Story()
    story.say(
        "status", {"title": "GET /?X-Plex-Token=abcd1234efgh", "description": "from 203.0.113.9 by ada@example.org"}
    )
    told = f"{story.opened[0].title} {story.opened[0].detail}"
    assert not [secret for secret in ("abcd1234", "203.0.113.9", "ada@example.org") if secret in told]


def test_alert_ids_are_unique_and_grow() -> None:
    story = Story()
    for _ in range(3):
        story.lose()
        story.after(1).connect()
    ids = [alert.id for alert in story.opened]
    assert ids == sorted(set(ids))
    assert story.state.next_alert == ids[-1] + 1
