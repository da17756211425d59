"""What real servers answered goes through the views without losing a documented field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import pytest
from support.scripted_plex import parsed

from plex_companion.plex.xml import views

RECORDED = Path(__file__).resolve().parents[3] / "shared" / "plexdata"
pytestmark = pytest.mark.skipif(not RECORDED.is_dir(), reason="the recorded payloads are kept outside this repository")


def _load_rows(name: str) -> list[Element]:
    return list(parsed((RECORDED / name).read_text()))


def _load_json_as_xml(name: str, key: str) -> list[Element]:
    """JSON recordings as the XML they stand for: the same attributes, booleans as 0 and 1."""
    answer = json.loads((RECORDED / name).read_text())
    container = answer.get("MediaContainer", answer)
    rows: list[dict[str, Any]] = container.get(key, container.get("_children", []))
    return [Element(key, {name: _format_attribute(value) for name, value in row.items()}) for row in rows]


def _format_attribute(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


ITEM = {
    "ratingKey": "rating_key",
    "key": "key",
    "guid": "guid",
    "type": "type",
    "title": "title",
    "grandparentTitle": "grandparent_title",
    "index": "index",
    "parentIndex": "parent_index",
    "year": "year",
    "librarySectionTitle": "library",
    "librarySectionID": "library_id",
    "duration": "duration_ms",
}
PLAYER = {
    "machineIdentifier": "client_identifier",
    "title": "title",
    "product": "product",
    "platform": "platform",
    "device": "device",
    "version": "version",
    "address": "address",
}
JOB = {
    "key": "key",
    "videoDecision": "video_decision",
    "audioDecision": "audio_decision",
    "subtitleDecision": "subtitle_decision",
    "sourceVideoCodec": "source_video_codec",
    "sourceAudioCodec": "source_audio_codec",
    "videoCodec": "video_codec",
    "audioCodec": "audio_codec",
    "container": "container",
    "protocol": "protocol",
    "width": "width",
    "height": "height",
}
SECTION = {
    "key": "section_id",
    "type": "type",
    "title": "title",
    "uuid": "uuid",
    "agent": "agent",
    "scanner": "scanner",
    "language": "language",
    "contentChangedAt": "content_changed_at",
}
CLIENT = {
    "machineIdentifier": "client_identifier",
    "name": "title",
    "product": "product",
    "deviceClass": "device",
    "version": "version",
    "address": "address",
    "protocolCapabilities": "provides",
}
SERVER = {
    "machineIdentifier": "machine_identifier",
    "friendlyName": "name",
    "version": "version",
    "platform": "platform",
    "platformVersion": "platform_version",
}


def _assert_same(value: Any, element: Element | None, names: dict[str, str]) -> None:
    """Every attribute that Plex wrote is in our model, under our name."""
    assert element is not None
    ours = {plex: getattr(value, our) for plex, our in names.items()}
    assert {plex: None if one is None else str(one) for plex, one in ours.items()} == {
        plex: element.get(plex) or None for plex in names
    }


@pytest.mark.parametrize("name", ["session_base", "livetv_sessions", "session_transient"])
def test_sessions(name: str) -> None:
    for element in _load_rows(f"home-assistant/{name}.xml"):
        row = views.parse_session_row(element, private=False)
        _assert_same(row.item, element, ITEM)
        _assert_same(row, element, {"sessionKey": "session_key", "viewOffset": "view_offset_ms"})
        assert row.item.live == (element.get("live") == "1")
        assert row.decision in {"direct play", "direct stream", "transcode"}


@pytest.mark.parametrize("name", ["session_base", "session_transient"])
def test_sessions_with_user_and_player(name: str) -> None:
    for element in _load_rows(f"home-assistant/{name}.xml"):
        row = views.parse_session_row(element, private=False)
        _assert_same(row.player, element.find("Player"), PLAYER)
        _assert_same(row, element.find("Player"), {"state": "state"})
        _assert_same(row.user, element.find("User"), {"id": "id", "title": "name"})
        names = {"id": "session_id", "bandwidth": "bandwidth_kbps", "location": "location"}
        _assert_same(row, element.find("Session"), names)


def test_live_tv_has_no_session_key_user_or_player() -> None:
    row = views.parse_session_row(_load_rows("home-assistant/livetv_sessions.xml")[0], private=True)
    assert row.item.live
    assert (row.session_key, row.user, row.player, row.state) == (None,) * 4
    assert row.transcode is not None
    assert row.decision == "direct stream"


def test_a_pre_roll_belongs_to_the_library_of_none() -> None:
    row = views.parse_session_row(_load_rows("home-assistant/session_transient.xml")[0], private=True)
    assert (row.item.library_id, row.item.type) == ("-2", "clip")
    assert row.video_resolution == "1080"  # its media element says SD, which is what it is transcoded to


def test_transcode_jobs() -> None:
    recorded = _load_rows("python-plexapi/SERVER_TRANSCODE_SESSIONS.xml")
    for name in ("music_sessions", "video_sessions", "empty_sessions"):
        recorded += _load_json_as_xml(f"plex-api.rs/transcode/{name}.json", "TranscodeSession")
    assert len(recorded) == 3
    for element in recorded:
        job = views.parse_transcode(element)
        _assert_same(job, element, JOB)
        assert (job.throttled, job.complete) == (False, False)
        assert job.speed == float(element.get("speed", ""))
        assert job.progress == float(element.get("progress", ""))


def test_sections() -> None:
    recorded = _load_rows("home-assistant/library_sections.xml")
    recorded += _load_json_as_xml("node-plex-api/library/sections.json", "Directory")
    assert len(recorded) > 3
    for element in recorded:
        section = views.parse_section(element)
        _assert_same(section, element, SECTION)
        assert section is not None
        assert section.updated_at == int(element.get("updatedAt", "")) * 1000
        assert list(section.locations) == [place.get("path") for place in element.findall("Location")]


def test_a_count() -> None:
    container = parsed((RECORDED / "home-assistant/library_movies_size.xml").read_bytes())
    assert views.parse_total(container) == 1


def test_accounts() -> None:
    for element in _load_rows("home-assistant/plex_server_accounts.xml"):
        _assert_same(views.parse_account(element, private=True), element, {"id": "id", "name": "name"})


def test_clients() -> None:
    recorded = _load_rows("home-assistant/plex_server_clients.xml")
    for name in ("clients", "clients-pms-v1_3"):
        recorded += _load_json_as_xml(f"node-plex-api/{name}.json", "Server")
    assert len(recorded) > 3
    for element in recorded:
        _assert_same(views.parse_client(element, private=False, at=0), element, CLIENT)


def test_the_server() -> None:
    root = parsed((RECORDED / "home-assistant/plex_server_base.xml").read_bytes())
    _assert_same(views.parse_server_identity(root), root, SERVER)


def test_an_activity_as_frames_show_it() -> None:
    frames = json.loads((RECORDED / "frames/PlexTraktSync/events.json").read_text())
    seen = 0
    for frame in _list_entries(frames):
        raw = frame["Activity"]
        element = Element("Activity", {k: _format_attribute(v) for k, v in raw.items() if k != "Context"})
        context = Element("Context", {k: _format_attribute(v) for k, v in raw.get("Context", {}).items()})
        element.append(context)
        activity = views.parse_activity(element, at=1)
        _assert_same(activity, element, {n: n for n in ("uuid", "type", "title", "progress")} | {"userID": "user_id"})
        assert activity is not None
        assert dict(activity.context) == context.attrib
        seen += 1
    assert seen


def _list_entries(value: Any) -> list[dict[str, Any]]:
    match value:
        case {"Activity": dict()}:
            return [value]
        case dict():
            return [entry for inner in value.values() for entry in _list_entries(inner)]
        case list():
            return [entry for inner in value for entry in _list_entries(inner)]
        case _:
            return []
