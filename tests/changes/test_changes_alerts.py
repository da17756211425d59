"""When an alert opens, when it resolves, and when nothing is said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, get_args

import pytest
from msgspec import structs
from msgspec.structs import replace
from support.frames import DEN, Story, listed, of

from plex_companion.changes.alerts.rules import AT_ONCE, RULES, Thresholds
from plex_companion.changes.kinds import AlertAcknowledged, AlertMuteChanged, Journaled
from plex_companion.events import Acknowledged, AlertKindMuted, StorageReport
from plex_companion.models import Account, AlertKind, Client, Device, Section, ServerIdentity, Transcode, User
from plex_companion.settings import Settings

if TYPE_CHECKING:
    from plex_companion.models import SessionRow

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
    (alert,) = story.opened
    assert (alert.kind, alert.title) == ("playback_error", "Playback failed: Film 7001")
    assert alert.detail == {"session_key": "1", "play_id": "1", "title": "Film 7001", "user": "Ada"}
    assert [again.id for again in story.reopened] == [alert.id]
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
    story.after(9).say("transcodeSession.start", SLOW)
    story.after(10).say("transcodeSession.update", SLOW)
    story.after(9.999).tick()
    assert story.opened == [], "it counts from the report that it is slow, not from the one of the player before"
    story.after(0.001).tick()
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


def test_another_session_under_the_same_key_inherits_no_alert_and_opens_none_again() -> None:
    story = Story()
    story.plays("1", "error")
    story.after(1).plays("1", at=0, item="7002")
    assert story.state.alerts == {}
    story.after(1).plays("1", "error", item="7002")
    assert [alert.detail["play_id"] for alert in story.opened] == ["1", "2"]
    assert story.reopened == []


def test_a_play_that_fails_at_once_under_the_key_of_one_that_failed_has_an_alert_of_its_own() -> None:
    story = Story()
    story.plays("1", "error")
    story.after(1).plays("1", "error", item="7002")
    assert [alert.detail["play_id"] for alert in story.opened] == ["1", "2"]
    assert story.state.alerts["playback_error", "1"].detail["play_id"] == "2"


def test_a_finished_scan_is_noted_with_its_library_and_other_activities_are_not() -> None:
    story = Story(connected=False)
    story.connect(sections=(Section("1", "Films", "movie"),))
    step(story, "5", 0)
    step(story, "5", 5, "The Tuesday Tide")
    for kind in ("library.refresh.items", "library.update.section"):
        inner = {"type": kind, "Context": {"librarySectionID": "1"}}
        for phase in ("started", "updated", "ended"):
            story.say("activity", {"event": phase, "uuid": kind, "Activity": inner})
    (scan,) = story.opened
    assert (scan.kind, scan.subject, scan.title) == ("scan_finished", "1", "Scan of Films finished: 1 new")
    assert scan.resolved_at == scan.at


def test_a_scan_that_added_nothing_makes_no_alert_however_often_it_runs() -> None:
    story = Story(connected=False)
    story.connect(sections=(Section("1", "Films", "movie"),))
    for _ in range(3):
        scan(story, "started")
        scan(story.after(60))
    assert story.opened == []


def test_what_plex_says_to_people_is_in_the_journal_and_is_no_alert() -> None:
    story = Story()
    changes = story.say(
        "status", {"title": 'Scanning the "Films" section', "description": "…", "notificationName": "LIBRARY_UPDATE"}
    )
    assert [type(change).__name__ for change in changes] == ["Journaled"]
    assert story.opened == []


def test_alert_ids_are_unique_and_grow() -> None:
    story = Story()
    for _ in range(3):
        story.after(60).lose()
        story.after(1).connect()
    ids = [alert.id for alert in story.opened]
    assert ids == sorted(set(ids))
    assert story.state.next_alert == ids[-1] + 1


def test_every_kind_of_alert_has_its_rule_and_its_settings_exist() -> None:
    assert set(RULES) == set(get_args(AlertKind))
    assert {setting for rule in RULES.values() for setting in rule.settings} <= set(Settings.model_fields)


# Flapping


def test_what_returns_within_the_hold_down_is_the_same_alert_again() -> None:
    story = Story()
    story.lose()
    story.after(5).connect()
    story.after(59.999).lose("refused")
    (first,), (again,) = story.opened[:1], story.reopened
    assert (again.id, again.at, again.resolved_at) == (first.id, first.at, None)
    assert again.detail == {"reason": "refused", "times": 2}
    story.after(1).connect()
    story.after(1).lose()
    assert story.reopened[-1].detail["times"] == 3
    assert story.state.alerts["connection_lost", "plex"].id == first.id


def test_what_returns_after_the_hold_down_is_another_alert() -> None:
    story = Story()
    story.lose()
    story.after(5).connect()
    story.after(60).lose()
    assert len(story.alerts("connection_lost")) == 2
    assert story.reopened == []


def test_a_clock_that_is_set_does_not_shorten_the_hold_down() -> None:
    story = Story()
    story.lose()
    story.connect()
    story.after(59).clock_jumps(86_400).lose()
    assert len(story.reopened) == 1


def test_notes_of_what_happened_are_never_opened_again() -> None:
    story = Story()
    for _ in range(2):
        story.after(1).receive(StorageReport("database", ok=True, words="The database was repaired"))
    assert len({alert.id for alert in story.alerts("storage")}) == 2
    assert story.reopened == []


def test_a_kind_is_muted_once_and_its_alerts_open_and_resolve_as_before() -> None:
    story = Story()
    for muted in (True, True, False, False):
        story.after(1).receive(AlertKindMuted("connection_lost", muted))
    assert [change.muted for change in of(story.changes, AlertMuteChanged)] == [True, False]
    story.after(1).receive(AlertKindMuted("connection_lost", muted=True))
    story.lose()
    story.connect()
    assert [alert.kind for alert in (*story.opened, *story.resolved)] == ["connection_lost", "connection_lost"]


# Acknowledging


def test_an_acknowledgement_stays_with_the_alert_when_it_resolves_and_when_it_returns() -> None:
    story = Story()
    story.lose()
    (alert,) = story.opened
    story.after(1).receive(Acknowledged(alert.id))
    known_at = story.now.at
    story.after(1).receive(Acknowledged(alert.id))
    assert story.state.alerts["connection_lost", "plex"].acknowledged_at == known_at, "the first time counts"
    story.after(1).connect()
    story.after(1).lose()
    assert [one.acknowledged_at for one in (*story.resolved, *story.reopened)] == [known_at, known_at]


def test_an_alert_that_rests_can_be_acknowledged() -> None:
    story = Story()
    story.lose()
    story.after(1).connect()
    story.after(1).receive(Acknowledged(story.opened[0].id))
    known_at = story.now.at
    story.after(1).lose()
    assert story.reopened[0].acknowledged_at == known_at
    assert len(of(story.changes, AlertAcknowledged)) == 1


# The server


@pytest.mark.parametrize("running", ["1.44.0.11000-aa", "1.44.1", "1.100.0", "2.0"])
def test_an_update_resolves_when_a_later_version_runs_too(running: str) -> None:
    story = Story()
    story.say("update.statechange", {"version": "1.44.0.10828-8a1d3a5b5", "state": "available"})
    story.connect(server=replace(DEN, version="1.43.9.99999-ffffff"))
    assert len(story.state.alerts) == 1
    story.connect(server=replace(DEN, version=running))
    assert story.state.alerts == {}


def test_a_skipped_update_resolves_and_a_newer_one_takes_the_place_of_an_older() -> None:
    story = Story()
    for version, state in (("1.44.0", "available"), ("1.44.1", "available"), ("1.44.1", "skipped")):
        story.after(1).say("update.statechange", {"version": version, "state": state})
    assert [alert.subject for alert in story.opened] == ["1.44.0", "1.44.1"]
    assert [alert.subject for alert in story.resolved] == ["1.44.0", "1.44.1"]


def test_the_version_that_runs_already_is_no_update() -> None:
    story = Story()
    story.say("update.statechange", {"version": DEN.version, "state": "available"})
    assert story.opened == []


def test_another_server_at_the_same_address_resolves_what_was_open_about_the_first() -> None:
    story = Story()
    story.say("reachability", {"reachability": False})
    story.plays("1", "error")
    story.after(60).connect(server=ServerIdentity("other", "Loft", "1.43.3"))
    assert story.state.alerts == {}


def learnt(*rows: SessionRow, thresholds: Thresholds | None = None) -> Story:
    """A story of a server whose people and players are known."""
    story = Story(connected=False, thresholds=thresholds)
    story.connect(*rows)
    story.look(*rows, accounts=(Account("1", "Ada"),), clients=(Client("stove", "Stove"),))
    return story


def test_players_found_while_a_server_is_first_learnt_are_not_new() -> None:
    assert learnt(listed("1")).alerts("new_device") == []


def test_a_player_never_seen_before_is_new_once() -> None:
    story = learnt()
    for _ in range(2):
        story.after(1).plays("5", client="attic")
        story.look(listed("5", client="attic"))
        story.after(1).plays("5", "stopped", client="attic")
        story.after(1).look()
    story.look(clients=(Client("stove", "Stove"), Client("shed", "Shed", "Plex for TV")))
    attic, shed = story.alerts("new_device")
    assert (attic.subject, attic.title, attic.resolved_at) == ("attic", "New device: Lamp", attic.at)
    assert (shed.subject, shed.detail["product"]) == ("shed", "Plex for TV")


def test_a_known_player_is_not_new_after_an_outage_and_an_unknown_one_is() -> None:
    story = learnt(listed("1"))
    story.after(60).lose()
    story.after(600).connect(listed("1"), listed("2", client="attic"))
    assert [alert.subject for alert in story.alerts("new_device")] == ["attic"]


def test_a_player_that_plex_has_long_listed_among_its_devices_is_not_new() -> None:
    story = learnt()
    story.look(devices=(Device("7", "Attic", "Tizen", "attic"),))
    story.after(1).plays("5", client="attic")
    story.look(listed("5", client="attic"))
    assert story.alerts("new_device") == []


def test_players_of_another_server_are_learnt_anew() -> None:
    story = learnt(listed("1"))
    story.connect(listed("1", client="hall"), server=ServerIdentity("other", "Loft", "1.43.3"))
    assert story.alerts("new_device") == []


# What a scan added


def scan(story: Story, phase: str = "ended") -> None:
    inner = {"type": "library.update.section", "Context": {"librarySectionID": "1"}}
    story.say("activity", {"event": phase, "uuid": "scan", "Activity": inner})


def step(story: Story, item: str, state: int, title: str = "", kind: int = 1, **more: object) -> None:
    known = {"identifier": "com.plexapp.plugins.library", "sectionID": "1", "itemID": item, "type": kind}
    story.say("timeline", {**known, "title": title, "state": state, **more})


def test_a_scan_names_what_it_added_as_soon_as_that_is_ready() -> None:
    story = Story(connected=False)
    story.connect(sections=(Section("1", "Films", "movie"),))
    scan(story, "started")
    step(story, "5", 0)
    step(story, "6", 0)
    scan(story)
    (opened,) = story.alerts("scan_finished")
    assert (opened.title, opened.resolved_at) == ("Scan of Films finished: 2 new", None)
    step(story.after(2), "5", 5, "The Tuesday Tide")
    step(story, "7", 5, "Known for years")
    assert story.resolved == []
    step(story.after(2), "6", 5, "Seventeen Geese")
    (reported,) = story.resolved
    assert reported.id == opened.id
    assert reported.detail == {"library": "Films", "added": 2, "titles": ["The Tuesday Tide", "Seventeen Geese"]}
    scan(story.after(60))
    assert len(story.alerts("scan_finished")) == 1


def test_what_never_becomes_ready_keeps_a_scan_open_for_two_minutes_only() -> None:
    story = Story()
    step(story, "5", 0)
    scan(story)
    story.tick()
    story.after(119.9).tick()
    assert story.resolved == []
    story.after(0.1).tick()
    assert story.resolved[0].detail["added"] == 1


def test_a_second_scan_while_the_first_ones_additions_are_made_ready_is_told_with_it() -> None:
    story = Story()
    for item in ("5", "6"):
        step(story, item, 0)
        scan(story)
    for item in ("5", "6"):
        step(story, item, 5, f"Film {item}")
    assert len(story.alerts("scan_finished")) == 1
    assert story.resolved[0].detail["added"] == 2


def test_what_went_before_it_was_ready_was_not_added() -> None:
    story = Story()
    step(story, "5", 0)
    scan(story)
    step(story, "5", 9)
    story.tick()
    assert [alert.kind for alert in story.resolved] == ["scan_finished"]
    scan(story)
    assert len(story.alerts("scan_finished")) == 1


# Sessions


FOUR_K = Transcode("job1", "transcode", "copy", height=1080)


def row(key: str = "1", **more: Any) -> SessionRow:
    return listed(key, **more)


def test_transcoding_the_picture_of_a_4k_file_alerts_until_it_is_not() -> None:
    story = Story()
    story.plays("1", transcodeSession="job1")
    story.look(row(video_resolution="4k", transcode=FOUR_K))
    assert [(alert.kind, alert.severity, alert.detail["height"]) for alert in story.opened] == [
        ("transcode_4k", "warning", 1080)
    ]
    story.after(10).plays("1", at=10)
    story.after(1).look(row(video_resolution="4k", at=10))
    assert [alert.kind for alert in story.resolved] == ["transcode_4k"]


@pytest.mark.parametrize(
    "fine",
    [
        {
            "video_resolution": "4k",
            "transcode": structs.replace(FOUR_K, video_decision="copy", audio_decision="transcode"),
        },
        {"video_resolution": "1080", "transcode": FOUR_K},
        {"video_resolution": None, "transcode": FOUR_K},
        {"video_resolution": "4k"},
    ],
    ids=["only the sound", "not 4K", "nobody knows", "direct play"],
)
def test_what_is_no_4k_picture_transcoded_is_no_alert(fine: dict[str, Any]) -> None:
    story = Story()
    story.plays("1", transcodeSession="job1" if "transcode" in fine else None)
    story.look(row(**fine))
    story.after(5).tick()
    assert story.opened == []


def test_the_rule_of_4k_can_be_switched_off_and_then_resolves_what_it_opened() -> None:
    story = Story()
    story.plays("1", transcodeSession="job1")
    story.look(row(video_resolution="4k", transcode=FOUR_K))
    story.thresholds = Thresholds(transcode_4k=False)
    story.after(5).tick()
    assert story.state.alerts == {}
    assert len(story.opened) == 1


def test_a_pause_alerts_when_it_has_lasted_and_resolves_when_it_goes_on() -> None:
    story = Story()
    story.plays("1")
    story.after(60).plays("1", "paused", at=60)
    for _ in range(179):
        story.after(10).plays("1", "paused", at=60)
    story.after(9.999).tick()
    assert story.opened == []
    story.after(0.001).tick()
    assert [(alert.kind, alert.severity) for alert in story.opened] == [("paused_long", "info")]
    story.after(5).plays("1", "playing", at=60)
    assert [alert.kind for alert in story.resolved] == ["paused_long"]


def test_pauses_are_not_added_up() -> None:
    story = Story()
    for _ in range(3):
        story.after(10).plays("1", "paused")
        story.after(1_700).plays("1", "playing")
        story.tick()
    assert story.opened == []


def test_a_player_that_says_nothing_while_it_is_paused_is_paused_while_plex_lists_it() -> None:
    story = Story()
    story.plays("1", "paused")
    for _ in range(31):
        story.after(60).look(row(state="paused"))
    assert [alert.kind for alert in story.opened] == ["paused_long"]
    story.after(1).look()
    assert story.state.alerts == {}, "it is over, and so is its pause"


def test_while_plex_is_not_heard_no_pause_grows_into_an_alert_and_none_is_over() -> None:
    story = Story(thresholds=Thresholds(paused_ms=60_000))
    story.plays("1", "paused")
    story.lose()
    story.after(300).tick()
    assert story.alerts("paused_long") == []
    story.connect(row(state="paused"))
    assert len(story.alerts("paused_long")) == 1, "it was paused before and is now"
    story.lose()
    story.after(5).tick()
    assert ("paused_long", "1") in story.state.alerts


def test_a_transcoder_that_was_slow_before_an_outage_is_watched_anew() -> None:
    story = Story()
    slow = Transcode("job1", "transcode", speed=0.5)
    story.plays("1", transcodeSession="job1")
    story.look(row(transcode=slow))
    story.after(10).lose()
    story.after(60).connect(row(transcode=slow, at=70))
    story.after(19).tick()
    assert story.alerts("transcode_slow") == []
    story.after(1).tick()
    assert len(story.alerts("transcode_slow")) == 1


def many(count: int, user: User | None = None) -> list[SessionRow]:
    return [row(str(key), client=f"player {key}", user=user or User("2", "Bo")) for key in range(1, count + 1)]


def test_more_streams_of_a_user_than_allowed_alert_after_the_time_of_grace_and_resolve_when_fewer() -> None:
    story = Story(connected=False)
    story.connect(*many(3))
    story.after(60).look(*many(4))
    story.after(9.999).tick()
    assert story.alerts("concurrent_streams") == []
    story.after(0.001).tick()
    (alert,) = story.alerts("concurrent_streams")
    assert (alert.subject, alert.title) == ("2", "Bo is watching 4 streams at once")
    assert (alert.detail["limit"], alert.detail["session_keys"]) == (3, ["1", "2", "3", "4"])
    story.after(5).plays("4", "stopped", client="player 4")
    assert [one.kind for one in story.resolved] == ["concurrent_streams"]


def test_streams_that_overlap_for_less_than_the_time_of_grace_are_no_alert() -> None:
    story = Story(connected=False)
    story.connect(*many(3))
    for _ in range(3):
        story.after(60).look(*many(4))
        story.after(9).plays("4", "stopped", client="player 4")
        story.after(30).tick()
    assert story.alerts("concurrent_streams") == []


def test_streams_of_different_users_are_not_added_up_nor_is_what_is_not_heard_of() -> None:
    story = Story(connected=False)
    others = [row("9", client="player 9", user=User("1", "Ada")), row("8", client="player 8", user=None)]
    story.connect(*many(3), *others)
    story.after(60).tick()
    story.after(250).look(*many(4), *others)  # the first three have said nothing for five minutes
    story.after(11).tick()
    assert story.alerts("concurrent_streams") == []


@pytest.mark.parametrize("limit", [0, 4])
def test_how_many_streams_are_too_many_can_be_set_and_0_is_never(limit: int) -> None:
    story = Story(connected=False, thresholds=Thresholds(streams=limit))
    story.connect(*many(4))
    story.after(60).tick()
    assert story.alerts("concurrent_streams") == []


def test_alerts_of_sessions_that_ended_while_the_program_was_down_resolve_at_the_first_snapshot() -> None:
    story = Story(connected=False)
    story.connect(*many(4))
    story.after(10).plays("1", "error", client="player 1")
    story.after(10).tick()
    assert {kind for kind, _ in story.state.alerts} == {"playback_error", "concurrent_streams"}
    story.state.sessions.clear()  # as a cache would be that lost them
    story.after(600).connect()
    assert story.state.alerts == {}


def test_an_event_that_tells_whether_something_is_over_says_so_in_its_rule() -> None:
    at_once = {kind for kind, rule in RULES.items() if rule.resolves == AT_ONCE}
    assert at_once == {"new_device", "listener_gap", "plex_status", "rule"}


# Our own database


def test_a_backup_that_fails_is_an_alert_until_one_succeeds() -> None:
    story = Story()
    story.receive(StorageReport("backup", ok=False, words="The daily backup failed."))
    story.receive(StorageReport("backup", ok=False, words="The daily backup failed."))
    (opened,) = story.alerts("storage")
    assert (opened.subject, opened.severity, opened.resolved_at) == ("backup", "error", None)
    story.receive(StorageReport("backup", ok=True, words="The daily backup was made."))
    assert [alert.id for alert in story.resolved] == [opened.id]
    story.after(3_600).receive(StorageReport("backup", ok=True, words="The daily backup was made."))
    assert len(story.alerts("storage")) == 1


def test_a_database_that_was_mended_is_told_and_needs_nothing_more() -> None:
    story = Story()
    changes = story.receive(StorageReport("database", ok=False, words="The database was damaged: started empty"))
    (alert,) = story.alerts("storage")
    assert alert.resolved_at is not None
    (row,) = [change for change in changes if isinstance(change, Journaled)]
    assert (row.type, row.subject, row.summary) == ("storage", "database", alert.title)
