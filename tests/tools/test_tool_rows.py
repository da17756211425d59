"""Rows of a list leave out what is null, so that a page fits what a model can read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from support.recorded_plays import HOUR, NOW, imported, past, seen

from plex_companion.text import encode_json
from plex_companion.tools.run import compact_rows

if TYPE_CHECKING:
    from pathlib import Path

MOST_BYTES = 20_000


def test_a_row_leaves_out_what_is_null_and_objects_that_hold_nothing_else() -> None:
    row: dict[str, Any] = {
        "title": "The Lamp",
        "year": None,
        "user": {"id": "1", "name": None},
        "player": {"title": None},
        "tags": [],
    }
    assert compact_rows({"plays": [row]}) == {"plays": [{"title": "The Lamp", "user": {"id": "1"}, "tags": []}]}


def test_zero_false_and_the_empty_text_stay_in_a_row() -> None:
    row = {"plays": 0, "live": False, "summary": "", "media": {}}
    assert compact_rows({"items": [row]}) == {"items": [row]}


def test_what_is_not_in_a_list_stays_whole() -> None:
    whole = {"next_cursor": None, "play": {"year": None, "player": {"title": None}}, "names": ["Ada", None]}
    assert compact_rows(whole) == whole


def test_lists_inside_objects_and_inside_rows_have_rows_too() -> None:
    found = compact_rows({"seasons": {"entries": [{"episodes": [{"title": "Steam", "duration": None}]}]}})
    assert found == {"seasons": {"entries": [{"episodes": [{"title": "Steam"}]}]}}


def test_what_others_wrote_stays_as_it_is() -> None:
    event = {"id": "1", "subject": None, "payload": {"viewOffset": None, "entries": [{"guid": None}]}}
    assert compact_rows({"events": [event]}) == {"events": [{"id": "1", "payload": event["payload"]}]}


def test_a_row_says_that_something_goes_on_or_that_nobody_knows_whether_the_server_has_it() -> None:
    row = {"title": "The Lamp", "available_on_server": None, "ended_at": None, "until": None, "resolved_at": None}
    assert compact_rows({"items": [row]}) == {"items": [row]}


def test_a_result_is_not_changed_in_place() -> None:
    kept = {"items": [{"title": None}]}
    compact_rows(kept)
    assert kept == {"items": [{"title": None}]}


async def test_a_page_of_history_is_small_by_default(tmp_path: Path) -> None:
    plays = [(imported if number % 2 else seen)(number, NOW - number * HOUR) for number in range(1, 61)]
    async with past(tmp_path, plays=plays) as it:
        page = await it.well("history_query")
        single = await it.well("play_get", id="1")
    assert page["count"] == page["limit"] == 20
    assert len(encode_json(page).encode()) < MOST_BYTES
    assert "decision" not in page["plays"][0]
    assert single["play"]["decision"] is None
