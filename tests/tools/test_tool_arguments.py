"""Arguments as hosts and models send them are understood wherever it is clear what is meant, and refused in plain words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from support.tools import tools_home

from plex_companion.errors import Invalid
from plex_companion.tools.declare import Access
from plex_companion.tools.toolsets import TOOLSETS

if TYPE_CHECKING:
    from pathlib import Path

    from plex_companion.tools.declare import Tool

EVERY = {tool.name: tool for toolset in TOOLSETS for tool in toolset.tools}
every_tool = pytest.mark.parametrize("tool", EVERY.values(), ids=EVERY)
ERAS = pytest.mark.parametrize("era", ["legacy", "2026-07-28"])
OF_TYPE: dict[str, Any] = {"string": "x", "boolean": True, "integer": 1, "object": {"name": "x"}}


def needed(tool: Tool) -> dict[str, Any]:
    """A value for everything that must be given."""
    schema = tool.input_schema
    return {name: OF_TYPE[schema["properties"][name]["type"]] for name in schema.get("required", ())}


def optional(tool: Tool) -> list[str]:
    return [name for name in tool.parameters if name not in needed(tool)]


@every_tool
def test_null_for_an_optional_argument_is_as_if_it_were_left_out(tool: Tool) -> None:
    plain = tool.validate(needed(tool))
    assert tool.validate(needed(tool) | dict.fromkeys([*optional(tool), *tool.aliases])) == plain


@every_tool
def test_an_empty_text_for_an_optional_argument_is_as_if_it_were_left_out(tool: Tool) -> None:
    plain, empty = tool.validate(needed(tool)), dict.fromkeys(optional(tool), "")
    clearing = {name: "" for name, one in tool.parameters.items() if one.empty_clears}
    assert tool.validate(needed(tool) | empty) == plain | clearing


def test_the_texts_that_an_empty_text_clears_are_these() -> None:
    clearing = {
        (tool.name, name) for tool in EVERY.values() for name, one in tool.parameters.items() if one.empty_clears
    }
    assert clearing == {
        ("media_edit_metadata", "new_summary"),
        ("media_edit_metadata", "new_studio"),
        ("media_edit_metadata", "new_release_date"),
        ("playlist_edit", "new_summary"),
        ("playlist_edit_smart_filters", "sort"),
        ("collection_edit", "new_summary"),
        ("collection_edit", "new_sort_title"),
        ("collection_edit", "new_content_rating"),
    }


@pytest.mark.parametrize("nothing", [None, ""])
@every_tool
def test_a_required_argument_must_be_there(tool: Tool, nothing: str | None) -> None:
    for name in needed(tool):
        with pytest.raises(Invalid, match=f"argument '{name}' is required"):
            tool.validate(needed(tool) | {name: nothing})


@pytest.mark.parametrize(
    ("name", "given", "understood"),
    [
        ("events_since", {"types": '["playing","timeline"]'}, {"types": ["playing", "timeline"]}),
        ("events_since", {"types": "playing"}, {"types": ["playing"]}),
        ("events_since", {"types": "playing,timeline"}, {"types": ["playing,timeline"]}),
        ("events_since", {"limit": "30"}, {"limit": 30}),
        ("events_since", {"limit": " 30 ", "cursor": "7.0"}, {"limit": 30, "cursor": 7}),
        ("events_since", {"limit": 30.0}, {"limit": 30}),
        ("playlist_create", {"playlist_title": 1984, "item_ids": '["1","3"]'}, {"playlist_title": "1984", "item_ids": ["1", "3"]}),
        ("playlist_create", {"playlist_title": 19.5, "item_ids": [1, 2.0, "3"]}, {"playlist_title": "19.5", "item_ids": ["1", "2", "3"]}),
        ("playlist_create", {"playlist_title": "P", "item_ids": 3}, {"item_ids": ["3"]}),
        ("playlist_create", {"playlist_title": "P", "item_titles": "[Rain"}, {"item_titles": ["[Rain"]}),
        ("playlist_create", {"playlist_title": "P", "item_titles": [1917, 300.0]}, {"item_titles": ["1917", "300"]}),
        ("playlist_create", {"playlist_title": "", "title": "P"}, {"playlist_title": "P"}),
        ("media_get_details", {"media_title": 1917}, {"media_title": "1917"}),
        ("media_get_details", {"media_title": 1917.0, "media_id": 103.0}, {"media_title": "1917", "media_id": "103"}),
        ("media_set_watched_status", {"media_id": 3, "watched": "False"}, {"watched": False}),
        ("media_set_watched_status", {"media_id": 3, "watched": " yes "}, {"watched": True}),
        ("media_set_watched_status", {"media_id": " 3.0 ", "watched": True}, {"media_id": "3"}),
        ("playlist_create", {"playlist_title": "7.0", "item_ids": '["1.0", 2]'}, {"playlist_title": "7.0", "item_ids": ["1", "2"]}),
        ("events_since", {"limit": "1e2"}, {"limit": 100}),
        ("media_set_watched_status", {"media_id": 3, "watched": 0}, {"watched": False}),
        ("server_get_bandwidth", {"lan": 1.0}, {"lan": True}),
        ("history_stats", {"by": "User"}, {"by": "user"}),
        ("user_get_statistics", {"time_period": "Last 7 Days"}, {"time_period": "last_7_days"}),
        ("user_get_watch_history", {"content_type": ""}, {"content_type": None}),
        ("media_edit_metadata", {"media_id": 3, "new_rating": "7.5"}, {"new_rating": 7.5}),
        ("library_get_contents", {"year": 2019.0}, {"year": 2019}),
        ("playlist_edit_smart_filters", {"filters": '{"year": 2006}'}, {"filters": {"year": 2006}}),
        ("playlist_edit_smart_filters", {"filters": "{}", "limit": "null"}, {"filters": {}, "limit": None}),
    ],
)  # fmt: skip
def test_what_is_clearly_meant_is_understood(name: str, given: dict[str, Any], understood: dict[str, Any]) -> None:
    found = EVERY[name].validate(given)
    assert {one: found[one] for one in understood} == understood


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("playlist_create", {"playlist_title": True}, "must be a text; got true"),
        ("playlist_create", {"playlist_title": "P", "item_titles": [True]}, "must be a list of texts; got [true]"),
        ("playlist_create", {"playlist_title": "P", "item_ids": False}, "must be a list of texts; got false"),
        ("events_since", {"limit": True}, "must be a whole number of at least 1; got true"),
        ("events_since", {"limit": "many"}, 'must be a whole number of at least 1; got "many"'),
        ("events_since", {"limit": 0}, "must be a whole number of at least 1; got 0"),
        ("events_since", {"limit": 1.5}, "must be a whole number of at least 1; got 1.5"),
        ("events_wait", {"timeout": 500}, "must be a number from 0 to 120; got 500"),
        (
            "history_stats",
            {"by": "colour"},
            "must be one of user, title, library, platform, decision, resolution, day, hour, weekday, month",
        ),
        ("playlist_edit_smart_filters", {"filters": "[1]"}, 'must be an object; got "[1]"'),
        ("media_set_watched_status", {"media_id": 3, "watched": "maybe"}, 'must be true or false; got "maybe"'),
        ("media_get_details", {"media_title": {"a": 1}}, 'must be a text; got {"a": 1}'),
        ("media_get_details", {"nonsense": None}, "there is no argument 'nonsense'"),
    ],
)
def test_what_cannot_be_used_is_told_in_plain_words(name: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(Invalid) as answer:
        EVERY[name].validate(given)
    assert said in answer.value.message
    assert not {"valid", "Input", "parse", "unpack"} & set(answer.value.message.replace("'", " ").split())


@ERAS
async def test_a_client_of_either_era_may_send_null_for_all_it_leaves_open(era: str, tmp_path: Path) -> None:
    async with tools_home(tmp_path, era=era) as tools:
        for tool in EVERY.values():
            waits = "timeout" in tool.parameters
            if tool.access is Access.READ and not needed(tool) and not waits:
                plain = await tools.ask(tool.name)
                nulls = await tools.ask(tool.name, **dict.fromkeys(optional(tool)))
                assert nulls.is_error == plain.is_error, (tool.name, nulls.body)


@ERAS
async def test_a_client_of_either_era_may_write_lists_into_texts(era: str, tmp_path: Path) -> None:
    async with tools_home(tmp_path, era=era) as tools:
        keys = [film.key for film in tools.demo.state.list_section("1", "movie")[:2]]
        made = await tools.well("playlist_create", playlist_title=1984, item_ids=json.dumps(keys))
        assert (made["data"]["title"], made["data"]["item_count"]) == ("1984", 2)


async def test_a_read_that_writes_for_some_arguments_is_recognised_however_they_are_spelt(tmp_path: Path) -> None:
    async with tools_home(tmp_path, read_only="true") as tools:
        error = await tools.refused("media_get_artwork", media_id=1, output_format="File_Path")
        assert error["code"] == "read_only"


async def test_a_secret_that_a_caller_writes_is_not_quoted_back(tmp_path: Path) -> None:
    async with tools_home(tmp_path) as tools:
        error = await tools.refused("events_since", limit=tools.demo.token)
        assert tools.demo.token not in str(error)


@every_tool
def test_null_is_not_in_a_schema(tool: Tool) -> None:
    assert "null" not in json.dumps(tool.input_schema)
