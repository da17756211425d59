"""Where what Plex says fits several sessions, or its list cannot be read: nothing is guessed, and nobody is ended."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from support.frames import Story, frame, listed, of, report

from plex_companion.changes.alerts.rules import RULES, Thresholds
from plex_companion.changes.kinds import ReadabilityChanged, SessionChanged
from plex_companion.changes.state import MOST_PER_KIND
from plex_companion.events import SessionsUnread
from plex_companion.models import Activity, Client, Item, Player, User
from plex_companion.parsing.websocket_frames import parse_frame

UNREAD = SessionsUnread("GET /status/sessions: Plex answered with HTTP 500.")
BOX = Player("box", title="Box")


def two_on_a_box(at: int = 0) -> Story:
    """Two people play different films on what calls itself one client."""
    story = Story(connected=False)
    first = listed("1", item="3", at=60, player=BOX, user=User("1000", "ada"))
    second = listed("2", item="10", at=3_600, player=BOX, user=User("1001", "bob"))
    story.connect(first, second)
    if at:
        story.after(at)
    return story


# Two that fit


def test_a_stop_that_fits_two_sessions_ends_neither_until_the_snapshot_tells_which() -> None:
    story = two_on_a_box(at=10)
    story.plays(None, "stopped", client="box", item="", key="")
    assert "sessions" in story.requests
    assert story.ended == []
    plays = {key: session.play_id for key, session in story.state.sessions.items()}
    story.after(1).look(listed("2", item="10", at=3_610, player=BOX))
    assert [(end.session_key, end.session.play_id) for end in story.ended] == [("1", plays["1"])]
    assert story.session("2").play_id == plays["2"]
    assert story.state.next_play == max(plays.values()) + 1, "no play was begun twice"


@pytest.mark.parametrize("state", ["playing", "paused", "buffering", "error"])
def test_a_report_that_fits_two_sessions_moves_neither(state: str) -> None:
    story = two_on_a_box(at=10)
    before = dict(story.state.sessions)
    story.plays(None, state, client="box", item="", key="")
    assert "sessions" in story.requests
    assert story.state.sessions == before


def test_of_two_sessions_on_a_client_the_item_decides() -> None:
    story = two_on_a_box(at=10)
    story.plays(None, "stopped", client="box", item="3")
    assert [end.session_key for end in story.ended] == ["1"]


def test_of_two_sessions_on_a_client_the_position_decides_where_it_fits_one_only() -> None:
    story = two_on_a_box(at=10)
    story.plays(None, "stopped", at=3_610, client="box", item="", key="")
    assert [end.session_key for end in story.ended] == ["2"]


@pytest.mark.parametrize("at", [0, 1_800, 65])
def test_a_position_that_fits_both_or_neither_decides_nothing(at: int) -> None:
    story = Story(connected=False)
    story.connect(listed("1", item="3", at=60, player=BOX), listed("2", item="10", at=70, player=BOX))
    story.after(5).plays(None, "stopped", at=at, client="box", item="", key="")
    assert "sessions" in story.requests
    assert story.ended == []


def test_one_film_twice_on_one_client_is_two_sessions() -> None:
    story = Story(connected=False)
    story.connect(listed("1", item="3", player=BOX), listed("2", item="3", player=BOX))
    story.after(5).plays(None, "stopped", client="box", item="3")
    assert story.ended == []
    story.look(listed("1", item="3", player=BOX))
    assert [end.session_key for end in story.ended] == ["2"]


def test_a_transcoder_that_two_sessions_name_is_shown_by_neither_of_them() -> None:
    story = two_on_a_box()
    for key, item in (("1", "3"), ("2", "10")):
        story.plays(key, item=item, client="box", transcodeSession="/transcode/sessions/job")
    job = {"key": "/transcode/sessions/job", "videoDecision": "transcode", "speed": 0.5}
    changes = story.say("transcodeSession.update", job)
    assert of(changes, SessionChanged) == []


def test_two_who_watch_one_channel_without_keys_are_told_apart_by_their_clients() -> None:
    channel = Item(None, "/livetv/sessions/00000000-aaaa-bbbb-cccc-000000000001", title="News", live=True)
    story = Story(connected=False)
    story.connect(replace(listed(None, client="lamp"), item=channel))
    story.plays("5", client="lamp", item="", key=channel.key, at=5)
    story.plays("6", client="den", item="", key=channel.key, at=5)
    assert set(story.state.sessions) == {"5", "6"}
    story.look(replace(listed(None, client="den"), item=channel), replace(listed(None, client="lamp"), item=channel))
    assert set(story.state.sessions) == {"5", "6"}
    assert story.session("6").listed


# A list that cannot be read, or not whole


def test_what_may_be_listed_in_a_row_that_could_not_be_read_goes_on() -> None:
    story = Story(connected=False)
    story.connect(listed("1"), listed("2", item="8"), listed("3", item="9"))
    story.after(10).look(listed("1"), unread_keys=frozenset({"2"}))
    assert [end.session_key for end in story.ended] == ["3"]
    story.after(100).look(listed("1"), is_complete=False)
    assert story.session("2").stale, "nobody has told of it for a while"
    story.plays("2", item="8")
    assert not story.session("2").stale
    story.after(1).look(listed("1"), asked_ago=2)
    assert set(story.state.sessions) == {"1", "2"}, "heard since that reading began"
    story.after(1).look(listed("1"))
    assert set(story.state.sessions) == {"1"}


def test_a_row_that_does_not_say_what_plays_says_nothing_against_what_is_known() -> None:
    story = Story(connected=False)
    story.connect(listed("1"))
    story.after(10).look(replace(listed("1", at=10), item=Item(title=None)))
    assert story.ended == []
    assert story.session("1").item.title == "Film 7001"


def test_sessions_that_cannot_be_read_are_stale_until_a_reading_confirms_them() -> None:
    story = Story(connected=False)
    story.connect(listed("1"), listed("2", item="8"))
    changes = story.after(5).receive(UNREAD)
    assert of(changes, ReadabilityChanged) == [ReadabilityChanged(unreadable=True)]
    assert (story.state.connection.state, story.state.connection.detail) == ("live", UNREAD.detail)
    assert story.receive(UNREAD) == [], "it is the same as before"
    story.after(1).plays("1", at=6)
    story.plays("3", item="9")
    assert all(session.stale for session in story.state.sessions.values())
    story.after(1).look(listed("1", at=7), listed("3", item="9"))
    assert story.state.connection.detail is None
    assert {key: session.stale for key, session in story.state.sessions.items()} == {"1": False, "3": False}
    assert [end.session_key for end in story.ended] == ["2"]


def test_the_connection_says_nothing_of_readings_when_plex_is_not_heard() -> None:
    story = Story()
    story.receive(UNREAD)
    story.after(1).lose()
    assert not story.state.sessions_unreadable
    assert story.receive(UNREAD) == []
    assert story.state.connection.detail == "connection reset"


def test_unreadable_sessions_are_an_alert_after_two_minutes_and_are_over_with_a_reading() -> None:
    story = Story()
    story.receive(UNREAD)
    story.after(119).tick()
    assert story.alerts("sessions_unreadable") == []
    story.after(2).tick()
    (alert,) = story.alerts("sessions_unreadable")
    assert (alert.severity, alert.detail) == (RULES["sessions_unreadable"].severity, {"reason": UNREAD.detail})
    story.after(600).look()
    assert [one.id for one in story.resolved] == [alert.id]


def test_a_reading_that_fails_now_and_then_is_no_alert() -> None:
    story = Story(thresholds=Thresholds(unreadable_ms=10_000))
    for _ in range(5):
        story.after(9).receive(UNREAD)
        story.after(9).tick()
        story.look()
    story.receive(UNREAD)
    story.after(9).lose()
    story.after(9).connect()
    story.after(9).tick()
    assert story.alerts("sessions_unreadable") == []


def test_an_alert_of_too_many_streams_is_not_over_because_they_cannot_be_read() -> None:
    story = Story()
    rows = [listed(str(number), client=f"player {number}", item=str(number)) for number in range(1, 5)]
    story.look(*rows)
    story.after(11).tick()
    (alert,) = story.alerts("concurrent_streams")
    story.receive(UNREAD)
    story.after(30).tick()
    story.plays("1", "paused", client="player 1", item="1")
    assert story.resolved == []
    story.after(1).look(*rows[:2])
    assert [one.id for one in story.resolved] == [alert.id]


# Amounts


def test_no_more_sessions_are_kept_than_any_household_has_and_none_of_the_others_is_ended() -> None:
    story = Story(connected=False)
    story.connect(*(listed(str(number), client=f"c{number}") for number in range(MOST_PER_KIND + 50)))
    assert len(story.state.sessions) == MOST_PER_KIND
    assert story.ended == []
    story.say("playing", *(report(str(number)) for number in range(90_000, 90_100)))
    assert len(story.state.sessions) == MOST_PER_KIND
    story.after(60).look(*(listed(str(number)) for number in range(5_000, 5_000 + MOST_PER_KIND)), is_complete=False)
    assert len(story.state.sessions) == MOST_PER_KIND
    assert story.ended == []
    assert len(story.state.clients) <= MOST_PER_KIND


def test_no_more_activities_are_kept_either() -> None:
    story = Story()
    entries = [
        {"event": "started", "uuid": f"u{number}", "Activity": {"uuid": f"u{number}"}} for number in range(3_000)
    ]
    for event in parse_frame(frame("activity", *entries)):
        story.receive(event)
    assert len(story.state.activities) == MOST_PER_KIND
    story.after(1).look(activities=tuple(Activity(f"v{number}") for number in range(3_000)))
    assert len(story.state.activities) == MOST_PER_KIND


def test_clients_that_announce_themselves_by_the_thousand_do_not_fill_the_memory() -> None:
    story = Story()
    story.look(clients=tuple(Client(f"c{number}") for number in range(MOST_PER_KIND + 10)))
    assert len(story.state.clients) == MOST_PER_KIND
