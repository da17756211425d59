"""States and occurrences as Home Assistant gets them: discovery, players, figures, events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace
from support.frames import START, Story, listed
from support.home_assistant import find_wrong, list_devices, read_device

from plex_companion.models import Player, ServerIdentity, User
from plex_companion.mqtt.event_messages import GROUPS, TRIGGERS, build_event_messages, list_event_types
from plex_companion.mqtt.home_state import FORGOTTEN_MS, LONGEST_STATE
from plex_companion.mqtt.retained_messages import RetainedMessages
from plex_companion.mqtt.topics import ONLINE, Topics
from plex_companion.occurrences.declare import OCCURRENCE_TYPES

if TYPE_CHECKING:
    from plex_companion.changes.state import State

TOPICS = Topics("0a1b2c3d")
BARN = ServerIdentity("barn-0002", "Barn", "1.43.3")


def show(*states: State, at: int = START) -> tuple[dict[str, str], dict[str, Any]]:
    """All that is kept, with the companion running, and the discovery in it."""
    kept = {**flatten(RetainedMessages(TOPICS).build(states, at)), TOPICS.status: ONLINE}
    return kept, {topic: json.loads(text) for topic, text in kept.items() if topic.endswith("/config")}


def flatten(devices: dict[str, dict[str, str]]) -> dict[str, str]:
    return {topic: payload for messages in devices.values() for topic, payload in messages.items()}


def device(name: str, *states: State, at: int = START) -> dict[str, Any]:
    return read_device(*show(*states, at=at), name)


def watching(**more: Any) -> Story:
    story = Story(connected=False)
    story.connect(listed("1", at=1800, **more))
    return story


# Players


@pytest.mark.parametrize(
    ("state", "shown"), [("playing", "playing"), ("buffering", "playing"), ("paused", "paused"), ("error", "idle")]
)
def test_a_player_plays_is_paused_or_is_idle(state: str, shown: str) -> None:
    story = watching()
    story.after(1).plays("1", state, at=1800)
    assert device("Lamp", story.state)["Playback"] == shown


def test_a_player_has_title_progress_and_user_while_it_plays_and_none_afterwards() -> None:
    story = watching()
    assert device("Lamp", story.state) == {"Playback": "playing", "Title": "Film 7001", "Progress": 25, "User": "Ada"}
    story.after(1).plays("1", "stopped", at=1800)
    assert device("Lamp", story.state) == {"Playback": "idle", "Title": None, "Progress": None, "User": None}


def test_a_player_that_was_not_seen_for_thirty_days_is_no_longer_there() -> None:
    story = watching()
    story.after(1).plays("1", "stopped", at=1800)
    seen_at = story.now.at
    assert "Lamp" in list_devices(show(story.state, at=seen_at + FORGOTTEN_MS - 1)[1])
    assert "Lamp" not in list_devices(show(story.state, at=seen_at + FORGOTTEN_MS)[1])


def test_a_player_that_still_plays_after_thirty_days_is_there() -> None:
    assert "Lamp" in list_devices(show(watching().state, at=START + 2 * FORGOTTEN_MS)[1])


def test_of_two_sessions_of_a_player_the_one_that_plays_is_shown() -> None:
    story = Story(connected=False)
    story.connect(listed("1", "playing", item="1"), listed("2", "paused", item="2"))
    assert device("Lamp", story.state)["Title"] == "Film 1"


def test_a_player_is_unavailable_while_plex_is_lost() -> None:
    story = watching()
    story.after(1).lose()
    assert set(device("Lamp", story.state).values()) == {"unavailable"}


def test_nothing_that_is_published_holds_an_address_or_an_e_mail_address() -> None:
    story = Story(connected=False)
    player = Player("lamp", title="Lamp of bob@example.org at 192.0.2.7", address="192.0.2.8")
    story.connect(listed("1", user=User("2", "ada@example.org"), player=player))
    whole = "\n".join(show(story.state)[0].values())
    assert not [secret for secret in ("ada@example.org", "bob@example.org", "192.0.2.") if secret in whole]


def test_a_title_fits_into_a_state() -> None:
    story, row = Story(connected=False), listed("1")
    story.connect(replace(row, item=replace(row.item, title="Long " * 200)))
    assert 0 < len(device("Lamp", story.state)["Title"]) <= LONGEST_STATE


# Figures and servers


def test_the_companion_counts_streams_transcodes_and_bandwidth_and_says_whether_it_is_connected() -> None:
    story = Story(connected=False)
    story.connect(listed("1"), listed("2", client="tv", decision="transcode", bandwidth_kbps=2500))
    figures = device("Plex Companion", story.state)
    assert figures == {"Streams": 2, "Transcodes": 1, "Bandwidth": 6500, "Connection to Plex": "ON"}
    story.after(1).lose()
    figures = device("Plex Companion", story.state)
    assert figures.pop("Connection to Plex") == "OFF"
    assert set(figures.values()) == {"unavailable"}


def test_with_one_server_there_is_no_device_of_a_server() -> None:
    assert list_devices(show(watching().state)[1]) == {"Plex Companion", "Lamp"}


def test_with_several_servers_each_has_a_device_and_the_companion_has_the_sum() -> None:
    one, two = watching(), Story(connected=False)
    two.connect(listed("1", player=Player("tv", "TV")), listed("2", player=Player("radio", "Radio")), server=BARN)
    kept, configs = show(one.state, two.state)
    assert list_devices(configs) >= {"Plex Companion", "Den", "Barn"}
    assert [read_device(kept, configs, name)["Streams"] for name in ("Plex Companion", "Den", "Barn")] == [3, 1, 2]
    two.after(1).lose()
    kept, configs = show(one.state, two.state)
    assert read_device(kept, configs, "Plex Companion") == {
        "Streams": 1, "Transcodes": 0, "Bandwidth": 4000, "Connection to Plex": "OFF",
    }  # fmt: skip
    assert read_device(kept, configs, "Barn")["Streams"] == "unavailable"
    assert read_device(kept, configs, "Lamp")["Playback"] == "playing"


def test_a_player_that_two_servers_know_is_one_device_that_shows_where_it_plays() -> None:
    one, two = watching(), Story(connected=False)
    two.connect(listed("9", item="9001"), server=BARN)
    one.after(1).plays("1", "stopped", at=1800)
    kept, configs = show(one.state, two.state)
    assert find_wrong(configs) == []
    assert read_device(kept, configs, "Lamp")["Title"] == "Film 9001"


# Discovery


def test_home_assistant_accepts_every_discovery() -> None:
    one, two = watching(), Story(connected=False)
    two.connect(listed("1", client="räume/+#", user=None), listed("2", player=Player("x" * 500)), server=BARN)
    for states in ((one.state,), (one.state, two.state), (Story(connected=False).state,)):
        assert find_wrong(show(*states)[1]) == []


def test_the_discovery_of_a_device_comes_before_its_states() -> None:
    for messages in RetainedMessages(TOPICS).build([watching().state], START).values():
        is_config = [topic.endswith("/config") for topic in messages]
        assert is_config == sorted(is_config, reverse=True)


def test_only_the_devices_that_changed_are_built_again() -> None:
    story, built = watching(), RetainedMessages(TOPICS)
    before = built.build([story.state], START)
    assert all(built.build([story.state], START + 1)[name] is messages for name, messages in before.items())
    story.after(1).plays("1", "paused", at=1800)
    after = built.build([story.state], START + 2)
    assert [name.partition("_")[0] for name, messages in after.items() if messages is not before[name]] == ["player"]


def test_a_mistake_in_discovery_would_be_found() -> None:
    topic, config = next(
        (topic, config) for topic, config in show(watching().state)[1].items() if config.get("device_class") == "enum"
    )
    changes: list[dict[str, Any]] = [
        {"unit_of_measurement": "x"},
        {"state_topc": "x"},
        {"device": {"name": "x"}},
        {"options": []},
    ]
    for change in changes:
        assert find_wrong({topic: {**config, **change}})
    assert find_wrong({topic.replace("/config", "/konfig"): config})
    assert find_wrong({topic: {name: value for name, value in config.items() if name != "state_topic"}})


# Occurrences


def occurrence(name: str, **data: Any) -> dict[str, Any]:
    at = "2026-11-22T17:00:00.000Z"
    head = {"server": "den-0001", "server_name": "Den", "at": at}
    return {"id": f"x-{name}", "type": name, "at": at, "inferred": False, "data": {**head, **data}, "cursor": "x-1"}


PLAY = {
    "play_id": "7",
    "item": {"full_title": "Film 1 (1999)", "type": "movie", "library": "Films"},
    "user": {"id": "1", "name": "Ada"},
    "player": {"client_identifier": "lamp", "title": "Lamp"},
    "decision": "transcode",
    "view_offset_ms": 1000,
}


def test_every_type_of_occurrence_belongs_to_one_event_entity() -> None:
    every = [name for group in GROUPS for name in list_event_types(group)]
    assert sorted(every) == sorted(OCCURRENCE_TYPES)


@pytest.mark.parametrize("name", OCCURRENCE_TYPES)
def test_an_occurrence_is_an_event_that_its_entity_knows(name: str) -> None:
    configs = show(watching().state)[1]
    messages = build_event_messages(occurrence(name, **(PLAY if name.startswith("play.") else {})), TOPICS)
    events = [message for message in messages if "/events/" in message.topic]
    knowing = {config["state_topic"]: config["event_types"] for config in configs.values() if "event_types" in config}
    assert events
    assert all(json.loads(message.payload)["event_type"] in knowing[message.topic] for message in events)


@pytest.mark.parametrize("name", TRIGGERS)
def test_what_a_trigger_waits_for_is_sent_for_the_companion_and_for_the_player(name: str) -> None:
    configs = [config for config in show(watching().state)[1].values() if config.get("automation_type")]
    sent = {(message.topic, message.payload) for message in build_event_messages(occurrence(name, **PLAY), TOPICS)}
    fitting = [one["device"]["name"] for one in configs if (one["topic"], one["payload"]) in sent]
    assert fitting == ["Plex Companion", "Lamp"]


def test_what_is_said_of_a_play_is_flat() -> None:
    (message, *_) = build_event_messages(occurrence("play.started", **PLAY), TOPICS)
    said = json.loads(message.payload)
    assert (said["title"], said["user"], said["player"], said["decision"]) == (
        "Film 1 (1999)",
        "Ada",
        "Lamp",
        "transcode",
    )
    assert not [value for value in said.values() if isinstance(value, dict)]


def test_new_media_is_named_by_ten_titles_at_most_and_an_alert_by_its_kind() -> None:
    items = [{"title": f"Episode {number}"} for number in range(100)]
    (media,) = build_event_messages(occurrence("media.added", title="Show", count=100, items=items), TOPICS)
    assert len(json.loads(media.payload)["titles"]) == 10
    alert = {"kind": "buffering", "title": "It buffers", "severity": "warning", "detail": {"x": 1}}
    (sent,) = build_event_messages(occurrence("alert.opened", alert=alert), TOPICS)
    assert {"kind": "buffering", "severity": "warning", "title": "It buffers"}.items() <= json.loads(
        sent.payload
    ).items()


def test_an_event_holds_no_e_mail_address_and_no_address() -> None:
    data = {**PLAY, "user": {"id": "1", "name": "ada@example.org"}, "detail": "no answer from 192.0.2.7"}
    sent = "".join(message.payload for message in build_event_messages(occurrence("play.started", **data), TOPICS))
    assert "ada@example.org" not in sent
    assert "192.0.2.7" not in sent
