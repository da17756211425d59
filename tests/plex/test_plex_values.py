"""One reader for what Plex writes, whether it came as XML or as JSON."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import pytest

from plex_companion.demo.household import model as demo
from plex_companion.events import Playing, Reachability, TranscodeReport
from plex_companion.models import TYPE_NAMES, TYPE_NUMBERS, MediaType
from plex_companion.parsing.values import parse_bool, parse_float, parse_int, parse_text
from plex_companion.parsing.websocket_frames import parse_frame
from plex_companion.plex.xml import views
from plex_companion.plex.xml.attributes import read_flag, read_float, read_number, read_year


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("12", 12),
        ("12.0", 12),
        ("12.", 12),
        ("-1", -1),
        ("-1.0", -1),
        (12, 12),
        (12.0, 12),
        (0, 0),
        ("", None),
        ("12a", None),
        ("1e3", None),
        ("1_000", None),
        (" 12", None),
        ("\u0661", None),
        (True, None),
        (None, None),
        ([1], None),
        (float("inf"), None),
        (float("nan"), None),
        ("9" * 18, int("9" * 18)),
        (str(2**62), None),
        (2**62, None),
        ("9" * 5000, None),
    ],
)
def test_a_whole_number_is_read_alike_from_text_and_number(written: object, number: int | None) -> None:
    assert parse_int(written) == number


TRUE: tuple[object, ...] = ("1", "true", "True", "TRUE", 1, True)
FALSE: tuple[object, ...] = ("0", "false", "False", "FALSE", 0, False)
NEITHER: tuple[object, ...] = ("", "yes", "2", 2, None, [], {})


@pytest.mark.parametrize(
    ("written", "flag"), [(one, flag) for flag, some in ((True, TRUE), (False, FALSE), (None, NEITHER)) for one in some]
)
def test_a_flag_is_read_in_any_case_of_letters(written: object, flag: bool | None) -> None:
    assert parse_bool(written) is flag


@pytest.mark.parametrize(
    ("written", "number"),
    [("1.5", 1.5), (2, 2.0), ("-1.0", -1.0), ("inf", None), ("nan", None), (True, None), ("", None), (10**400, None)],
)
def test_a_number_is_finite(written: object, number: float | None) -> None:
    assert parse_float(written) == number


def test_an_id_is_a_text_also_where_plex_wrote_a_number() -> None:
    assert [parse_text(one) for one in (7, "7", "", True, None, "a\x04b")] == ["7", "7", None, None, None, "ab"]


@pytest.mark.parametrize("written", ["12", "12.0"])
def test_frames_items_and_tools_agree_on_a_number(written: str) -> None:
    row = Element("Video", {"index": written, "viewOffset": written, "year": written})
    frame = f'{{"NotificationContainer":{{"type":"playing","PlaySessionStateNotification":[{{"viewOffset":"{written}"}}]}}}}'
    (playing,) = parse_frame(frame)
    assert isinstance(playing, Playing)
    assert playing.view_offset_ms == views.parse_item(row).index == read_number(row, "index") == read_year(row) == 12


@pytest.mark.parametrize("written", ["1", "true", "True", "TRUE"])
def test_frames_items_and_tools_agree_on_a_flag(written: str) -> None:
    row = Element("Video", {"live": written})
    frame = f'{{"NotificationContainer":{{"type":"reachability","ReachabilityNotification":[{{"reachability":"{written}"}}]}}}}'
    (seen,) = parse_frame(frame)
    assert isinstance(seen, Reachability)
    assert seen.reachable is views.parse_item(row).live is read_flag(row, "live") is True


@pytest.mark.parametrize("written", ["nan", "inf", "-Infinity"])
def test_frames_and_tools_agree_that_a_number_is_finite(written: str) -> None:
    frame = f'{{"NotificationContainer":{{"type":"transcodeSession.update","TranscodeSession":[{{"key":"a","speed":"{written}"}}]}}}}'
    (report,) = parse_frame(frame)
    assert isinstance(report, TranscodeReport)
    assert report.transcode.speed is read_float(Element("Video", {"rating": written}), "rating") is None


def test_a_row_of_history_has_the_year_of_its_day_of_release() -> None:
    assert read_year(Element("Video", {"originallyAvailableAt": "2019-04-01"})) == 2019
    assert read_year(Element("Video", {"originallyAvailableAt": "19-04-01"})) is None


def test_every_kind_has_its_number() -> None:
    assert TYPE_NUMBERS["episode"] is MediaType.EPISODE
    assert (TYPE_NUMBERS["movie"], TYPE_NUMBERS["photoalbum"], TYPE_NUMBERS["collection"]) == (1, 14, 18)
    assert TYPE_NAMES[42] == "optimizedversion"
    assert f"type={MediaType.TRACK}" == "type=10"


def test_the_demo_numbers_kinds_as_the_rest_does() -> None:
    assert {name: TYPE_NUMBERS.get(name) for name in demo.TYPE_NUMBERS} == demo.TYPE_NUMBERS
