"""What a snapshot and the state of the connection mean: continuing, ending, ghosts, blindness."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from support.frames import DEN, Story, listed, of

from plex_companion.changes.kinds import (
    AccountsSeen,
    ClientSeen,
    ConnectionChanged,
    Journaled,
    SectionsSeen,
    ServerSeen,
    SessionChanged,
    SessionEnded,
    SessionStarted,
    StateConfirmed,
)
from plex_companion.models import Account, Client, Player, Section, ServerIdentity, Transcode


def test_what_plays_when_we_arrive_is_taken_over() -> None:
    story = Story(connected=False)
    story.connect(listed("4", "paused", at=60))
    session = story.session("4")
    assert (session.state, session.view_offset_ms, session.item.title, session.epoch) == (
        "paused",
        60_000,
        "Film 7001",
        1,
    )


def test_a_listed_session_that_never_reported_ends_when_it_is_listed_no_more() -> None:
    story = Story(connected=False)
    story.connect(listed("4"))
    received = story.now.at
    story.after(60).look()
    assert [(end.ended_by, end.ended_at) for end in story.ended] == [("inferred", received)]


def test_a_new_session_is_given_time_to_appear_in_the_list() -> None:
    story = Story()
    story.plays("1")
    story.after(5).look()
    assert story.ended == []
    story.after(30).look()
    assert [end.ended_by for end in story.ended] == ["inferred"]


def test_a_row_that_comes_twice_is_one_session() -> None:
    story = Story(connected=False)
    changes = story.connect(listed("4"), listed("4", item="7002"), listed("4"))
    assert len(of(changes, SessionStarted)) == 1
    changes = story.after(60).look(listed("4", "playing", at=50), listed("4", item="7009"))
    assert of(changes, SessionStarted) == []
    assert story.ended == []


def test_another_item_in_the_list_replaces_the_play() -> None:
    story = Story()
    story.plays("1", item="7001")
    story.after(60).look(listed("1", item="7002"))
    assert [end.ended_by for end in story.ended] == ["replaced"]
    assert story.session().item.rating_key == "7002"


def test_a_snapshot_older_than_what_was_heard_overwrites_nothing() -> None:
    story = Story()
    story.plays("1", item="7001")
    story.after(60).plays("1", at=0, item="7002")
    story.after(1).look(listed("1", "paused", at=55, item="7001"), asked_ago=3)
    assert story.session().item.rating_key == "7002"
    assert story.session().state == "playing"
    story.plays("2", client="stove", item="7003")
    story.after(1).look(listed("1", item="7002"), asked_ago=3)
    assert "2" in story.state.sessions


def test_a_session_heard_while_a_list_without_it_was_read_goes_on() -> None:
    story = Story()
    story.plays("1", at=10)
    story.look(listed("1", at=10))
    story.after(60).plays("1", at=70)
    story.after(1).look(asked_ago=3)
    assert story.ended == []


def test_a_snapshot_that_was_read_before_a_stop_does_not_bring_the_session_back() -> None:
    story = Story()
    story.plays("1", at=10)
    story.after(2).plays("1", "stopped", at=12)
    story.after(1).look(listed("1", at=10), asked_ago=4)
    assert story.state.sessions == {}


def test_a_ghost_in_the_list_after_a_stop_is_not_opened_again() -> None:
    story = Story()
    story.plays("1", at=10)
    story.look(listed("1", at=10))
    story.after(1).plays("1", "stopped", at=11)
    for _ in range(5):
        story.after(60).look(listed("1", at=11))
    assert story.state.sessions == {}
    assert len(story.ended) == 1


def test_a_ghost_stays_one_across_a_hiccup_of_the_connection() -> None:
    story = Story()
    story.plays("1", at=10)
    story.look(listed("1", at=10))
    story.after(1).plays("1", "stopped", at=11)
    story.lose()
    story.after(2).connect(listed("1", at=11))
    assert story.state.sessions == {}
    story.after(8).plays("1", at=20)
    assert list(story.state.sessions) == ["1"], "its next report says that it plays after all"


def test_a_session_that_moved_on_since_its_stop_in_an_earlier_connection_is_no_ghost() -> None:
    story = Story()
    story.plays("1", at=10)
    story.look(listed("1", at=10))
    story.after(1).plays("1", "stopped", at=11)
    story.lose()
    story.after(50).connect(listed("1", at=60))
    assert list(story.state.sessions) == ["1"]


def test_another_item_under_the_key_of_an_ended_session_is_no_ghost() -> None:
    story = Story()
    story.plays("1", at=10)
    story.after(1).plays("1", "stopped", at=11)
    story.after(60).look(listed("1", item="7002"))
    assert story.session().item.rating_key == "7002"


def test_sessions_that_may_not_be_read_end_nothing() -> None:
    story = Story()
    story.plays("1")
    story.after(400).look(sessions=None, detail="403")
    assert (story.ended, list(story.state.sessions), story.state.connection.detail) == ([], ["1"], "403")


def test_a_snapshot_of_a_connection_that_is_gone_is_silence() -> None:
    story = Story()
    story.plays("1")
    story.lose()
    story.connect(listed("1"))
    assert story.look(epoch=1) == []
    assert list(story.state.sessions) == ["1"]


def test_a_snapshot_that_agrees_says_only_that_knowledge_is_fresh() -> None:
    story = Story(connected=False)
    story.connect(listed("1"))
    (fresh,) = story.after(60).look(listed("1"), server=DEN)
    assert isinstance(fresh, StateConfirmed)
    assert fresh.at == story.now.at


# Outages and restarts


def test_a_session_that_goes_on_over_an_outage_is_the_same_play() -> None:
    story = Story()
    story.plays("1", at=100)
    story.look(listed("1", at=100))
    story.after(10).lose()
    assert story.session().stale, "blindness is shown"
    story.after(40).connect(listed("1", at=150))
    session = story.session()
    assert (session.play_id, session.epoch, session.stale, session.view_offset_ms) == (1, 2, False, 150_000)
    assert session.watched_ms == 50_000
    assert story.ended == []


@pytest.mark.parametrize(
    "row",
    [
        listed("1", at=110, item="7002"),
        listed("1", at=110, client="stove"),
        listed("1", at=110, player=None),
        listed("1", at=0),
        listed("1", at=5000),
    ],
    ids=["another item", "another client", "no client", "from the beginning", "further than time allows"],
)
def test_across_a_restart_the_same_key_alone_never_merges_two_plays(row: object) -> None:
    story = Story()
    story.plays("1", at=100)
    story.look(listed("1", at=100))
    received = story.now.at
    story.lose("connection reset")
    story.after(20).connect(row)  # type: ignore[arg-type]  # parametrize knows no types
    assert [(end.ended_by, end.ended_at, end.session.play_id) for end in story.ended] == [("inferred", received, 1)]
    assert (story.session().play_id, story.session().watched_ms) == (2, 0)


@pytest.mark.parametrize(
    ("more", "merged"),
    [
        ({"at": 130}, True),
        ({"at": 0}, False),
        ({"at": 130, "client": "stove"}, False),
        ({"at": 130, "client": None}, False),
        ({"at": 130, "item": "7002"}, False),
    ],
)
def test_where_sessions_may_not_be_read_a_report_after_a_restart_is_judged_alike(
    more: dict[str, object], *, merged: bool
) -> None:
    story = Story(connected=False)
    story.connect(sessions_readable=False)
    story.plays("1", at=100)
    received = story.now.at
    story.after(10).lose()
    story.after(20).connect(sessions_readable=False)
    story.plays("1", **more)  # type: ignore[arg-type]  # parametrize knows no types
    assert [(end.ended_by, end.ended_at) for end in story.ended] == ([] if merged else [("inferred", received)])
    assert story.session().play_id == (1 if merged else 2)


def test_a_stop_after_a_restart_does_not_stop_what_played_before_it() -> None:
    story = Story(connected=False)
    story.connect(sessions_readable=False)
    story.plays("1", at=100)
    received = story.now.at
    story.lose()
    story.after(60).connect(sessions_readable=False)
    story.plays("1", "stopped", at=5, client="stove")
    assert [(end.ended_by, end.ended_at) for end in story.ended] == [("inferred", received)]


def test_a_session_that_ended_during_an_outage_ended_when_it_was_last_heard() -> None:
    story = Story()
    story.plays("1", at=100)
    story.look(listed("1", at=100))
    received = story.now.at
    story.after(10).lose()
    story.after(3600).connect()
    assert [(end.ended_by, end.ended_at) for end in story.ended] == [("inferred", received)]
    story.plays("2", at=0)
    story.look(listed("2"))
    received = story.now.at
    story.lose()
    story.after(60).connect()
    assert [(end.ended_by, end.ended_at) for end in story.ended[1:]] == [("inferred", received)]


@pytest.mark.parametrize("jump", [86_400, -86_400])
def test_a_clock_set_during_an_outage_neither_merges_nor_parts_plays(jump: int) -> None:
    story = Story()
    story.plays("1", at=100)
    story.look(listed("1", at=100))
    story.plays("2", at=100, client="stove", item="7002")
    story.look(listed("1", at=100), listed("2", at=100, client="stove", item="7002"))
    story.lose()
    story.after(120).clock_jumps(jump)
    story.connect(listed("1", at=220), listed("2", at=7000, client="stove", item="7002"))
    assert [(end.session_key, end.ended_by) for end in story.ended] == [("2", "inferred")]
    assert all(end.ended_at >= end.session.started_at for end in story.ended)


def test_keys_that_begin_at_one_again_make_new_plays_beside_closed_ones() -> None:
    story = Story()
    for key, item in (("450", "7001"), ("451", "7002"), ("1", "7003")):
        story.plays(key, at=50, item=item, client=f"c{key}")
    story.look(
        *(
            listed(key, at=50, item=item, client=f"c{key}")
            for key, item in (("450", "7001"), ("451", "7002"), ("1", "7003"))
        )
    )
    story.after(5).lose()
    story.after(40).connect(listed("1", item="7001", client="c450", at=90), listed("2", item="7005"))
    assert {end.session.play_id: end.ended_by for end in story.ended} == {1: "inferred", 2: "inferred", 3: "inferred"}
    assert {key: one.play_id for key, one in story.state.sessions.items()} == {"1": 4, "2": 5}


# The connection itself


def test_the_connection_goes_from_offline_to_live_and_back_to_down() -> None:
    story = Story(connected=False)
    story.lose("refused")
    assert story.state.connection.state == "offline", "never heard since the start"
    story.connect()
    assert (story.state.connection.state, story.state.connection.epoch) == ("live", 1)
    since = story.now.at
    story.after(5).lose("reset")
    assert (story.state.connection.state, story.state.connection.detail) == ("down", "reset")
    assert story.state.connection.since_at == since + 5_000
    story.after(5).lose("still reset")
    assert story.state.connection.since_at == since + 5_000, "since when has not changed"


def test_a_refused_token_is_a_state_of_its_own() -> None:
    story = Story()
    story.lose("401", unauthorized=True)
    assert story.state.connection.state == "unauthorized"


def test_the_same_loss_again_changes_nothing() -> None:
    story = Story()
    story.lose("reset")
    assert of(story.after(5).lose("reset"), ConnectionChanged) == []


def test_who_the_server_is_and_what_it_has_is_news_only_when_it_changed() -> None:
    films, ada = Section("1", "Films", "movie", count=3), Account("1", "Ada")
    shelf = Client("shelf", "Shelf", provides="playback")
    story = Story(connected=False)
    first = story.connect(sections=(films,), accounts=(ada,), clients=(shelf,))
    again = story.after(60).look(server=DEN, sections=(films,), accounts=(ada,), clients=(shelf,))
    for kind in (ServerSeen, SectionsSeen, AccountsSeen, ClientSeen):
        assert len(of(first, kind)) == 1
        assert of(again, kind) == []
    (more,) = of(story.look(sections=(replace(films, count=4),)), SectionsSeen)
    assert more.sections[0].count == 4


def test_what_could_not_be_read_stays_as_it_was_known() -> None:
    story = Story(connected=False)
    story.connect(sections=(Section("1", "Films", "movie"),), accounts=(Account("1", "Ada"),))
    story.after(60).look(sections=None, accounts=None, server=None, activities=None)
    assert (len(story.state.sections), len(story.state.accounts), story.state.server) == (1, 1, DEN)


def test_another_server_at_the_same_address_brings_its_own_libraries_and_clients() -> None:
    story = Story(connected=False)
    story.connect(listed("1"), sections=(Section("1", "Films", "movie"),))
    story.lose()
    story.connect(server=ServerIdentity("attic-0002", "Attic"))
    assert (story.state.sections, story.state.clients) == ((), {})


def test_a_row_without_the_players_identifier_does_not_take_the_reported_one_away() -> None:
    story = Story()
    story.plays("1", client="lamp")
    story.look(listed("1", player=Player(title="Lamp")))
    assert story.session().client_identifier == "lamp"
    story.after(5).plays(None, "stopped", item="", client="lamp")
    assert len(story.ended) == 1


def test_a_job_without_a_key_is_no_job_that_a_report_could_end() -> None:
    story = Story()
    story.plays("1")
    story.look(listed("1", transcode=Transcode("", video_decision="transcode"), decision="transcode"))
    assert (story.session().transcode_key, story.session().decision) == (None, "transcode")


def test_only_first_snapshots_are_journaled() -> None:
    story = Story(connected=False)
    assert [row.subject for row in of(story.connect(), Journaled)] == ["live"]
    assert of(story.after(60).look(), Journaled) == []
    assert of(story.after(400).tick(), Journaled) == []


def test_a_session_found_again_and_one_that_is_gone_are_told_apart_in_one_snapshot() -> None:
    story = Story()
    story.plays("1", at=10)
    story.plays("2", at=10, item="7002", client="stove")
    story.look(listed("1", at=10), listed("2", at=10, item="7002", client="stove"))
    story.lose()
    changes = story.after(30).connect(listed("2", at=40, item="7002", client="stove"))
    assert [change.session_key for change in of(changes, SessionChanged)] == ["2"]
    assert [change.session_key for change in of(changes, SessionEnded)] == ["1"]
