"""What steps in an item's life and reports of activities mean."""

from __future__ import annotations

from typing import Any

import pytest
from support.frames import Story, of

from plex_companion.changes.additions import summarize_titles
from plex_companion.changes.kinds import ActivityChanged, ActivityEnded, LibraryItemChanged
from plex_companion.changes.state import RECENT
from plex_companion.models import Activity, LibraryChange, Section

LIBRARY = "com.plexapp.plugins.library"


def step(item: str = "5", state: int = 5, **more: object) -> dict[str, object]:
    known = {"identifier": LIBRARY, "sectionID": "1", "itemID": item, "type": 1, "title": "Film 5", "state": state}
    return {**known, **more}


def moves(story: Story, *steps: dict[str, object]) -> list[LibraryChange]:
    return [move.change for one in steps for move in of(story.say("timeline", one), LibraryItemChanged)]


# l: the life of an item


def test_the_life_of_a_new_film_is_one_change_until_it_is_ready() -> None:
    story = Story()
    life = moves(
        story,
        step(state=0, title="", metadataState="created"),
        step(state=2, metadataState="queued", queueSize=3),
        step(state=3, metadataState="loading"),
        step(state=4, metadataState="processing"),
        step(state=5, queueSize=1),
        step(state=5),
    )
    assert {(move.id, move.change) for move in life} == {(1, "created")}
    assert [move.settled for move in life] == [False] * 5 + [True]
    assert life[0].title is None
    assert life[-1].title == "Film 5"
    assert len(story.state.recent) == 1


def test_analysis_minutes_later_is_an_update_that_settles_again() -> None:
    story = Story()
    moves(story, step(state=0), step())
    later = moves(story, step(mediaState="analyzing"), step(mediaState="thumbnailing"), step())
    assert {(move.id, move.change) for move in later} == {(2, "updated")}
    assert [move.settled for move in later] == [False, False, True]


def test_only_the_first_step_names_the_parents_and_they_are_kept() -> None:
    (_, last) = moves(
        Story(), step(state=0, type=4, parentItemID="10653", rootItemID="10652"), step(type=None, title="S01 E03")
    )
    assert (last.parent_item_id, last.root_item_id, last.type, last.title) == ("10653", "10652", "episode", "S01 E03")


def test_a_ready_item_asks_for_the_libraries_and_one_under_way_does_not() -> None:
    story = Story()
    story.say("timeline", step(state=0))
    assert "library" not in story.requests
    story.say("timeline", step())
    assert "library" in story.requests


@pytest.mark.parametrize("last", [{"state": 9}, {"state": 9, "metadataState": "deleted"}, {"metadataState": "deleted"}])
def test_a_deletion_is_settled_at_once_and_is_a_change_of_its_own(last: dict[str, Any]) -> None:
    story = Story()
    (_, gone) = moves(story, step(state=0), step(**last))
    assert (gone.change, gone.settled, gone.id) == ("deleted", True, 2)
    assert story.state.unsettled == {}


@pytest.mark.parametrize(
    "noise",
    [
        step(sectionID="-1", type=12),
        step(identifier="tv.plex.providers.epg.onconnect:4"),
        step(identifier="com.plexapp.agents.none"),
        {"identifier": LIBRARY, "sectionID": "1", "state": 5},
        {"identifier": LIBRARY, "sectionID": "1", "itemID": "5"},
    ],
    ids=["extras", "the guide", "another plugin", "no item", "no state"],
)
def test_what_is_not_of_the_library_is_silence_there(noise: dict[str, Any]) -> None:
    assert moves(Story(), noise) == []


def test_a_photo_settles_at_state_one_and_a_film_does_not() -> None:
    (photo,) = moves(Story(), step(state=1, type=13))
    (film,) = moves(Story(), step(state=1, type=1))
    assert (photo.settled, photo.type, film.settled) == (True, "photo", False)


@pytest.mark.parametrize(("number", "name"), [(18, "collection"), (15, "playlist"), (42, "optimizedversion")])
def test_collections_and_playlists_settle_on_every_edit(number: int, name: str) -> None:
    edits = moves(Story(), step(type=number), step(type=number))
    assert [(edit.type, edit.settled, edit.change, edit.id) for edit in edits] == [
        (name, True, "updated", 1),
        (name, True, "updated", 2),
    ]


def test_a_type_nobody_has_described_is_no_type() -> None:
    (move,) = moves(Story(), step(type=99))
    assert move.type is None


def test_an_item_of_a_large_import_is_counted_once_however_late_it_is_ready() -> None:
    story = Story()
    story.connect(sections=(Section("1", "Films", "movie"),))
    items = [str(number) for number in range(RECENT + 20)]
    moves(story, *(step(item, state=0) for item in items))
    moves(story, *(step(item) for item in items))
    assert story.state.added_counts == {"1": RECENT + 20}
    story.say("activity", scan("ended"))
    assert story.alerts("scan_finished")[0].title == f"Scan of Films finished: {RECENT + 20} new"
    assert story.state.added_counts == {}


# What Plex is doing (m)


def scan(phase: str = "updated", uuid: str = "u1", **more: object) -> dict[str, Any]:
    inner = {
        "type": "library.update.section",
        "title": "Scanning Films",
        "subtitle": "Reed",
        "progress": 4,
        "userID": 1,
    }
    return {"event": phase, "uuid": uuid, "Activity": {**inner, "Context": {"librarySectionID": "1"}, **more}}


def test_an_activity_starts_moves_on_and_ends() -> None:
    story = Story()
    story.say("activity", scan("started", progress=0, Context={}))
    began = story.now.at
    story.after(3).say("activity", scan("updated", progress=50, title=""))
    (running,) = story.state.activities.values()
    assert (running.title, running.progress, running.started_at, running.updated_at) == (
        "Scanning Films",
        50,
        began,
        story.now.at,
    )
    assert running.context == {"librarySectionID": "1"}
    changes = story.after(3).say("activity", scan("ended", progress=100, Context={}))
    (ended,) = of(changes, ActivityEnded)
    assert (ended.activity.context, ended.activity.started_at) == ({"librarySectionID": "1"}, began)
    assert story.state.activities == {}
    assert "library" in story.requests, "a scan may have brought something"


def test_a_flood_of_one_scan_is_one_activity() -> None:
    story = Story()
    for number in range(1_556):
        story.say("activity", scan("updated", progress=number % 100))
    assert len(story.state.activities) == 1


def test_a_report_without_an_identifier_is_of_no_use() -> None:
    assert of(Story().say("activity", {"event": "started", "Activity": {"title": "?"}}), ActivityChanged) == []


def test_an_end_that_was_missed_is_noticed_when_activities_are_listed() -> None:
    story = Story()
    story.say("activity", scan("started"))
    story.say("activity", {"event": "started", "uuid": "u2", "Activity": {"type": "media.download"}})
    moves(story, step(state=0))
    story.after(60)
    changes = story.look(activities=(Activity("u2", "media.download"), Activity("u3", "media.optimize")))
    assert [end.activity.uuid for end in of(changes, ActivityEnded)] == ["u1"]
    assert set(story.state.activities) == {"u2", "u3"}
    assert "library" in story.requests
    assert story.alerts("scan_finished"), "the scan has finished all the same"


def test_an_activity_heard_while_the_list_was_read_is_not_missing_from_it() -> None:
    story = Story()
    story.after(5).say("activity", scan("started"))
    story.after(1).look(activities=(), asked_ago=3)
    assert set(story.state.activities) == {"u1"}


def test_activities_that_could_not_be_listed_go_on() -> None:
    story = Story()
    story.say("activity", scan("started"))
    story.after(60).look(activities=None)
    assert set(story.state.activities) == {"u1"}


def test_a_clock_set_back_does_not_keep_an_activity_that_is_over() -> None:
    story = Story()
    story.say("activity", scan("started"))
    story.after(60).clock_jumps(-86_400).look(activities=())
    assert story.state.activities == {}


# What is told of additions


def new(item: str, kind: str, title: str | None, parent: str | None = None, root: str | None = None) -> LibraryChange:
    return LibraryChange(
        int(item), 0, item, "1", kind, title, "created", settled=True, parent_item_id=parent, root_item_id=root
    )


def test_additions_are_named_by_film_season_and_album_in_the_order_they_came() -> None:
    came = [
        new("1", "movie", "The Tuesday Tide"),
        new("2", "show", "Harbour"),
        new("3", "season", "Season 1", "2"),
        *(new(str(n), "episode", f"Harbour S01 E{n - 9:02}", "3", "2") for n in range(10, 18)),
        new("20", "episode", "Night Post S02 E05", "88", "87"),
        new("30", "artist", "Tin Lanterns"),
        new("31", "album", "Low Water", "30"),
        *(new(str(n), "track", f"Song {n}", "31", "30") for n in range(32, 35)),
        new("40", "movie", None),
    ]
    assert summarize_titles(came) == [
        "The Tuesday Tide",
        "Harbour S01 (8 episodes)",
        "Night Post S02 E05",
        "Tin Lanterns - Low Water (3 tracks)",
    ]


def test_episodes_without_a_parent_are_grouped_by_the_name_of_their_season() -> None:
    came = [new(str(n), "episode", f"Harbour S0{1 + n % 2} E{n:02}") for n in range(1, 6)]
    assert summarize_titles(came) == ["Harbour S02 (3 episodes)", "Harbour S01 (2 episodes)"]


def test_at_most_twenty_additions_are_named() -> None:
    assert len(summarize_titles(new(str(n), "movie", f"Film {n}") for n in range(1, 50))) == 20


def test_a_scan_counts_episodes_and_not_the_seasons_and_shows_that_hold_them() -> None:
    story = Story()
    for item, kind in (("2", 2), ("3", 3), ("4", 4), ("5", 4)):
        moves(story, step(item, state=0, type=kind), step(item, type=kind))
    assert story.state.added_counts == {"1": 2}


# Whether a file was replaced


def test_a_change_during_which_the_file_was_analysed_says_so_to_its_end() -> None:
    story = Story()
    moves(story, step(state=0), step())
    later = moves(story, step(mediaState="analyzing"), step(mediaState="thumbnailing"), step())
    assert [(move.analyzed, move.settled) for move in later] == [(True, False), (True, False), (True, True)]
    (edit,) = moves(story.after(60), step())
    assert not edit.analyzed
