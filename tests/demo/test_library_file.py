"""Households out of files: what they may hold, and how a wrong one is refused."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from support.demo_clients import asked

from plex_companion.demo import build_household, list_scenarios, load_household, open_demo
from plex_companion.demo.control import CALLS
from plex_companion.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable

DOCUMENT = Path(__file__).parents[2] / "docs" / "demo-household.md"


@pytest.fixture
def written(tmp_path: Path) -> Callable[[Any], Path]:
    def write(value: Any) -> Path:
        path = tmp_path / "home.json"
        path.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
        return path

    return write


async def test_the_documented_example_opens_and_browses(written: Callable[[Any], Path]) -> None:
    example = re.findall(r"```json\n(.*?)```", DOCUMENT.read_text("utf-8"), re.DOTALL)[0]
    async with open_demo(alive=False, household=load_household(written(example))) as demo:

        def ask(plex: Any) -> Any:
            return {
                section.title: [item.title for item in section.all()][:1] for section in plex.library.sections()
            }, len(plex.history())

        sections, history = await asked(demo, ask)
    assert sections["Films"] == ["The Paper Lighthouse"]
    assert history == 501


def test_the_document_lists_every_scenario_and_control_call() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert [name for name, sentence in list_scenarios().items() if f"| `{name}` | {sentence} |" not in text] == []
    assert [call for call in CALLS if f"{call.split()[0]} /demo/{call.split()[1]}" not in text] == []


def test_two_films_are_there_twice_and_every_other_item_has_a_guid_of_its_own() -> None:
    items = build_household(now=1_790_000_000.0).items
    twice = [guid for guid, count in Counter(item.guid for item in items).items() if count == 2]
    assert len({item.guid for item in items}) == len(items) - 2
    found = [[(item.section, item.edition_title) for item in items if item.guid == guid] for guid in twice]
    assert found == [[("1", ""), ("5", "")], [("1", ""), ("1", "Director's Cut")]]


def test_the_same_household_is_built_for_the_same_moment() -> None:
    assert build_household(now=1_790_000_000.0) == build_household(now=1_790_000_000.0)


def test_tracks_photos_ids_and_days_can_be_named(written: Callable[[Any], Path]) -> None:
    album = {"title": "Gravel", "year": 1994, "tracks": ["Slow Dust", "Fast Dust"]}
    film = {"title": "Low Water", "countries": ["Norland"], "external_ids": ["tmdb://12"], "released": "1994-05-06"}
    household = load_household(written({"sections": [
        {"title": "Music", "type": "artist", "items": [{"title": "Marlow", "albums": [album, "Dock"]}]},
        {"title": "Photos", "type": "photo", "items": [{"title": "Summer", "photos": ["boat", "pier"]}]},
        {"title": "Films", "type": "movie", "items": [film]},
    ]}))  # fmt: skip
    titles = {
        kind: [item.title for item in household.items if item.type == kind] for kind in ("album", "track", "photo")
    }
    assert titles["album"] == ["Gravel", "Dock"]
    assert titles["track"][:2] == ["Slow Dust", "Fast Dust"]
    assert len(titles["track"]) > 2
    assert titles["photo"] == ["boat", "pier"]
    made = next(item for item in household.items if item.type == "movie")
    assert (made.external_ids, made.released, made.tags["Country"]) == (("tmdb://12",), "1994-05-06", ("Norland",))
    assert [item.title for item in household.items if item.type == "clip"] == ["Low Water: Trailer"]


def test_a_library_lies_where_its_named_files_do(written: Callable[[Any], Path]) -> None:
    files = ["/data/films/a/One.mp4", "/data/films/b/Two.avi"]
    items = [{"title": file, "file": file} for file in files]
    household = load_household(written({"sections": [{"title": "Films", "type": "movie", "items": items}]}))
    assert household.sections[0].paths == ("/data/films",)
    media = [item.media[0] for item in household.items if item.type == "movie"]
    assert [one.container for one in media] == ["mp4", "avi"]
    assert (media[0].audio_codec, media[0].video_codec) == ("aac", "h264")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("{", "not JSON"),
        ([], "top level: expected an object"),
        (
            {"sections": [{"title": "X", "type": "artist", "items": [{"title": "A", "albums": [{"tracks": ["B"]}]}]}]},
            "items[0].albums[0]: 'title' is missing",
        ),
        (
            {"sections": [{"title": "X", "type": "artist", "items": [{"title": "A", "albums": [5]}]}]},
            "items[0].albums[0]: expected an object",
        ),
        ({"sektions": []}, "unknown field 'sektions'"),
        ({"sections": [{"title": "X", "type": "films"}]}, "sections[0]: 'type' must be one of movie"),
        (
            {"sections": [{"title": "X", "type": "movie", "items": [{"year": 1990}]}]},
            "sections[0].items[0]: 'title' is missing",
        ),
        (
            {"sections": [{"title": "X", "type": "movie", "items": [{"title": "A", "year": "old"}]}]},
            "items[0].year: expected a whole number",
        ),
        ({"sections": [{"title": "X", "type": "movie", "generate": -1}]}, "'count' must not be negative"),
        ({"users": [{"id": 2, "name": "B"}]}, "needs one with id 1"),
        ({"sections": [], "generate_history": 5}, "needs films"),
        ({"history": [{"rating_key": "9"}]}, "history[0]: no item '9'"),
    ],
)
def test_a_wrong_file_is_one_message_that_names_the_place(
    written: Callable[[Any], Path], content: Any, problem: str
) -> None:
    path = written(content)
    with pytest.raises(SettingsError, match=re.escape(problem)) as error:
        load_household(path)
    assert str(path) in error.value.message


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        load_household(tmp_path / "none.json")
