"""The journal's rows: what Plex sent, as it sent it, without what must not be kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from support.frames import Story, frame, listed, of

from plex_companion.changes.kinds import Journaled
from plex_companion.events import Acknowledged
from plex_companion.parsing.websocket_frames import parse_frame


def row_of(kind: str, entry: dict[str, Any]) -> Journaled:
    (row,) = of(Story().say(kind, entry), Journaled)
    return row


def test_a_row_holds_the_payload_exactly_as_it_was_sent() -> None:
    entry = {
        "sessionKey": 7,
        "viewOffset": "12",
        "extra": {"deep": [1.5, None, True]},
        "state": "playing",
        "title": "“Ré” 斗",
    }
    row = row_of("playing", entry)
    assert json.loads(row.payload) == entry
    assert (row.type, row.subject) == ("playing", "7")


def test_every_entry_of_a_frame_has_a_row_and_ids_grow_by_one() -> None:
    story = Story()
    rows = of(story.say("progress", {"message": "a"}, {"message": "b"}), Journaled)
    assert [row.id for row in rows] == [rows[0].id, rows[0].id + 1]


def test_an_unknown_type_keeps_its_own_name() -> None:
    row = row_of("provider.content.change", {"anything": 1})
    assert (row.type, row.summary, json.loads(row.payload)) == ("provider.content.change",) * 2 + ({"anything": 1},)


def test_the_summary_names_what_plays_once_it_is_known() -> None:
    story = Story()
    assert of(story.plays("1"), Journaled)[0].summary == "playing 7001"
    story.look(listed("1"))
    assert of(story.plays("1", "paused"), Journaled)[0].summary == "paused Film 7001"


@pytest.mark.parametrize(
    ("kind", "entry", "secret"),
    [
        ("progress", {"message": "GET /library?X-Plex-Token=abcd1234efgh HTTP"}, "abcd1234"),
        ("progress", {"message": "by ada@example.org\nfrom 203.0.113.9"}, "ada@"),
        ("progress", {"message": "by ada@example.org\nfrom 203.0.113.9"}, "203.0"),
        ("invented", {"accessToken": "abcd1234efgh"}, "abcd1234"),
        ("invented", {"authToken": 123456789}, "123456789"),
        ("invented", {"X-Plex-Token": "\nabcd1234efgh"}, "abcd1234"),
        ("invented", {"deep": [{"password": "hunter2000"}]}, "hunter"),
        ("invented", {"ada@example.org": 1}, "ada@"),
        ("preference", {"id": "PlexOnlineToken", "value": "abcd1234efgh", "default": "abcd1234"}, "abcd1234"),
        ("preference", {"id": "PlexOnlineMail", "value": "someone"}, "someone"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_tokens_mail_and_addresses_are_masked_and_the_payload_stays_json(
    kind: str, entry: dict[str, Any], secret: str
) -> None:
    row = row_of(kind, entry)
    json.loads(row.payload)
    assert secret not in row.payload
    assert secret not in row.summary


@pytest.mark.parametrize("before", ["\n", "\t", "\\", '"', "\b", "\u0004"])
def test_an_escape_right_before_something_masked_stays_whole(before: str) -> None:
    payload = json.loads(row_of("progress", {"message": f"x{before}ada@example.org{before}203.0.113.9"}).payload)
    assert "example" not in payload["message"]
    assert "203" not in payload["message"]


@pytest.mark.parametrize("value", [None, True, "", 0])
def test_a_secret_that_is_not_there_is_not_made_up(value: object) -> None:
    assert json.loads(row_of("invented", {"authToken": value}).payload) == {"authToken": value}


@pytest.mark.parametrize(
    "char", ["\x00", "\x04", "\b", "\f", "\x1b", "\x7f", "\x85", "\u202e", "\u2066", "\ud800", "\u3164", "\U000e0041"]
)
def test_no_control_bidi_or_half_character_is_kept(char: str) -> None:
    row = row_of("progress", {"message": f"a{char}b", f"c{char}d": [char]})
    assert json.loads(row.payload) == {"message": "ab", "cd": [""]}
    assert row.summary == "ab"


def test_a_version_or_a_speed_is_no_address() -> None:
    entry = {"version": "1.43.3.10162-abc", "speed": 3.200000047683716}
    assert json.loads(row_of("invented", entry).payload) == entry


def test_what_cannot_be_written_as_json_says_so() -> None:
    text = frame("invented", {"n": 1}).replace(": 1}", ": 1e400}")
    (event,) = parse_frame(text)
    (row,) = of(Story().receive(event), Journaled)
    assert row.payload == '{"unreadable":true}'


def test_log_lines_and_malformed_frames_are_not_kept() -> None:
    story = Story()
    assert of(story.say("log", {"level": 3, "message": "Beginning read from WebSocket"}), Journaled) == []
    (malformed,) = parse_frame("no json")
    assert story.receive(malformed) == []


def test_the_loss_of_the_connection_is_a_row_without_an_address() -> None:
    (row,) = of(Story().lose("connection refused by 203.0.113.9"), Journaled)
    assert (row.type, row.subject) == ("connection", "down")
    assert "203" not in row.summary + row.payload
    (row,) = of(Story().lose("401", unauthorized=True), Journaled)
    assert row.subject == "unauthorized"


@pytest.mark.parametrize("detail", ["HTTP 401: the token was refused", "HTTP 403: the token was refused"])
def test_why_a_token_is_refused_is_not_hidden_as_if_it_were_one(detail: str) -> None:
    (row,) = of(Story().lose(detail, unauthorized=True), Journaled)
    assert row.summary == f"Plex rejects the token ({detail})"


def test_the_end_of_an_outage_says_how_long_nothing_was_heard() -> None:
    story = Story()
    lost = story.now.at
    story.lose()
    story.after(37).connect()
    row = of(story.changes, Journaled)[-1]
    assert (row.type, row.subject, row.summary) == ("connection", "live", "Connected to Plex again, after 37.0 s")
    assert json.loads(row.payload) == {"state": "live", "epoch": 2, "blind_since_ms": lost, "blind_ms": 37_000}


def test_the_first_connection_ever_ends_no_outage() -> None:
    row = of(Story().changes, Journaled)[-1]
    assert (row.subject, json.loads(row.payload)) == ("live", {"state": "live", "epoch": 1})


def test_an_acknowledgement_is_journaled_and_is_no_sign_of_life_of_plex() -> None:
    story = Story()
    received = story.state.last_event_at
    (row,) = of(story.after(5).receive(Acknowledged(7)), Journaled)
    assert (row.type, row.subject, row.summary, row.payload) == (
        "acknowledged",
        "7",
        "alert 7 acknowledged",
        '{"alert_id":"7"}',
    )
    assert story.state.last_event_at == received
