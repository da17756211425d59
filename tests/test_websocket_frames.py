"""Frames of the usual form are decoded fast, all others tolerantly, and both ways find the same events."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs
from support.demo_clients import everything_of, listening
from support.frames import LISTS, Story, frame, of, report
from support.notifications import INVENTED, JSON, RECORDED, iterate_recorded, mutated

from plex_companion.changes.kinds import Journaled
from plex_companion.demo import frames as demo_frames
from plex_companion.events import Notification, Playing
from plex_companion.ingest.live import Counters
from plex_companion.parsing.notifications import KINDS
from plex_companion.parsing.websocket_frames import decode_regular_frame, parse_frame, parse_tolerantly
from plex_companion.text import LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from plex_companion.demo import Demo
    from plex_companion.events import Event, Frame

ODD = {
    "integers for strings",
    "legacy: _children",
    "the guide, with integers",
    "no size at all, two entries",
    "a bare key, flags as in XML",
    "a type nobody has described",
}
"""What the invented frames that only the tolerant parser reads are called."""


def encode(content: object) -> bytes:
    """Encode a frame as Plex does."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode(errors="surrogatepass")


def load(events: Iterable[Frame]) -> list[object]:
    """The events without how they were read, and with what was sent as values."""
    return [
        (structs.replace(event, raw="", irregular=False), json.loads(event.raw))
        if isinstance(event, Notification)
        else event
        for event in events
    ]


def assert_both_ways_agree(data: bytes) -> bool:
    """Compare the two parsers; returns whether the fast one decoded the frame."""
    fast, tolerant = decode_regular_frame(data), parse_tolerantly(data)
    assert parse_frame(data) == (tolerant if fast is None else fast)
    if fast is not None:
        assert load(fast) == load(tolerant)
        assert [list_rows([event]) for event in fast] == [list_rows([event]) for event in tolerant]
    return fast is not None


def list_rows(events: Iterable[Event]) -> list[tuple[str, str | None, str, Any]]:
    """The journal rows of events, their payloads as values."""
    rows = of(Story().receive(*events), Journaled)
    return [(row.type, row.subject, row.summary, json.loads(row.payload)) for row in rows]


@pytest.mark.parametrize("line", INVENTED, ids=lambda line: line["note"])
def test_an_invented_frame_gives_the_same_events_both_ways(line: dict[str, Any]) -> None:
    assert assert_both_ways_agree(encode(line["frame"])) is (line["note"] not in ODD)


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded frames are not part of the project")
def test_every_recorded_frame_gives_the_same_events_both_ways_and_most_are_regular() -> None:
    regular = [assert_both_ways_agree(encode(content)) for content in iterate_recorded()]
    assert sum(regular) > 0.8 * len(regular)


@pytest.mark.parametrize("scenario", ["a", "c", "g", "i", "k", "l", "q", "r", "s"])
async def test_every_frame_of_the_demo_gives_the_same_events_both_ways(demo: Demo, scenario: str) -> None:
    async with listening(demo) as socket:
        _, frames = await everything_of(demo, socket, scenario)
    regular = [assert_both_ways_agree(data) for data in frames]
    assert all(regular) is (scenario not in "qrs")


def test_every_kind_of_frame_that_the_demo_sends_is_regular() -> None:
    session = {"key": "/transcode/sessions/lantern", "progress": 12.5, "speed": 3.2, "throttled": False}
    activity = {"uuid": "u", "type": "library.update.section", "userID": 1, "progress": 5, "Context": {"id": "2"}}
    frames = [
        demo_frames.build_playing(report("3")),
        demo_frames.build_timeline("1", "7001", 1, "The Lamp", 5, 1, metadataState="created"),
        demo_frames.build_activity("updated", activity),
        *(demo_frames.build_transcode(phase, session) for phase in ("start", "update", "end")),
        demo_frames.build_status("Scanning"),
        demo_frames.build_reachability(reachable=True),
        demo_frames.build_background_queue(),
        demo_frames.build_update_state(),
        demo_frames.build_progress("Scanning 雨の中の時計屋"),
        demo_frames.build_preference({"id": "FriendlyName", "value": "Den", "hidden": False}),
        demo_frames.build_log("a line", "Nov 22, 2026 11:00:09.977"),
    ]
    assert {one.kind for one in frames} == KINDS.keys() - {"account", "transcode.end"}
    assert all(assert_both_ways_agree(str(one.payload).encode()) for one in frames)


def playing(entry: str) -> bytes:
    return f'{{"NotificationContainer":{{"type":"playing","size":1,"{LISTS["playing"]}":[{entry}]}}}}'.encode()


GOOD = '{"sessionKey":"3","viewOffset":12,"state":"playing"}'


@pytest.mark.parametrize(
    "data",
    [
        playing('{"sessionKey":3,"viewOffset":12}'),
        playing('{"sessionKey":"3","viewOffset":"12"}'),
        playing('{"sessionKey":"3","viewOffset":"12.0"}'),
        playing('{"sessionKey":"3","viewOffset":12.0}'),
        playing('{"sessionKey":"3","viewOffset":true}'),
        playing('{"sessionKey":"3","viewOffset":4611686018427387904}'),
        playing('{"sessionKey":"3","viewOffset":1e400}'),
        playing('{"sessionKey":"3","unknown":1e400}'),
        playing('{"sessionKey":"3","unknown":[1]}'),
        playing('{"sessionKey":"3","unknown":{"a":{"b":{"c":1}}}}'),
        playing('{"sessionKey":"2","sessionKey":"3"}'),
        playing('{"sessionKey":"2","unknown":{"a":1,"a":2}}'),
        playing('{"sessionKey" :"3"}'),
        playing('{"sessionKey":"3",\n"state":"playing"}'),
        playing('{"sessionKey":"3\\ud800"}'),
        playing('{"sessionKey":"3\\u0004"}'),
        playing('{"sessionKey":"3","a\\u202e":1}'),
        playing('{"sessionKey":"3\x7f"}'),
        playing('{"sessionKey":"3\u202e"}'),
        playing('{"sessionKey":"3","title":"' + "a" * LONGEST + '"}'),
        playing(GOOD).replace(b'"3"', b'"3\xc3"'),
        playing(GOOD).replace(b'"size":1,', b""),
        playing(GOOD).replace(b'"size":1', b'"size":"1"'),
        playing(GOOD).replace(b'"size":1', b'"size":1,"more":1'),
        playing(GOOD).replace(b'"size":1', b'"size":1,"size":1'),
        playing(GOOD).replace(b"[", b"").replace(b"]", b""),
        b'{"_elementType":"NotificationContainer","type":"playing","_children":[' + GOOD.encode() + b"]}",
    ],
    ids=lambda data: data[70:110].decode(errors="replace"),
)
def test_an_odd_frame_is_read_tolerantly_and_counted(data: bytes) -> None:
    counters = Counters()
    assert decode_regular_frame(data) is None
    (event,) = parse_frame(data)
    assert isinstance(event, Playing)
    assert event.irregular
    counters.count(event)
    assert (counters.irregular, counters.malformed, counters.events["playing"]) == (1, 0, 1)


@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + playing(GOOD),
        playing('{"sessionKey":"3","viewOffset":NaN}'),
        playing('{"sessionKey":"3","unknown":-Infinity}'),
        playing('{"sessionKey":"3","unknown":01}'),
        playing('{"sessionKey":"3","unknown":"\\q"}'),
        playing('{"sessionKey":"3","unknown":"\n"}'),
        playing('{"sessionKey":"3","unknown":' + "9" * 5000 + "}"),
        playing('{"sessionKey":"3","unknown":' + "[" * 100_000 + "}"),
        playing(GOOD)[:-1],
        playing(GOOD) + b"x",
    ],
    ids=range(10),
)
def test_what_the_tolerant_parser_cannot_read_is_not_read_fast_either(data: bytes) -> None:
    assert decode_regular_frame(data) is None
    assert not any(isinstance(event, Notification) for event in parse_frame(data))


def test_a_regular_frame_is_not_counted_as_odd() -> None:
    counters = Counters()
    for event in parse_frame(playing(GOOD)):
        counters.count(event)
    assert (counters.irregular, counters.events["playing"]) == (0, 1)


def test_every_entry_keeps_its_own_words() -> None:
    entries = ('{"sessionKey":"3","new":1.50}', '{"sessionKey":"4","title":"Élève \\"Zoë\\""}')
    events = decode_regular_frame(playing(",".join(entries)))
    assert events is not None
    assert [event.raw for event in events if isinstance(event, Playing)] == list(entries)


def test_a_regular_payload_is_journaled_in_the_words_of_plex() -> None:
    entry = '{"state":"playing","sessionKey":"3","viewOffset":12,"new":1.50,"title":"斗"}'
    (row,) = of(Story().receive(*parse_frame(playing(entry))), Journaled)
    assert row.payload == entry


@pytest.mark.parametrize(
    "secret", ["X-Plex-Token=Zq7Zq7Zq7Zq7", "Zq7@example.org", "203.0.113.97", "to\\u006ben=Zq7Zq7"]
)
def test_no_secret_in_a_regular_frame_reaches_the_journal(secret: str) -> None:
    (event,) = parse_frame(playing(f'{{"sessionKey":"3","url":"http://h/?{secret}"}}'))
    assert isinstance(event, Playing)
    assert not event.irregular
    (row,) = of(Story().receive(event), Journaled)
    assert "Zq7" not in row.payload
    assert "113.97" not in row.payload
    assert "hidden" in row.payload


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["", "1", "12.0", "true"])
)


@st.composite
def generated(draw: st.DrawFn) -> bytes:
    """A frame of a known type, most of whose fields have values of any type."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    names = [one.encode_name for one in structs.fields(KINDS[kind].fields)]
    entries = draw(st.lists(st.dictionaries(st.sampled_from(names or ["id"]) | st.text(), SCALARS | JSON), max_size=3))
    container = {"type": kind, "size": len(entries), KINDS[kind].list_key: entries}
    return json.dumps(
        {"NotificationContainer": container},
        ensure_ascii=draw(st.booleans()),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": ")])),
    ).encode(errors="surrogatepass")


@given(generated())
def test_a_generated_frame_gives_the_same_events_both_ways(data: bytes) -> None:
    assert_both_ways_agree(data)


@given(mutated())
def test_a_mutated_frame_gives_the_same_events_both_ways(text: str) -> None:
    assert_both_ways_agree(text.encode())


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good frame in which a few bytes were replaced, added or removed."""
    data = bytearray(encode(draw(st.sampled_from(INVENTED))["frame"]))
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(data) - 1))
        data[start : start + draw(st.integers(0, 2))] = draw(
            st.sampled_from([b'"', b",", b":", b"{", b"}", b"\\", b"0"])
        )
    return bytes(data)


@given(damaged() | st.binary())
@example(b"")
def test_a_damaged_frame_gives_the_same_events_both_ways(data: bytes) -> None:
    assert_both_ways_agree(data)


def test_texts_and_bytes_are_decoded_alike() -> None:
    text = frame("playing", report("3"))
    assert parse_frame(text) == parse_frame(text.encode())
    assert parse_frame("\ud800") == parse_frame("x")
