"""What Plex says is understood, whatever it says: recorded frames where they are at hand, invented ones always."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.frames import LISTS, frame, report
from support.notifications import INVENTED, JSON, RECORDED, entries_of, iterate_recorded, mutated

from plex_companion import events
from plex_companion.cache.database import open_cache
from plex_companion.changes.state import State
from plex_companion.events import (
    ActivityReport,
    Malformed,
    Notification,
    Playing,
    ScanProgress,
    TimelineEntry,
    TranscodeReport,
    Unknown,
)
from plex_companion.ingest.live import Live
from plex_companion.models import ONLY_LINK, Connection, Moment
from plex_companion.parsing.notifications import KINDS as KNOWN_KINDS
from plex_companion.parsing.websocket_frames import MOST_ENTRIES, parse_frame, reject_constant

if TYPE_CHECKING:
    from plex_companion.events import Event

CLASSES = {
    "playing": "Playing",
    "timeline": "TimelineEntry",
    "activity": "ActivityReport",
    "transcodeSession.start": "TranscodeReport",
    "transcodeSession.update": "TranscodeReport",
    "transcodeSession.end": "TranscodeReport",
    "status": "StatusNote",
    "backgroundProcessingQueue": "BackgroundQueue",
    "reachability": "Reachability",
    "update.statechange": "UpdateState",
    "progress": "ScanProgress",
    "preference": "Preference",
    "account": "AccountUpdate",
    "log": "LogLine",
}
NAMES: dict[str, dict[str, str | None]] = {
    "Playing": {
        "sessionKey": "session_key",
        "clientIdentifier": "client_identifier",
        "guid": "guid",
        "ratingKey": "rating_key",
        "key": "key",
        "viewOffset": "view_offset_ms",
        "playQueueItemID": None,
        "playQueueID": None,
        "state": "state",
        "transcodeSession": "transcode_key",
        "url": None,  # always empty
    },
    "TimelineEntry": {
        "identifier": "identifier",
        "sectionID": "section_id",
        "itemID": "item_id",
        "parentItemID": "parent_item_id",
        "rootItemID": "root_item_id",
        "type": "media_type",
        "title": "title",
        "state": "state",
        "metadataState": "metadata_state",
        "mediaState": "media_state",
        "queueSize": "queue_size",
        "updatedAt": None,
    },
    "ActivityReport": {"event": "phase", "uuid": "uuid", "Activity": None},
    "Activity": {
        "uuid": "uuid",
        "type": "activity_type",
        "cancellable": "cancellable",
        "userID": "user_id",
        "title": "title",
        "subtitle": "subtitle",
        "progress": "progress",
        "Context": "context",
    },
    "TranscodeReport": {
        "key": "transcode.key",
        "throttled": "transcode.throttled",
        "complete": "transcode.complete",
        "progress": "transcode.progress",
        "size": None,
        "speed": "transcode.speed",
        "error": "transcode.error",
        "duration": None,
        "remaining": None,
        "context": None,
        "sourceVideoCodec": "transcode.source_video_codec",
        "sourceAudioCodec": "transcode.source_audio_codec",
        "videoDecision": "transcode.video_decision",
        "audioDecision": "transcode.audio_decision",
        "subtitleDecision": "transcode.subtitle_decision",
        "protocol": "transcode.protocol",
        "container": "transcode.container",
        "videoCodec": "transcode.video_codec",
        "audioCodec": "transcode.audio_codec",
        "audioChannels": None,
        "width": "transcode.width",
        "height": "transcode.height",
        "transcodeHwRequested": None,  # together they say `hardware`
        "transcodeHwDecoding": None,
        "transcodeHwEncoding": None,
        "transcodeHwDecodingTitle": None,
        "transcodeHwEncodingTitle": None,
        "transcodeHwFullPipeline": None,
        "timeStamp": None,
        "maxOffsetAvailable": None,
        "minOffsetAvailable": None,
    },
    "StatusNote": {"title": "title", "description": "description", "notificationName": "name"},
    "BackgroundQueue": {"queueID": "queue_id", "event": "event"},
    "Reachability": {"reachability": "reachable"},
    "UpdateState": {"key": None, "version": "version", "state": "state"},
    "ScanProgress": {"message": "message"},
    "Preference": {"id": "id"}
    | dict.fromkeys(("label", "value", "summary", "type", "default", "hidden", "advanced", "group")),
    "AccountUpdate": {},
    "LogLine": dict.fromkeys(("level", "thread", "time", "message")),
}
"""What Plex calls it, and what we do; `None`: kept in `raw` alone."""


def is_kept(said: Any, event: Event, name: str) -> bool:
    value: Any = event
    for part in name.split("."):
        value = getattr(value, part)
    match said, value:
        case ("" | None, None | ""):
            return True
        case str(), str() if name in {"transcode.key", "transcode_key"}:
            return said.rsplit("/", 1)[-1] == value
        case (("0" | "1"), bool()):
            return (said == "1") is value
        case int() | float(), float():
            return math.isclose(said, value)
        case dict(), _:
            return bool(said == value)
        case _:
            return str(said) == str(value)


def assert_every_field_is_kept(entry: dict[str, Any], event: Event) -> None:
    names = NAMES[type(event).__name__]
    for name, said in entry.items():
        if name == "_elementType":
            continue
        assert name in names, f"nobody has described '{name}' of {event.type}"
        kept_as = names[name]
        assert kept_as is None or is_kept(said, event, kept_as), (name, said, event)
    if isinstance(event, ActivityReport):
        for name, said in entry["Activity"].items():
            assert is_kept(said, event, NAMES["Activity"][name] or ""), (name, said, event)


@pytest.mark.parametrize("line", INVENTED, ids=lambda line: line["note"])
def test_a_frame_becomes_an_event_per_entry_and_keeps_every_field(line: dict[str, Any]) -> None:
    found = parse_frame(json.dumps(line["frame"]))

    assert [type(event).__name__ for event in found] == line["expect"]
    for entry, event in zip(entries_of(line["frame"]), found, strict=True):
        if not isinstance(event, Unknown):
            assert_every_field_is_kept(entry, event)
        assert isinstance(event, Notification)
        assert json.loads(event.raw) == entry


def test_the_invented_frames_have_one_of_every_type_that_plex_is_known_to_send() -> None:
    seen = {line["frame"].get("NotificationContainer", line["frame"])["type"] for line in INVENTED}
    assert seen >= CLASSES.keys()


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded frames are not part of the project")
def test_every_recorded_frame_is_understood_and_keeps_every_field() -> None:
    frames = list(iterate_recorded())
    assert len(frames) > 50
    for content in frames:
        kind = content.get("NotificationContainer", content)["type"]
        entries = entries_of(content)
        found = parse_frame(json.dumps(content))
        assert [type(event).__name__ for event in found] == [CLASSES[kind]] * len(entries)
        for entry, event in zip(entries, found, strict=True):
            assert_every_field_is_kept(entry, event)


def one(text: str | bytes) -> Event:
    (event,) = parse_frame(text)
    return event


def test_a_list_that_is_null_is_kept_as_unknown() -> None:
    event = one('{"NotificationContainer":{"type":"playing","size":0,"PlaySessionStateNotification":null}}')
    raw = '{"type":"playing","size":0,"PlaySessionStateNotification":null}'
    assert event == Unknown("playing", raw=raw, irregular=True)


def test_a_list_that_is_missing_or_empty_is_kept_as_unknown() -> None:
    assert isinstance(one('{"NotificationContainer":{"type":"playing","size":1}}'), Unknown)
    assert isinstance(one('{"NotificationContainer":{"type":"playing","TimelineEntry2":[]}}'), Unknown)


def test_one_object_where_a_list_belongs_is_its_only_entry() -> None:
    single = json.dumps({"NotificationContainer": {"type": "playing", "PlaySessionStateNotification": report("3")}})
    assert isinstance(one(single), Playing)


def test_an_entry_that_is_no_object_is_malformed_and_the_next_is_read() -> None:
    broken, good = parse_frame(frame("playing", "what?", report("3")))
    assert broken == Malformed("an entry of 'playing' that is not an object")
    assert isinstance(good, Playing)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON: JSONDecodeError"),
        ("<html>401</html>", "not JSON: JSONDecodeError"),
        ("[1, 2]", "not a JSON object"),
        ("null", "not a JSON object"),
        ("{}", "no NotificationContainer"),
        ('{"NotificationContainer": []}', "no NotificationContainer"),
        ('{"NotificationContainer": {}}', "a container without a type"),
        ('{"NotificationContainer": {"type": 5}}', "a container without a type"),
        ('{"NotificationContainer": {"type": "playing", "viewOffset": NaN}}', "not JSON: ValueError"),
        ('{"NotificationContainer": {"type": "playing", "viewOffset": -Infinity}}', "not JSON: ValueError"),
        ('{"NotificationContainer": {"type": "playing", "n": ' + "9" * 5000 + "}}", "not JSON: ValueError"),
        ("[" * 200_000, "not JSON: RecursionError"),
        ('{"a":' * 200_000, "not JSON: RecursionError"),
    ],
    ids=lambda value: value[:40],
)
def test_what_means_nothing_is_malformed_and_says_why(text: str, reason: str) -> None:
    assert one(text) == Malformed(reason)


def test_half_a_character_is_replaced_and_the_rest_is_read() -> None:
    whole = frame("progress", {"message": "Scanning Zoë"}).replace("\\u00eb", "ë").encode()
    event = one(whole.replace("ë".encode(), "ë".encode()[:1]))
    assert isinstance(event, ScanProgress)
    assert event.message == "Scanning Zo\ufffd"


def test_bytes_of_any_kind_are_read_alike() -> None:
    text = frame("playing", report("3"))
    assert one(text) == one(text.encode()) == one(bytes(bytearray(text.encode())))


def test_control_bidi_and_surrogate_characters_are_removed_and_line_breaks_become_spaces() -> None:
    event = one(frame("progress", {"message": "Red\u0004 \u202eetiL\u202c\nand \ud800\x1b[31mmore\u0085"}))
    assert isinstance(event, ScanProgress)
    assert event.message == "Red etiL and [31mmore"


def test_joined_emoji_and_foreign_scripts_stay_as_they_are() -> None:
    event = one(frame("progress", {"message": "👩‍👩‍👧 斗罗大陆 क्‍ष"}))
    assert isinstance(event, ScanProgress)
    assert event.message == "👩‍👩‍👧 斗罗大陆 क्‍ष"


@pytest.mark.parametrize("huge", ["1e400", "-1e400", "1e308", "9" * 4000, "1e18", "-" + "9" * 30])
def test_numbers_fit_the_database_or_are_left_out(huge: str) -> None:
    body = f'{{"sessionKey":"1","viewOffset":{huge},"state":"playing"}}'
    playing = one(f'{{"NotificationContainer":{{"type":"playing","PlaySessionStateNotification":[{body}]}}}}')
    assert isinstance(playing, Playing)
    assert playing.view_offset_ms is None or abs(playing.view_offset_ms) < 2**63
    body = f'{{"key":"a","speed":{huge},"width":{huge},"timeStamp":{huge}}}'
    job = one(f'{{"NotificationContainer":{{"type":"transcodeSession.update","TranscodeSession":[{body}]}}}}')
    assert isinstance(job, TranscodeReport)
    assert job.transcode.speed is None or math.isfinite(job.transcode.speed)
    assert job.transcode.width is None or abs(job.transcode.width) < 2**63


def test_what_an_activity_is_about_is_kept_as_plain_clean_values() -> None:
    deep: Any = "x"
    for _ in range(500):
        deep = [deep]
    context = {
        "librarySectionID": "1\u202e",
        "key\x00": "/k",
        "exists": True,
        "partID": 7,
        "deep": deep,
        "huge": 10**40,
    }
    event = one(frame("activity", {"event": "ended", "uuid": "u", "Activity": {"Context": context}}))
    assert isinstance(event, ActivityReport)
    assert event.context == {"librarySectionID": "1", "key": "/k", "exists": True, "partID": 7}


def test_an_identifier_that_came_as_a_number_is_the_same_as_its_text() -> None:
    event = one(frame("timeline", {"sectionID": 2, "itemID": 707, "type": "4", "state": "5"}))
    assert isinstance(event, TimelineEntry)
    assert (event.section_id, event.item_id, event.media_type, event.state) == ("2", "707", 4, 5)


def test_every_kind_of_frame_has_a_class_of_its_own() -> None:
    assert set(CLASSES) <= set(KNOWN_KINDS)


# Fuzz: nothing that may arrive stops the road from the socket to the disk.

KINDS = sorted({line["frame"].get("NotificationContainer", line["frame"])["type"] for line in INVENTED})


@given(st.text() | st.binary())
@example("\ud800")
def test_no_text_and_no_bytes_can_make_parsing_raise(text: str | bytes) -> None:
    assert all(isinstance(event, Malformed) for event in parse_frame(text))


@given(JSON, st.sampled_from(KINDS))
def test_no_json_can_make_parsing_raise(value: object, kind: str) -> None:
    parse_frame(json.dumps(value))
    parse_frame(json.dumps({"NotificationContainer": value}))
    parse_frame(json.dumps({"NotificationContainer": {"type": kind, LISTS.get(kind, "x"): value}}))
    parse_frame(json.dumps({"NotificationContainer": {"type": kind, LISTS.get(kind, "x"): [value]}}))


@pytest.mark.slow
@settings(max_examples=60)
@given(batches=st.lists(st.lists(mutated(), max_size=6), min_size=1, max_size=3))
async def test_no_mutated_frame_stops_the_road_to_the_disk(
    batches: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    live = Live(blank())
    moment = Moment(1_795_370_400_000, 1_000)
    async with open_cache(tmp_path_factory.mktemp("fuzz") / "cache.sqlite3") as cache:
        for frames in batches:
            moment = Moment(moment.at + 7_000, moment.tick + 7_000)
            received = [events.ReceivedEvent(event, moment) for text in frames for event in parse_frame(text)]
            state, changes, _ = live.apply(received)
            await cache.write(changes, "unknown", moment.at)
            live.publish({ONLY_LINK: state})
        rows = list(await cache.reader.execute_fetchall("SELECT type, payload FROM events ORDER BY id"))
        assert len(rows) == live.state.next_event - 1
        for row in rows:
            json.loads(row["payload"], parse_constant=reject_constant)


def blank() -> State:
    return State(Connection("live", 1_795_370_400_000, 1))


def test_of_a_frame_with_entries_without_end_so_many_are_read_and_the_rest_is_told_of() -> None:
    entries = [{"sessionKey": str(number), "state": "playing"} for number in range(MOST_ENTRIES + 5)]
    container = {"type": "playing", "PlaySessionStateNotification": entries}
    events = parse_frame(json.dumps({"NotificationContainer": container}))
    assert len(events) == MOST_ENTRIES + 1
    assert isinstance(events[-1], Malformed)
