"""What events mean: which occurrences a story causes, in which order, and with which data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from msgspec.structs import replace
from support.frames import DEN, listed
from support.occurrences import OccurrenceStory, list_names, list_occurrences
from support.random_stories import Teller

from plex_companion.models import Account, Item, Player
from plex_companion.occurrences.declare import OCCURRENCE_TYPES

if TYPE_CHECKING:
    from plex_companion.changes.kinds import Change

EPISODE = Item(
    "7001", "/library/metadata/7001", type="episode", title="Low Tide", grandparent_title="Harbour Street",
    parent_title="Season 1", index=2, parent_index=1, library="Shows", library_id="2", duration_ms=3_600_000,
)  # fmt: skip
DIRECT = listed("1", item="7001")
ROW = replace(DIRECT, item=EPISODE)


@pytest.fixture
def story() -> OccurrenceStory:
    return OccurrenceStory()


def test_a_start_waits_until_plex_lists_it_and_then_says_who_and_what(story: OccurrenceStory) -> None:
    assert list_names(story.plays("1", at=5)) == []
    (started,) = list_occurrences(story.after(0.1).look(ROW))
    assert started["type"] == "play.started"
    assert started["inferred"] is False
    assert started["data"]["item"]["full_title"] == "Harbour Street - S01E02 - Low Tide"
    assert started["data"]["user"] == {"id": "1", "name": "Ada"}
    assert started["data"]["player"]["title"] == "Lamp"


def test_a_start_that_plex_never_lists_counts_after_ten_seconds(story: OccurrenceStory) -> None:
    story.plays("1")
    assert list_names(story.after(5).tick()) == []
    (started,) = list_occurrences(story.after(6).tick())
    assert (started["type"], started["data"]["user"]["name"]) == ("play.started", None)


def test_pausing_and_resuming_are_recorded_once_each_however_often_they_are_reported(story: OccurrenceStory) -> None:
    story.look(ROW)
    states = ["playing", "paused", "paused", "buffering", "paused", "playing", "buffering", "playing"]
    found: list[Change] = []
    for place, state in enumerate(states):
        found += story.after(10).plays("1", state, at=10 * place)
    assert list_names(found) == ["play.paused", "play.resumed"]


def test_a_stop_says_how_it_ended_and_how_far_it_came(story: OccurrenceStory) -> None:
    story.look(ROW)
    story.after(60).plays("1", at=60)
    (stopped,) = list_occurrences(story.after(10).plays("1", "stopped", at=70))
    data = stopped["data"]
    assert (stopped["type"], data["ended_by"], data["watched_ms"], data["percent"]) == (
        "play.stopped",
        "stopped",
        70_000,
        1.9,
    )
    assert list_names(story.plays("1", "stopped", at=70)) == []


def test_a_play_that_ends_before_plex_lists_it_still_starts_first(story: OccurrenceStory) -> None:
    story.plays("1")
    assert list_names(story.after(1).plays("1", "stopped")) == ["play.started", "play.stopped"]


def test_nine_tenths_count_as_watched_once(story: OccurrenceStory) -> None:
    story.look(ROW)
    assert list_names(story.after(10).plays("1", at=3_239)) == []
    assert list_names(story.after(10).plays("1", at=3_240)) == ["play.watched"]
    assert list_names(story.after(10).plays("1", at=3_250)) == []
    assert list_names(story.after(10).plays("1", at=60)) == []
    assert list_names(story.after(10).plays("1", at=3_500)) == []


def test_live_tv_and_clips_are_never_watched(story: OccurrenceStory) -> None:
    story.look(replace(ROW, item=replace(EPISODE, live=True)), replace(listed("2"), item=replace(EPISODE, type="clip")))
    assert list_names(story.after(10).plays("1", at=3_500)) == []
    assert list_names(story.after(10).plays("2", at=3_500)) == []


def test_what_the_first_snapshot_finds_is_inferred() -> None:
    story = OccurrenceStory(connected=False)
    found = list_occurrences(story.connect(replace(ROW, state="paused")))
    assert [(one["type"], one["inferred"]) for one in found] == [("play.started", True), ("play.paused", True)]


def test_a_pause_and_an_end_that_were_missed_are_inferred(story: OccurrenceStory) -> None:
    story.look(ROW, replace(listed("2", item="7002", client="stove")))
    story.lose()
    found = list_occurrences(story.after(20).connect(replace(ROW, state="paused", view_offset_ms=5_000)))
    assert [(one["type"], one["inferred"]) for one in found if one["type"].startswith("play.")] == [
        ("play.paused", True),
        ("play.stopped", True),
    ]


def test_an_item_that_follows_another_stops_the_first(story: OccurrenceStory) -> None:
    story.look(ROW)
    assert list_names(story.after(10).plays("1", at=0, item="7002")) == ["play.stopped"]
    assert list_names(story.after(1).look(listed("1", item="7002"))) == ["play.started"]


def test_a_switch_of_the_quality_says_from_what_to_what(story: OccurrenceStory) -> None:
    story.look(ROW)
    story.say("transcodeSession.start", {"key": "/transcode/sessions/job", "videoDecision": "transcode"})
    (changed,) = list_occurrences(story.after(10).plays("1", at=10, transcodeSession="job"))
    assert (changed["type"], changed["data"]["from"], changed["data"]["to"]) == (
        "play.quality_changed",
        "direct play",
        "transcode",
    )
    assert changed["data"]["user"]["name"] == "Ada"


def test_a_play_that_keeps_buffering_is_recorded_once_until_five_minutes_were_calm(story: OccurrenceStory) -> None:
    story.look(ROW)

    def count(times: int) -> int:
        recorded = 0
        for _ in range(times):
            found = [*story.after(5).plays("1", "playing"), *story.after(5).plays("1", "buffering")]
            recorded += list_names(found).count("play.buffering")
        return recorded

    assert [count(2), count(1), count(5)] == [0, 1, 0]
    for _ in range(32):
        story.after(10).plays("1", "playing")
    assert [count(2), count(1)] == [0, 1]


def test_a_lost_connection_is_recorded_when_its_alert_opens_and_restored_only_then(story: OccurrenceStory) -> None:
    assert list_names(story.lose("connection reset")) == ["alert.opened", "connection.lost"]
    assert list_names(story.after(1).lose("closed")) == []
    found = list_occurrences(story.after(9).connect())
    restored = next(one for one in found if one["type"] == "connection.restored")
    assert restored["data"] == {"down_ms": 10_000, "detail": "connection reset"}
    assert "connection.lost" not in [one["type"] for one in found]


def test_a_rejected_token_keeps_the_connection_lost(story: OccurrenceStory) -> None:
    story.lose("connection reset")
    assert "connection.lost" not in list_names(story.after(5).lose("401", unauthorized=True))
    found = story.after(5).connect()
    assert list_names(found).count("connection.restored") == 1


def test_the_first_connection_restores_nothing() -> None:
    story = OccurrenceStory(connected=False)
    assert list_names(story.connect()) == []


def test_a_new_player_is_recorded_without_its_address(story: OccurrenceStory) -> None:
    story.connect(accounts=(Account("1", "Ada"),))
    row = replace(ROW, player=Player("stove", "Stove", "Plex HTPC", address="192.0.2.7"))
    found = story.after(1).look(row)
    (new,) = [one for one in list_occurrences(found) if one["type"] == "client.new"]
    assert (new["data"]["player"]["client_identifier"], new["data"]["player"]["title"]) == ("stove", "Stove")
    assert "192.0.2.7" not in json.dumps(list_occurrences(found))


def test_another_version_is_recorded_with_both() -> None:
    story = OccurrenceStory()
    found = list_occurrences(story.after(60).connect(server=replace(DEN, version="1.44.0")))
    assert [one["data"] for one in found if one["type"] == "server.updated"] == [{"from": "1.43.3", "to": "1.44.0"}]


def test_another_server_at_the_address_is_no_update() -> None:
    story = OccurrenceStory()
    other = replace(DEN, machine_identifier="cabin-0002", version="1.44.0")
    assert "server.updated" not in list_names(story.after(60).connect(server=other))


def test_all_that_is_caused_fits_the_schema_of_its_type() -> None:
    validators = {name: Draft202012Validator(known.data_schema) for name, known in OCCURRENCE_TYPES.items()}
    caused: dict[str, dict[str, Any]] = {}
    for seed in range(4):
        teller = Teller(seed, OccurrenceStory(connected=False))
        for _ in range(200):
            teller.one_more()
        for one in list_occurrences(teller.story.changes):
            caused[one["type"]] = one
            validators[one["type"]].validate({"server": "den-0001", "server_name": "Den", "at": "…", **one["data"]})
    assert len(caused) > 10
